"""Results on disk: they survive restarts and kill -9, and processes that run at once share them.

A result is stored as plain JSON and safetensors (`engine.execution.stored_form`), never as a pickle. Only what is worth
its write is stored: results that took longer to make than writing and reading them does, those that stand for files,
and small ones where a rerun begins to look: of wanted outputs, and the last few others. Storing happens in a thread
beside the run; kill -9 loses what that had not finished, and nothing else. What is read back is checked against its
digests; whatever does not fit is a miss and is removed. When the disk fails, the tier turns itself off and runs go on.
"""

from __future__ import annotations

import atexit
import functools
import io
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.execution.array_codecs import ArrayWriter
from engine.execution.background import Job, JobQueue, next_of, nothing
from engine.execution.cache import DiskFacts, Result, size_bytes
from engine.execution.disk_blobs import BlobFolder, discard, mark_as_cache
from engine.execution.disk_index import ROW_OVERHEAD, DiskIndex, Listed, NewRow, StoredRow, is_damage
from engine.execution.kept_files import Stamps, check_files, stamp_files
from engine.execution.stored_form import checksum, read_result, write_result
from engine.execution.value_codec import NotStorable, Outdated, Unreadable

_log = logging.getLogger("safelight.cache")

WORTH_SECONDS = 0.02
"""A result that was made faster is made again rather than stored."""

BYTES_PER_SECOND = 100e6
"""What storing and reading back is assumed to cost: a slow disk, so that no run waits for it. Measured: 400e6."""

INLINE_BYTES = 32 << 10
SMALL_BYTES = 64 << 10
RECENT = 64
SOUGHT = 20_000
"""So many small results of wanted outputs, and of other nodes, wait for a quiet moment."""
PENDING_BYTES = 256 << 20
REFRESH_SECONDS = 0.05
FAILURES = 3
INDEX = "index.sqlite"
PARTIAL = "partial:"
PARTIAL_LABEL = "(unfinished)"


