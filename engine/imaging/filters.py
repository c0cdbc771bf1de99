"""Filters over a neighbourhood: blur, sharpen, morphology, noise. ``[B, H, W, C]`` unless said otherwise."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from engine.errors import InputError
from engine.imaging.windows import square_maximum

SHARPEN_GAIN: Final = 10.0
"""What a strength of 1 multiplies the difference to the blurred picture by."""

OPERATIONS: Final = ("erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat")


def gaussian_weights(radius: int, sigma: float) -> Tensor:
    """Return a bell [2 * radius + 1] that sums to 1. ``sigma`` counts in radii: 1 puts one sigma at the rim."""
    bell = torch.exp(-(torch.linspace(-1, 1, 2 * radius + 1) ** 2) / (2 * sigma**2))
    return bell / bell.sum()


def blur_planes(planes: Tensor, radius: int, sigma: float, input: str) -> Tensor:
    """Blur [B, C, H, W] with `gaussian_weights`, mirrored at the edges.

    Raises `InputError`, naming ``input``, when the radius is not smaller than the sides.
    """
    batch, channels, height, width = planes.shape
    if radius >= min(height, width):
        raise InputError(
            "the radius is too large to mirror the edges",
            input=input,
            expected=f"less than the shorter side, {min(height, width)}",
            got=str(radius),
            hint="take a smaller radius or enlarge first",
        )
    weights = gaussian_weights(radius, sigma).to(planes)
    padded = pad(planes, (radius,) * 4, mode="reflect").reshape(batch * channels, 1, height + 2 * radius, -1)
    blurred = conv2d(conv2d(padded, weights[None, None, None, :]), weights[None, None, :, None])
    return blurred.reshape(planes.shape)


def sharpen_planes(planes: Tensor, radius: int, sigma: float, strength: float, input: str) -> Tensor:
    """Add ``strength`` * `SHARPEN_GAIN` times the difference to the blurred [B, C, H, W] (unsharp masking)."""
    gain = strength * SHARPEN_GAIN
    return planes + gain * (planes - blur_planes(planes, radius, sigma, input))


def blur(image: Tensor, radius: int, sigma: float) -> Tensor:
    """Blur pictures; see `blur_planes`."""
    return blur_planes(image.movedim(-1, 1), radius, sigma, "blur_radius").movedim(1, -1).contiguous()


def sharpen(image: Tensor, radius: int, sigma: float, strength: float) -> Tensor:
    """Sharpen pictures; see `sharpen_planes`. Returns 0..1."""
    sharp = sharpen_planes(image.movedim(-1, 1), radius, sigma, strength, "sharpen_radius")
    return sharp.movedim(1, -1).clamp(0, 1).contiguous()


def morphology(image: Tensor, operation: str, size: int) -> Tensor:
    """Apply a grey-scale morphological operation of `OPERATIONS` with a flat square of ``size`` pixels.

    Nothing comes in from outside the picture. Definitions as in Serra, Image Analysis and Mathematical Morphology
    (1982); the square that erodes reaches ``size // 2`` pixels up and left.
    """
    planes = image.movedim(-1, 1)
    match operation:
        case "erode":
            made = _erode(planes, size)
        case "dilate":
            made = _dilate(planes, size)
        case "open":
            made = _dilate(_erode(planes, size), size)
        case "close":
            made = _erode(_dilate(planes, size), size)
        case "gradient":
            made = _dilate(planes, size) - _erode(planes, size)
        case "top_hat":
            made = planes - _dilate(_erode(planes, size), size)
        case "bottom_hat":
            made = _erode(_dilate(planes, size), size) - planes
        case _:
            raise InputError("the operation is unknown", expected=", ".join(OPERATIONS), got=operation)
    return made.movedim(1, -1).contiguous()


def _dilate(planes: Tensor, size: int) -> Tensor:
    # The mirror image of the square that erodes: so an opening by an even square does not move the picture.
    return square_maximum(planes, size - size // 2 - 1, size // 2)


def _erode(planes: Tensor, size: int) -> Tensor:
    return -square_maximum(-planes, size // 2, size - size // 2 - 1)


def add_noise(image: Tensor, seed: int, strength: float) -> Tensor:
    """Add normal noise of deviation ``strength``, drawn on the CPU from ``seed``. Returns 0..1."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator)
    return (image + strength * noise.to(image)).clamp(0, 1)
