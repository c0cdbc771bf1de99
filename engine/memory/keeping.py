"""Which blocks stay on the device between two uses: by next use where the future is known, by recency where it is not.

A decision is a bit for each access: is the block kept until its next use? Keeping by furthest next use, with the
freedom not to keep what was just used, moves the fewest bytes that any policy can where blocks are of one size (Belady
1966; the freedom to bypass makes it a choice of intervals, in which dropping the one that ends last is optimal at every
point, also where capacity changes from phase to phase).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from engine.memory.phases import Timeline

__all__ = ["WATERMARK_DEPTH", "keep_by_next_use", "keep_by_recency"]

WATERMARK_DEPTH: Final = 2
"""How many blocks are under way at a time where the future is not known."""

Keeps = bytearray
"""1 at each access whose block stays until its next use."""


def keep_by_next_use(timeline: Timeline, room: int | Sequence[int] = 0) -> Keeps:
    """Return what to keep so that the fewest bytes are loaded while `room` bytes stay free for loads under way.

    `room` is one for all, or one for each phase.
    """
    rooms = [room] * len(timeline.phases) if isinstance(room, int) else room
    order, sizes, following, limits = timeline.order, timeline.sizes, timeline.following, timeline.limits
    phase_of = timeline.phase_of
    count = len(order)
    kept = bytearray(count)
    is_here = bytearray(len(sizes))
    furthest: list[tuple[int, int]] = []  # (-next use, access); entries whose next use has come are at the bottom
    held = 0
    for at in range(count):
        block = order[at]
        size = sizes[block]
        if not is_here[block]:
            held += size
        most = limits[at] - rooms[phase_of[at]]
        while held > most and furthest and -furthest[0][0] > at:
            begin = heapq.heappop(furthest)[1]
            kept[begin] = 0
            dropped = order[begin]
            is_here[dropped] = 0
            held -= sizes[dropped]
        ends = following[at]
        if ends < count:
            kept[at] = is_here[block] = 1
            heapq.heappush(furthest, (-ends, at))
        else:
            is_here[block] = 0
            held -= size
    return kept


def keep_by_recency(timeline: Timeline, depth: int = WATERMARK_DEPTH) -> Keeps:
    """Return what is kept by a rule that knows nothing of the future but which models a phase has borrowed.

    Of other models the one that was used longest ago gives way first, its last blocks before its first; of the models
    in use a fixed beginning stays, and all beyond this watermark is streamed. Room is left for `depth` of the largest
    blocks.
    """
    order, sizes, limits, following = timeline.order, timeline.sizes, timeline.limits, timeline.following
    room = depth * max(sizes, default=0)
    kept = bytearray(len(order))
    resident = _Resident(timeline, kept)
    in_use: frozenset[str] = frozenset()
    phase = -1
    for at, block in enumerate(order):
        if timeline.phase_of[at] != phase:
            phase = timeline.phase_of[at]
            in_use = frozenset(access.block.model for access in timeline.phases[phase].accesses)
        resident.touch(timeline.blocks[block].model)
        most = limits[at] - room
        wanted = 0 if resident.is_here[block] else sizes[block]
        resident.shrink_others(most - wanted, in_use)
        if wanted and resident.held + wanted <= most:
            resident.add(block)
        resident.shrink_all(most)
        resident.last[block] = at
        if resident.is_here[block] and following[at] < len(order):
            kept[at] = 1
    return kept


class _Resident:
    """Blocks that are kept, as a stack for each model; the model used longest ago comes first."""

    def __init__(self, timeline: Timeline, kept: bytearray) -> None:
        self._blocks, self._sizes, self._kept = timeline.blocks, timeline.sizes, kept
        self._stacks: OrderedDict[str, list[int]] = OrderedDict()
        self.is_here = bytearray(len(timeline.blocks))
        self.last = [0] * len(timeline.blocks)
        self.held = 0

    def touch(self, model: str) -> None:
        self._stacks.setdefault(model, [])
        self._stacks.move_to_end(model)

    def add(self, block: int) -> None:
        self._stacks[self._blocks[block].model].append(block)
        self.is_here[block] = 1
        self.held += self._sizes[block]

    def shrink_others(self, most: int, in_use: frozenset[str]) -> None:
        """Drop of models that are not in use until `most` bytes are held, or nothing of them is left."""
        if self.held > most:
            self._shrink(most, [model for model in self._stacks if model not in in_use])

    def shrink_all(self, most: int) -> None:
        """Drop of whatever there is until no more than `most` bytes are held."""
        if self.held > most:
            self._shrink(most, list(self._stacks))

    def _shrink(self, most: int, models: list[str]) -> None:
        for model in models:
            stack = self._stacks[model]
            while stack and self.held > most:
                block = stack.pop()
                self.is_here[block] = 0
                self._kept[self.last[block]] = 0
                self.held -= self._sizes[block]
