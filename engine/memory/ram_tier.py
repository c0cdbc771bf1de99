"""The tier below a device: which networks stay in the machine's own memory, and which are read from the disk again.

A network that is needed must be there whole; networks that a node needs together must be there together. What gives way
is what is needed last again, by the same rule as on the device; where that reads no less than recency does, recency it
is. Weights are never written, so giving way is being dropped: pages of a mapped file go back to the system, copies in
another number format are freed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from engine.memory.making import Held

__all__ = ["NEVER", "Expected", "RamPlan", "Use", "plan_ram"]

Use = tuple[str, ...]
"""Keys of networks that are needed together, in the order in which they are asked for."""

NEVER: Final = 1 << 62

NextUse = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class RamPlan:
    """What is needed in order, and what that takes: bytes read from the disk, the most bytes held at a time.

    ``reads[i]`` are the networks that are read for use i. `over` says that a single use needs more than the limit.
    `held` says what those networks hold that do not hold all their weights; `aside_bytes` are left for making one.
    """

    uses: tuple[Use, ...]
    reads: tuple[Use, ...]
    read_bytes: int
    peak_bytes: int
    over: bool
    policy: Literal["next use", "recency"]
    held: Mapping[str, Held] = field(default_factory=dict)
    aside_bytes: int = 0


def plan_ram(uses: Sequence[Use], sizes: Mapping[str, int], limit: int | None) -> RamPlan:
    """Plan what stays within `limit` bytes (None: no limit); `sizes` are those of the networks in memory."""
    by_next_use = _simulate(uses, sizes, limit, True)
    by_recency = _simulate(uses, sizes, limit, False)
    return by_recency if by_recency.read_bytes < by_next_use.read_bytes else by_next_use


def _simulate(uses: Sequence[Use], sizes: Mapping[str, int], limit: int | None, by_next_use: bool) -> RamPlan:
    expected = Expected(uses)
    here: OrderedDict[str, None] = OrderedDict()  # least recently used first
    reads: list[Use] = []
    held = peak = 0
    over = False
    for use in uses:
        read: list[str] = []
        in_use: set[str] = set()
        for key in use:
            expected.reach(key)
            if key not in here:
                while limit is not None and held + sizes[key] > limit:
                    gone = victim(
                        (one for one in here if one not in in_use), expected.next_use if by_next_use else None
                    )
                    if gone is None:
                        over = True
                        break
                    del here[gone]
                    held -= sizes[gone]
                here[key] = None
                held += sizes[key]
                read.append(key)
            here.move_to_end(key)
            in_use.add(key)
            peak = max(peak, held)
        while limit is not None and held > limit:  # what was needed together was more than there is
            gone = victim(here, expected.next_use if by_next_use else None)
            assert gone is not None
            del here[gone]
            held -= sizes[gone]
        reads.append(tuple(read))
    total = sum(sizes[key] for read in reads for key in read)
    return RamPlan(tuple(uses), tuple(reads), total, peak, over, "next use" if by_next_use else "recency")


def victim(keys: Iterable[str], next_use: NextUse | None) -> str | None:
    """Return which of `keys`, the least recently used first, gives way: the one needed last, or the first."""
    if next_use is None:
        return next(iter(keys), None)
    return max(keys, key=next_use, default=None)  # of several the first


class Expected:
    """Where a run is among the uses that are expected of it."""

    def __init__(self, uses: Sequence[Use]) -> None:
        self._uses = uses
        self._at = -1
        self._places: dict[str, list[int]] = {}
        for number, use in enumerate(uses):
            for key in use:
                self._places.setdefault(key, []).append(number)

    def reach(self, key: str) -> bool:
        """Note that a network is asked for; False where it was not expected any more."""
        now = max(self._at, 0)
        place = next((place for place in self._places.get(key, ()) if place >= now), None)
        if place is None:
            return False
        self._at = place
        return True

    def next_use(self, key: str) -> int:
        """Return the number of the use that needs `key` next, the present one included, or `NEVER`."""
        return next((place for place in self._places.get(key, ()) if place >= self._at), NEVER)
