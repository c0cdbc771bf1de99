"""LoRA (Hu et al., 2021, arXiv:2106.09685): a change of low rank, kept as two thin factors; for convolutions, LoCon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LowRank", "add_low_rank", "low_rank_shape"]

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


def add_low_rank(weight: Tensor, adapter: LowRank, strength: float) -> None:
    """Add the change to `weight`, float32, in place; the magnitude of DoRA plays no part here."""
    rows, rank = weight.shape[0], adapter.down.shape[0]
    scale = strength if adapter.alpha is None else strength * adapter.alpha / rank
    up = adapter.up.float().flatten(1)
    if adapter.mid is None:
        factors = up, adapter.down.float().flatten(1)
    else:
        factors = up, _columns(adapter.mid.float(), adapter.down.float().flatten(1))
    if weight.is_contiguous():
        weight.view(rows, -1).addmm_(*factors, alpha=scale)  # no memory but the weight's own is touched
    else:
        weight.add_((factors[0] @ factors[1]).reshape(weight.shape), alpha=scale)


def _columns(mid: Tensor, down: Tensor) -> Tensor:
    """Return [r, in * k * k], what `mid` [r, s, k, k] makes of `down` [s, in]."""
    return torch.einsum("rs...,si->ri...", mid, down).flatten(1)
