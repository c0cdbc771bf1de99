"""A model of torch's caching allocator: how much it takes from the device for a sequence of allocations.

The rules are those of its native form: sizes are rounded to 512 bytes; up to 1 MiB comes from segments of 2 MiB, up to
10 MiB from segments of 20 MiB, more from a segment of its own in steps of 2 MiB; the smallest free piece that is large
enough is taken, and split where enough is left. Segments are never given back. With expandable segments each of the two
pools is one range of addresses that grows at its end.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Event", "reserved_by", "rounded"]

ROUNDING: Final = 512
SMALL: Final = 1 << 20
SMALL_SEGMENT: Final = 2 << 20
LARGE_SEGMENT: Final = 20 << 20
FROM_LARGE: Final = 10 << 20
STEP: Final = 2 << 20

Event = tuple[int, int]
"""(key, bytes) of an allocation, or (key, -1) where it is given back."""


def rounded(nbytes: int) -> int:
    """Return what an allocation of `nbytes` holds."""
    return max(ROUNDING, -(-nbytes // ROUNDING) * ROUNDING)


def reserved_by(events: Iterable[Event], *, expandable: bool = False) -> int:
    """Return the bytes taken from the device after all `events`, which is the most there ever was."""
    pools = _Pool(expandable, small=True), _Pool(expandable, small=False)
    held: dict[int, tuple[_Pool, _Piece]] = {}
    for key, nbytes in events:
        if nbytes < 0:
            pool, piece = held.pop(key)
            pool.give_back(piece)
        elif nbytes:
            size = rounded(nbytes)
            pool = pools[size > SMALL]
            held[key] = pool, pool.take(size)
        else:
            held[key] = pools[0], _Piece(0, 0)
    return sum(pool.reserved for pool in pools)


@dataclass(slots=True)
class _Piece:
    """A stretch of a segment, with its neighbours in it."""

    place: int
    size: int
    is_free: bool = False
    before: _Piece | None = field(default=None, repr=False)
    after: _Piece | None = field(default=None, repr=False)


class _Pool:
    def __init__(self, expandable: bool, small: bool) -> None:
        self._expandable, self._small = expandable, small
        self._free: list[tuple[int, int]] = []  # (size, place), sorted
        self._pieces: dict[int, _Piece] = {}  # free ones by place
        self._last: _Piece | None = None  # of the range that can grow
        self.reserved = 0

    def take(self, size: int) -> _Piece:
        at = bisect_left(self._free, (size, -1))
        piece = self._pieces.pop(self._free.pop(at)[1]) if at < len(self._free) else self._more(size)
        piece.is_free = False
        self._split(piece, size)
        return piece

    def give_back(self, piece: _Piece) -> None:
        if not piece.size:
            return
        for other in (piece.before, piece.after):
            if other is not None and other.is_free:
                self._forget(other)
                piece = self._joined(*((other, piece) if other is piece.before else (piece, other)))
        self._keep(piece)

    def _more(self, size: int) -> _Piece:
        unit = SMALL_SEGMENT if self._small else LARGE_SEGMENT
        if self._expandable:
            return self._grown(size, unit)
        segment = unit if size < (SMALL_SEGMENT if self._small else FROM_LARGE) else -(-size // STEP) * STEP
        piece = _Piece(self.reserved, segment)
        self.reserved += segment
        return piece

    def _grown(self, size: int, unit: int) -> _Piece:
        last = self._last
        there = last.size if last is not None and last.is_free else 0
        more = -(-(size - there) // unit) * unit
        piece = _Piece(self.reserved, more, before=last)
        if last is not None:
            last.after = piece
        self.reserved += more
        self._last = piece
        if last is not None and last.is_free:
            self._forget(last)
            piece = self._joined(last, piece)
        return piece

    def _split(self, piece: _Piece, size: int) -> None:
        left = piece.size - size
        if left < ROUNDING or (not self._small and not self._expandable and left <= SMALL):
            return
        rest = _Piece(piece.place + size, left, before=piece, after=piece.after)
        if piece.after is not None:
            piece.after.before = rest
        piece.size, piece.after = size, rest
        if self._last is piece:
            self._last = rest
        self._keep(rest)

    def _joined(self, first: _Piece, second: _Piece) -> _Piece:
        first.size += second.size
        first.after = second.after
        if second.after is not None:
            second.after.before = first
        if self._last is second:
            self._last = first
        return first

    def _keep(self, piece: _Piece) -> None:
        piece.is_free = True
        insort(self._free, (piece.size, piece.place))
        self._pieces[piece.place] = piece

    def _forget(self, piece: _Piece) -> None:
        piece.is_free = False
        del self._free[bisect_left(self._free, (piece.size, piece.place))]
        del self._pieces[piece.place]
