"""What `engine.memory.staging.Streams` asks of a device, said to CUDA; ROCm answers to the same names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from engine.memory.staging import Mark

__all__ = ["CudaStreams", "choose_allocator"]

ALLOCATOR_VARIABLES: Final = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")


class CudaStreams:
    """The current stream of a card and one for copies. `cuda` is `torch.cuda`, or what behaves like it."""

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self.device = device
        self._cuda = cuda
        self._copies = cuda.Stream(device=device)

    def buffer(self, nbytes: int) -> Tensor:
        """Return device memory that belongs to the current stream."""
        return torch.empty(nbytes, dtype=torch.uint8, device=self.device)

    def pinned(self, nbytes: int) -> Tensor:
        """Return pinned memory."""
        return torch.empty(nbytes, dtype=torch.uint8, pin_memory=self.device.type == "cuda")

    def is_pinned(self, tensor: Tensor) -> bool:
        """Say whether a tensor lies in pinned memory."""
        return self.device.type == "cuda" and tensor.is_pinned()

    def mark(self) -> Mark:
        """Return an event at the end of the current stream."""
        return self._cuda.current_stream(self.device).record_event(self._cuda.Event())

    def begin_copies(self, after: Mark) -> Mark:
        """Let the stream for copies wait for an event; returns an event behind it."""
        self._copies.wait_event(after)
        return self._copies.record_event(self._cuda.Event(enable_timing=True))

    def copy(self, into: Tensor, source: Tensor) -> Mark:
        """Copy on the stream for copies; returns an event behind it."""
        with self._cuda.stream(self._copies):
            into.copy_(source, non_blocking=True)
        return self._copies.record_event(self._cuda.Event(enable_timing=True))

    def computing_waits(self, mark: Mark) -> None:
        """Let the current stream wait for an event."""
        self._cuda.current_stream(self.device).wait_event(mark)

    def wait_here(self, mark: Mark) -> None:
        """Return when an event has come."""
        mark.synchronize()

    def seconds_between(self, first: Mark, last: Mark) -> float | None:
        """Return the time between two events of copies."""
        return float(first.elapsed_time(last)) / 1000 if first.query() and last.query() else None

    def allocated_bytes(self) -> int:
        """Return what torch's tensors take."""
        return int(self._cuda.memory_allocated(self.device))

    def free_bytes(self) -> int:
        """Return what the driver has left and what torch holds in reserve."""
        reserved = int(self._cuda.memory_reserved(self.device)) - self.allocated_bytes()
        return int(self._cuda.mem_get_info(self.device)[0]) + reserved

    def empty_cache(self) -> None:
        """Give back what torch holds in reserve."""
        self._cuda.empty_cache()


def choose_allocator(
    cuda: Any = torch.cuda, environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> bool:
    """Let torch's allocator grow segments instead of adding ever new ones; returns whether it does.

    A choice that was made in the environment stays. Not on Windows, and not with ROCm, which have no such segments;
    plans then count what the native form takes.
    """
    chosen = next((environ[name] for name in ALLOCATOR_VARIABLES if environ.get(name)), None)
    if chosen is not None:
        return "expandable_segments:true" in chosen.lower().replace(" ", "")
    if platform == "win32" or getattr(getattr(torch, "version", None), "hip", None):
        return False
    cuda.memory._set_allocator_settings("expandable_segments:True")
    return True
