"""A device that is not there: so many bytes, blocks that come over a link, and tensors that compute on the CPU.

Weights lie in host memory. What a network computes with are copies that the device made when it was told to load their
block, and filled with NaN when it was told to drop it: whoever computes with a block too early or too late sees it in
the result. Everything is counted in a ledger that refuses what does not fit, as a card does.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor

from engine.memory.blocks import Block
from engine.memory.ledger import Ledger
from engine.weights.derived import numbers_of

__all__ = ["SimDevice", "Transfers"]

Transfers = Literal["early", "late", "random"]
"""When the bytes of a load arrive: as it begins, when somebody waits for them, or either."""


@dataclass(slots=True)
class _Resident:
    tensors: dict[str, Tensor]
    sources: Mapping[str, Tensor]
    has_come: bool = False


@dataclass(slots=True)
class SimDevice:
    """Hold blocks and count activations. `failing` are numbers of allocations (from 0) that fail whatever is free."""

    counts_activations: ClassVar[bool] = True
    staging_bytes: ClassVar[int] = 0
    link_speed: ClassVar[float | None] = None

    total_bytes: int
    transfers: Transfers = "random"
    seed: int = 0
    failing: Container[int] = ()
    ledger: Ledger = field(init=False)
    loaded_bytes: int = field(init=False, default=0)
    _here: dict[Block, _Resident] = field(init=False, default_factory=dict)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.total_bytes, self.failing)
        self._chance = random.Random(self.seed)

    def __contains__(self, block: Block) -> bool:
        return block in self._here

    @property
    def free(self) -> int:
        """Return the bytes that nothing holds."""
        return self.ledger.free

    @property
    def held_bytes(self) -> int:
        """Return the bytes of the blocks that are there."""
        return sum(block.nbytes for block in self._here)

    def empty_cache(self) -> None:
        """Do nothing: nothing is held in reserve."""

    def begin_load(self, block: Block, sources: Mapping[str, Tensor]) -> None:
        """Take room for a block, whose tensors lie in `sources`, and begin to copy it. Raises `DeviceFull`."""
        self.ledger.allocate(block, block.nbytes)
        self.loaded_bytes += block.nbytes
        made = _Resident({name: _poisoned_like(sources[name]) for name in block.tensors}, sources)
        self._here[block] = made
        if self.transfers == "early" or (self.transfers == "random" and self._chance.random() < EARLY):
            self.wait(block)

    def wait(self, block: Block) -> None:
        """Return once a block has come."""
        resident = self._here[block]
        if not resident.has_come:
            with _plain():
                for name, tensor in resident.tensors.items():
                    with numbers_of(resident.sources[name]) as numbers:
                        tensor.copy_(numbers)
            resident.has_come = True

    def tensor(self, block: Block, name: str) -> Tensor:
        """Return a tensor of a block that is there. Raises KeyError where it is not."""
        return self._here[block].tensors[name]

    def drop(self, block: Block) -> None:
        """Let go of a block; its tensors are no numbers any more."""
        for tensor in self._here.pop(block).tensors.values():
            _poison(tensor)
        self.ledger.release(block)

    def hold(self, key: int, nbytes: int) -> None:
        """Count an activation. Raises `DeviceFull`."""
        self.ledger.allocate(key, nbytes)

    def let_go(self, key: int) -> None:
        """Count an activation no more."""
        if key in self.ledger:
            self.ledger.release(key)


EARLY: Final = 0.5


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """Make tensors that may also be used where inference is not declared."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def _poisoned_like(source: Tensor) -> Tensor:
    with _plain():
        made = torch.empty_strided(source.shape, source.stride(), dtype=source.dtype)
    _poison(made)
    return made


def _poison(tensor: Tensor) -> None:
    with _plain():
        tensor.fill_(float("nan") if tensor.is_floating_point() else -1)
