"""Plan the weights of some phases: what stays, when what is loaded, how much room loads under way are left.

The plan is a pure function of phases, capacity and link. Several ways are simulated and the fastest is taken; of ways
that are equally fast, the one that moves the fewest bytes. Among them is always the rule that needs no knowledge of the
future, so that a plan is never worse than that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final, Literal

from engine.memory.keeping import WATERMARK_DEPTH, keep_by_next_use, keep_by_recency
from engine.memory.phases import Link, Phase, Timeline, lay_out
from engine.memory.simulation import Load, Outcome, schedule_loads, simulate, waiting

__all__ = ["EQUALLY_FAST", "Misfit", "ResidencyPlan", "make_plan", "smallest_capacity", "whole_plan"]

Policy = Literal["next use", "recency"]
"""Whether the future decides what stays, or the past."""

ROOMS: Final = (0.0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 3 / 8)
"""Tried as room for loads under way, as shares of the smallest limit."""
SWEEP_ROOMS: Final = (1 / 64, 1 / 32, 1 / 16)
OTHER_ROOMS: Final = (1 / 4, 3 / 8)
"""Tried where phases sweep over more than the device holds: there each byte of room is a byte to load in every sweep,
so they get less than phases between them, in which the next network's weights come."""
FEW_ACCESSES: Final = 15_000
MANY_ACCESSES: Final = 60_000
MOST_ACCESSES: Final = 400_000
"""Timelines longer than the first are planned with the same room in all phases, longer than the second with one size of
room, longer than the third by recency alone: planning is to take a second or a hundredth of the run at most. 50 jobs
have some 30,000."""
ONE_ROOM: Final = (1 / 8,)
EQUALLY_FAST: Final = 2e-3
"""Ways whose waiting differs by no more than this share of the computing are told apart by the bytes they move: at a
thousandth a third more are moved (benchmarks/residency.py), at three thousandths some wait longer than simpler ways."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Say that phase number `phase` needs at least `needed` bytes, with nothing on the device but one block."""

    phase: int
    needed: int


@dataclass(frozen=True, slots=True)
class ResidencyPlan:
    """What to keep and load. ``kept[i]`` is 1 where the block of access i stays; `policy` says which way won.

    `chosen` is what the policy keeps; `kept` adds blocks whose next load could begin when they would be dropped. `room`
    is left for loads under way, `sweep_room` in phases that sweep over more than the device holds.
    """

    timeline: Timeline
    chosen: bytes
    kept: bytes
    loads: tuple[Load, ...]
    room: int
    sweep_room: int
    policy: Policy
    outcome: Outcome


def smallest_capacity(phases: Sequence[Phase]) -> int:
    """Return the fewest bytes that weights and activations together can do with."""
    return max((phase.activation_bytes + phase.largest_block for phase in phases), default=0)


def make_plan(phases: Sequence[Phase], capacity: int | Sequence[int], link: Link) -> ResidencyPlan | Misfit:
    """Plan `phases` within `capacity` bytes of weights and activations, for all phases or for each.

    Returns a `Misfit` for the neediest phase where one cannot run even with a single block at a time.
    """
    misfit = _misfit(phases, capacity)
    if misfit is not None:
        return misfit
    timeline = lay_out(phases, capacity)
    found = [way for way in (_judged(timeline, link, *way) for way in _ways(timeline)) if way is not None]
    fastest = min(way.stall for way in found) + EQUALLY_FAST * timeline.compute_seconds
    best = min((way for way in found if way.stall <= fastest), key=lambda way: (way.loaded, way.stall))
    parted = [way for way in (_judged(timeline, link, *way) for way in _parted_ways(timeline)) if way is not None]
    better = [way for way in parted if way.stall <= best.stall and way.loaded < best.loaded]
    best = min(better, key=lambda way: (way.loaded, way.stall), default=best)
    outcome = simulate(timeline, best.loads, link)
    return ResidencyPlan(timeline, best.chosen, best.kept, best.loads, best.room, best.sweep_room, best.policy, outcome)


def whole_plan(plan: ResidencyPlan, capacity: int | Sequence[int], link: Link) -> ResidencyPlan:
    """Return the same plan with every sweep laid out by itself, as it is carried out."""
    phases = plan.timeline.phases
    timeline = lay_out(phases, capacity, whole=True)
    kept = bytes(_spread(plan))
    depth = WATERMARK_DEPTH if plan.policy == "recency" else None
    made = schedule_loads(timeline, kept, depth)
    if made is None:  # sweeps between the first and the last differ among themselves, which blocks of odd sizes can do
        kept = bytes(keep_by_next_use(timeline, _rooms(timeline, plan.room, plan.sweep_room)))
        made = schedule_loads(timeline, kept)
    assert made is not None
    outcome = simulate(timeline, made.loads, link)
    return ResidencyPlan(timeline, kept, made.kept, made.loads, plan.room, plan.sweep_room, plan.policy, outcome)


