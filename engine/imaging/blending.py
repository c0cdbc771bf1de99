"""Mix two pictures pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor


def _overlay(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(a <= 0.5, 2 * a * b, 1 - 2 * (1 - a) * (1 - b))


def _soft_light(a: Tensor, b: Tensor) -> Tensor:
    curve = torch.where(a <= 0.25, ((16 * a - 12) * a + 4) * a, a.clamp(min=0).sqrt())
    return torch.where(b <= 0.5, a - (1 - 2 * b) * a * (1 - a), a + (2 * b - 1) * (curve - a))


MODES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "normal": lambda a, b: b,
    "multiply": torch.mul,
    "screen": lambda a, b: 1 - (1 - a) * (1 - b),
    "overlay": _overlay,
    "soft_light": _soft_light,
    "difference": torch.sub,
}
"""Modes of W3C Compositing and Blending Level 1, backdrop first. ``difference`` keeps its sign, as saved workflows
expect; what is negative becomes black."""


def blend(first: Tensor, second: Tensor, factor: float, mode: str) -> Tensor:
    """Mix ``first`` with the blend of both: 0 keeps the first, 1 is the blend. Same shapes; returns 0..1."""
    mixed = MODES[mode](first, second)
    return (first * (1 - factor) + mixed * factor).clamp(0, 1)
