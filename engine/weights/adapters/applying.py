"""Add adapters to weights. Pure functions; sums are float32, whatever the weights are stored in.

Every adapter's change is taken from the weight as it was without any, as in its training, and the changes are added:
the order of two adapters makes no difference but rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from engine.weights.adapters.difference import Difference, add_difference
from engine.weights.adapters.low_rank import LowRank, add_low_rank
from engine.weights.adapters.magnitude import with_magnitude

__all__ = ["Adapter", "AdapterSet", "Strong", "effective_weight", "merge_sets", "patched_copy", "patched_weight"]

Adapter = LowRank | Difference

AdapterSet = Mapping[str, Sequence[Adapter]]
"""What one file changes in a network, by parameter."""

Strong = tuple[Adapter, float]
"""An adapter and its strength."""


def effective_weight(weight: Tensor, adapter: Adapter, strength: float) -> Tensor:
    """Return `weight` with an adapter added at `strength`, float32, in a memory of its own."""
    return _sum(weight, [(adapter, strength)])


def patched_weight(weight: Tensor, changes: Iterable[Strong]) -> Tensor:
    """Return `weight` with all changes added, in the number format it came in. `weight` itself is not touched."""
    return _sum(weight, changes).to(weight.dtype)


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
    made = {name: _sum(tensors[name], strong).to(dtype) for name, strong in changes.items()}
    twin.load_state_dict(made, strict=False, assign=True)
    return twin.requires_grad_(False).eval()


def _sum(weight: Tensor, changes: Iterable[Strong]) -> Tensor:
    result = weight.to(torch.float32, copy=True)
    for adapter, strength in changes:
        if isinstance(adapter, Difference):
            add_difference(result, adapter, strength)
        elif adapter.magnitude is None:
            add_low_rank(result, adapter, strength)
        else:
            result.add_(_dora_change(weight.float(), adapter, adapter.magnitude), alpha=strength)
    return result


def _dora_change(weight: Tensor, adapter: LowRank, magnitude: Tensor) -> Tensor:
    """Return what DoRA adds to `weight`, both float32, at strength 1."""
    changed = weight.clone()
    add_low_rank(changed, adapter, 1.0)
    return with_magnitude(changed, magnitude) - weight
