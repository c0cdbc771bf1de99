"""The index of the disk cache: which keys lead to which stored results, what they cost, what is pinned.

An SQLite database in write-ahead mode, so several processes may use it at once and one that is killed leaves the last
whole state behind. Results have their JSON here and, when they are small, their bulk too; the bulk of larger ones is a
file of `engine.execution.disk_blobs`, named by its digest, which results with equal bulk share. Files are put in place
and removed inside the transaction that adds or removes their last row, so no other process can lose one that it has
just counted on.

What goes when the budget is full is decided as in memory (GreedyDual-Size-Frequency, see `engine.execution.cache`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

LAYOUT = 1
"""Raise it when the tables or the stored form of values change: a database of another layout is emptied."""

ROW_OVERHEAD = 512
"""Bytes counted for a result beside its JSON and its bulk."""

WAIT_SECONDS = 20.0
_EVICT_AT_ONCE = 16

_TABLES = """
CREATE TABLE results (
    id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL, blob TEXT, data BLOB, checksum TEXT NOT NULL,
    nbytes INTEGER NOT NULL, seconds REAL NOT NULL, label TEXT NOT NULL, created REAL NOT NULL, used REAL NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0, rank REAL NOT NULL, pinned INTEGER NOT NULL DEFAULT 0);
CREATE INDEX results_by_rank ON results (pinned, rank);
CREATE INDEX results_by_blob ON results (blob) WHERE blob IS NOT NULL;
CREATE TABLE keys (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, result INTEGER NOT NULL);
CREATE INDEX keys_by_result ON keys (result);
CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
INSERT INTO facts VALUES ('nbytes', 0), ('floor', 0);
CREATE TRIGGER count_added AFTER INSERT ON results BEGIN
    UPDATE facts SET value = value + NEW.nbytes WHERE name = 'nbytes'; END;
CREATE TRIGGER count_removed AFTER DELETE ON results BEGIN
    UPDATE facts SET value = value - OLD.nbytes WHERE name = 'nbytes';
    DELETE FROM keys WHERE result = OLD.id; END;
"""


@dataclasses.dataclass(frozen=True, slots=True)
class StoredRow:
    """A result as it is stored: ``record`` is its JSON, its bulk is ``data`` or the file that ``blob`` names."""

    id: int
    record: str
    blob: str | None
    data: bytes | None
    checksum: str
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class NewRow:
    """A result to store; ``nbytes`` counts its JSON and its bulk."""

    record: str
    blob: str | None
    data: bytes | None
    checksum: str
    nbytes: int
    seconds: float
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A result as ``cache list`` shows it; times are seconds since 1970."""

    keys: tuple[str, ...]
    label: str
    nbytes: int
    seconds: float
    created: float
    used: float
    hits: int
    pinned: bool


