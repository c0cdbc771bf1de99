"""DoRA (Liu et al., 2024, arXiv:2402.09353): the changed weight gets its length from a learned magnitude."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["with_magnitude"]


def with_magnitude(weight: Tensor, magnitude: Tensor) -> Tensor:
    """Return a weight [out, in, ...], float32, whose rows have the lengths that `magnitude` gives.

    Magnitudes of shape [out], or [out, 1, ...], belong to rows (as in the paper's code and in PEFT); [1, in, ...],
    which older trainers wrote, to columns: the length is then taken over everything but that axis.
    """
    axis = 1 if magnitude.ndim > 1 and magnitude.shape[0] == 1 and weight.shape[0] != 1 else 0
    others = [dim for dim in range(weight.ndim) if dim != axis]
    length = torch.linalg.vector_norm(weight, dim=others, keepdim=True)
    factor: Tensor = magnitude.float().reshape(length.shape) / (length + torch.finfo(torch.float32).eps)
    return weight * factor
