"""Add adapters to weights. Pure functions; sums are float32, whatever the weights are stored in.

Every adapter's change is taken from the weight as it was without any, as in its training, and the changes are added:
the order of two adapters makes no difference but rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from engine.weights.adapters.difference import Difference
from engine.weights.adapters.low_rank import LowRank, low_rank_factors
from engine.weights.adapters.magnitude import with_magnitude

__all__ = [
    "Adapter",
    "AdapterSet",
    "Strong",
    "effective_weight",
    "merge_sets",
    "patched_copy",
    "patched_weight",
    "rewrite_copy",
    "write_patched",
]

CACHED_ELEMENTS: Final = 1 << 20
CHANNELS_LAST: Final = (0, 2, 3, 1)

Adapter = LowRank | Difference

AdapterSet = Mapping[str, Sequence[Adapter]]
"""What one file changes in a network, by parameter."""

Strong = tuple[Adapter, float]
"""An adapter and its strength."""

Term = tuple[Tensor, Tensor | None, float]
"""What is added to a weight: a tensor of its shape, or the two factors of one, and how often."""


def effective_weight(weight: Tensor, adapter: Adapter, strength: float) -> Tensor:
    """Return `weight` with an adapter added at `strength`, float32, in a memory of its own."""
    made = torch.empty_like(weight, dtype=torch.float32)
    write_patched(made, weight, [(adapter, strength)])
    return made


def patched_weight(weight: Tensor, changes: Sequence[Strong]) -> Tensor:
    """Return `weight` with all changes added, in the number format it came in. `weight` itself is not touched."""
    made = torch.empty_like(weight)
    write_patched(made, weight, changes)
    return made


def write_patched(out: Tensor, weight: Tensor, changes: Sequence[Strong]) -> None:
    """Write `weight` with all changes added into `out`, of the same shape and any number format.

    Sums are float32 and made some rows at a time, so that they stay in the processor's cache and the memory is gone
    through once.
    """
    source, target = (tensor if tensor.ndim else tensor[None] for tensor in (weight, out))
    terms = [_terms(source, adapter, strength) for adapter, strength in changes]
    if _pixels_first(source) and _pixels_first(target):  # row by row as they lie in memory
        terms = [_with_channels_last(term, source) for term in terms]
        source, target = (tensor.permute(CHANNELS_LAST) for tensor in (source, target))
    step = max(1, CACHED_ELEMENTS * len(source) // max(source.numel(), 1))
    in_place = target.dtype == torch.float32 and target.is_contiguous()
    buffer = None if in_place else target.new_empty((min(step, len(source)), *source.shape[1:]), dtype=torch.float32)
    for start in range(0, len(source), step):
        rows = slice(start, min(start + step, len(source)))
        sums = target[rows] if buffer is None else buffer[: rows.stop - start]
        sums.copy_(source[rows])
        for left, right, scale in terms:
            if right is None:
                sums.add_(left[rows], alpha=scale)
            else:
                sums.view(len(sums), -1).addmm_(left[rows], right, alpha=scale)
        if buffer is not None:
            target[rows].copy_(sums)


def merge_sets(sets: Iterable[tuple[AdapterSet, float]]) -> dict[str, list[Strong]]:
    """Return what several files, each at its strength, change of each parameter."""
    merged: dict[str, list[Strong]] = {}
    for adapters, strength in sets:
        for parameter, members in adapters.items():
            merged.setdefault(parameter, []).extend((adapter, strength) for adapter in members)
    return merged


def patched_copy(network: nn.Module, changes: Mapping[str, Sequence[Strong]], dtype: torch.dtype) -> nn.Module:
    """Return a network like `network` that shares all its tensors but those of `changes`, made anew as `dtype`."""
    tensors = network.state_dict()
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    twin = copy.deepcopy(network, shared)  # the memo makes deepcopy keep every tensor as it is
    made = {name: torch.empty_like(tensors[name], dtype=dtype) for name in changes}
    twin.load_state_dict(made, strict=False, assign=True)
    rewrite_copy(twin, network, changes)
    return twin.requires_grad_(False).eval()


def rewrite_copy(twin: nn.Module, network: nn.Module, changes: Mapping[str, Sequence[Strong]]) -> None:
    """Make a patched copy of `network` one with other `changes` of the same parameters, in the memory that it has.

    Fresh memory costs the system several times what the sums cost.
    """
    sources, targets = network.state_dict(), twin.state_dict()
    for name, strong in changes.items():
        write_patched(targets[name], sources[name], strong)


def _pixels_first(tensor: Tensor) -> bool:
    """Say whether the channels of a convolution's weight lie next to one another, and its pixels do not."""
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def _with_channels_last(term: Term, weight: Tensor) -> Term:
    """Return a term of `_terms` for a weight whose dimensions are taken in the order `CHANNELS_LAST`."""
    left, right, scale = term
    if right is None:
        return left.permute(CHANNELS_LAST), None, scale
    pixels = right.view(len(right), *weight.shape[1:]).permute(CHANNELS_LAST)
    return left, pixels.reshape(len(right), -1), scale


def _terms(weight: Tensor, adapter: Adapter, strength: float) -> Term:
    """Return what `adapter` adds to `weight`."""
    if isinstance(adapter, Difference):
        return adapter.values.float().reshape(weight.shape), None, strength
    if adapter.magnitude is not None:
        return _dora_change(weight.float(), adapter, adapter.magnitude), None, strength
    up, down, scale = low_rank_factors(adapter)
    return up, down, strength * scale


def _dora_change(weight: Tensor, adapter: LowRank, magnitude: Tensor) -> Tensor:
    """Return what DoRA adds to `weight`, both float32, at strength 1."""
    changed = weight.clone(memory_format=torch.contiguous_format)
    up, down, scale = low_rank_factors(adapter)
    changed.view(len(changed), -1).addmm_(up, down, alpha=scale)
    return with_magnitude(changed, magnitude) - weight
