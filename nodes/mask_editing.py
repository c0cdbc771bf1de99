"""Nodes that make and change masks: float32 [B, H, W] in 0..1."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Boolean, Choice, Float, Image, Int, Mask, node
from engine.graph.node_types import NodeResult

Extent = Annotated[int, Int(1, 16384, step=1)]
Place = Annotated[int, Int(0, 16384, step=1)]
Level = Annotated[float, Float(0.0, 1.0, step=0.01)]
CHANNELS = ("red", "green", "blue", "alpha")


@node("MaskToImage", display_name="Convert Mask to Image", category="mask")
def to_image(*, mask: Mask) -> Image:
    """Show masks as grey pictures.

    mask: the masks; 1 becomes white.
    """
    from engine.imaging.batches import mask_batch

    return mask_batch(mask).unsqueeze(-1).repeat(1, 1, 1, 3)


@node("ImageToMask", display_name="Convert Image to Mask", category="mask")
def from_image(*, image: Image, channel: Annotated[str, Choice(CHANNELS)]) -> Mask:
    """Take one channel of pictures as masks.

    image: the pictures.
    channel: which channel.
    """
    from engine.errors import InputError

    index = CHANNELS.index(channel)
    if index >= image.shape[-1]:
        raise InputError(
            f"the picture has no channel {channel}",
            input="channel",
            expected=", ".join(CHANNELS[: image.shape[-1]]),
            got=channel,
            hint="choose a colour, or take the mask that Load Image gives",
        )
    return image[..., index].clone()


@node("ImageColorToMask", category="mask")
def from_colour(*, image: Image, color: Annotated[int, Int(0, 0xFFFFFF, step=1)] = 0) -> Mask:
    """Mask where pictures have exactly one colour.

    image: the pictures.
    color: the colour as a number: 65536 * red + 256 * green + blue, each 0 to 255.
    """
    from engine.imaging.masks import from_colour

    return from_colour(image, color)


@node("SolidMask", category="mask")
def solid(*, value: Level = 1.0, width: Extent = 512, height: Extent = 512) -> Mask:
    """Make a mask that is the same everywhere.

    value: 0 is nothing, 1 everything.
    width: width in pixels.
    height: height in pixels.
    """
    import torch

    return torch.full((1, height, width), float(value))


@node("InvertMask", category="mask")
def invert(*, mask: Mask) -> Mask:
    """Exchange what is masked and what is not.

    mask: the masks.
    """
    return 1.0 - mask


@node("CropMask", category="mask")
def crop(*, mask: Mask, x: Place = 0, y: Place = 0, width: Extent = 512, height: Extent = 512) -> Mask:
    """Cut a rectangle out of masks.

    mask: the masks.
    x: distance of the rectangle from the left edge.
    y: distance of the rectangle from the top edge.
    width: width of the rectangle; what reaches beyond the mask is left out.
    height: height of the rectangle.
    """
    from engine.imaging.batches import mask_batch
    from engine.imaging.masks import crop

    return crop(mask_batch(mask), x, y, width, height)


@node("MaskComposite", category="mask")
def composite(
    *,
    destination: Mask,
    source: Mask,
    x: Place = 0,
    y: Place = 0,
    operation: Annotated[str, Choice(("multiply", "add", "subtract", "and", "or", "xor"))],
) -> Mask:
    """Combine two masks.

    destination: the masks below.
    source: the masks laid on them; repeated where there are fewer.
    x: distance of the source from the left edge in pixels.
    y: distance of the source from the top edge in pixels.
    operation: how they are combined; and, or, xor take 0.5 and less as 0, more as 1.
    """
    from engine.imaging.batches import mask_batch
    from engine.imaging.masks import combine

    below, above = mask_batch(destination, "destination"), mask_batch(source, "source")
    return combine(below, above, x, y, operation)


@node("FeatherMask", category="mask")
def feather(*, mask: Mask, left: Place = 0, top: Place = 0, right: Place = 0, bottom: Place = 0) -> Mask:
    """Fade masks out towards their edges.

    mask: the masks.
    left: over how many pixels at the left edge.
    top: over how many pixels at the top edge.
    right: over how many pixels at the right edge.
    bottom: over how many pixels at the bottom edge.
    """
    from engine.imaging.batches import mask_batch
    from engine.imaging.masks import feather

    return feather(mask_batch(mask), left, top, right, bottom)


@node("GrowMask", category="mask")
def grow(
    *,
    mask: Mask,
    expand: Annotated[int, Int(-16384, 16384, step=1)] = 0,
    tapered_corners: Annotated[bool, Boolean()] = True,
) -> Mask:
    """Widen masks, or narrow them.

    mask: the masks.
    expand: by how many pixels; less than 0 narrows.
    tapered_corners: grow into diamonds instead of squares.
    """
    from engine.imaging.batches import mask_batch
    from engine.imaging.masks import grow

    return grow(mask_batch(mask), expand, tapered_corners)


@node("ThresholdMask", category="mask")
def threshold(*, mask: Mask, value: Level = 0.5) -> Mask:
    """Make masks black and white.

    mask: the masks.
    value: what is above this becomes 1, the rest 0.
    """
    return (mask > value).to(mask.dtype)


@node("MaskPreview", category="mask", output_node=True)
def preview(context: Any, *, mask: Mask) -> NodeResult:
    """Show masks as grey pictures without keeping them.

    mask: the masks to show.
    """
    from nodes.images import preview_image

    return preview_image(context, images=to_image(mask=mask))
