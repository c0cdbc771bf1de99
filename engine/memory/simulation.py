"""From what is kept to when everything happens: loads, the earliest moment each may begin, and a virtual clock.

One stream copies, one computes. Loads begin in the order in which they are needed. How early a load may begin is
settled before anything runs: a block that comes early takes room during all accesses until its own, so it may begin
after the last access that has no room for it. Whoever keeps to these moments never holds more than the limits, whatever
the copies take; nobody has to look at free memory while it runs.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from engine.memory.phases import Link, Timeline

__all__ = ["Load", "Outcome", "PhaseOutcome", "Schedule", "most_held", "schedule_loads", "simulate", "waiting"]


@dataclass(frozen=True, slots=True)
class Load:
    """Say that the block of access `access` is brought in, once access `after` - 1 has run (0: from the start)."""

    access: int
    after: int


@dataclass(frozen=True, slots=True)
class PhaseOutcome:
    """What a phase takes: bytes loaded for it, seconds computing and waiting, the most bytes of weights at a time."""

    loaded_bytes: int
    compute_seconds: float
    stall_seconds: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a whole timeline takes; `phases` in order."""

    phases: tuple[PhaseOutcome, ...]

    @property
    def loaded_bytes(self) -> int:
        """Return the bytes brought to the device."""
        return sum(phase.loaded_bytes for phase in self.phases)

    @property
    def compute_seconds(self) -> float:
        """Return the seconds of computing."""
        return sum(phase.compute_seconds for phase in self.phases)

    @property
    def stall_seconds(self) -> float:
        """Return the seconds in which nothing computes because weights are under way."""
        return sum(phase.stall_seconds for phase in self.phases)

    @property
    def seconds(self) -> float:
        """Return all the seconds together."""
        return self.compute_seconds + self.stall_seconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """The loads, in order, and what is kept; a block whose load could begin when its last use ends is kept instead."""

    loads: tuple[Load, ...]
    kept: bytes


def schedule_loads(timeline: Timeline, kept: Sequence[int], depth: int | None = None) -> Schedule | None:
    """Return the loads that `kept` makes necessary; None where an access cannot have its block at all.

    `depth` bounds how many accesses ahead a load may begin; what is kept is then left as it is.
    """
    order, sizes, limits, following = timeline.order, timeline.sizes, timeline.limits, timeline.following
    stays = bytearray(kept)
    is_here = bytearray(len(sizes))
    last = [-1] * len(sizes)
    held = total = 0
    loads: list[Load] = []
    room: list[int] = []  # rising: what may have been loaded in all by the end of the access beside it
    places: list[int] = []
    count = len(order)
    for at in range(count):
        block = order[at]
        size = sizes[block]
        if is_here[block]:
            needed = held
        else:
            needed = held + size
            total += size
            after = places[index - 1] + 1 if (index := bisect_left(room, total)) else 0
            before = last[block]
            if depth is None and before >= 0 and after <= before + 1:
                stays[before] = 1
            else:
                loads.append(Load(at, max(after, before + 1, 0 if depth is None else at - depth)))
        if needed > limits[at]:
            return None
        spare = limits[at] - needed + total
        while room and room[-1] >= spare:
            room.pop()
            places.pop()
        room.append(spare)
        places.append(at)
        is_kept = kept[at] and following[at] < count
        held = needed if is_kept else needed - size
        is_here[block] = 1 if is_kept else 0
        last[block] = at
    return Schedule(tuple(loads), bytes(stays))


def simulate(timeline: Timeline, loads: Sequence[Load], link: Link, delays: Sequence[float] = ()) -> Outcome:
    """Run the clock. `delays` are seconds by which single loads take longer than the link says."""
    return _by_phase(timeline, loads, waiting(timeline, loads, link, delays))


def waiting(timeline: Timeline, loads: Sequence[Load], link: Link, delays: Sequence[float] = ()) -> list[float]:
    """Return the seconds that each access waits for its block."""
    order, seconds = timeline.order, timeline.seconds
    latency, pace = link.latency, 1.0 / link.bytes_per_second
    takes = [latency + one.nbytes * pace + link.making.get(one, 0.0) for one in timeline.blocks]
    ends = [0.0] * (len(order) + 1)  # ends[i]: access i - 1 has run
    waits = [0.0] * len(order)
    copied = 0.0
    queue = iter(loads)
    load = next(queue, None)
    delay = itertools.chain(delays, itertools.repeat(0.0))
    for at in range(len(order)):
        begin = ends[at]
        if load is not None and load.access == at:
            start = ends[load.after]
            copied = (copied if copied > start else start) + takes[order[at]] + next(delay)
            if copied > begin:
                waits[at] = copied - begin
                begin = copied
            load = next(queue, None)
        ends[at + 1] = begin + seconds[at]
    return waits


def _by_phase(timeline: Timeline, loads: Sequence[Load], waits: Sequence[float]) -> Outcome:
    count, times = len(timeline.phases), timeline.times
    loaded, stall, resident = [0] * count, [0.0] * count, [0] * count
    phase_of, sizes, order = timeline.phase_of, timeline.sizes, timeline.order
    for load in loads:
        loaded[phase_of[load.access]] += sizes[order[load.access]] * times[load.access]
    for at, wait in enumerate(waits):
        stall[phase_of[at]] += wait * times[at]
    for at, held in enumerate(most_held(timeline, loads)):
        if held > resident[phase_of[at]]:
            resident[phase_of[at]] = held
    return Outcome(
        tuple(
            PhaseOutcome(loaded[number], phase.seconds, stall[number], resident[number])
            for number, phase in enumerate(timeline.phases)
        )
    )


def most_held(timeline: Timeline, loads: Sequence[Load]) -> list[int]:
    """Return for each access the most bytes of weights that may be there while it runs, loads under way included.

    A block is there from the moment its load may begin until it has been used for the last time before its next load.
    """
    order, sizes = timeline.order, timeline.sizes
    count = len(order)
    change = [0] * (count + 1)
    begin: dict[int, int] = {load.access: load.after for load in loads}
    last: dict[int, int] = {}
    for at, block in enumerate(order):
        if at in begin:
            if block in last:
                change[last[block] + 1] -= sizes[block]
            change[begin[at]] += sizes[block]
        last[block] = at
    for block, at in last.items():
        change[at + 1] -= sizes[block]
    return list(itertools.accumulate(change[:-1]))
