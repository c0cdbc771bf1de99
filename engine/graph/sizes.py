"""Refuse one node that asks for more pixels than any machine has: numbers that are each in range multiply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

MAX_PIXELS: Final = 1 << 32
"""Most pixels that the constants of one node may ask for: 16 pictures of 16384 x 16384, or 4,096 of 1024 x 1024."""

_FACTORS: Final = ("width", "height", "batch_size", "length", "amount")


def asked_pixels(inputs: Mapping[str, Any]) -> int:
    """Return width x height x count as far as ``inputs`` holds them as constants; 0 for a node without a size."""
    if not all(_is_count(inputs.get(name)) for name in ("width", "height")):
        return 0
    return math.prod(max(0, int(inputs[name])) for name in _FACTORS if _is_count(inputs.get(name)))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
