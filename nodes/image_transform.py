"""Nodes that crop, turn, join and resize pictures."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Boolean, Choice, Float, Image, Int, node
from nodes.images import Method, Side

Extent = Annotated[int, Int(1, 16384, step=1)]
FlipMethod = Annotated[str, Choice(("x-axis: vertically", "y-axis: horizontally"))]
TURNS = ("none", "90 degrees", "180 degrees", "270 degrees")
Rotation = Annotated[str, Choice(TURNS)]


@node("ImageCrop", display_name="Image Crop", category="image/transform")
def crop(*, image: Image, width: Extent = 512, height: Extent = 512, x: Side = 0, y: Side = 0) -> Image:
    """Cut a rectangle out of pictures.

    image: the pictures.
    width: width of the rectangle; what reaches beyond the picture is left out.
    height: height of the rectangle.
    x: distance of the rectangle from the left edge.
    y: distance of the rectangle from the top edge.
    """
    from engine.imaging.framing import crop

    return crop(image, x, y, width, height)


@node("ImageFlip", category="image/transform")
def flip(*, image: Image, flip_method: FlipMethod) -> Image:
    """Mirror pictures.

    image: the pictures.
    flip_method: vertically swaps top and bottom, horizontally left and right.
    """
    from engine.imaging.framing import flip

    return flip(image, flip_method.startswith("x"))


@node("ImageRotate", category="image/transform")
def rotate(*, image: Image, rotation: Rotation) -> Image:
    """Turn pictures clockwise.

    image: the pictures.
    rotation: how far.
    """
    from engine.imaging.framing import turn

    return turn(image, TURNS.index(rotation))


@node("ImageStitch", display_name="Image Stitch", category="image/transform")
def stitch(
    *,
    image1: Image,
    direction: Annotated[str, Choice(("right", "down", "left", "up"))] = "right",
    match_image_size: Annotated[bool, Boolean()] = True,
    spacing_width: Annotated[int, Int(0, 1024, step=2)] = 0,
    spacing_color: Annotated[str, Choice(("white", "black", "red", "green", "blue"))] = "white",
    image2: Image | None = None,
) -> Image:
    """Put two pictures side by side.

    image1: the first picture.
    direction: where the second one goes, seen from the first.
    match_image_size: resize the second one to the first one's height (beside) or width (above, below); otherwise the
        smaller one is centred on black.
    spacing_width: pixels between them; an odd number is made even.
    spacing_color: colour between them.
    image2: the second picture; without it the first is handed on.
    """
    from engine.imaging.framing import stitch

    if image2 is None:
        return image1
    if match_image_size:
        height, width = image1.shape[1:3]
        other_height, other_width = image2.shape[1:3]
        if direction in ("left", "right"):
            width = max(1, other_width * height // other_height)
        else:
            height = max(1, other_height * width // other_width)
        image2 = _resize(image2, width, height, "lanczos")
    return stitch(image1, image2, direction, spacing_width, spacing_color)


@node("ResizeAndPadImage", category="image/transform")
def resize_and_pad(
    *,
    image: Image,
    target_width: Extent = 512,
    target_height: Extent = 512,
    padding_color: Annotated[str, Choice(("white", "black"))],
    interpolation: Annotated[str, Choice(("area", "bicubic", "nearest-exact", "bilinear", "lanczos"))],
) -> Image:
    """Fit whole pictures into a frame and fill the rest of it.

    image: the pictures.
    target_width: width of the frame in pixels.
    target_height: height of the frame in pixels.
    padding_color: colour of the rest.
    interpolation: how pixels between the old ones are found.
    """
    from engine.imaging.framing import contain, pad_to

    height, width = contain((image.shape[1], image.shape[2]), (target_height, target_width))
    fitted = _resize(image, width, height, interpolation)
    return pad_to(fitted, target_height, target_width, 0.0 if padding_color == "black" else 1.0)


@node("ImageScaleToTotalPixels", category="image/upscaling")
def scale_to_total_pixels(
    *, image: Image, upscale_method: Method, megapixels: Annotated[float, Float(0.01, 16.0, step=0.01)] = 1.0
) -> Image:
    """Resize pictures to a number of pixels and keep their shape.

    image: the pictures to resize.
    upscale_method: how pixels between the old ones are found.
    megapixels: how many, in units of 1024 x 1024.
    """
    height, width = image.shape[1:3]
    factor = (megapixels * 1024 * 1024 / (width * height)) ** 0.5
    return _resize(image, max(1, round(width * factor)), max(1, round(height * factor)), upscale_method)


@node("ImageScaleToMaxDimension", category="image/upscaling")
def scale_to_max_dimension(
    *,
    image: Image,
    # The saved interface lists bilinear twice.
    upscale_method: Annotated[str, Choice(("area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"))],
    largest_size: Side = 512,
) -> Image:
    """Resize pictures so that the longer side has a length, and keep their shape.

    image: the pictures to resize.
    upscale_method: how pixels between the old ones are found.
    largest_size: new length of the longer side in pixels.
    """
    from engine.errors import InputError

    if largest_size == 0:
        raise InputError(
            "a picture cannot be resized to nothing",
            input="largest_size",
            expected="at least 1",
            got="0",
            hint="give the length of the longer side in pixels",
        )
    height, width = image.shape[1:3]
    factor = largest_size / max(height, width)
    return _resize(image, max(1, round(width * factor)), max(1, round(height * factor)), upscale_method)


def _resize(image: Any, width: int, height: int, method: str) -> Any:
    from nodes.images import scale

    return scale(image=image, upscale_method=method, width=width, height=height, crop="disabled")
