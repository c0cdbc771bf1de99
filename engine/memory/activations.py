"""What a network needs beside its weights: measured, not guessed, so that it holds for any architecture."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["ActivationMeter", "checked_calls"]

WORKSPACE: Final = 1.25
"""Kernels take some memory for themselves; this much more than what tensors hold."""


class ActivationMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Follow the bytes of all tensors that are made inside the block, in this thread; `peak` is the most at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._now = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    @property
    def needed(self) -> int:
        """Return what to set aside for it: the peak and what kernels take."""
        return int(self.peak * WORKSPACE)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        self.peak = max(self.peak, self._now)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key in self._known:
            return
        nbytes = storage.nbytes()
        self._now += nbytes

        def forget(_: Any) -> None:
            self._known.pop(key, None)
            self._now -= nbytes

        self._known[key] = weakref.ref(storage, forget)


class checked_calls(TorchFunctionMode):
    """Call `check`, which may raise, before every operation of the block: a long call into a network can be left."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._check()
        return func(*args, **(kwargs or {}))
