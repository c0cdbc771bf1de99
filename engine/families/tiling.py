"""Decode and encode in overlapping tiles, so that the memory is that of a tile whatever the size of the picture.

An autoencoder normalises over all it sees, so tiles by themselves differ from the whole in tone. Large tiles therefore
take the statistics of a small copy of the whole, which goes through the network first; that leaves no more than what a
tile cannot see of its surroundings. Where tiles are small, or a picture is no larger than one, three passes with tiles
of different shape (upright, lying, square) are averaged, because that is what saved workflows give elsewhere. Within
a pass tiles fade into each other over the overlap by a linear ramp.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.diffusion.latents import Latent
from engine.errors import InputError
from engine.families.picture_coding import check_channels, coder_of, crop_to_factor, decode_raw, encode_one, to_unit
from engine.memory.residency import Residency
from engine.networks.shared_norms import RecordedNorms, ReplayedNorms
from engine.weights.recipe import ModelRecipe

__all__ = ["Tiling", "decode_tiled", "encode_tiled"]

BeforeEach = Callable[[int, int], None]
Box = tuple[int, int, int, int]
"""Top, left, height, width, in latent cells."""

LARGE_TILE: Final = 512
"""Tiles of at least so many pixels a side share the statistics of a whole that is larger."""
COPY_SHARE: Final = 0.75
"""The area of the small copy, as a share of a tile's."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Say over how many places at their edges tiles fade into each other, and how many of those hardly count."""

    feather: int
    skip: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """Say how large square tiles are and by how much neighbours overlap, in pixels.

    An overlap of more than a quarter of the tile is cut to that, so that the narrower tiles still move on. Both are
    rounded down to whole latent cells. ``like_whole`` says whether tiles share the statistics of the whole; None
    leaves it to their size.
    """

    size: int = 512
    overlap: int = 64
    like_whole: bool | None = None

    def shares_statistics(self, height: int, width: int, factor: int) -> bool:
        """Say whether the tiles of `height` x `width` latent cells are normalised like the whole."""
        if self.like_whole is not None:
            return self.like_whole
        return self.size >= LARGE_TILE and max(height, width) > self.size // factor

    def passes(self, height: int, width: int, factor: int) -> Counter[tuple[Box, ...]]:
        """Return the tiles of each pass over `height` x `width` latent cells; passes that are the same count together.

        Tiles that are normalised like the whole pass once, and are made as even as they can be.

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
        if self.shares_statistics(height, width, factor):
            tile = _even(height, cells, overlap), _even(width, cells, overlap)
            return Counter([tuple(_boxes(height, width, tile, overlap))])
        shapes = ((2 * cells, cells // 2), (cells // 2, 2 * cells), (cells, cells))
        return Counter(tuple(_boxes(height, width, shape, overlap)) for shape in shapes)

    def copy_scale(self, height: int, width: int, factor: int) -> float | None:
        """Return how large a copy of `height` x `width` cells gives the tiles their statistics; None: no copy."""
        if not self.shares_statistics(height, width, factor) or sum(map(len, self.passes(height, width, factor))) == 1:
            return None
        return min(1.0, math.sqrt(COPY_SHARE * (self.size // factor) ** 2 / (height * width)))

    def ramp(self, height: int, width: int, factor: int, scale: int) -> Ramp:
        """Return how tiles fade, in places of which `scale` make a cell.

        The outermost places of a tile show that it ends there; tiles that are like the whole but for that leave a
        quarter of the overlap to others.
        """
        feather = self.cells_of_overlap(factor) * scale
        return Ramp(feather, feather // 4 if self.shares_statistics(height, width, factor) else 0)

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

        fade = tiling.ramp(height, width, factor, factor)
        pictures = []
        for samples in torch.split(latent.samples, 1):
            scale = tiling.copy_scale(height, width, factor)
            with _statistics(scale, samples, 1, partial(decode_raw, coder)):
                pictures.append(to_unit(_average(passes, partial(decode, samples), (height, width), factor, fade)))
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

        fade = tiling.ramp(height, width, factor, 1)
        latents = []
        for picture in torch.split(cut, 1):
            scale = tiling.copy_scale(height, width, factor)
            planes = picture.movedim(-1, 1)
            with _statistics(scale, planes, factor, lambda copy: encode_one(coder, copy.movedim(1, -1))):
                latents.append(_average(passes, partial(encode, picture), (height, width), 1, fade))
    return Latent(torch.cat(latents).clone())


class _Steps:
    """Count tiles for whoever listens."""

    def __init__(self, hear: BeforeEach, total: int) -> None:
        self._hear, self._total, self._done = hear, total, 0

    def next(self) -> None:
        self._hear(self._done, self._total)
        self._done += 1


def _statistics(
    scale: float | None, planes: Tensor, multiple: int, run: Callable[[Tensor], Tensor]
) -> AbstractContextManager[Any]:
    """Return the block within which a network normalises as it did in `run`, for a copy of [1, C, H, W] at `scale`."""
    if scale is None:
        return contextlib.nullcontext()
    recorded = RecordedNorms()
    with recorded:
        run(_small_copy(planes, scale, multiple))
    return ReplayedNorms(recorded.seen) if recorded.seen else contextlib.nullcontext()


def _small_copy(planes: Tensor, scale: float, multiple: int) -> Tensor:
    """Shrink [1, C, H, W] to about `scale`, sides multiples of `multiple`, keeping each plane's mean and spread.

    Shrinking alone takes away fine detail and noise, and the statistics would be those of a smoother picture.
    """
    size = [max(1, round(side * scale / multiple)) * multiple for side in planes.shape[-2:]]
    small = interpolate(planes, size=size, mode="bicubic", antialias=True)
    wanted, got = (torch.var_mean(one, dim=(2, 3), correction=0, keepdim=True) for one in (planes, small))
    return (small - got[1]) * (wanted[0] / got[0].clamp(min=1e-12)).sqrt() + wanted[1]


def _even(length: int, tile: int, overlap: int) -> int:
    """Return the length of tiles, at most `tile`, that cover `length` in as few as `tile` does, about equally."""
    if length <= tile:
        return length
    count = -(-(length - overlap) // (tile - overlap))
    return -(-(length + (count - 1) * overlap) // count)


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
    passes: Counter[tuple[Box, ...]], make: Callable[[Box], Tensor], size: tuple[int, int], scale: int, fade: Ramp
) -> Tensor:
    """Average the passes. `make` gives a tile [1, C, h * scale, w * scale], whose sides `fade` is measured in."""
    mean: Tensor | None = None
    for boxes, count in passes.items():
        total: Tensor | None = None
        weights = torch.zeros(1, 1, size[0] * scale, size[1] * scale)
        for box in boxes:
            made = make(box)
            if total is None:
                total = torch.zeros(1, made.shape[1], size[0] * scale, size[1] * scale)
            top, left = box[0] * scale, box[1] * scale
            ramp = _ramp(made.shape[2], fade)[:, None] * _ramp(made.shape[3], fade)
            place = (..., slice(top, top + made.shape[2]), slice(left, left + made.shape[3]))
            total[place] += made * ramp
            weights[place] += ramp
        assert total is not None
        share = total.div_(weights).mul_(count / passes.total())
        mean = share if mean is None else mean.add_(share)
    assert mean is not None
    return mean


def _ramp(length: int, ramp: Ramp) -> Tensor:
    """Return weights [length] that rise to 1 at the start and fall at the end."""
    if ramp.feather < 1:
        return torch.ones(length)
    # Never 0: at the edges of the picture the weights cancel out.
    rise = ((torch.arange(length) + 1 - ramp.skip) / (ramp.feather - 2 * ramp.skip)).clamp(1e-6, 1)
    return rise * rise.flip(0)
