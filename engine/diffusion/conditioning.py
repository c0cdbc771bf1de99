"""Conditioning: what steers the model, where in the picture, when during the run, and how strongly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from engine.errors import InputError


@dataclasses.dataclass(frozen=True, slots=True)
class Area:
    """Limit a condition to a rectangle, in latent pixels, or as shares (0..1) of the latent where
    ``relative``.
    """

    height: float
    width: float
    y: float
    x: float
    relative: bool = False

    def resolve(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return (height, width, y, x) in latent pixels, cut off at the edges of a latent of this size."""
        if self.relative:
            h, w = max(1, round(self.height * height)), max(1, round(self.width * width))
            y, x = round(self.y * height), round(self.x * width)
        else:
            h, w, y, x = int(self.height), int(self.width), int(self.y), int(self.x)
        return min(height - y, h), min(width - x, w), y, x


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ConditioningEntry:
    """Carry one prompt's embedding and how to apply it. Never changed; the functions below return new ones.

    ``embedding`` [1 or B, T, D]; ``pooled`` [1 or B, P]; ``mask`` [1 or B, h, w] in 0..1, any size;
    ``start_percent``..``end_percent`` (0..1) of the way from noise to picture; ``control``: an
    `engine.diffusion.guidance.ControlSignal`; ``extra``: what families read by name (sizes, guidance, latents
    to concatenate, reference pictures).
    """

    embedding: Tensor
    pooled: Tensor | None = None
    area: Area | None = None
    strength: float = 1.0
    mask: Tensor | None = None
    mask_strength: float = 1.0
    set_area_to_bounds: bool = False
    start_percent: float = 0.0
    end_percent: float = 1.0
    control: Any = None
    control_apply_to_uncond: bool = False
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


Conditioning = tuple[ConditioningEntry, ...]
"""The value on a CONDITIONING wire: all its entries act together."""


def combine(first: Conditioning, second: Conditioning) -> Conditioning:
    """Let both act; where they overlap their predictions are averaged by strength."""
    return first + second


def concat(to: Conditioning, source: Conditioning) -> Conditioning:
    """Append the tokens of the first entry of ``source`` to every entry of ``to``."""
    tail = _first(source).embedding
    return _each(to, lambda e: {"embedding": torch.cat([e.embedding, tail.to(e.embedding)], dim=1)})


def average(to: Conditioning, source: Conditioning, to_strength: float) -> Conditioning:
    """Blend: ``to * to_strength + source * (1 - to_strength)``, with the first entry of ``source``.

    The source is cut or filled with zeros to the token count of each entry of ``to``.
    """
    other = _first(source)

    def blend(entry: ConditioningEntry) -> Mapping[str, Any]:
        tokens = entry.embedding.shape[1]
        tail = other.embedding[:, :tokens].to(entry.embedding)
        if tail.shape[1] < tokens:
            filler = tail.new_zeros(tail.shape[0], tokens - tail.shape[1], tail.shape[2])
            tail = torch.cat([tail, filler], dim=1)
        embedding = entry.embedding * to_strength + tail * (1.0 - to_strength)
        pooled = other.pooled if entry.pooled is None else entry.pooled
        if pooled is not None and other.pooled is not None:
            pooled = pooled * to_strength + other.pooled * (1.0 - to_strength)
        return {"embedding": embedding, "pooled": pooled}

    return _each(to, blend)


def set_area(conditioning: Conditioning, area: Area, strength: float = 1.0) -> Conditioning:
    """Limit to a rectangle. The model then sees only that part of the latent."""
    return _each(conditioning, lambda _: {"area": area, "strength": strength, "set_area_to_bounds": False})


def set_strength(conditioning: Conditioning, strength: float) -> Conditioning:
    """Set the weight against other entries that act at the same place."""
    return _each(conditioning, lambda _: {"strength": strength})


def set_mask(
    conditioning: Conditioning, mask: Tensor, strength: float = 1.0, area_to_bounds: bool = False
) -> Conditioning:
    """Weigh by a mask [h, w] or [B, h, w]; ``area_to_bounds`` also limits the model to the mask's bounding
    box.
    """
    masks = mask.unsqueeze(0) if mask.ndim == 2 else mask
    changes = {"mask": masks, "mask_strength": strength, "set_area_to_bounds": area_to_bounds}
    return _each(conditioning, lambda _: changes)


def set_range(conditioning: Conditioning, start: float, end: float) -> Conditioning:
    """Act only from ``start`` to ``end``, shares (0..1) of the way from noise to picture."""
    return _each(conditioning, lambda _: {"start_percent": start, "end_percent": end})


def set_extra(conditioning: Conditioning, **values: Any) -> Conditioning:
    """Add named values for the family to read."""
    return _each(conditioning, lambda e: {"extra": {**e.extra, **values}})


def zero_out(conditioning: Conditioning) -> Conditioning:
    """Replace embeddings by zeros, the unconditional input of several families."""

    def zeros(entry: ConditioningEntry) -> Mapping[str, Any]:
        pooled = None if entry.pooled is None else torch.zeros_like(entry.pooled)
        return {"embedding": torch.zeros_like(entry.embedding), "pooled": pooled}

    return _each(conditioning, zeros)


def _each(conditioning: Conditioning, changes: Callable[[ConditioningEntry], Mapping[str, Any]]) -> Conditioning:
    return tuple(dataclasses.replace(entry, **changes(entry)) for entry in conditioning)


def _first(conditioning: Conditioning) -> ConditioningEntry:
    if not conditioning:
        raise InputError("the conditioning is empty", expected="at least one prompt", got="none")
    return conditioning[0]
