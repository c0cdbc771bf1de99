"""Pictures that ControlNets read, made of pictures by classical means: no network and no download.

Pictures are [B, H, W, C] in 0..1, of one channel, three, or four (alpha is ignored); what is made has three channels.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.errors import InputError
from engine.imaging.colour import luma

__all__ = ["INPAINT_MARK", "coarse", "inpaint_hint", "scribble", "soft_edges", "threshold"]

SCALES: Final = (1.0, 2.0, 4.0)
"""Standard deviations, in pixels, of the blurs whose gradients make soft edges."""

SMALLEST_SIDE: Final = 16
FAINTEST: Final = 0.02
"""A gradient of this strength counts as a full edge where the picture has no stronger one, so that noise stays dark."""

SCRIBBLE_LEVEL: Final = 0.18
INPAINT_MARK: Final = -1.0
"""What the inpainting ControlNet of Stable Diffusion 1 was trained to read as "paint here"."""


def soft_edges(image: Tensor, smoothing: float = 1.0) -> Tensor:
    """Return edges [B, H, W, 3] as bright as they are strong: gradients at three scales, the strongest edge at 1.

    `smoothing` multiplies the scales: below 1 finer lines, above 1 broader ones. Raises `InputError` for pictures
    under 16 pixels.
    """
    from kornia.filters import gaussian_blur2d, spatial_gradient

    if min(image.shape[1:3]) < SMALLEST_SIDE:
        raise InputError(
            "the picture is too small to have soft edges",
            input="image",
            expected=f"at least {SMALLEST_SIDE} pixels each way",
            got=f"{image.shape[2]} x {image.shape[1]}",
        )
    grey = _grey(image)
    strength = torch.zeros_like(grey)
    for scale in SCALES:
        sigma = scale * smoothing
        radius = min(max(1, round(3 * sigma)), min(image.shape[1:3]) - 1)
        smooth = gaussian_blur2d(grey, (2 * radius + 1,) * 2, (sigma, sigma))
        across, down = spatial_gradient(smooth).unbind(2)
        # A blur of this width makes a sharp step's gradient this much weaker.
        strength = torch.maximum(strength, torch.hypot(across, down) * sigma)
    peak = strength.amax((1, 2, 3), keepdim=True).clamp(min=FAINTEST)
    return _three(strength / peak)


def scribble(image: Tensor, thickness: int = 3) -> Tensor:
    """Return white lines on black, 0 or 1, [B, H, W, 3]: the soft edges that are strong, `thickness` pixels wide."""
    from kornia.morphology import dilation, erosion

    strong = (soft_edges(image)[..., :1].movedim(-1, 1) > SCRIBBLE_LEVEL).to(image.dtype)
    square = torch.ones(3, 3, dtype=image.dtype, device=image.device)
    lines = erosion(dilation(strong, square), square)  # closes gaps of a pixel
    if thickness > 1:
        lines = dilation(lines, torch.ones(thickness, thickness, dtype=image.dtype, device=image.device))
    return _three(lines)


def coarse(image: Tensor, factor: float = 4.0) -> Tensor:
    """Return the colours [B, H, W, 3] without their detail: averaged over squares of `factor` pixels, then enlarged."""
    planes = _colours(image).movedim(-1, 1)
    height, width = planes.shape[-2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = interpolate(planes, size=size, mode="area")
    return interpolate(small, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1).movedim(1, -1)


def threshold(image: Tensor, level: float = 0.5, *, invert: bool = False) -> Tensor:
    """Return white [B, H, W, 3] where the picture is brighter than `level`, black elsewhere; `invert` swaps them."""
    bright = _grey(image) > level
    return _three((bright != invert).to(image.dtype))


def inpaint_hint(image: Tensor, mask: Tensor) -> Tensor:
    """Return the picture [B, H, W, 3] with -1 in every channel where the mask, scaled to it, is above one half."""
    planes = mask.reshape(-1, 1, mask.shape[-2], mask.shape[-1]).to(image)
    inside = interpolate(planes, size=image.shape[1:3], mode="bilinear").movedim(1, -1) > 0.5
    return torch.where(inside, torch.full_like(image[:1, :1, :1, :1], INPAINT_MARK), _colours(image))


def _grey(image: Tensor) -> Tensor:
    """Return the brightness [B, 1, H, W]."""
    return (luma(image) if image.shape[-1] >= 3 else image[..., 0]).unsqueeze(1)


def _colours(image: Tensor) -> Tensor:
    return image[..., :3] if image.shape[-1] >= 3 else image[..., :1].expand(*image.shape[:-1], 3)


def _three(planes: Tensor) -> Tensor:
    return planes.movedim(1, -1).expand(-1, -1, -1, 3).contiguous()
