"""Normalise parts of a picture as if they were the whole: group norms with statistics taken from elsewhere.

A group norm subtracts the mean of all it sees and divides by its spread, so a network with such layers treats a tile
differently from the picture that it is cut from. `RecordedNorms` notes what the layers see in one call of the network,
`ReplayedNorms` lets them use it in later calls; the network itself is left alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["RecordedNorms", "ReplayedNorms", "Statistics"]

Statistics = tuple[Tensor, Tensor]
"""Mean and variance of every group, each [groups], float32."""


class RecordedNorms(TorchFunctionMode):
    """Note in `seen` the statistics of every group norm of the block, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Statistics] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.group_norm:
            x, groups = args[0], args[1]
            variance, mean = torch.var_mean(x.transpose(0, 1).reshape(groups, -1).float(), dim=1, correction=0)
            self.seen.append((mean, variance))
        return func(*args, **(kwargs or {}))


class ReplayedNorms(TorchFunctionMode):
    """Let the group norms of the block use recorded `statistics`, call by call, from the start again after the last."""

    def __init__(self, statistics: Sequence[Statistics]) -> None:
        super().__init__()
        self._next = itertools.cycle(statistics)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not functional.group_norm:
            return func(*args, **(kwargs or {}))
        return _normalised(next(self._next), *args, **(kwargs or {}))


def _normalised(
    statistics: Statistics, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float = 1e-5
) -> Tensor:
    """Do what a group norm does to x [B, C, ...] with given statistics: a batch norm that repeats them by channel."""
    mean, variance = (one.repeat_interleave(x.shape[1] // groups) for one in statistics)
    return functional.batch_norm(x, mean, variance, weight.float(), bias.float(), training=False, eps=eps)