def _spread(plan: ResidencyPlan) -> Iterator[int]:
    """Yield the bits of each sweep, those of a typical sweep as often as it stands for one."""
    at, timeline = 0, plan.timeline
    for number, phase in enumerate(timeline.phases):
        width = len(phase.accesses)
        while width and at < len(timeline) and timeline.phase_of[at] == number:
            yield from plan.chosen[at : at + width] * timeline.times[at]
            at += width


def _misfit(phases: Sequence[Phase], capacity: int | Sequence[int]) -> Misfit | None:
    capacities = [capacity] * len(phases) if isinstance(capacity, int) else list(capacity)
    lacking = [
        (phase.activation_bytes + phase.largest_block - most, number)
        for number, (phase, most) in enumerate(zip(phases, capacities, strict=True))
        if phase.activation_bytes + phase.largest_block > most
    ]
    if not lacking:
        return None
    number = max(lacking)[1]
    return Misfit(number, phases[number].activation_bytes + phases[number].largest_block)


Way = tuple[bytearray, int, int, Policy]
"""What is kept, room for loads, room for them in sweeps, policy."""


def _ways(timeline: Timeline) -> Iterator[Way]:
    """Yield ways with the same room in all phases."""
    smallest = min(timeline.limits, default=0)
    count = len(timeline)
    for share in ROOMS if count <= MANY_ACCESSES else ONE_ROOM if count <= MOST_ACCESSES else ():
        room = int(smallest * share)
        yield _settled(timeline, keep_by_next_use(timeline, room)), room, room, "next use"
    yield keep_by_recency(timeline), 0, 0, "recency"


def _parted_ways(timeline: Timeline) -> Iterator[Way]:
    """Yield ways with less room in sweeps than in other phases, where there are both."""
    smallest = min(timeline.limits, default=0)
    if len(timeline) > FEW_ACCESSES or not any(_sweeps(timeline)) or all(_sweeps(timeline)):
        return
    for other, sweep in itertools.product(OTHER_ROOMS, SWEEP_ROOMS):
        room, sweep_room = int(smallest * other), int(smallest * sweep)
        kept = keep_by_next_use(timeline, _rooms(timeline, room, sweep_room))
        yield _settled(timeline, kept), room, sweep_room, "next use"


def _rooms(timeline: Timeline, room: int, sweep_room: int) -> list[int]:
    """Return the room for loads under way in each phase."""
    return [sweep_room if sweeps else room for sweeps in _sweeps(timeline)]


def _sweeps(timeline: Timeline) -> list[bool]:
    """Say for each phase whether it sweeps several times over more than the device holds."""
    limits = dict(zip(timeline.phase_of, timeline.limits, strict=True))
    return [
        phase.repeats > 1 and phase.weight_bytes > limits.get(number, 0) for number, phase in enumerate(timeline.phases)
    ]


def _settled(timeline: Timeline, kept: bytearray) -> bytearray:
    """Let typical sweeps keep what the second one does: where they differ, so would those that they stand for."""
    settled = bytearray(kept)
    at = 0
    while at < len(timeline):
        width = len(timeline.phases[timeline.phase_of[at]].accesses)
        if timeline.times[at] > 1:
            settled[at : at + width] = settled[at - width : at]
        at += width
    return settled


@dataclass(frozen=True, slots=True)
class _Way:
    chosen: bytes
    kept: bytes
    room: int
    sweep_room: int
    policy: Policy
    loads: tuple[Load, ...]
    stall: float
    loaded: int


def _judged(timeline: Timeline, link: Link, kept: bytearray, room: int, sweep_room: int, policy: Policy) -> _Way | None:
    made = schedule_loads(timeline, kept, WATERMARK_DEPTH if policy == "recency" else None)
    if made is None:
        return None
    loads = made.loads
    waits, order, sizes, times = waiting(timeline, loads, link), timeline.order, timeline.sizes, timeline.times
    stall = sum(map(mul, waits, times))
    return _Way(
        bytes(kept),
        made.kept,
        room,
        sweep_room,
        policy,
        loads,
        stall,
        sum(sizes[order[one.access]] * times[one.access] for one in loads),
    )
