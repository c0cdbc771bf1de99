"""Maxima over sliding windows, in a number of steps that grows with the logarithm of the window."""

from __future__ import annotations

import torch
from torch import Tensor


def sliding_maximum(tensor: Tensor, dim: int, before: int, after: int) -> Tensor:
    """Return the maximum from ``before`` items before to ``after`` items after each place along ``dim``.

    Nothing comes in from beyond the ends. The same shape, floating point.
    """
    length = tensor.shape[dim]
    before, after = min(before, length - 1), min(after, length - 1)
    size = before + after + 1
    ends = [list(tensor.shape), list(tensor.shape)]
    ends[0][dim], ends[1][dim] = before, after
    lowest = float("-inf")
    made = torch.cat([tensor.new_full(ends[0], lowest), tensor, tensor.new_full(ends[1], lowest)], dim)
    reach = 1  # made[i] is the maximum of ``reach`` items from i
    while reach < size:
        step = min(reach, size - reach)
        count = made.shape[dim] - step
        made = torch.maximum(made.narrow(dim, 0, count), made.narrow(dim, step, count))
        reach += step
    return made


def square_maximum(planes: Tensor, before: int, after: int) -> Tensor:
    """Return the maximum over a square window of the last two dimensions, which are height and width."""
    return sliding_maximum(sliding_maximum(planes, -1, before, after), -2, before, after)
