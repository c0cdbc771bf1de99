"""Full differences: the change itself, as files hold it for biases, normalisation layers and extracted layers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Difference"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold what is added to a weight."""

    values: Tensor
