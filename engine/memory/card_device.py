"""A device with memory of its own: blocks come through the staging ring while it computes, and leave by being dropped.

Everything is decided here, in terms of `Streams`; what is particular to CUDA is in `engine.memory.cuda_streams`.

- Memory for a block is taken from what the computing stream may use, so a copy into it waits for what was asked to be
  computed until then: that may still be reading what was there.
- A block is waited for by the computing stream before it is read, and before it is dropped. So its memory can be used
  anew at once, in the order of the computing stream, and nobody has to ask when copies end.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from engine.errors import SafelightError
from engine.memory.blocks import Block
from engine.memory.ledger import DeviceFull
from engine.memory.staging import Mark, StagingRing, Streams, bytes_of, is_dense
from engine.weights.derived import numbers_of

__all__ = ["CardDevice", "TransferError"]

ALIGNMENT: Final = 256
SMALL_ALIGNMENT: Final = 16
SMALL: Final = 16 << 10
"""Tensors of fewer bytes begin at a multiple of the small alignment: kernels gain nothing there, blocks would grow."""
SPEEDS: Final = 16
"""The link's speed is that of so many blocks."""


class TransferError(SafelightError):
    """Say that weights cannot be brought to the device: the disk is gone, or the device is."""

    code = "E-TRANSFER"


@dataclass(slots=True)
class _Resident:
    """A block on the device; `coming` gives when copies begin and end, which are `marks` once it was waited for."""

    buffer: Tensor
    given: list[Tensor]
    tensors: dict[str, Tensor]
    coming: concurrent.futures.Future[tuple[Mark, Mark]]
    marks: tuple[Mark, Mark] | None = None


class CardDevice:
    """Hold blocks on a device. `total_bytes` is the budget of weights and activations together."""

    counts_activations = False

    def __init__(self, streams: Streams, total_bytes: int, ring: StagingRing | None = None) -> None:
        self.total_bytes = total_bytes
        self.loaded_bytes = 0
        self._streams = streams
        self._ring = ring or StagingRing(streams)
        self._here: dict[Block, _Resident] = {}
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="weights")
        self._timed: deque[tuple[Mark, Mark, int]] = deque(maxlen=SPEEDS)
        self._speed: float | None = None

    def __contains__(self, block: Block) -> bool:
        return block in self._here

    @property
    def free(self) -> int:
        """Return what the budget leaves, or what there is where others have taken the rest."""
        return max(0, min(self.total_bytes - self._streams.allocated_bytes(), self._streams.free_bytes()))

    @property
    def held_bytes(self) -> int:
        """Return the bytes of the blocks that are there or on their way."""
        return sum(resident.buffer.numel() for resident in self._here.values())

    @property
    def staging_bytes(self) -> int:
        """Return the bytes of the ring."""
        return self._ring.nbytes

    @property
    def link_speed(self) -> float | None:
        """Return the bytes a second of the last copies that have ended."""
        ended = [
            (seconds, nbytes)
            for first, last, nbytes in self._timed
            if (seconds := self._streams.seconds_between(first, last)) is not None and seconds > 0
        ]
        if ended:
            self._speed = sum(nbytes for _, nbytes in ended) / sum(seconds for seconds, _ in ended)
        return self._speed

    def begin_load(self, block: Block, sources: Mapping[str, Tensor]) -> None:
        """Take memory for a block and let the thread copy it. Raises `DeviceFull`."""
        places, size = _packed(block, sources)
        if size > self.free:
            raise DeviceFull(size, self.free, self.total_bytes)
        with _disable_current_modes(), torch.inference_mode(False), torch.no_grad():
            try:
                buffer = self._streams.buffer(size)
            except torch.OutOfMemoryError as error:
                raise DeviceFull(size, self.free, self.total_bytes) from error
            tensors = {name: _view(buffer, places[name], sources[name]) for name in block.tensors}
            after = self._streams.mark()
        given = {name: sources[name] for name in block.tensors}
        handed = [buffer]
        coming = self._thread.submit(self._fill, handed, places, given, after)
        self._here[block] = _Resident(buffer, handed, tensors, coming)
        self.loaded_bytes += block.nbytes

    def _fill(
        self, given: list[Tensor], places: Mapping[str, int], sources: Mapping[str, Tensor], after: Mark
    ) -> tuple[Mark, Mark]:
        """Copy a block; runs in the thread for copies.

        The block's memory is taken out of a list: a thread that is done must not keep it a moment longer.
        """
        with torch.inference_mode():
            return self._ring.copy(given.pop(), _pieces(places, sources), after)

    def wait(self, block: Block) -> None:
        """Let what computes from now on wait for a block. Raises `TransferError`, and the block is then dropped."""
        resident = self._here[block]
        if resident.marks is not None:
            return
        try:
            resident.marks = resident.coming.result()
        except Exception as error:
            del self._here[block]
            raise TransferError(
                f"weights could not be brought to the device: {type(error).__name__}: {str(error)[:300]}",
                expected=f"{block.nbytes} bytes of {len(block.tensors)} tensors",
                hint="look whether the disk with the model is still there; the log holds the traceback",
            ) from error
        self._streams.computing_waits(resident.marks[1])
        self._timed.append((*resident.marks, block.nbytes))

    def tensor(self, block: Block, name: str) -> Tensor:
        """Return a tensor of a block that is there. Raises KeyError where it is not."""
        return self._here[block].tensors[name]

    def drop(self, block: Block) -> None:
        """Let go of a block. One that is on its way is waited for by what computes next, or never begins."""
        resident = self._here[block]
        if resident.marks is None and resident.coming.cancel():
            resident.given.clear()
        elif resident.marks is None:
            with contextlib.suppress(TransferError):  # nobody will read it
                self.wait(block)
        self._here.pop(block, None)

    def hold(self, key: int, nbytes: int) -> None:
        """Do nothing: the device counts by itself."""

    def let_go(self, key: int) -> None:
        """Do nothing, as `hold`."""

    def empty_cache(self) -> None:
        """Give back memory that is held in reserve."""
        self._streams.empty_cache()


def _pieces(places: Mapping[str, int], sources: Mapping[str, Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Yield the place and the bytes of each tensor; what is made anew goes with the next."""
    for name, source in sources.items():
        if source.numel():
            with numbers_of(source) as numbers:
                yield places[name], bytes_of(numbers)


def _packed(block: Block, sources: Mapping[str, Tensor]) -> tuple[dict[str, int], int]:
    """Return the place of each tensor in the block's memory, and how much that takes."""
    places: dict[str, int] = {}
    size = 0
    for name in block.tensors:
        nbytes = sources[name].numel() * sources[name].element_size()
        step = ALIGNMENT if nbytes >= SMALL else SMALL_ALIGNMENT
        places[name] = math.ceil(size / step) * step
        size = places[name] + nbytes
    return places, size


def _view(buffer: Tensor, place: int, source: Tensor) -> Tensor:
    """Return the tensor that lies at `place`, with the sizes of `source` and its order of dimensions."""
    nbytes = source.numel() * source.element_size()
    flat = buffer[place : place + nbytes].view(source.dtype)
    strides = source.stride() if is_dense(source) else torch.empty(source.shape, device="meta").stride()
    return flat.as_strided(source.shape, strides)