class DiskIndex:
    """One connection to the index. For one thread at a time; a process may have several.

    ``remove_file(digest)`` removes the bulk that no result needs any more. Methods raise `sqlite3.Error`.
    """

    def __init__(self, path: Path, remove_file: Callable[[str], None]) -> None:
        self._remove_file = remove_file
        self._leaving: list[str] = []
        self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._lay_out()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def changed_by_others(self) -> int:
        """Return a number that changes when another connection has written."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def keys_after(self, seq: int) -> list[tuple[int, str]]:
        """List the keys that were added after number ``seq``, with their numbers."""
        return self._connection.execute("SELECT seq, key FROM keys WHERE seq > ? ORDER BY seq", (seq,)).fetchall()

    def find(self, key: str) -> StoredRow | None:
        """Return the result that ``key`` leads to."""
        row = self._connection.execute(
            "SELECT id, record, blob, data, checksum, label FROM results"
            " WHERE id = (SELECT result FROM keys WHERE key = ?)",
            (key,),
        ).fetchone()
        return None if row is None else StoredRow(*row)

    def store(self, row: NewRow, keys: Sequence[str], budget: int, place: Callable[[], None]) -> bool:
        """Keep a result under ``keys`` in place of what they led to, making room for it.

        ``place()`` gives its file the final name. Returns False, changing nothing, when pinned results leave no room.
        """
        now = time.time()
        with self._writing():
            pinned = self._forget(keys)
            if not self._make_room(row.nbytes, budget):
                raise _Refused
            place()
            rank = self._fact("floor") + row.seconds / row.nbytes
            found = self._connection.execute(
                "INSERT INTO results"
                " (record, blob, data, checksum, nbytes, seconds, label, created, used, rank, pinned)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.record,
                    row.blob,
                    row.data,
                    row.checksum,
                    row.nbytes,
                    row.seconds,
                    row.label,
                    now,
                    now,
                    rank,
                    pinned,
                ),
            )
            self._connection.executemany(
                "INSERT INTO keys (key, result) VALUES (?, ?)", [(key, found.lastrowid) for key in keys]
            )
            return True
        return False

    def link(self, known: str, key: str) -> None:
        """Let ``key`` lead to what ``known`` leads to, if that is there."""
        with self._writing():
            found = self._connection.execute("SELECT result FROM keys WHERE key = ?", (known,)).fetchone()
            if found is not None:
                self._forget([key], but=found[0])
                self._connection.execute("INSERT OR IGNORE INTO keys (key, result) VALUES (?, ?)", (key, found[0]))

    def touch(self, uses: Iterable[tuple[int, int]]) -> None:
        """Count uses of results: pairs of a result's id and how often it was used."""
        now = time.time()
        with self._writing():
            floor = self._fact("floor")
            self._connection.executemany(
                "UPDATE results SET hits = hits + ?, used = ?, rank = ? + (hits + ? + 1) * seconds / nbytes"
                " WHERE id = ?",
                [(count, now, floor, count, id) for id, count in uses],
            )

    def remove(self, ids: Iterable[int]) -> int:
        """Remove results; return how many were there."""
        with self._writing():
            return self._remove(list(ids))
        return 0

    def forget(self, key: str) -> None:
        """Take one key away, and its result when that has no other."""
        with self._writing():
            self._forget([key])

    def shrink(self, budget: int) -> None:
        """Remove the least worthy results until all fit into ``budget`` bytes."""
        with self._writing():
            self._make_room(0, budget)

    def pin(self, ids: Iterable[int], pinned: bool) -> None:
        """Keep results whatever the budget says, or no longer."""
        with self._writing():
            self._connection.executemany("UPDATE results SET pinned = ? WHERE id = ?", [(pinned, id) for id in ids])

    def listed(self) -> dict[int, Listed]:
        """Describe everything that is stored, the last used first, by id."""
        keys: dict[int, list[str]] = {}
        for result, key in self._connection.execute("SELECT result, key FROM keys ORDER BY seq"):
            keys.setdefault(result, []).append(key)
        rows = self._connection.execute(
            "SELECT id, label, nbytes, seconds, created, used, hits, pinned FROM results ORDER BY used DESC, id DESC"
        )
        return {
            id: Listed(tuple(keys.get(id, ())), label, nbytes, seconds, created, used, hits, bool(pinned))
            for id, label, nbytes, seconds, created, used, hits, pinned in rows
        }

    def totals(self) -> tuple[int, int]:
        """Return (results, bytes)."""
        (count,) = self._connection.execute("SELECT COUNT(*) FROM results").fetchone()
        return int(count), int(self._fact("nbytes"))

    def blobs(self) -> set[str]:
        """Return the digests of all bulk that is kept in files."""
        return {
            digest for (digest,) in self._connection.execute("SELECT DISTINCT blob FROM results WHERE blob NOT NULL")
        }

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the one write lock; what was done inside is undone when it raises (`_Refused` is not passed on)."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._leaving.clear()
        try:
            yield
            for digest in self._leaving:
                if self._connection.execute("SELECT 1 FROM results WHERE blob = ?", (digest,)).fetchone() is None:
                    self._remove_file(digest)
            self._connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if not isinstance(error, _Refused):
                raise

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep every other process from writing for a moment."""
        with self._writing():
            yield

    def _lay_out(self) -> None:
        """Make the tables unless they are there in this layout; whatever else is there goes."""
        if self._version() == LAYOUT:
            return
        with self._writing():
            if self._version() == LAYOUT:  # another process was faster
                return
            for kind, name in self._connection.execute(
                "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'trigger') AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                self._connection.execute(f'DROP {kind} IF EXISTS "{name}"')
            for statement in _statements(_TABLES):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {LAYOUT}")

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _fact(self, name: str) -> float:
        (value,) = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return float(value)

    def _forget(self, keys: Iterable[str], but: int | None = None) -> bool:
        """Take keys from the results they lead to (except ``but``); say whether one that went thereby was pinned."""
        pinned = False
        for key in keys:
            found = self._connection.execute("SELECT result FROM keys WHERE key = ?", (key,)).fetchone()
            if found is None or found[0] == but:
                continue
            self._connection.execute("DELETE FROM keys WHERE key = ?", (key,))
            if self._connection.execute("SELECT 1 FROM keys WHERE result = ?", found).fetchone() is None:
                kept = self._connection.execute("SELECT pinned FROM results WHERE id = ?", found).fetchone()
                pinned = pinned or bool(kept and kept[0])
                self._remove([found[0]])
        return pinned

    def _make_room(self, nbytes: int, budget: int) -> bool:
        used = self._fact("nbytes")
        while used + nbytes > budget:
            worst = self._connection.execute(
                "SELECT id, nbytes, rank FROM results WHERE pinned = 0 ORDER BY rank LIMIT ?", (_EVICT_AT_ONCE,)
            ).fetchall()
            if not worst:
                return False
            for id, size, rank in worst:
                if used + nbytes <= budget:
                    break
                self._connection.execute("UPDATE facts SET value = MAX(value, ?) WHERE name = 'floor'", (rank,))
                self._remove([id])
                used -= size
        return True

    def _remove(self, ids: Iterable[int]) -> int:
        removed = 0
        for id in ids:
            found = self._connection.execute("SELECT blob FROM results WHERE id = ?", (id,)).fetchone()
            if found is None:
                continue
            removed += 1
            self._connection.execute("DELETE FROM results WHERE id = ?", (id,))
            if found[0] is not None:
                self._leaving.append(found[0])
        return removed


def is_damage(error: Exception) -> bool:
    """Say whether SQLite found its file to be none of its own, or broken inside."""
    return type(error) is sqlite3.DatabaseError  # its subclasses speak of locks, space and permissions


class _Refused(Exception):
    """Undo the transaction, quietly."""


def _statements(script: str) -> Iterator[str]:
    """Split a script into its statements; a trigger's end with ``END;``."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
