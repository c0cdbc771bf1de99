"""Work on a large picture tile by tile: where the tiles stand, and how their results are joined without seams."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

__all__ = ["MIN_TILE", "OVERLAP", "Grid", "Spans", "Tile", "plan_grid"]

OVERLAP: Final = 32
"""Pixels that neighbours share: more than what networks of the common kinds see of their surroundings."""

MIN_TILE: Final = 64
GUARD: Final = 3 / 8
"""Share of an overlap, at the rim of each tile, that is not used: there the network lacks half its surroundings."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Cut `length` pixels into spans of `size`, starting at `starts`."""

    length: int
    size: int
    starts: tuple[int, ...]

    def weights(self, index: int, scale: int) -> Tensor:
        """Return how much span `index` counts at each of its enlarged pixels [size * scale]; all spans sum to 1."""
        places = torch.arange(self.size * scale, dtype=torch.float32) + 0.5
        made = torch.ones(self.size * scale)
        for other in (index - 1, index + 1):
            if 0 <= other < len(self.starts):
                low, high = min(index, other), max(index, other)
                shared = self.starts[low] + self.size - self.starts[high]
                begin = (self.starts[high] - self.starts[index]) * scale + shared * scale * GUARD
                rise = ((places - begin) / (shared * scale * (1 - 2 * GUARD))).clamp(0, 1)
                made *= rise if other < index else 1 - rise
        return made


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: the first of its rows and columns, its size, and its number in the grid."""

    top: int
    left: int
    height: int
    width: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The tiles of a picture."""

    rows: Spans
    columns: Spans

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    def __iter__(self) -> Iterator[Tile]:
        for row, top in enumerate(self.rows.starts):
            for column, left in enumerate(self.columns.starts):
                yield Tile(top, left, self.rows.size, self.columns.size, row, column)

    def add(self, canvas: Tensor, tile: Tile, made: Tensor, scale: int) -> None:
        """Add a tile's enlarged planes [C, h, w] to the canvas [C, H * scale, W * scale], faded where tiles meet."""
        down, across = self.rows.weights(tile.row, scale), self.columns.weights(tile.column, scale)
        top, left = tile.top * scale, tile.left * scale
        place = canvas[:, top : top + made.shape[1], left : left + made.shape[2]]
        place.addcmul_(made * down[:, None], across.expand(made.shape[1], -1))


def plan_grid(height: int, width: int, pixels: int) -> Grid:
    """Return tiles of at most `pixels` pixels each that cover a picture, near to square and all of one size.

    Where even `MIN_TILE` squared is more than that, the tiles are so large nevertheless.
    """
    if height * width <= pixels:
        return Grid(_spans(height, height), _spans(width, width))
    side = max(math.isqrt(pixels), MIN_TILE)
    if min(height, width) < side:  # a strip
        side = max(pixels // min(height, width), MIN_TILE)
    return Grid(_spans(height, min(height, side)), _spans(width, min(width, side)))


def _spans(length: int, most: int) -> Spans:
    """Return the fewest spans of at most `most` that share at least `OVERLAP` and cover `length` evenly."""
    if length <= most:
        return Spans(length, length, (0,))
    count = -(-(length - OVERLAP) // (most - OVERLAP))
    size = -(-(length + (count - 1) * OVERLAP) // count)
    return Spans(length, size, tuple(index * (length - size) // (count - 1) for index in range(count)))
