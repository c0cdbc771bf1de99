"""Nodes that make, resize, encode, decode, save and load latents."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, Float, Int, Latent, Mask, node

PixelSize = Annotated[int, Int(16, 16384, step=8)]
TargetSize = Annotated[int, Int(0, 16384, step=8)]
Method = Annotated[str, Choice(("nearest-exact", "bilinear", "area", "bicubic", "bislerp"))]
Crop = Annotated[str, Choice(("disabled", "center"))]

SMALLEST_SIDE = 64
"""LatentUpscale never makes a picture narrower than this many pixels, as saved workflows expect."""


@node("EmptyLatentImage", display_name="Empty Latent Image", category="latent")
def empty(*, width: PixelSize = 512, height: PixelSize = 512, batch_size: Annotated[int, Int(1, 4096)] = 1) -> Latent:
    """Make a batch of empty latents to generate pictures from.

    width: width of the pictures in pixels.
    height: height of the pictures in pixels.
    batch_size: number of pictures; each gets noise of its own.
    """
    from engine.diffusion.latents import empty_latent

    return empty_latent(width, height, batch_size)


@node("LatentUpscale", display_name="Upscale Latent", category="latent")
def upscale(
    *, samples: Latent, upscale_method: Method, width: TargetSize = 512, height: TargetSize = 512, crop: Crop
) -> Latent:
    """Resize latents to a size in pixels.

    samples: the latents to resize.
    upscale_method: how values between the old ones are found; bislerp keeps their lengths.
    width: new width in pixels; 0 follows the height.
    height: new height in pixels; 0 follows the width.
    crop: center cuts the middle out so that nothing is stretched.
    """
    if width == 0 and height == 0:
        return samples
    old_height, old_width = samples.samples.shape[-2:]
    if width == 0:
        height = max(SMALLEST_SIDE, height)
        width = max(SMALLEST_SIDE, round(old_width * height / old_height))
    elif height == 0:
        width = max(SMALLEST_SIDE, width)
        height = max(SMALLEST_SIDE, round(old_height * width / old_width))
    else:
        width, height = max(SMALLEST_SIDE, width), max(SMALLEST_SIDE, height)
    return _resized(samples, width // 8, height // 8, upscale_method, crop)


@node("LatentUpscaleBy", display_name="Upscale Latent By", category="latent")
def upscale_by(
    *, samples: Latent, upscale_method: Method, scale_by: Annotated[float, Float(0.01, 8.0, step=0.01)] = 1.5
) -> Latent:
    """Resize latents by a factor.

    samples: the latents to resize.
    upscale_method: how values between the old ones are found; bislerp keeps their lengths.
    scale_by: 2 doubles width and height.
    """
    height, width = samples.samples.shape[-2:]
    return _resized(samples, max(1, round(width * scale_by)), max(1, round(height * scale_by)), upscale_method)


@node("SetLatentNoiseMask", display_name="Set Latent Noise Mask", category="latent/inpaint")
def set_noise_mask(*, samples: Latent, mask: Mask) -> Latent:
    """Say which part of the latents a sampler may change.

    samples: the latents to change in part.
    mask: 1 where the picture is to change, 0 where it is to stay.
    """
    import dataclasses

    from engine.imaging.batches import mask_batch

    return dataclasses.replace(samples, noise_mask=mask_batch(mask).unsqueeze(1))


def _resized(latent: Any, width: int, height: int, method: str, crop: Any = "disabled") -> Any:
    import dataclasses

    from engine.diffusion.latents import resize_latent

    return dataclasses.replace(latent, samples=resize_latent(latent.samples, width, height, method, crop))
