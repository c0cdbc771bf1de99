"""Results kept in memory: bounded in bytes, least recently used first out."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.graph.content import content_key
from engine.graph.fingerprint import link_token
from engine.graph.model import EMPTY
from engine.graph.node_types import SavedFile

RESULT_OVERHEAD = 600
"""Bytes counted for a result beside its values: the records that hold it and its keys."""

KEY_OVERHEAD = 150
MAX_COUNTED = 100_000
DEFAULT_BYTES = 2 << 30
_SMALL = frozenset({int, float, bool})


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """What a node inside another's work (a loop, an expansion) showed and wrote, to be told again from the cache."""

    node_id: str
    display_id: str | None
    ui: Mapping[str, Any]
    files: tuple[SavedFile, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
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

    def files_exist(self) -> bool:
        """Say whether every file that the node wrote is still there."""
        files = itertools.chain(self.files, *(one.files for one in self.shown))
        return all(Path(file.path).is_file() for file in files)


@dataclasses.dataclass(slots=True, eq=False)
class _Entry:
    result: Result
    size: int
    # A dict as an ordered set: one result may be what a hundred thousand nodes make, and the garbage collector
    # leaves a dict of text alone, which it does not do with a list or a set.
    keys: dict[str, None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class CacheFacts:
    """How full a cache is and how it has done: bytes, results, and counts since it was made."""

    size: int
    max_size: int
    results: int
    hits: int
    misses: int
    evictions: int


class ResultCache:
    """Keeps results by their keys until they take more than ``max_size`` bytes. Safe to use from several threads.

    A result has several keys: how it was made, and what it was made from; more when other nodes turn out to make
    the same. A result larger than the whole cache is not kept, and neither is anything when ``max_size`` is 0.
    """

    def __init__(self, max_size: int = DEFAULT_BYTES) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, _Entry] = {}
        self._by_age: OrderedDict[int, _Entry] = OrderedDict()  # by id of the entry, oldest use first
        self._max_size = max_size
        self._size = 0
        self._hits = self._misses = self._evictions = 0

    def get(self, key: str) -> Result | None:
        """Return the result kept under ``key`` and count it as used, or None. Files that are gone make it None."""
        with self._lock:
            entry = self._by_key.get(key)
            if entry is None:
                self._misses += 1
                return None
            self._hits += 1
            self._by_age.move_to_end(id(entry))
        if entry.result.files_exist():  # asked outside the lock: disks are slow
            return entry.result
        with self._lock:
            self._hits -= 1
            self._misses += 1
            if self._by_key.get(key) is entry:
                self._drop(entry)
        return None

    def put(self, result: Result, *keys: str | None) -> None:
        """Keep ``result`` under those of ``keys`` that are not None, in place of what they led to before."""
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        size = RESULT_OVERHEAD + sum(map(size_bytes, result.values)) + (size_bytes(result.ui) if result.ui else 0)
        with self._lock:
            for key in wanted:
                self._forget(key)
            if not wanted or size + KEY_OVERHEAD * len(wanted) > self._max_size:
                return
            entry = _Entry(result, size)
            self._by_age[id(entry)] = entry
            self._size += size
            for key in wanted:
                self._attach(entry, key)
            self._shrink()

    def link(self, result: Result, known: str, key: str) -> None:
        """Let ``key`` lead to ``result`` too, if it is still kept under ``known``."""
        with self._lock:
            entry = self._by_key.get(known)
            if entry is None or entry.result is not result or self._by_key.get(key) is entry:
                return
            self._forget(key)
            self._attach(entry, key)
            self._shrink()

    def resize(self, max_size: int) -> None:
        """Set the bound in bytes, letting go of what no longer fits."""
        with self._lock:
            self._max_size = max_size
            self._shrink()

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._by_key.clear()
            self._by_age.clear()
            self._size = 0

    def facts(self) -> CacheFacts:
        """Return how full the cache is and how it has done."""
        with self._lock:
            return CacheFacts(self._size, self._max_size, len(self._by_age), self._hits, self._misses, self._evictions)

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
        self._by_age.pop(id(entry))
        self._size -= entry.size

    def _shrink(self) -> None:
        while self._size > self._max_size:
            self._drop(next(iter(self._by_age.values())))
            self._evictions += 1


def size_bytes(value: Any) -> int:
    """Estimate the bytes that ``value`` holds, each part counted once.

    Arrays, tensors and whatever else says ``nbytes`` are believed; containers, dataclasses and pictures are looked
    into; any other object counts as itself alone.
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
    if isinstance(nbytes, int):
        return nbytes
    pil = sys.modules.get("PIL.Image")  # never imported here: a picture can only exist when it is
    if pil is not None and isinstance(value, pil.Image):
        return int(value.width * value.height * (4 if value.mode in ("I", "F") else len(value.getbands())))
    return None
