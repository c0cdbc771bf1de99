"""Results kept in memory: bounded in bytes; what is large and cheap to remake goes first.

Which result goes is decided by GreedyDual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with
Greedy-Dual-Size-Frequency Caching Policy", HPL-98-69, 1998, after Cao and Irani, "Cost-Aware WWW Proxy Caching
Algorithms", 1997): each result has the rank ``floor + uses * seconds / bytes``, the lowest rank goes, and ``floor``
is then raised to it, so that what is not used any more sinks below what comes in. Getting a result only writes its new
rank down; the heap hears of it when the old rank comes up, so a use costs O(1) and an eviction O(log n).
"""

from __future__ import annotations

import dataclasses
import heapq
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from engine.execution.kept_files import Stamps, files_unchanged, stamp_files
from engine.graph.content import content_key
from engine.graph.fingerprint import link_token
from engine.graph.hot_records import hot_record
from engine.graph.model import EMPTY
from engine.graph.node_types import SavedFile

RESULT_OVERHEAD = 600
"""Bytes counted for a result beside its values: the records that hold it and its keys."""

KEY_OVERHEAD = 150
MAX_COUNTED = 100_000
DEFAULT_BYTES = 2 << 30
RUN_SECONDS = 1e-4
"""What running any node costs beside the node itself; keeps results that took no time comparable by size."""

PARTIAL_SECONDS = 60.0
"""What unfinished work is taken to have cost where nobody says: it is kept for what takes long."""

_SMALL = frozenset({int, float, bool})
_PARTIAL = "partial:"

Tier = Literal["memory", "disk"]


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """What a node inside another's work (a loop, an expansion) showed and wrote, to be told again from the cache."""

    node_id: str
    display_id: str | None
    ui: Mapping[str, Any]
    files: tuple[SavedFile, ...]


@hot_record(eq=False)
class Result:
    """What a node made: its output values, what it shows, what it wrote. Never changes.

    ``origin`` is the key of what made it; it names values whose content cannot be told. ``shown`` is what the output
    nodes inside its work showed. ``_tokens`` only remembers what `token` found, because hashing a video takes a while
    and most slots are never asked for.
    """

    values: tuple[Any, ...]
    origin: str
    ui: Mapping[str, Any] = dataclasses.field(default_factory=lambda: EMPTY)
    files: tuple[SavedFile, ...] = ()
    seconds: float = 0.0
    shown: tuple[Shown, ...] = ()
    _tokens: dict[int, str] = dataclasses.field(default_factory=dict, repr=False)

    def token(self, slot: int) -> str:
        """Return the content token of output ``slot``."""
        token = self._tokens.get(slot)
        if token is None:
            token = content_key(self.values[slot]) or link_token(self.origin, slot)
            self._tokens[slot] = token
        return token

    def written(self) -> tuple[SavedFile, ...]:
        """Return every file that the node and the nodes inside its work wrote."""
        return (*self.files, *(file for one in self.shown for file in one.files)) if self.shown else self.files


class Hit(NamedTuple):
    """A result that was found, and where."""

    result: Result
    tier: Tier


@dataclasses.dataclass(slots=True, eq=False)
class _Entry:
    result: Result
    size: int
    value: float
    """Seconds to remake per byte kept."""
    number: int
    # A dict as an ordered set: one result may be what a hundred thousand nodes make, and the garbage collector
    # leaves a dict of text alone, which it does not do with a list or a set.
    keys: dict[str, None]
    stamps: Stamps = ()
    uses: int = 1
    rank: float = 0.0
    tick: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class DiskFacts:
    """How the disk tier of a cache has done since it was opened; ``problem`` says why it was turned off, or is None."""

    size: int
    max_size: int
    results: int
    hits: int
    stored: int
    not_worth: int
    not_storable: int
    damaged: int
    problem: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class CacheFacts:
    """How full a cache is and how it has done: bytes, results, and counts since it was made."""

    size: int
    max_size: int
    results: int
    hits: int
    misses: int
    evictions: int
    disk: DiskFacts | None = None


