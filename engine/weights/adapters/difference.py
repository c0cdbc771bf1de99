"""Full differences: the change itself, as files hold it for biases, normalisation layers and extracted layers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Difference", "add_difference"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold what is added to a weight."""

    values: Tensor


def add_difference(weight: Tensor, adapter: Difference, strength: float) -> None:
    """Add the difference to `weight`, float32, in place."""
    weight.add_(adapter.values.float().reshape(weight.shape), alpha=strength)
