"""Two tiers of results, memory over disk, and how settings choose between them.

What memory misses is looked for on disk and then kept in memory; what is made is kept in memory and, when it is worth
the write, stored on disk beside the run.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import engine
from engine.execution.cache import PARTIAL_SECONDS, CacheFacts, Hit, Result, ResultCache, Tier, known_keys
from engine.execution.disk_cache import DiskCache
from engine.paths import Folders
from engine.settings import Settings

_WITHOUT_VALUES = frozenset({"cli", "server", "jobs", "training", "execution", "paths"})
"""Packages of the engine that do not decide what a node computes."""

_SCOPE_DIGITS = 12


class TieredCache(ResultCache):
    """A `ResultCache` over a `DiskCache`. `resize` and `clear` are about memory; what is on disk stays."""

    def __init__(self, disk: DiskCache, max_size: int) -> None:
        super().__init__(max_size)
        self.disk = disk

    def get(self, key: str) -> Result | None:
        """Return the result kept under ``key`` in either tier, or None."""
        result = super().get(key)
        return result if result is not None else self._from_disk(key)

    def lookup(self, key: str) -> Hit | None:
        """Return the result kept under ``key`` and the tier that had it, or None."""
        result = super().get(key)
        if result is not None:
            return Hit(result, "memory")
        result = self._from_disk(key)
        return None if result is None else Hit(result, "disk")

    def tier_of(self, key: str) -> Tier | None:
        """Say where the result kept under ``key`` is; nothing is read or counted."""
        return super().tier_of(key) or ("disk" if self.disk.has(key) else None)

    def put(
        self,
        result: Result,
        *keys: str | None,
        label: str = "",
        lasting: Sequence[str | None] | None = None,
        sought: bool = False,
    ) -> None:
        """Keep ``result`` under those of ``keys`` that are not None, in place of what they led to before.

        ``label``, the type of the node that made it, is what `cache stats` counts by.
        """
        wanted = known_keys(keys)
        stored = list(wanted) if lasting is None else [key for key in lasting if key is not None]
        nbytes = self._keep(result, wanted)
        self.disk.put(result, stored, label, nbytes, sought)

    def link(self, result: Result, known: str, key: str, *, lasting: bool = True) -> None:
        """Let ``key`` lead to ``result`` too, where it is still kept under ``known``."""
        super().link(result, known, key)
        if lasting:
            self.disk.link(known, key)

    def keep_partial(self, key: str, state: Any, seconds: float = PARTIAL_SECONDS) -> None:
        """Keep what a node that is still at work could go on from, also after a crash."""
        super().keep_partial(key, state, seconds)
        self.disk.keep_partial(key, state, seconds)

    def partial(self, key: str) -> Any:
        """Return what `keep_partial` kept under ``key`` last, or None."""
        state = super().partial(key)
        return self.disk.partial(key) if state is None else state

    def drop_partial(self, key: str) -> None:
        """Forget what `keep_partial` kept under ``key``."""
        super().drop_partial(key)
        self.disk.drop_partial(key)

    def flush(self) -> None:
        """Wait until everything that is worth storing is stored."""
        self.disk.flush()

    def settle(self) -> None:
        """Wait until what is worth its write is stored; what is small follows in an idle moment."""
        self.disk.settle()

    def close(self) -> None:
        """Store what is left to store and close the files; the memory tier goes on."""
        self.disk.close()

    def facts(self) -> CacheFacts:
        """Return how full the tiers are and how they have done; a hit on disk is not counted as a miss."""
        return dataclasses.replace(super().facts(), disk=self.disk.facts())

    def _from_disk(self, key: str) -> Result | None:
        found = self.disk.find(key)
        if found is None:
            return None
        self._keep(found, {key: None})
        with self._lock:
            self._misses -= 1
        return found


def open_cache(settings: Settings, folders: Folders) -> ResultCache:
    """Return the cache that ``settings`` ask for.

    ``cache_mode`` "none" keeps nothing between runs, "classic" what the last run used, and ``cache_lru`` that many
    results; these three keep to memory, as the ecosystem's options of these names do. Otherwise there are two tiers.
    """
    if settings.cache_mode == "none":
        return ResultCache(0)
    if settings.cache_mode == "classic":
        return ResultCache(settings.cache_bytes, only_last_run=True)
    if settings.cache_lru:
        return ResultCache(settings.cache_bytes, max_results=settings.cache_lru)
    if not settings.disk_cache_bytes:
        return ResultCache(settings.cache_bytes)
    return TieredCache(open_disk_cache(settings, folders), settings.cache_bytes)


def open_disk_cache(settings: Settings, folders: Folders) -> DiskCache:
    """Return the disk tier, for its own sake."""
    roots = {key: folders.directories(key)[0] for key in ("output", "temp")}
    directory = cache_directory(settings, folders)
    return DiskCache(directory, settings.disk_cache_bytes, scope=f"{code_digest()[:_SCOPE_DIGITS]}:", roots=roots)


def cache_directory(settings: Settings, folders: Folders) -> Path:
    """Return where results are stored."""
    return settings.cache_directory or folders.directories("user")[0] / "cache"


@functools.cache
def code_digest() -> str:
    """Return a digest of the code that decides what nodes compute: stored results of other code are not served.

    A node's own version covers its function alone, not what the function calls.
    """
    hasher = hashlib.sha256()
    root = Path(engine.__file__).parent
    for top in (root, root.parent / "nodes"):
        for path in sorted(top.rglob("*.py")):
            if top is root and path.relative_to(root).parts[0] in _WITHOUT_VALUES:
                continue
            data = path.read_bytes()
            hasher.update(f"{path.relative_to(root.parent).as_posix()}:{len(data)}:".encode())
            hasher.update(data)
    return hasher.hexdigest()