class ResultCache:
    """Keeps results by their keys until they take more than ``max_size`` bytes. Safe to use from several threads.

    A result has several keys: how it was made, and what it was made from; more when other nodes turn out to make
    the same. A result larger than the whole cache is not kept, and neither is anything when ``max_size`` is 0.

    With ``max_results`` no more than so many are kept, and the least recently used go first. With ``only_last_run``
    each `start_run` lets go of what the new run cannot use.
    """

    def __init__(
        self, max_size: int = DEFAULT_BYTES, *, max_results: int | None = None, only_last_run: bool = False
    ) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, _Entry] = {}
        self._entries: dict[int, _Entry] = {}
        self._heap: list[tuple[float, int, int]] = []  # rank, tick of that rank, number of the entry
        self._unsorted: list[int] = []  # numbers that the heap has not heard of: nothing had to go since they came
        self._max_size = max_size
        self._max_results = max_results
        self._only_last_run = only_last_run
        self._size = self._tick = self._numbers = 0
        self._floor = 0.0
        self._hits = self._misses = self._evictions = 0

    def get(self, key: str) -> Result | None:
        """Return the result kept under ``key`` and count it as used, or None.

        Files that are gone or changed make it None.
        """
        with self._lock:
            entry = self._by_key.get(key)
            if entry is None:
                self._misses += 1
                return None
            self._hits += 1
            entry.uses += 1
            self._rank(entry)
        if not entry.stamps or files_unchanged(
            entry.result.written(), entry.stamps
        ):  # outside the lock: disks are slow
            return entry.result
        with self._lock:
            self._hits -= 1
            self._misses += 1
            if self._by_key.get(key) is entry:
                self._drop(entry)
        return None

    def lookup(self, key: str) -> Hit | None:
        """Return what `get` does, and the tier that had it."""
        result = self.get(key)
        return None if result is None else Hit(result, "memory")

    def tier_of(self, key: str) -> Tier | None:
        """Say where the result kept under ``key`` is, None where nowhere; nothing is read or counted."""
        with self._lock:
            entry = self._by_key.get(key)
        return "memory" if entry is not None and files_unchanged(entry.result.written(), entry.stamps) else None

    def put(
        self,
        result: Result,
        *keys: str | None,
        label: str = "",
        lasting: Sequence[str | None] | None = None,
        sought: bool = False,
    ) -> None:
        """Keep ``result`` under those of ``keys`` that are not None, in place of what they led to before.

        ``label`` says what kind of node made it; only tiers that report on what they hold use it. A tier that outlives
        the process keeps it under the keys in ``lasting`` alone (None: all). What is ``sought``, the result of a wanted
        output, is what the same run would look up first.
        """
        self._keep(result, known_keys(keys))

    def link(self, result: Result, known: str, key: str, *, lasting: bool = True) -> None:
        """Let ``key`` lead to ``result`` too, if it is still kept under ``known``; on disk too if ``lasting``."""
        with self._lock:
            entry = self._by_key.get(known)
            if entry is None or entry.result is not result or self._by_key.get(key) is entry:
                return
            self._forget(key)
            self._attach(entry, key)
            self._shrink()

    def start_run(self, keys: Iterable[str | None]) -> None:
        """Say that a run begins whose nodes have ``keys``; matters with ``only_last_run`` alone."""
        if not self._only_last_run:
            return
        with self._lock:
            wanted = {entry.number for key in keys if key and (entry := self._by_key.get(key)) is not None}
            for entry in [entry for number, entry in self._entries.items() if number not in wanted]:
                self._drop(entry)

    def keep_partial(self, key: str, state: Any, seconds: float = PARTIAL_SECONDS) -> None:
        """Keep what a node that is still at work could go on from, in place of what was kept under ``key`` before.

        ``state`` is plain data and tensors; ``seconds`` is what it took to get there.
        """
        self._keep(Result((state,), key, seconds=seconds), {_PARTIAL + key: None})

    def partial(self, key: str) -> Any:
        """Return what `keep_partial` kept under ``key`` last, or None."""
        result = self.get(_PARTIAL + key)
        return None if result is None else result.values[0]

    def drop_partial(self, key: str) -> None:
        """Forget what `keep_partial` kept under ``key``."""
        with self._lock:
            self._forget(_PARTIAL + key)

    def resize(self, max_size: int) -> None:
        """Set the bound in bytes, letting go of what no longer fits."""
        with self._lock:
            self._max_size = max_size
            self._shrink()

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._by_key.clear()
            self._entries.clear()
            self._heap.clear()
            self._unsorted.clear()
            self._size = 0

    def flush(self) -> None:
        """Wait until all that was put is where it will stay."""

    def settle(self) -> None:
        """Wait until what took long to make is where it will stay."""

    def close(self) -> None:
        """Write what is left to write and let go of files; the cache may still be used, without its lower tiers."""

    def facts(self) -> CacheFacts:
        """Return how full the cache is and how it has done."""
        with self._lock:
            return CacheFacts(self._size, self._max_size, len(self._entries), self._hits, self._misses, self._evictions)

    def _keep(self, result: Result, wanted: dict[str, None]) -> int:
        """Keep ``result`` under ``wanted``, which becomes the cache's own; return its estimated bytes."""
        size = RESULT_OVERHEAD + sum(map(size_bytes, result.values)) + (size_bytes(result.ui) if result.ui else 0)
        stamps = stamp_files(result.written()) if result.files or result.shown else ()
        whole = size + KEY_OVERHEAD * len(wanted)
        with self._lock:
            for key in wanted:
                if key in self._by_key:
                    self._forget(key)
            if not wanted or whole > self._max_size or self._max_results == 0:
                return size
            if self._size + whole > self._max_size or self._max_results is not None:
                self._shrink(whole, 1)
            self._numbers += 1
            value = (result.seconds + RUN_SECONDS) / whole
            entry = _Entry(result, whole, value, self._numbers, wanted, stamps)
            self._rank(entry)
            self._entries[entry.number] = entry
            self._unsorted.append(entry.number)
            self._size += whole
            for key in wanted:
                self._by_key[key] = entry
        return size

    def _rank(self, entry: _Entry) -> None:
        self._tick += 1
        entry.tick = self._tick
        entry.rank = self._floor + entry.uses * entry.value if self._max_results is None else 0.0

    def _attach(self, entry: _Entry, key: str) -> None:
        self._by_key[key] = entry
        entry.keys[key] = None
        entry.size += KEY_OVERHEAD
        self._size += KEY_OVERHEAD

    def _forget(self, key: str) -> None:
        """Take ``key`` from the entry it leads to; an entry without keys goes."""
        entry = self._by_key.pop(key, None)
        if entry is None:
            return
        entry.keys.pop(key, None)
        entry.size -= KEY_OVERHEAD
        self._size -= KEY_OVERHEAD
        if not entry.keys:
            self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        for key in entry.keys:
            del self._by_key[key]
        del self._entries[entry.number]
        self._size -= entry.size
        if len(self._heap) + len(self._unsorted) > 64 + 2 * len(self._entries):  # entries that went by another way
            self._unsorted = list(self._entries)
            self._heap.clear()

    def _shrink(self, room: int = 0, places: int = 0) -> None:
        """Let go of the lowest ranks until ``room`` more bytes and ``places`` more results fit."""
        most = sys.maxsize if self._max_results is None else self._max_results
        while self._entries and (self._size + room > self._max_size or len(self._entries) + places > most):
            for number in self._unsorted:
                if (entry := self._entries.get(number)) is not None:
                    heapq.heappush(self._heap, (entry.rank, entry.tick, number))
            self._unsorted.clear()
            rank, tick, number = heapq.heappop(self._heap)
            entry = self._entries.get(number)
            if entry is None:
                continue
            if tick != entry.tick:
                heapq.heappush(self._heap, (entry.rank, entry.tick, number))
                continue
            self._floor = rank
            self._drop(entry)
            self._evictions += 1


