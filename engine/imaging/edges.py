"""Find edges: Canny, A Computational Approach to Edge Detection (1986)."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from engine.errors import InputError
from engine.imaging.colour import luma

BLUR_RADIUS: Final = 2
"""The picture is smoothed with sigma 1 over 5 x 5 pixels first."""
SOBEL: Final = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
TINY: Final = 1e-6
NEIGHBOURS: Final = ((0, 1), (1, 1), (1, 0), (1, -1))
"""(down, right) of the neighbour in the direction of 0, 45, 90, 135 degrees; the opposite one is mirrored."""


def canny(image: Tensor, low: float, high: float) -> Tensor:
    """Return the edges [B, H, W], 0 or 1, of [B, H, W, 1 or more].

    A local maximum of the gradient above ``high`` is an edge, one above ``low`` if a chain of such leads to an edge.
    Thresholds are for brightness 0..1 and Sobel's kernels. Raises `InputError` for pictures under 3 x 3 pixels.
    """
    if min(image.shape[1:3]) <= BLUR_RADIUS:
        raise InputError(
            "the picture is too small to have edges",
            input="image",
            expected=f"more than {BLUR_RADIUS} pixels each way",
            got=f"{image.shape[2]} x {image.shape[1]}",
        )
    grey = (luma(image) if image.shape[-1] >= 3 else image[..., 0]).unsqueeze(1)
    across, down = _gradient(_smooth(grey))
    strength = (across**2 + down**2 + TINY).sqrt()
    ridge = strength * _is_ridge(strength, across, down)
    return _connect(ridge > low, ridge > high).squeeze(1).to(image.dtype)


def _smooth(grey: Tensor) -> Tensor:
    steps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1)
    bell = torch.exp(-(steps**2) / 2.0)
    weights = (bell / bell.sum()).to(grey)
    padded = pad(grey, (BLUR_RADIUS,) * 4, mode="reflect")
    return conv2d(conv2d(padded, weights[None, None, None, :]), weights[None, None, :, None])


def _gradient(grey: Tensor) -> tuple[Tensor, Tensor]:
    kernel = torch.tensor(SOBEL).to(grey)
    padded = pad(grey, (1, 1, 1, 1), mode="replicate")
    return conv2d(padded, kernel[None, None]), conv2d(padded, kernel.T[None, None])


def _is_ridge(strength: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Say where the strength is larger than at both neighbours along the gradient (rounded to 45 degrees)."""
    sector = torch.round(torch.atan2(down, across) * (4 / math.pi)).long() % 4
    padded = pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[-2:]
    found = torch.zeros_like(strength, dtype=torch.bool)
    for number, (dy, dx) in enumerate(NEIGHBOURS):
        ahead = padded[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[..., 1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        found |= (sector == number) & (strength > ahead) & (strength > behind)
    return found


def _connect(weak: Tensor, strong: Tensor) -> Tensor:
    """Keep the weak pixels [B, 1, H, W] that a chain of weak neighbours joins to a strong one."""
    edges = strong
    while True:
        reached = weak & (max_pool2d(edges.float(), 3, stride=1, padding=1) > 0) | edges
        if torch.equal(reached, edges):
            return edges
        edges = reached
