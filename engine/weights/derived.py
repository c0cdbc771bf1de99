"""Weights that are made anew each time somebody copies them, because memory does not hold them.

A weight is a pure function of bytes in a file: taken from them, converted, with what adapters add. So where memory is
short it need not be kept: `Derived` stands for it in a network that lies in host memory, and has everything of it but
its numbers. Whoever copies weights to a device asks `numbers_of`, which does what would have been done to keep it, by
the same functions; the bits are the same. The file's pages are given back afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

__all__ = ["Derived", "Make", "held_tensors", "is_whole", "numbers_of"]

Make = Callable[[], AbstractContextManager[Tensor]]
"""Lends a weight for as long as somebody copies it."""


class Derived(Tensor):
    """Stand for a weight that is not held. `factors` are the tensors in memory that it is made with."""

    make: Make
    factors: tuple[Tensor, ...]

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def of(like: Tensor, make: Make, factors: Sequence[Tensor] = ()) -> Derived:
        """Return what stands for a weight of the sizes, strides and number format of `like`, made by `make`."""
        made: Derived = torch.Tensor._make_wrapper_subclass(
            Derived, like.shape, strides=like.stride(), dtype=like.dtype, device=torch.device("cpu")
        )
        made.make, made.factors = make, tuple(factors)
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]  # torch's own stub has no name for it
        return f"Derived({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's own stub leaves `func` out
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.detach.default:  # `nn.Parameter` and `state_dict` do this
            return cls.of(args[0], args[0].make, args[0].factors)
        raise RuntimeError(f"{func} takes a weight that is not in memory; ask `numbers_of` for it")


@contextlib.contextmanager
def numbers_of(weight: Tensor) -> Iterator[Tensor]:
    """Lend a weight with its numbers; one that is not held is made for as long as the block runs."""
    if isinstance(weight, Derived):
        with weight.make() as made:
            yield made
    else:
        yield weight


def held_tensors(weight: Tensor) -> tuple[Tensor, ...]:
    """Return what lies in memory of a weight: itself, or what it is made with."""
    return weight.factors if isinstance(weight, Derived) else (weight,)


def is_whole(network: torch.nn.Module) -> bool:
    """Say whether a network holds all its weights."""
    return not any(isinstance(weight, Derived) for weight in network.state_dict().values())