def known_keys(keys: Iterable[str | None]) -> dict[str, None]:
    """Return those of ``keys`` that are not None, each once, in their order."""
    known = dict.fromkeys(keys)
    known.pop(None, None)
    return known  # type: ignore[return-value]


def size_bytes(value: Any) -> int:
    """Estimate the bytes that ``value`` holds, each part counted once.

    Arrays, tensors and whatever else says ``nbytes`` are believed; containers, dataclasses (whose ``nbytes`` may be
    those of a file that they name) and pictures are looked into; any other object counts as itself alone.
    """
    if value is None or type(value) in _SMALL:
        return 32
    total = 0
    seen: set[int] = set()
    pending = [value]
    while pending and len(seen) < MAX_COUNTED:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        bulk = _bulk(one)
        total += sys.getsizeof(one, 64) if bulk is None else 64 + bulk
        if bulk is not None or isinstance(one, (str, bytes, bytearray, int, float, type)):
            continue
        if isinstance(one, (dict, MappingProxyType)):
            pending.extend(one.keys())
            pending.extend(one.values())
        elif isinstance(one, (list, tuple, set, frozenset)):
            pending.extend(one)
        elif dataclasses.is_dataclass(one):
            pending.extend(getattr(one, field.name) for field in dataclasses.fields(one))
    return total


def _bulk(value: Any) -> int | None:
    """Return the bytes of an array's or a picture's data, or None for any other value."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int) and not dataclasses.is_dataclass(value):
        return nbytes
    pil = sys.modules.get("PIL.Image")  # never imported here: a picture can only exist when it is
    if pil is not None and isinstance(value, pil.Image):
        return int(value.width * value.height * (4 if value.mode in ("I", "F") else len(value.getbands())))
    return None
