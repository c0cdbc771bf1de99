"""A plan as streaming keeps to it: the order of uses of blocks, what stays after each, when loads may begin."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.memory.blocks import Block
from engine.memory.planning import ResidencyPlan

__all__ = ["Follower", "StreamPlan", "stream_plan"]


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The order in which blocks will be asked for, whether each stays (``kept``), and loads as (access, after).

    `blocks` are those of each model, by its key. ``optional[i]`` is 1 where it is not known whether access i comes.
    `resident` are blocks that are on the device already and stay.
    """

    order: Sequence[Block]
    kept: Sequence[int]
    loads: Sequence[tuple[int, int]]
    blocks: Mapping[str, Sequence[Block]]
    optional: Sequence[int] = ()
    resident: frozenset[Block] = frozenset()

    @property
    def loaded_bytes(self) -> int:
        """Return the bytes that it loads."""
        return sum(self.order[access].nbytes for access, _ in self.loads)


def stream_plan(
    plan: ResidencyPlan,
    blocks: Mapping[str, Sequence[Block]],
    optional: Container[int] = (),
    own: range | None = None,
) -> StreamPlan:
    """Return a whole plan as it is followed: nobody can see where a block's use ends and its next one begins.

    In the phases of the numbers `optional` something else may happen than was planned. Only those of the numbers `own`
    are carried out (None: all): what is kept in those before them is there, those after them are for another time.
    """
    timeline, loads = plan.timeline, {load.access: load.after for load in plan.loads}
    order: list[Block] = []
    kept = bytearray()
    place: list[int] = []  # access of the plan -> access as seen
    begun: list[tuple[int, int]] = []
    may_miss = bytearray()
    resident: set[Block] = set()
    for at, number in enumerate(timeline.order):
        if own is not None and timeline.phase_of[at] not in own:
            if timeline.phase_of[at] < own.start and plan.kept[at]:
                resident.add(timeline.blocks[number])
            place.append(0)
            continue
        block, missing = timeline.blocks[number], timeline.phase_of[at] in optional
        if order and order[-1] == block and may_miss[-1] == missing:
            kept[-1] = plan.kept[at]
        else:
            order.append(block)
            kept.append(plan.kept[at])
            may_miss.append(missing)
            if at in loads:
                after = loads[at]
                begun.append((len(order) - 1, place[after] if after < at else len(order) - 1))
        place.append(len(order) - 1)
    return StreamPlan(tuple(order), bytes(kept), tuple(begun), blocks, bytes(may_miss), frozenset(resident))


class Follower:
    """Goes along a plan, access by access."""

    def __init__(self, plan: StreamPlan) -> None:
        self._plan = plan
        self._at = -1
        self._next = 0
        self.passed: list[Block] = []

    def advance(self, block: Block) -> bool:
        """Go on to the next access; False where it is of another block than planned.

        Those that may be missing are passed over; `passed` are blocks that were to go at one of them.
        """
        order, optional = self._plan.order, self._plan.optional
        self._at += 1
        self.passed = []
        while self._at < len(order) and order[self._at] != block and optional and optional[self._at]:
            if not self._plan.kept[self._at]:
                self.passed.append(order[self._at])
            self._at += 1
        return self._at < len(order) and order[self._at] == block

    def pauses(self) -> bool:
        """Say whether what is next may be missing, so that the use of the present block ends here."""
        after = self._at + 1
        return after < len(self._plan.optional) and bool(self._plan.optional[after])

    def stays(self) -> bool:
        """Say whether the block of this access is kept."""
        return bool(self._plan.kept[self._at])

    def due(self) -> Iterator[Block]:
        """Yield the blocks whose loads may begin now."""
        loads = self._plan.loads
        while self._next < len(loads) and (loads[self._next][1] <= self._at or loads[self._next][0] <= self._at):
            access = loads[self._next][0]
            self._next += 1
            if access > self._at:
                yield self._plan.order[access]
