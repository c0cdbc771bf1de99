"""Nodes that change pictures pixel by pixel or over a neighbourhood."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Choice, Float, Image, Int, node

Radius = Annotated[int, Int(1, 31, step=1)]
Threshold = Annotated[float, Float(0.01, 0.99, step=0.01)]


@node("ImageBlend", category="image/postprocessing")
def blend(
    *,
    image1: Image,
    image2: Image,
    blend_factor: Annotated[float, Float(0.0, 1.0, step=0.01)] = 0.5,
    blend_mode: Annotated[str, Choice(("normal", "multiply", "screen", "overlay", "soft_light", "difference"))],
) -> Image:
    """Mix two pictures.

    image1: the picture below.
    image2: the picture on it; one of another size is resized and its middle is cut out.
    blend_factor: 0 keeps the first picture, 1 gives the blend of both.
    blend_mode: how they are blended.
    """
    from engine.imaging.batches import match_batches, match_channels
    from engine.imaging.blending import blend
    from nodes.images import scale

    height, width = image1.shape[1:3]
    if image2.shape[1:3] != (height, width):
        image2 = scale(image=image2, upscale_method="bicubic", width=width, height=height, crop="center")
    first, second = match_batches(image1, match_channels(image2, image1.shape[-1]).to(image1))
    return blend(first, second, blend_factor, blend_mode)


@node("ImageBlur", category="image/postprocessing")
def blur(*, image: Image, blur_radius: Radius = 1, sigma: Annotated[float, Float(0.1, 10.0, step=0.1)] = 1.0) -> Image:
    """Blur pictures.

    image: the pictures.
    blur_radius: how many pixels to each side are mixed in.
    sigma: how evenly: 0.1 hardly at all, 10 as an average. 1 gives the rim 60 % of the middle's weight.
    """
    from engine.imaging.filters import blur

    return blur(image, blur_radius, sigma)


@node("ImageSharpen", category="image/postprocessing")
def sharpen(
    *,
    image: Image,
    sharpen_radius: Radius = 1,
    sigma: Annotated[float, Float(0.1, 10.0, step=0.01)] = 1.0,
    alpha: Annotated[float, Float(0.0, 5.0, step=0.01)] = 1.0,
) -> Image:
    """Sharpen pictures.

    image: the pictures.
    sharpen_radius: how many pixels to each side the picture is compared with.
    sigma: how evenly these count, as in ImageBlur.
    alpha: strength; 0 changes nothing.
    """
    from engine.imaging.filters import sharpen

    return sharpen(image, sharpen_radius, sigma, alpha)


@node("ImageQuantize", category="image/postprocessing")
def quantize(
    *,
    image: Image,
    colors: Annotated[int, Int(1, 256, step=1)] = 256,
    dither: Annotated[str, Choice(("none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"))],
) -> Image:
    """Reduce the number of colours, each picture with a palette of its own.

    image: the pictures.
    colors: how many colours are left.
    dither: how colours that are missing are hinted at by neighbouring ones.
    """
    from engine.imaging.colour import quantize

    return quantize(image, colors, dither)


@node("Morphology", display_name="ImageMorphology", category="image/postprocessing")
def morphology(
    *,
    image: Image,
    operation: Annotated[str, Choice(("erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"))],
    kernel_size: Annotated[int, Int(3, 999, step=1)] = 3,
) -> Image:
    """Widen or narrow what is bright in pictures.

    image: the pictures.
    operation: erode narrows, dilate widens; open removes small bright spots, close small dark ones; gradient shows
        edges; top_hat shows what open removes, bottom_hat what close fills.
    kernel_size: side in pixels of the square that is looked at.
    """
    from engine.imaging.filters import morphology

    return morphology(image, operation, kernel_size)


@node("Canny", category="image/preprocessors")
def canny(*, image: Image, low_threshold: Threshold = 0.4, high_threshold: Threshold = 0.8) -> Image:
    """Draw the edges of pictures, white on black.

    image: the pictures.
    low_threshold: an edge goes on as long as it is stronger than this.
    high_threshold: an edge must be stronger than this somewhere.
    """
    from engine.errors import InputError
    from engine.imaging.edges import canny

    if low_threshold > high_threshold:
        raise InputError(
            "the thresholds are the wrong way round",
            input="low_threshold",
            expected=f"at most high_threshold, {high_threshold}",
            got=str(low_threshold),
            hint="exchange them",
        )
    return canny(image, low_threshold, high_threshold).unsqueeze(-1).repeat(1, 1, 1, 3)
