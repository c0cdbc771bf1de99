"""Which weights of a network lie in RAM, and which are made anew each time they are brought to the device.

A weight that is not held is read from its file, converted, and has adapters added, whenever its block is loaded. That
takes time on the way to the device; holding it takes memory. Where not all can be held, those are that save the most
seconds for their bytes. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from engine.memory.blocks import Block

__all__ = [
    "CONVERT_SPEED",
    "DISK_SPEED",
    "SUM_FLOPS",
    "SUM_SPEED",
    "Held",
    "WeightCost",
    "choose_held",
    "made_anew",
]

DISK_SPEED: Final = 3e9
CONVERT_SPEED: Final = 3e9
SUM_SPEED: Final = 4e9
SUM_FLOPS: Final = 50e9
"""Bytes read, bytes converted and bytes of sums that are written each second, and operations of low-rank products:
the first is assumed, the others were measured on one core of a Xeon (ranks 1 to 128: 4 to 90 GFLOP/s)."""


@dataclass(frozen=True, slots=True)
class WeightCost:
    """Say what a weight takes: bytes as it is computed with, bytes in its file, bytes of the adapters that change it.

    `is_copied` where it does not lie in the file as it is computed with; `flops` are those of the adapters' sums.
    """

    nbytes: int
    stored_bytes: int
    is_copied: bool = False
    factor_bytes: int = 0
    flops: int = 0

    @property
    def seconds(self) -> float:
        """Return how long it takes to make."""
        converting = self.nbytes / CONVERT_SPEED if self.is_copied else 0.0
        summing = self.nbytes / SUM_SPEED + self.flops / SUM_FLOPS if self.factor_bytes else 0.0
        return self.stored_bytes / DISK_SPEED + converting + summing

    @property
    def passing_bytes(self) -> int:
        """Return the bytes that making it takes for a moment: what is read and what is made."""
        return self.stored_bytes + (self.nbytes if self.is_copied or self.factor_bytes else 0)


@dataclass(frozen=True, slots=True)
class Held:
    """Name the weights of a network that lie in RAM. `nbytes` are theirs and those of the adapters of the others.

    `anew_bytes` is what the others take as they are computed with, `passing_bytes` the most that making one takes.
    """

    names: frozenset[str]
    nbytes: int
    anew_bytes: int
    passing_bytes: int


def choose_held(
    costs: Mapping[str, Mapping[str, WeightCost]],
    room: int,
    loads: Mapping[tuple[str, str], int] | None = None,
    aside: int = 0,
) -> dict[str, Held]:
    """Choose what networks hold in `room` bytes together. `costs` are those of the weights of each.

    `loads` tell how often each (network, weight) is brought to the device, those that are not named never; None takes
    all to be brought equally often. `aside` bytes beside the room are left for weights while they are made. Nothing is
    held where the adapters, and the largest weight while it is made, take all the room.
    """
    every = {(key, name): cost for key, own in costs.items() for name, cost in own.items()}
    saved = {
        one: (1 if loads is None else loads.get(one, 0)) * cost.seconds / max(1, cost.nbytes - cost.factor_bytes)
        for one, cost in every.items()
    }
    passing = max((cost.passing_bytes for cost in every.values()), default=0)
    left = room - max(0, passing - aside) - sum(cost.factor_bytes for cost in every.values())
    held: dict[str, list[str]] = {key: [] for key in costs}
    for one in sorted(every, key=lambda one: -saved[one]):  # of several the first
        more = every[one].nbytes - every[one].factor_bytes
        if more <= left and saved[one] > 0:
            left -= more
            held[one[0]].append(one[1])
    return {key: held_of(costs[key], held[key]) for key in costs}


def held_of(costs: Mapping[str, WeightCost], names: Collection[str]) -> Held:
    """Return what holding the weights of these names takes."""
    wanted = frozenset(names)
    rest = [cost for name, cost in costs.items() if name not in wanted]
    nbytes = sum(costs[name].nbytes for name in wanted) + sum(cost.factor_bytes for cost in rest)
    passing = max((cost.passing_bytes for cost in rest), default=0)
    return Held(wanted, nbytes, sum(cost.nbytes for cost in rest), passing)


def made_anew(
    blocks: Iterable[Block], costs: Mapping[str, WeightCost], held: Collection[str]
) -> dict[Block, tuple[int, float]]:
    """Return the bytes that are made for each load of a block, and the seconds by which it is later for that.

    Blocks that are held whole are left out.
    """
    found: dict[Block, tuple[int, float]] = {}
    for block in blocks:
        anew = [costs[name] for name in block.tensors if name in costs and name not in held]
        if anew:
            found[block] = sum(cost.nbytes for cost in anew), sum(cost.seconds for cost in anew)
    return found
