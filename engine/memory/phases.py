"""What is going to be computed, as far as memory cares: phases that sweep over blocks of weights, one after the other.

A phase is a node's work with one peak of activations: encoding a prompt, sampling, decoding. A sampler sweeps over the
same blocks once for each step; such sweeps are planned as a first, a second, a typical and a last one, and the typical
one stands for all between: by then what stays from sweep to sweep has settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from engine.memory.blocks import Block

__all__ = ["Access", "Link", "Phase", "Timeline", "lay_out"]

PLANNED_SWEEPS: Final = 4
"""How many sweeps of a phase are planned one by one: the first two, one that stands for those between, the last."""


@dataclass(frozen=True, slots=True)
class Access:
    """Say that the network computes with a block, for so many seconds until it turns to the next."""

    block: Block
    seconds: float


@dataclass(frozen=True, slots=True)
class Phase:
    """Describe a stretch of work: `repeats` sweeps over `accesses`, with `activation_bytes` beside the weights."""

    name: str
    accesses: tuple[Access, ...]
    activation_bytes: int = 0
    repeats: int = 1

    @property
    def seconds(self) -> float:
        """Return how long the whole phase computes."""
        return self.repeats * sum(access.seconds for access in self.accesses)

    @property
    def weight_bytes(self) -> int:
        """Return the bytes of all blocks that it uses."""
        return sum({access.block: access.block.nbytes for access in self.accesses}.values())

    @property
    def largest_block(self) -> int:
        """Return the bytes of the largest block that it uses."""
        return max((access.block.nbytes for access in self.accesses), default=0)


@dataclass(frozen=True, slots=True)
class Link:
    """Say how fast weights come to the device: bytes a second, and seconds that each copy takes to begin.

    `making` are the seconds by which blocks come later whose weights are made first.
    """

    bytes_per_second: float
    latency: float = 0.0
    making: Mapping[Block, float] = field(default_factory=dict, hash=False)

    def seconds(self, nbytes: int) -> float:
        """Return how long a copy takes."""
        return self.latency + nbytes / self.bytes_per_second


@dataclass(frozen=True)
class Timeline:
    """All accesses of some phases in a row. Access i uses block ``order[i]``; it stands for ``times[i]`` equal ones.

    `phase_of` tells its phase, ``limits[i]`` how many bytes of weights the device can hold while it runs.
    """

    phases: tuple[Phase, ...]
    blocks: tuple[Block, ...]
    order: tuple[int, ...]
    seconds: tuple[float, ...]
    times: tuple[int, ...]
    phase_of: tuple[int, ...]
    limits: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Return the bytes of each block."""
        return tuple(block.nbytes for block in self.blocks)

    @cached_property
    def following(self) -> tuple[int, ...]:
        """Return for each access the next one of the same block; the length of the timeline where there is none."""
        after = [len(self.order)] * len(self.blocks)
        found = [0] * len(self.order)
        for at in range(len(self.order) - 1, -1, -1):
            block = self.order[at]
            found[at] = after[block]
            after[block] = at
        return tuple(found)

    @cached_property
    def compute_seconds(self) -> float:
        """Return how long all the work takes where weights are never waited for."""
        return sum(phase.seconds for phase in self.phases)


def lay_out(phases: Sequence[Phase], capacity: int | Sequence[int], *, whole: bool = False) -> Timeline:
    """Put phases in a row. `capacity` is what weights and activations together may take, for all or for each phase.

    Sweeps between the first and the last are laid out once, unless `whole`.
    """
    capacities = [capacity] * len(phases) if isinstance(capacity, int) else list(capacity)
    numbers: dict[Block, int] = {}
    order: list[int] = []
    seconds: list[float] = []
    times: list[int] = []
    phase_of: list[int] = []
    limits: list[int] = []
    for number, (phase, most) in enumerate(zip(phases, capacities, strict=True)):
        sweep = [numbers.setdefault(access.block, len(numbers)) for access in phase.accesses]
        durations = [access.seconds for access in phase.accesses]
        for count in [1] * phase.repeats if whole else sweep_counts(phase.repeats):
            order += sweep
            seconds += durations
            times += [count] * len(sweep)
            phase_of += [number] * len(sweep)
            limits += [most - phase.activation_bytes] * len(sweep)
    return Timeline(
        tuple(phases), tuple(numbers), tuple(order), tuple(seconds), tuple(times), tuple(phase_of), tuple(limits)
    )


def sweep_counts(repeats: int) -> list[int]:
    """Return how many sweeps each of those stands for that are planned one by one."""
    return [1] * repeats if repeats <= PLANNED_SWEEPS else [1, 1, repeats - 3, 1]
