"""Carry out a plan on a device: begin loads when they may begin, wait for what is needed, drop what is not kept.

Where the device has less memory than was planned with, a ladder of ever stronger measures is climbed, each of which
leaves results exactly as they are: blocks that were loaded ahead are dropped, the allocator's unused memory is given
back, everything is dropped and what is left is planned anew for what the device has now. Each rung is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal, Protocol

from engine.memory.blocks import Block
from engine.memory.ledger import DeviceFull
from engine.memory.phases import Access, Link, Phase
from engine.memory.planning import Misfit, ResidencyPlan, make_plan, smallest_capacity, whole_plan

__all__ = ["BlockDevice", "Carried", "Rung", "carry_out"]

MOST_TRIES: Final = 3
"""How often a plan is made anew without having got any further."""

Rung = Literal["drop loads ahead", "empty cache", "drop all", "plan anew"]


class BlockDevice(Protocol):
    """What a device does with blocks. Loads go on while it computes; everything else happens in order."""

    @property
    def capacity(self) -> int:
        """Return the bytes that weights and activations may take together, now."""
        ...

    def begin_load(self, block: Block) -> None:
        """Take room for a block and begin to copy it. Raises `DeviceFull`."""
        ...

    def wait(self, block: Block) -> None:
        """Return once a block has come."""
        ...

    def enter(self, phase: Phase) -> None:
        """Set aside what a phase needs beside its weights, instead of what the last one needed. Raises `DeviceFull`."""
        ...

    def compute(self, access: Access) -> None:
        """Compute with a block that is there."""
        ...

    def drop(self, block: Block) -> None:
        """Let go of a block once what computes with it has ended."""
        ...

    def empty_cache(self) -> None:
        """Give back memory that is held in reserve."""
        ...

    def leave(self) -> None:
        """Let go of what the last phase needed beside its weights."""
        ...


@dataclass(slots=True)
class Carried:
    """What was done: bytes loaded, bytes that the plans in force said, and the rungs climbed."""

    loaded_bytes: int = 0
    planned_bytes: int = 0
    rungs: list[Rung] = field(default_factory=list)


def carry_out(phases: Sequence[Phase], link: Link, device: BlockDevice) -> Carried:
    """Run all phases on a device, planned for the capacity that it has.

    Raises `DeviceFull` where a phase does not fit even with a single block at a time. Whatever is raised, nothing is
    left on the device.
    """
    carried = Carried()
    left, stuck = list(phases), 0
    while left:
        capacity = device.capacity
        plan = make_plan(left, capacity, link)
        if isinstance(plan, Misfit) or stuck > MOST_TRIES:
            raise DeviceFull(smallest_capacity(left), capacity, capacity)
        follower = _Follower(whole_plan(plan, capacity, link), device, carried)
        try:
            stopped = follower.follow()
        finally:
            follower.drop_all()
        if stopped is None:
            break
        stuck = 0 if stopped else stuck + 1
        left = _remaining(follower.plan, stopped)
    return carried


def _remaining(plan: ResidencyPlan, at: int) -> list[Phase]:
    """Return the phases from access `at` on; of the phase that it is in, what is left of the sweep and the others."""
    timeline = plan.timeline
    number = timeline.phase_of[at]
    phase, width = timeline.phases[number], len(timeline.phases[number].accesses)
    done, inside = divmod(at - timeline.phase_of.index(number), width)
    left = [replace(phase, accesses=phase.accesses[inside:], repeats=1)] if inside else []
    sweeps = phase.repeats - done - len(left)
    return [*left, *([replace(phase, repeats=sweeps)] if sweeps else []), *timeline.phases[number + 1 :]]


class _Follower:
    """Follows one plan until its end, or until it does not hold any more."""

    def __init__(self, plan: ResidencyPlan, device: BlockDevice, carried: Carried) -> None:
        self.plan = plan
        self._device = device
        self._carried = carried
        self._here: dict[int, int] = {}  # block -> the access it was loaded for, or last used at
        self._next = 0  # the first load that has not begun

    def follow(self) -> int | None:
        """Return None at the end, or the access before which a new plan is needed."""
        timeline = self.plan.timeline
        phase = -1
        for at, block in enumerate(timeline.order):
            if timeline.phase_of[at] != phase:
                phase = timeline.phase_of[at]
                if not self._insist(at, partial(self._device.enter, timeline.phases[phase])):
                    return at
            if block not in self._here and not self._insist(at, partial(self._load_until, at)):
                return at
            self._load_ahead(at)
            self._device.wait(timeline.blocks[block])
            self._device.compute(Access(timeline.blocks[block], timeline.seconds[at]))
            self._here[block] = at
            if not self.plan.kept[at]:
                self._drop(block)
        return None

    def drop_all(self) -> None:
        """Let go of everything, as after the last access."""
        for block in list(self._here):
            self._drop(block)
        self._device.leave()

    def _load_until(self, at: int) -> None:
        """Begin the loads up to the one for access `at`."""
        loads = self.plan.loads
        while self._next < len(loads) and loads[self._next].access <= at:
            self._begin(loads[self._next].access)

    def _load_ahead(self, at: int) -> None:
        """Begin later loads whose time has come. What does not fit now is tried again at the next access."""
        loads = self.plan.loads
        while self._next < len(loads) and loads[self._next].after <= at:
            try:
                self._begin(loads[self._next].access)
            except DeviceFull:
                return

    def _begin(self, access: int) -> None:
        block = self.plan.timeline.order[access]
        self._device.begin_load(self.plan.timeline.blocks[block])
        self._here[block] = access
        self._carried.loaded_bytes += self.plan.timeline.sizes[block]
        self._carried.planned_bytes += self.plan.timeline.sizes[block]
        self._next += 1

    def _insist(self, at: int, attempt: Callable[[], None]) -> bool:
        """Do what may find the device full, climbing the ladder; False where only a new plan can help."""
        for climb in (None, self._drop_ahead, self._empty_cache):
            if climb is not None:
                climb(at)
            try:
                attempt()
            except DeviceFull:
                continue
            return True
        self._carried.rungs.append("plan anew")
        return False

    def _drop_ahead(self, at: int) -> None:
        """Drop what was loaded for accesses from `at` on; it is loaded again when its time comes."""
        self._carried.rungs.append("drop loads ahead")
        ahead = [
            block for block, access in self._here.items() if access >= at and block != self.plan.timeline.order[at]
        ]
        for block in ahead:
            self._drop(block)
            self._carried.planned_bytes -= self.plan.timeline.sizes[block]
            self._next -= 1

    def _empty_cache(self, at: int) -> None:
        self._carried.rungs.append("empty cache")
        self._device.empty_cache()

    def _drop(self, block: int) -> None:
        self._device.drop(self.plan.timeline.blocks[block])
        del self._here[block]
