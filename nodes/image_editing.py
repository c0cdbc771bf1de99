"""Nodes that make pictures from nothing, and change or lay over each other whole pictures."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Boolean, Choice, Float, FolderChoices, Image, Int, Mask, Seed, node
from engine.media.images import SUFFIXES

Side = Annotated[int, Int(1, 16384, step=1)]
Place = Annotated[int, Int(0, 16384, step=1)]
Border = Annotated[int, Int(0, 16384, step=8)]
Colour = Annotated[int, Int(0, 0xFFFFFF, step=1)]
Count = Annotated[int, Int(0, 2**63 - 1)]
OutputPicture = Annotated[str, Choice(FolderChoices("output", suffixes=SUFFIXES), image_upload=True)]


@node("LoadImageOutput", display_name="Load Image (from Outputs)", category="image")
def load_output_image(context: Any, *, image: OutputPicture) -> tuple[Image, Mask]:
    """Load a picture from the output folder, to go on with what an earlier run made.

    image: a file of the output folder.
    """
    from nodes.images import load_image

    name = image if image.rstrip().endswith("]") else f"{image} [output]"
    pixels, mask = load_image(context, image=name)
    return pixels, mask


@node("EmptyImage", category="image")
def empty(*, width: Side = 512, height: Side = 512, batch_size: Annotated[int, Int(1, 4096)] = 1, color: Colour = 0
          ) -> Image:  # fmt: skip
    """Make pictures of one colour.

    width: width in pixels.
    height: height in pixels.
    batch_size: number of pictures.
    color: the colour as a number: 65536 * red + 256 * green + blue, each 0 to 255.
    """
    from engine.imaging.framing import solid

    return solid(batch_size, height, width, color)


@node("ImageInvert", display_name="Invert Image", category="image")
def invert(*, image: Image) -> Image:
    """Turn pictures into their negatives.

    image: the pictures.
    """
    return 1.0 - image


@node("GetImageSize", display_name="Get Image Size", category="image", outputs=("width", "height", "batch_size"))
def size(*, image: Image) -> tuple[Count, Count, Count]:
    """Tell the size of pictures and how many there are.

    image: the pictures to measure.
    """
    return image.shape[2], image.shape[1], image.shape[0]


@node("ImageAddNoise", category="image")
def add_noise(*, image: Image, seed: Seed = 0, strength: Annotated[float, Float(0.0, 1.0, step=0.01)] = 0.5) -> Image:
    """Add noise to pictures.

    image: the pictures.
    seed: number that the noise is drawn from.
    strength: standard deviation of the noise; 1 is from black to white.
    """
    from engine.imaging.filters import add_noise

    return add_noise(image, seed, strength)


@node("ImagePadForOutpaint", display_name="Pad Image for Outpainting", category="image")
def pad_for_outpaint(
    *,
    image: Image,
    left: Border = 0,
    top: Border = 0,
    right: Border = 0,
    bottom: Border = 0,
    feathering: Annotated[int, Int(0, 16384, step=1)] = 40,
) -> tuple[Image, Mask]:
    """Add a grey border to pictures, and mask it for painting.

    image: the pictures to widen.
    left: pixels to add on the left.
    top: pixels to add at the top.
    right: pixels to add on the right.
    bottom: pixels to add at the bottom.
    feathering: how many pixels inside the old picture may change, less and less, so that no seam shows.
    """
    from engine.imaging.framing import pad_for_outpaint

    return pad_for_outpaint(image, left, top, right, bottom, feathering)


@node("ImageCompositeMasked", category="image")
def composite(
    *,
    destination: Image,
    source: Image,
    x: Place = 0,
    y: Place = 0,
    resize_source: Annotated[bool, Boolean()] = False,
    mask: Mask | None = None,
) -> Image:
    """Lay pictures on others.

    destination: the pictures below.
    source: the pictures to lay on them; repeated where there are fewer.
    x: distance of the source from the left edge in pixels.
    y: distance of the source from the top edge in pixels.
    resize_source: stretch the source to the size of the destination.
    mask: where the source covers (1) and where the destination shows (0); stretched to the source.
    """
    from engine.imaging.compositing import paste_image
    from nodes.images import scale

    if resize_source:
        height, width = destination.shape[1:3]
        source = scale(image=source, upscale_method="bilinear", width=width, height=height, crop="disabled")
    return paste_image(destination, source, x, y, mask)
