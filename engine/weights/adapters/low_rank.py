"""LoRA (Hu et al., 2021, arXiv:2106.09685): a change of low rank, kept as two thin factors; for convolutions, LoCon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LowRank", "low_rank_factors", "low_rank_shape"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LowRank:
    """Hold the factors of a change ``alpha / rank * up @ down``.

    `up` is [out, r] and `down` [r, in], or for convolutions [out, r, 1, 1] and [r, in, k, k]. With `mid` [r, s, k, k]
    (Tucker form) `up` is [out, r] and `down` [s, in], all with 1x1 kernels. `alpha` None means the rank: a scale of 1.
    `magnitude` makes it DoRA, see `engine.weights.adapters.magnitude`.
    """

    up: Tensor
    down: Tensor
    alpha: float | None = None
    mid: Tensor | None = None
    magnitude: Tensor | None = None


def low_rank_shape(up: Shape, down: Shape, mid: Shape | None = None) -> Shape | None:
    """Return the (rows, columns) of the change that factors of these shapes make, kernels counted as columns.

    None where they do not belong together.
    """
    if len(up) < 2 or len(down) < 2 or math.prod(up[2:]) != 1 or not all((*up, *down)):
        return None
    if mid is None:
        return (up[0], math.prod(down[1:])) if up[1] == down[0] else None
    if len(mid) < 3 or mid[:2] != (up[1], down[0]) or math.prod(down[2:]) != 1:
        return None
    return up[0], down[1] * math.prod(mid[2:])


def low_rank_factors(adapter: LowRank) -> tuple[Tensor, Tensor, float]:
    """Return `up` [out, r], `down` [r, in * kernel] and the scale of ``scale * up @ down``, float32.

    The magnitude of DoRA plays no part here.
    """
    rank = adapter.down.shape[0]
    scale = 1.0 if adapter.alpha is None else adapter.alpha / rank
    up, down = adapter.up.float().flatten(1), adapter.down.float().flatten(1)
    return up, down if adapter.mid is None else _columns(adapter.mid.float(), down), scale


def _columns(mid: Tensor, down: Tensor) -> Tensor:
    """Return [r, in * k * k], what `mid` [r, s, k, k] makes of `down` [s, in]."""
    return torch.einsum("rs...,si->ri...", mid, down).flatten(1)
