"""Nodes that calculate with latents, cut and turn them, and lay them over each other. Sizes are picture pixels."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Boolean, Choice, Float, Int, Latent, Mask, Model, Socket, node
from nodes.image_transform import TURNS, FlipMethod, Rotation

FACTOR = 8
"""Picture pixels to a latent pixel."""
Place = Annotated[int, Int(0, 16384, step=8)]
Extent = Annotated[int, Int(64, 16384, step=8)]
Share = Annotated[float, Float(0.0, 1.0, step=0.01)]
HunyuanSide = Annotated[int, Int(64, 16384, step=32)]
Operation = Annotated[Any, Socket("LATENT_OPERATION")]


@node("LatentAdd", category="latent/advanced")
def add(*, samples1: Latent, samples2: Latent) -> Latent:
    """Add two latents.

    samples1: the first latents.
    samples2: the second latents, resized and repeated to the first.
    """
    from engine.diffusion import latent_arithmetic

    return latent_arithmetic.add(samples1, samples2)


@node("LatentSubtract", category="latent/advanced")
def subtract(*, samples1: Latent, samples2: Latent) -> Latent:
    """Subtract latents from others.

    samples1: the first latents.
    samples2: what is subtracted, resized and repeated to the first.
    """
    from engine.diffusion import latent_arithmetic

    return latent_arithmetic.subtract(samples1, samples2)


@node("LatentMultiply", category="latent/advanced")
def multiply(*, samples: Latent, multiplier: Annotated[float, Float(-10.0, 10.0, step=0.01)] = 1.0) -> Latent:
    """Multiply latents by a number.

    samples: the latents.
    multiplier: the number.
    """
    from engine.diffusion import latent_arithmetic

    return latent_arithmetic.multiply(samples, multiplier)


@node("LatentInterpolate", category="latent/advanced")
def interpolate(*, samples1: Latent, samples2: Latent, ratio: Share = 1.0) -> Latent:
    """Mix two latents and keep their contrast: directions and lengths are mixed apart.

    samples1: the first latents.
    samples2: the second latents, resized and repeated to the first.
    ratio: 1 is the first, 0 the second.
    """
    from engine.diffusion import latent_arithmetic

    return latent_arithmetic.interpolate(samples1, samples2, ratio)


@node("LatentBlend", display_name="Latent Blend", category="_for_testing")
def blend(*, samples1: Latent, samples2: Latent, blend_factor: Share = 0.5) -> Latent:
    """Mix two latents.

    samples1: the first latents.
    samples2: the second latents, resized and repeated to the first.
    blend_factor: 1 is the first, 0 the second.
    """
    from engine.diffusion import latent_arithmetic

    return latent_arithmetic.blend(samples1, samples2, blend_factor)


@node("LatentConcat", category="latent/advanced")
def concat(
    *, samples1: Latent, samples2: Latent, dim: Annotated[str, Choice(("x", "-x", "y", "-y", "t", "-t"))]
) -> Latent:
    """Join two latents to one larger.

    samples1: the first latents.
    samples2: the second latents, repeated to the first one's batch.
    dim: x beside, y below, t after (videos); a minus puts the second one first.
    """
    from engine.diffusion import latent_framing

    return latent_framing.concat(samples1, samples2, dim)


@node("LatentCut", category="latent/advanced")
def cut(
    *,
    samples: Latent,
    dim: Annotated[str, Choice(("x", "y", "t"))],
    index: Annotated[int, Int(-16384, 16384, step=1)] = 0,
    amount: Annotated[int, Int(1, 16384, step=1)] = 1,
) -> Latent:
    """Cut a strip out of latents.

    samples: the latents.
    dim: x takes columns, y rows, t frames (videos).
    index: where the strip begins, in latent pixels; less than 0 counts from the end.
    amount: how many latent pixels are kept, at most to the end.
    """
    from engine.diffusion import latent_framing

    return latent_framing.cut(samples, dim, index, amount)


@node("LatentFlip", display_name="Flip Latent", category="latent/transform")
def flip(*, samples: Latent, flip_method: FlipMethod) -> Latent:
    """Mirror latents.

    samples: the latents.
    flip_method: vertically swaps top and bottom, horizontally left and right.
    """
    from engine.diffusion import latent_framing

    return latent_framing.flip(samples, flip_method.startswith("x"))


@node("LatentRotate", display_name="Rotate Latent", category="latent/transform")
def rotate(*, samples: Latent, rotation: Rotation) -> Latent:
    """Turn latents clockwise.

    samples: the latents.
    rotation: how far.
    """
    from engine.diffusion import latent_framing

    return latent_framing.turn(samples, TURNS.index(rotation))


@node("LatentCrop", display_name="Crop Latent", category="latent/transform")
def crop(*, samples: Latent, width: Extent = 512, height: Extent = 512, x: Place = 0, y: Place = 0) -> Latent:
    """Cut a rectangle out of latents.

    samples: the latents.
    width: width of the rectangle in picture pixels; what reaches beyond is left out.
    height: height of the rectangle in picture pixels.
    x: distance of the rectangle from the left edge in picture pixels.
    y: distance of the rectangle from the top edge in picture pixels.
    """
    from engine.diffusion import latent_framing

    return latent_framing.crop(samples, x // FACTOR, y // FACTOR, width // FACTOR, height // FACTOR)


@node("LatentComposite", display_name="Latent Composite", category="latent")
def composite(*, samples_to: Latent, samples_from: Latent, x: Place = 0, y: Place = 0, feather: Place = 0) -> Latent:
    """Lay latents on others.

    samples_to: the latents below.
    samples_from: the latents to lay on them; repeated where there are fewer.
    x: distance from the left edge in picture pixels.
    y: distance from the top edge in picture pixels.
    feather: over how many picture pixels they fade in at the sides.
    """
    from engine.diffusion import latent_framing

    return latent_framing.composite(samples_to, samples_from, x // FACTOR, y // FACTOR, feather // FACTOR)


@node("LatentCompositeMasked", category="latent")
def composite_masked(
    *,
    destination: Latent,
    source: Latent,
    x: Place = 0,
    y: Place = 0,
    resize_source: Annotated[bool, Boolean()] = False,
    mask: Mask | None = None,
) -> Latent:
    """Lay latents on others through a mask.

    destination: the latents below.
    source: the latents to lay on them; repeated where there are fewer.
    x: distance from the left edge in picture pixels.
    y: distance from the top edge in picture pixels.
    resize_source: stretch the source to the size of the destination.
    mask: where the source covers (1) and where the destination shows (0); stretched to the source.
    """
    from engine.diffusion import latent_framing

    return latent_framing.composite_masked(destination, source, x // FACTOR, y // FACTOR, resize_source, mask)


@node("LatentApplyOperation", category="latent/advanced/operations")
def apply_operation(*, samples: Latent, operation: Operation) -> Latent:
    """Apply an operation to latents.

    samples: the latents.
    operation: what to do with them.
    """
    import dataclasses

    return dataclasses.replace(samples, samples=operation.apply(samples.samples))


@node("LatentApplyOperationCFG", category="latent/advanced/operations")
def apply_operation_to_guidance(*, model: Model, operation: Operation) -> Model:
    """Apply an operation, at each sampling step, to what the positive prompt adds to the picture.

    model: the diffusion model.
    operation: what to do with it; tone mapping allows much stronger guidance.
    """
    from engine.families.guidance_options import with_operation

    return with_operation(model, operation)


@node("LatentOperationTonemapReinhard", category="latent/advanced/operations")
def tonemap(*, multiplier: Annotated[float, Float(0.0, 100.0, step=0.01)] = 1.0) -> Operation:
    """Compress strong values, against pictures burnt out by strong guidance.

    multiplier: how much room is left; smaller compresses more.
    """
    from engine.diffusion.latent_operations import TonemapReinhard

    return TonemapReinhard(multiplier)


@node("LatentOperationSharpen", category="latent/advanced/operations")
def sharpen(
    *,
    sharpen_radius: Annotated[int, Int(1, 31, step=1)] = 9,
    sigma: Annotated[float, Float(0.1, 10.0, step=0.1)] = 1.0,
    alpha: Annotated[float, Float(0.0, 5.0, step=0.01)] = 0.1,
) -> Operation:
    """Sharpen latents.

    sharpen_radius: how many latent pixels to each side are compared with.
    sigma: how evenly these count, as in ImageBlur.
    alpha: strength; 0 changes nothing.
    """
    from engine.diffusion.latent_operations import Sharpen

    return Sharpen(sharpen_radius, sigma, alpha)


@node("EmptyHunyuanImageLatent", category="latent")
def empty_hunyuan(
    *, width: HunyuanSide = 2048, height: HunyuanSide = 2048, batch_size: Annotated[int, Int(1, 4096)] = 1
) -> Latent:
    """Make a batch of empty latents for Hunyuan Image: 64 channels, 32 picture pixels each way.

    width: width of the pictures in pixels.
    height: height of the pictures in pixels.
    batch_size: number of pictures; each gets noise of its own.
    """
    from engine.diffusion.latents import LatentFormat, empty_latent

    return empty_latent(width, height, batch_size, LatentFormat(channels=64, scale=1.0, factor=32))
