"""From host memory to a device: through a ring of pinned memory, on a stream of their own, in the order of loads.

A copy from ordinary memory makes the driver copy it once more, and everybody wait. So bytes are first put into one of a
few pieces of pinned memory, whose copies go on while others are filled and the device computes. Nothing here knows a
kind of device: `Streams` does the five things that a device must do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final, Protocol

import torch
from torch import Tensor

__all__ = ["Mark", "StagingRing", "Streams", "bytes_of"]

SLOT_BYTES: Final = 32 << 20
SLOTS: Final = 3

Mark = Any
"""A moment on a stream, as the device tells it."""


class Streams(Protocol):
    """A stream that computes and one that copies, on one device."""

    device: torch.device

    def buffer(self, nbytes: int) -> Tensor:
        """Return device memory, uint8 [nbytes], free for what computes. Raises `torch.OutOfMemoryError`."""
        ...

    def pinned(self, nbytes: int) -> Tensor:
        """Return host memory, uint8 [nbytes], that copies can be made from while other things go on."""
        ...

    def is_pinned(self, tensor: Tensor) -> bool:
        """Say whether a tensor of the host lies in such memory."""
        ...

    def mark(self) -> Mark:
        """Return the moment when all has been computed that was asked for until now."""
        ...

    def begin_copies(self, after: Mark) -> Mark:
        """Let copies that are asked for from now on wait for `after`; returns the moment when they begin."""
        ...

    def copy(self, into: Tensor, source: Tensor) -> Mark:
        """Copy on the stream for copies; returns the moment when it is done."""
        ...

    def computing_waits(self, mark: Mark) -> None:
        """Let nothing be computed that is asked for from now on before `mark`."""
        ...

    def wait_here(self, mark: Mark) -> None:
        """Return when `mark` has come."""
        ...

    def seconds_between(self, first: Mark, last: Mark) -> float | None:
        """Return the time from one moment to another, None where they have not come."""
        ...

    def allocated_bytes(self) -> int:
        """Return the bytes of all tensors on the device."""
        ...

    def free_bytes(self) -> int:
        """Return the bytes that tensors can take: what nobody has, and what the allocator holds in reserve."""
        ...

    def empty_cache(self) -> None:
        """Give what the allocator holds in reserve back to the system."""
        ...


class StagingRing:
    """A few pieces of pinned memory that copies take turns with. One thread uses it at a time."""

    def __init__(self, streams: Streams, slot_bytes: int = SLOT_BYTES, slots: int = SLOTS) -> None:
        self._streams = streams
        self._slots = [streams.pinned(slot_bytes) for _ in range(slots)]
        self._busy: list[Mark | None] = [None] * slots
        self._turn = 0
        self._one = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Return the bytes of all pieces."""
        return sum(slot.numel() for slot in self._slots)

    def copy(self, into: Tensor, pieces: Iterable[tuple[int, Tensor]], after: Mark) -> tuple[Mark, Mark]:
        """Copy (place, uint8 tensor) pieces, in order of place, to their places in `into`, not before `after`.

        Returns the moments when copying begins and when all is done. Raises whatever reading a piece raises.
        """
        with self._one:
            first = last = self._streams.begin_copies(after)
            slot, begin, used = self._next_slot(), 0, 0
            for place, piece in pieces:
                if self._streams.is_pinned(piece):
                    if used:
                        self._send(into, slot, begin, used)
                        slot, used = self._next_slot(), 0
                    last = self._streams.copy(into[place : place + piece.numel()], piece)
                    continue
                done = 0
                while done < piece.numel():
                    if used and place + done - begin >= slot.numel():
                        self._send(into, slot, begin, used)
                        slot, used = self._next_slot(), 0
                    if not used:
                        begin = place + done
                    offset = place + done - begin
                    count = min(piece.numel() - done, slot.numel() - offset)
                    slot[offset : offset + count].copy_(piece[done : done + count])
                    done += count
                    used = offset + count
            if used:
                last = self._send(into, slot, begin, used)
            return first, last

    def _next_slot(self) -> Tensor:
        """Return the piece whose turn it is, once its last copy has left it."""
        if (mark := self._busy[self._turn]) is not None:
            self._streams.wait_here(mark)
            self._busy[self._turn] = None
        return self._slots[self._turn]

    def _send(self, into: Tensor, slot: Tensor, begin: int, used: int) -> Mark:
        mark = self._streams.copy(into[begin : begin + used], slot[:used])
        self._busy[self._turn] = mark
        self._turn = (self._turn + 1) % len(self._slots)
        return mark


def bytes_of(tensor: Tensor) -> Tensor:
    """Return the bytes of a tensor in the order in which they lie, uint8; of one with gaps those of a copy."""
    dense = tensor if is_dense(tensor) else tensor.contiguous()
    return dense.as_strided((dense.numel(),), (1,), dense.storage_offset()).view(torch.uint8)


def is_dense(tensor: Tensor) -> bool:
    """Say whether a tensor's numbers lie one after the other, in whatever order of dimensions."""
    if tensor.is_contiguous():
        return True
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
