"""What behaves like `torch.cuda` on a machine without a card: streams are threads, and copies come when they like.

Computing is what this thread does, as it is asked for. A copy is done by the thread of its stream, after what the
stream was told to wait for, and, where it is to come late, not before somebody waits for it. Memory that was let go of
is given out again at once, filled with NaN, as an allocator may do. Two things that would be wrong on a card fail here:
a copy into memory that what was computed before might still be reading, and computing before a copy was waited for.
"""

from __future__ import annotations

import itertools
import queue
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from engine.memory.cuda_streams import CudaStreams

CPU = torch.device("cpu")
NAN_BYTE = 0xFF
"""So filled, numbers of every floating-point format are NaN."""


class Event:
    """A moment; `number` orders the moments at which computing recorded one."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.done = threading.Event()
        self.wanted = threading.Event()
        self.number = -1
        self.at = 0.0

    def query(self) -> bool:
        return self.done.is_set()

    def synchronize(self) -> None:
        self.wanted.set()
        assert self.done.wait(20), "nobody will ever bring about what is waited for"

    def elapsed_time(self, other: Event) -> float:
        return 1000 * (other.at - self.at)

    def come(self) -> None:
        self.at = time.perf_counter()
        self.done.set()


class Stream:
    """A stream for copies, as a thread that does one thing after the other."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.waited = -1  # the latest moment of computing that this stream waits for
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._todo.get()()

    def ask(self, what: Callable[[], None]) -> None:
        self._todo.put(what)

    def wait_event(self, event: Event) -> None:
        self.waited = max(self.waited, event.number)
        self.ask(event.synchronize)

    def record_event(self, event: Event) -> Event:
        if self.cuda.is_late():
            self.ask(lambda: (event.wanted.wait(0.05), event.come())[1])
        else:
            self.ask(event.come)
        return event


class Computing:
    """The stream that computes: this thread."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def record_event(self, event: Event) -> Event:
        event.number = next(self.cuda.numbers)
        event.come()
        return event

    def wait_event(self, event: Event) -> None:
        event.synchronize()


class Copying(TorchDispatchMode):
    """Lets a stream do the copies that are asked for inside."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.copy_.default:
            into, source = args[0], args[1]
            self.stream.cuda.check_copy(into, source, self.stream)
            self.stream.ask(lambda: self.stream.cuda.copied(into, source))
            return into
        return func(*args, **(kwargs or {}))


class FakeCuda:
    """`late` copies come when they are waited for, early ones at once, else as chance has it."""

    def __init__(self, total: int, timing: str = "random", seed: int = 0) -> None:
        self.total, self.timing = total, timing
        self.taken_by_others = 0
        self.allocated = 0
        self.peak = 0
        self.failing: set[int] = set()
        self.failing_copies: set[int] = set()
        self.emptied = 0
        self.copies = 0
        self.numbers: Iterator[int] = itertools.count()
        self.compute = Computing(self)
        self.buffers = 0
        self._chance = random.Random(seed)
        self._given: dict[int, int] = {}  # address -> moment at which it was given out
        self._unused: list[Tensor] = []

    def Stream(self, device: Any = None) -> Stream:
        return Stream(self)

    Event = Event

    def current_stream(self, device: Any = None) -> Computing:
        return self.compute

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        with Copying(stream):
            yield

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return max(0, self.total - self.taken_by_others - self.allocated), self.total

    def memory_allocated(self, device: Any = None) -> int:
        return self.allocated

    def memory_reserved(self, device: Any = None) -> int:
        return self.allocated

    def empty_cache(self) -> None:
        self.emptied += 1

    def is_late(self) -> bool:
        return self.timing == "late" or (self.timing == "random" and self._chance.random() < 0.5)

    def check_copy(self, into: Tensor, source: Tensor, stream: Stream) -> None:
        given = self._given.get(into.untyped_storage().data_ptr())
        assert given is not None, "a copy to the host, or to where no buffer is"
        assert source.untyped_storage().data_ptr() not in self._given, "a copy from the device"
        assert stream.waited > given, "what was computed before may still be reading this memory"

    def copied(self, into: Tensor, source: Tensor) -> None:
        into.copy_(source)
        self.copies += 1

    def give_out(self, nbytes: int) -> Tensor:
        number, self.buffers = self.buffers, self.buffers + 1
        if number in self.failing or nbytes > self.mem_get_info()[0]:
            raise torch.OutOfMemoryError("the fake card is full")
        fitting = [one for one in self._unused if one.numel() >= nbytes]
        base = min(fitting, key=Tensor.numel, default=None) if fitting else None
        if base is None:
            base = torch.empty(nbytes, dtype=torch.uint8)
        else:
            self._unused = [one for one in self._unused if one is not base]
        base.fill_(NAN_BYTE)
        storage = base.untyped_storage()
        self._given[storage.data_ptr()] = next(self.numbers)
        given = torch.empty(0, dtype=torch.uint8).set_(storage, 0, (nbytes,))  # its views keep it, and this `base`
        self.allocated += nbytes
        self.peak = max(self.peak, self.allocated)
        weakref.finalize(given, self._take_back, base, nbytes)
        return given

    def _take_back(self, base: Tensor, nbytes: int) -> None:
        self.allocated -= nbytes
        self._given.pop(base.untyped_storage().data_ptr(), None)
        self._unused.append(base)


class FakeStreams(CudaStreams):
    """The engine's own streams over the fake card; memory alone comes from elsewhere."""

    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__(CPU, cuda)
        self.fake = cuda

    def buffer(self, nbytes: int) -> Tensor:
        with _disable_current_modes():
            return self.fake.give_out(nbytes)
