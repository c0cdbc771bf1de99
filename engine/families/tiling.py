"""Decode and encode in overlapping tiles, so that the memory is that of a tile whatever the size of the picture.

An autoencoder normalises over all it sees, so tiles differ a little from the whole. Three passes with tiles of
different shape (upright, lying, square) are averaged, and within a pass tiles fade into each other over the overlap
by a linear ramp, as the ecosystem has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from engine.diffusion.latents import Latent
from engine.errors import InputError
from engine.families.picture_coding import check_channels, coder_of, crop_to_factor, decode_raw, encode_one, to_unit
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe

__all__ = ["Tiling", "decode_tiled", "encode_tiled"]

BeforeEach = Callable[[int, int], None]
Box = tuple[int, int, int, int]
"""Top, left, height, width, in latent cells."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """Say how large square tiles are and by how much neighbours overlap, in pixels.

    An overlap of more than a quarter of the tile is cut to that, so that the narrower tiles still move on. Both are
    rounded down to whole latent cells.
    """

    size: int = 512
    overlap: int = 64

    def passes(self, height: int, width: int, factor: int) -> Counter[tuple[Box, ...]]:
        """Return the tiles of each pass over `height` x `width` latent cells; passes that are the same count together.

        Raises `InputError` where a tile is smaller than two cells.
        """
        cells = self.size // factor
        if cells < 2 or self.overlap < 0:
            raise InputError(
                "the tiles are too small",
                input="tile_size",
                expected=f"at least {2 * factor} pixels, and an overlap of 0 or more",
                got=f"tiles of {self.size}, overlap {self.overlap}",
            )
        overlap = self.cells_of_overlap(factor)
        shapes = ((2 * cells, cells // 2), (cells // 2, 2 * cells), (cells, cells))
        return Counter(tuple(_boxes(height, width, shape, overlap)) for shape in shapes)

    def cells_of_overlap(self, factor: int) -> int:
        """Return the overlap in latent cells."""
        return min(self.overlap, self.size // 4) // factor


def decode_tiled(
    models: Residency,
    vae: ModelRecipe,
    latent: Latent,
    tiling: Tiling,
    before_each: BeforeEach = lambda done, all: None,
) -> Tensor:
    """Turn latents into pictures [B, H, W, 3] in 0..1, float32, on the CPU, tile by tile.

    `before_each` hears how many of all tiles are done and may raise to stop. Raises as `decode_latent` does, and
    `InputError` for tiles that are too small.
    """
    with models.use(vae) as network, torch.inference_mode():
        coder = coder_of(network)
        check_channels(latent, coder)
        factor = coder.config.downscale
        height, width = latent.samples.shape[-2:]
        passes = tiling.passes(height, width, factor)
        step = _Steps(before_each, len(latent.samples) * sum(map(len, passes)))

        def decode(samples: Tensor, box: Box) -> Tensor:
            step.next()
            top, left, high, wide = box
            return decode_raw(coder, samples[..., top : top + high, left : left + wide])

        feather = tiling.cells_of_overlap(factor) * factor
        pictures = [
            to_unit(_average(passes, partial(decode, samples), (height, width), factor, feather))
            for samples in torch.split(latent.samples, 1)
        ]
    return torch.cat(pictures).clone()


def encode_tiled(
    models: Residency,
    vae: ModelRecipe,
    pixels: Tensor,
    tiling: Tiling,
    before_each: BeforeEach = lambda done, all: None,
) -> Latent:
    """Turn pictures [B, H, W, C] in 0..1 into latents, tile by tile; see `decode_tiled` and `encode_pixels`."""
    with models.use(vae) as network, torch.inference_mode():
        coder = coder_of(network)
        factor = coder.config.downscale
        cut = crop_to_factor(pixels[..., :3], factor)
        height, width = cut.shape[1] // factor, cut.shape[2] // factor
        passes = tiling.passes(height, width, factor)
        step = _Steps(before_each, len(cut) * sum(map(len, passes)))

        def encode(picture: Tensor, box: Box) -> Tensor:
            step.next()
            top, left, high, wide = (side * factor for side in box)
            return encode_one(coder, picture[:, top : top + high, left : left + wide])

        feather = tiling.cells_of_overlap(factor)
        latents = [
            _average(passes, partial(encode, picture), (height, width), 1, feather) for picture in torch.split(cut, 1)
        ]
    return Latent(torch.cat(latents).clone())


class _Steps:
    """Count tiles for whoever listens."""

    def __init__(self, hear: BeforeEach, total: int) -> None:
        self._hear, self._total, self._done = hear, total, 0

    def next(self) -> None:
        self._hear(self._done, self._total)
        self._done += 1


def _boxes(height: int, width: int, tile: tuple[int, int], overlap: int) -> list[Box]:
    """Cover a plane with tiles; the last of a row or column is cut where the plane ends."""
    return [
        (top, left, min(tile[0], height - top), min(tile[1], width - left))
        for top in _starts(height, tile[0], overlap)
        for left in _starts(width, tile[1], overlap)
    ]


def _starts(length: int, tile: int, overlap: int) -> range:
    return range(0, length - overlap, tile - overlap) if length > tile else range(1)


def _average(
    passes: Counter[tuple[Box, ...]], make: Callable[[Box], Tensor], size: tuple[int, int], scale: int, feather: int
) -> Tensor:
    """Average the passes. `make` gives a tile [1, C, h * scale, w * scale]; `feather` is the ramp's length there."""
    mean: Tensor | None = None
    for boxes, count in passes.items():
        total: Tensor | None = None
        weights = torch.zeros(1, 1, size[0] * scale, size[1] * scale)
        for box in boxes:
            made = make(box)
            if total is None:
                total = torch.zeros(1, made.shape[1], size[0] * scale, size[1] * scale)
            top, left = box[0] * scale, box[1] * scale
            ramp = _ramp(made.shape[2], feather)[:, None] * _ramp(made.shape[3], feather)
            place = (..., slice(top, top + made.shape[2]), slice(left, left + made.shape[3]))
            total[place] += made * ramp
            weights[place] += ramp
        assert total is not None
        share = total.div_(weights).mul_(count / passes.total())
        mean = share if mean is None else mean.add_(share)
    assert mean is not None
    return mean


def _ramp(length: int, feather: int) -> Tensor:
    """Return weights [length] that rise over the first `feather` places to 1 and fall over the last."""
    if feather < 1:
        return torch.ones(length)
    rise = ((torch.arange(length) + 1) / feather).clamp(max=1)
    return rise * rise.flip(0)