class DiskCache:
    """Keeps results in a directory, within a budget in bytes. Safe to use from several threads.

    ``scope`` names the code that makes the results: only results of the same scope are found. Results that wrote files
    are only found when these lie below the present ``roots`` of their folder.
    """

    def __init__(
        self, directory: Path, budget: int, *, scope: str = "", roots: Mapping[str, Path] | None = None
    ) -> None:
        self.directory = directory
        self._budget = budget
        self._scope = scope
        self._roots = roots or {}
        self._lock = threading.Lock()
        self._blobs = BlobFolder(directory / "blobs")
        self._reader: DiskIndex | None = None
        self._writer: DiskIndex | None = None
        self._process = os.getpid()
        self._known: dict[str, None] = {}
        self._last_seq = self._version = -1
        self._looked = 0.0
        self._uses: dict[int, int] = {}
        self._partials: dict[str, Result] = {}
        self._small: dict[bool, deque[Job]] = {True: deque(maxlen=SOUGHT), False: deque(maxlen=RECENT)}
        self._recent_links: deque[tuple[str, str]] = deque(maxlen=RECENT)
        self._failures = self._hits = self._stored = self._not_worth = self._not_storable = self._damaged = 0
        self._jobs = JobQueue(PENDING_BYTES, functools.partial(_when_idle, weakref.ref(self)))
        self.problem: str | None = None
        self._tidied = False
        self._at_end = weakref.finalize(self, self._jobs.close)
        self._at_exit = functools.partial(_close, weakref.ref(self))
        atexit.register(self._at_exit)
        self._open()

    def find(self, key: str) -> Result | None:
        """Return the result stored under ``key``, or None."""
        name = self._scope + key
        if self.problem is not None or self._process != os.getpid():  # a connection does not survive a fork
            return None
        try:
            with self._lock:
                if self._reader is None or not self._is_known(name, self._reader):
                    return None
                row = self._reader.find(name)
        except sqlite3.Error as error:
            self._fail("cannot be read", error, for_good=True)
            return None
        if row is None:
            self._known.pop(name, None)
            return None
        id = row.id
        try:
            result = self._restore(row)
        except Outdated:
            return None
        except Unreadable as error:
            _log.info("a stored result is dropped: %s", error)
            self._damaged += 1
            self._known.pop(name, None)
            self._submit(lambda index: index.remove([id]))
            return None
        self._hits += 1
        self._uses[id] = self._uses.get(id, 0) + 1
        return result

    def has(self, key: str) -> bool:
        """Say whether a result is stored under ``key``, without reading it. Raises `sqlite3.Error`."""
        with self._lock:
            return self._reader is not None and self._is_known(self._scope + key, self._reader)

    def put(self, result: Result, keys: Sequence[str], label: str, nbytes: int, sought: bool = False) -> None:
        """Store ``result``, of about ``nbytes``, under ``keys``, soon and if that is worth it.

        What is ``sought`` is what the same run would look up first; that is worth it if it is small.
        """
        if self.problem is not None or not keys or self._process != os.getpid():
            return
        written = result.written()
        if not written and result.seconds < WORTH_SECONDS + nbytes / BYTES_PER_SECOND:
            self._not_worth += 1
            if nbytes <= SMALL_BYTES:
                self._small[sought].append(lambda: self._store(result, keys, label, ()))
                self._jobs.touch()
            return
        stamps = stamp_files(written)
        self._known.update((self._scope + key, None) for key in keys)  # so that `link` knows them while they wait
        self._jobs.submit(lambda: self._store(result, keys, label, stamps), nbytes)

    def link(self, known: str, key: str) -> None:
        """Let ``key`` lead to what ``known`` leads to, if that is stored."""
        first, second = self._scope + known, self._scope + key
        if second in self._known:
            return
        if first in self._known:
            self._known[second] = None
            self._submit(lambda index: index.link(first, second))
        else:
            self._recent_links.append((first, second))

    def keep_partial(self, key: str, state: Any, seconds: float) -> None:
        """Store what a node that is at work could go on from, in place of what was stored for it before."""
        if self.problem is None and self._process == os.getpid():
            self._partials[key] = Result((state,), key, seconds=seconds)
            self._jobs.submit(lambda: self._store_partial(key), size_bytes(state))

    def partial(self, key: str) -> Any:
        """Return what `keep_partial` stored last, or None."""
        found = self.find(PARTIAL + key)
        return None if found is None else found.values[0]

    def drop_partial(self, key: str) -> None:
        """Remove what `keep_partial` stored."""
        name = self._scope + PARTIAL + key
        self._partials.pop(key, None)
        self._submit(lambda index: index.forget(name))

    def flush(self) -> None:
        """Wait until everything that was put is stored."""
        if self._process == os.getpid():
            while (job := next_of(self._small.values())) is not None:
                self._jobs.submit(job)
            self._queue_notes()
            self._jobs.flush()

    def settle(self) -> None:
        """Wait until what was worth its write when it was put is stored; what is small follows in an idle moment."""
        if self._process == os.getpid():
            self._jobs.flush()

    def _tidy_up(self) -> bool:
        """Do a little in an idle moment, in the writer's thread; say whether there is more to do."""
        job = next_of(self._small.values())
        (job or self._queue_notes)()
        return job is not None

    def _queue_notes(self) -> None:
        """Queue what is known of uses and of keys for the same result."""
        while self._recent_links:
            known, key = self._recent_links.popleft()
            self._submit(functools.partial(DiskIndex.link, known=known, key=key))
        if self._uses:
            uses, self._uses = list(self._uses.items()), {}
            self._submit(lambda index: index.touch(uses))

    def close(self) -> None:
        """Store what is left to store and close the files. The cache then finds and stores nothing."""
        if self._process != os.getpid():  # a forked copy: thread and connections are its parent's
            return
        self.flush()
        self._jobs.close()
        self._at_end.detach()
        atexit.unregister(self._at_exit)
        with self._lock:
            for index in (self._reader, self._writer):
                if index is not None:
                    index.close()
            self._reader = self._writer = None

    def facts(self) -> DiskFacts:
        """Return how full the cache is and how it has done since it was opened."""
        count = size = 0
        with self._lock:
            if self._reader is not None:
                try:
                    count, size = self._reader.totals()
                except sqlite3.Error as error:
                    _log.info("the disk cache does not say how full it is: %s", error)
        return DiskFacts(
            size, self._budget, count, self._hits, self._stored, self._not_worth, self._not_storable, self._damaged,
            self.problem,
        )  # fmt: skip

    def listed(self) -> dict[int, Listed]:
        """Describe everything that is stored, of any scope, the last used first, by id. Raises `sqlite3.Error`."""
        with self._lock:
            return {} if self._reader is None else self._reader.listed()

    def remove(self, ids: Iterable[int]) -> None:
        """Remove results by the ids of `listed`."""
        wanted = list(ids)
        self._submit(lambda index: index.remove(wanted))
        self._submit(self._sweep)
        self._jobs.flush()

    def pin(self, ids: Iterable[int], pinned: bool) -> None:
        """Keep results whatever the budget says, or no longer."""
        wanted = list(ids)
        self._submit(lambda index: index.pin(wanted, pinned))
        self._jobs.flush()

    def own_key(self, name: str) -> str | None:
        """Return a stored key as it is looked up, or None when other code stored it."""
        return name.removeprefix(self._scope) if name.startswith(self._scope) else None

    def _open(self) -> None:
        """Open the index; one that is no database is begun anew."""
        path = self.directory / INDEX
        for attempt in (0, 1):
            try:
                # For its owner alone: what was asked for and made is in it.
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._blobs.make()
                mark_as_cache(self.directory)
                self._reader = DiskIndex(path, self._blobs.remove)
                self._writer = DiskIndex(path, self._blobs.remove)
                return
            except (sqlite3.Error, OSError) as error:
                self._reader = None
                if attempt or not is_damage(error):
                    self._fail("cannot be opened", error, for_good=True)
                    return
                _log.warning("the index of the disk cache is damaged (%s) and is begun anew", error)
                self._discard_index()

    def _discard_index(self) -> None:
        """Remove the index; processes that have it open keep what they have, the next to open it begins anew."""
        for suffix in ("", "-wal", "-shm"):
            discard(self.directory / (INDEX + suffix))

    def _tidy(self, index: DiskIndex) -> None:
        """Bring the cache within its budget, once in a process. Raises OSError, `sqlite3.Error`."""
        self._tidied = True
        index.shrink(self._budget)
        self._sweep(index)

    def _sweep(self, index: DiskIndex) -> None:
        """Remove files that no result needs. Raises OSError, `sqlite3.Error`."""
        with index.exclusively():
            self._blobs.sweep(index.blobs())

    def _is_known(self, name: str, index: DiskIndex) -> bool:
        """Say whether ``name`` is a stored key, as of `REFRESH_SECONDS` ago. Most are not, so a no must cost little."""
        if name in self._known:
            return True
        now = time.monotonic()
        if now - self._looked < REFRESH_SECONDS:
            return False
        self._looked = now
        version = index.changed_by_others()
        if version == self._version:
            return False
        self._version = version
        added = index.keys_after(self._last_seq)
        if added:
            self._last_seq = added[-1][0]
            self._known.update(dict.fromkeys(key for _, key in added))
        return name in self._known

    def _submit(self, work: Callable[[DiskIndex], object]) -> None:
        """Queue work on the index."""
        if self._process != os.getpid():
            return

        def job() -> None:
            if self._writer is None or self.problem is not None:
                return
            try:
                work(self._writer)
            except (sqlite3.Error, OSError) as error:
                self._fail("cannot be written", error)

        self._jobs.submit(job)

    def _store_partial(self, key: str) -> None:
        """Write the newest state of unfinished work; those that came before it while the disk was busy are not."""
        state = self._partials.pop(key, None)
        if state is not None:
            self._store(state, [PARTIAL + key], PARTIAL_LABEL, ())

    def _store(self, result: Result, keys: Sequence[str], label: str, stamps: Stamps) -> None:
        """Write one result. Runs in the writer's thread."""
        index = self._writer
        if self.problem is not None or index is None:
            return
        temporary: Path | None = None
        try:
            if not self._tidied:
                self._tidy(index)
            arrays = ArrayWriter()
            record = write_result(result, stamps, arrays)
            if arrays.nbytes + len(record) + ROW_OVERHEAD > self._budget:
                self._not_worth += 1
                return
            digest, data, place = None, None, nothing
            nbytes = arrays.nbytes
            if nbytes > INLINE_BYTES:
                digest, temporary, nbytes = self._blobs.write(nbytes, arrays.write)
                place = functools.partial(self._blobs.place, temporary, digest)
            elif arrays:
                held = io.BytesIO()
                arrays.write(held)
                data, nbytes = held.getvalue(), held.tell()
            digested, nbytes = checksum(record, digest, data), len(record) + nbytes + ROW_OVERHEAD
            row = NewRow(record, digest, data, digested, nbytes, result.seconds, label)
            names = [self._scope + key for key in keys]
            if index.store(row, names, self._budget, place):
                self._known.update(dict.fromkeys(names))
                self._stored += 1
            self._failures = 0
        except NotStorable as error:
            self._not_storable += 1
            _log.info("a result of %s is not stored: %s", label or "a node", error)
        except (sqlite3.Error, OSError) as error:
            self._fail("cannot be written", error)
        finally:
            if temporary is not None:
                discard(temporary)

    def _restore(self, row: StoredRow) -> Result:
        """Read a stored result. Raises `Unreadable` or `Outdated`."""
        if checksum(row.record, row.blob, row.data) != row.checksum:
            raise Unreadable("its record is damaged")
        data = bytearray(row.data) if row.data is not None else None
        if row.blob is not None:
            data = self._blobs.read(row.blob)
        result, stamps = read_result(row.record, data)
        check_files(result.written(), stamps, self._roots)
        return result

    def _fail(self, what: str, error: Exception, *, for_good: bool = False) -> None:
        """Warn that the disk says no; turn the tier off when it says so again and again."""
        self._failures += 1
        if is_damage(error):
            self._discard_index()
            for_good = True
        if self.problem is None and (for_good or self._failures >= FAILURES):
            self.problem = f"the disk cache in {self.directory} {what}: {getattr(error, 'strerror', None) or error}"
            _log.warning("%s; it is turned off", self.problem)
        elif self.problem is None:
            _log.warning("the disk cache in %s %s: %s", self.directory, what, error)


def _when_idle(reference: weakref.ref[DiskCache]) -> bool:
    cache = reference()
    return cache is not None and cache._tidy_up()


def _close(reference: weakref.ref[DiskCache]) -> None:
    """Store what is left at the end of the process."""
    cache = reference()
    if cache is not None:
        cache.close()
