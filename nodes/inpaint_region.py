"""Nodes that work on the masked region of a picture alone, at the size the model is good at."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Image, Int, Mask, Socket, node

StitchInfo = Annotated[Any, Socket("STITCH")]
Pixels = Annotated[int, Int(0, 4096, step=1)]
Size = Annotated[int, Int(8, 16384, step=8)]


@node(
    "InpaintRegionCrop",
    display_name="Crop Region (for Inpainting)",
    category="image/inpaint",
    outputs=("stitch", "cropped", "cropped_mask"),
)
def crop_region(
    *,
    image: Image,
    mask: Mask,
    width: Size = 512,
    height: Size = 512,
    context: Pixels = 32,
    grow: Pixels = 8,
    feather: Pixels = 8,
) -> tuple[StitchInfo, Image, Mask]:
    """Cut the masked region out of pictures and scale it to the size that the model was trained at.

    Inpaint the cropped picture with the cropped mask, then give the result to Put Region Back.

    image: the pictures.
    mask: 1 where to paint; a mask of another size is scaled. All pictures of a batch are cut at the same place.
    width: width of the cropped picture, a multiple of 8.
    height: height of the cropped picture, a multiple of 8.
    context: pixels around the mask that the model sees, too.
    grow: pixels by which the mask grows first.
    feather: pixels over which old and new are mixed, inside the grown mask; what lies outside it stays exactly as it
        is.
    """
    from engine.errors import InputError
    from engine.imaging.regions import Margins, crop_region

    for name, value in (("width", width), ("height", height)):
        if value % 8:
            raise InputError(f"the {name} does not fit latents", input=name, expected="a multiple of 8", got=str(value))
    return crop_region(image, mask, Margins(grow, feather, context), (height, width))


@node("InpaintRegionStitch", display_name="Put Region Back", category="image/inpaint")
def stitch_region(*, stitch: StitchInfo, image: Image) -> Image:
    """Put an inpainted region back where Crop Region cut it out; every pixel outside the grown mask stays as it was.

    stitch: what Crop Region gave.
    image: the inpainted region, of any size; several make several pictures.
    """
    from engine.imaging.regions import stitch_region

    return stitch_region(stitch, image)
