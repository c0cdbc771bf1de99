"""What a device does with blocks of weights, whatever it is: a card, or one that is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from engine.memory.blocks import Block

__all__ = ["WeightDevice"]


class WeightDevice(Protocol):
    """Hold blocks of weights beside what is computed. Loads go on while it computes; the rest happens in order.

    `total_bytes` bounds weights and activations together. Where `counts_activations`, `hold` and `let_go` are told of
    what operations make; a real device counts by itself, and raises `torch.OutOfMemoryError` in the operation.
    """

    total_bytes: int
    loaded_bytes: int

    @property
    def counts_activations(self) -> bool:
        """Say whether it has to be told of activations."""
        ...

    def __contains__(self, block: Block) -> bool: ...

    @property
    def free(self) -> int:
        """Return the bytes that can be taken now."""
        ...

    @property
    def held_bytes(self) -> int:
        """Return the bytes of the blocks that are there or on their way."""
        ...

    @property
    def staging_bytes(self) -> int:
        """Return the bytes of host memory that copies pass through."""
        ...

    @property
    def link_speed(self) -> float | None:
        """Return the bytes a second that copies have reached, None before the first."""
        ...

    def begin_load(self, block: Block, sources: Mapping[str, Tensor]) -> None:
        """Take room for a block, whose tensors lie in `sources`, and begin to copy it. Raises `DeviceFull`."""
        ...

    def wait(self, block: Block) -> None:
        """Let what computes from now on wait for a block. Raises `TransferError` where its copy failed."""
        ...

    def tensor(self, block: Block, name: str) -> Tensor:
        """Return a tensor of a block that is there. Raises KeyError where it is not."""
        ...

    def drop(self, block: Block) -> None:
        """Let go of a block, once what computes with it has ended."""
        ...

    def hold(self, key: int, nbytes: int) -> None:
        """Count an activation. Raises `DeviceFull`."""
        ...

    def let_go(self, key: int) -> None:
        """Count an activation no more."""
        ...

    def empty_cache(self) -> None:
        """Give back memory that is held in reserve."""
        ...
