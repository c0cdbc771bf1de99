"""Earlier versions of saved workflows: each save and autosave is kept, equal ones once, old ones thinned out.

They stand in one SQLite database that no name of a request leads to, contents by their digest. A version is on the disk
before the file itself is replaced: whenever the server is killed, the file is a whole document, and what was saved
before is a version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.errors import OutputError, PathError

FILE_NAME: Final = "versions.sqlite3"
FOLDER, SUFFIX = "workflows/", ".json"
MOST_BYTES: Final = 64 << 20
"""So many bytes, packed, are kept for each user; the oldest go first."""
MOST_VERSIONS: Final = 200
MOST_DOCUMENT: Final = 32 << 20
"""Longer documents have no versions."""
STEPS_S: Final = ((3600.0, 0.0), (86_400.0, 600.0), (7 * 86_400.0, 3600.0), (float("inf"), 86_400.0))
"""Up to each age, one version is kept for every so many seconds: all of an hour, then one in ten minutes, …"""

_TABLES: Final = """
CREATE TABLE contents (digest TEXT PRIMARY KEY, packed BLOB NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, file TEXT NOT NULL, digest TEXT NOT NULL,
    kind TEXT NOT NULL, saved REAL NOT NULL);
CREATE INDEX versions_by_file ON versions (user, file, id);
CREATE INDEX versions_by_digest ON versions (digest);
"""
_log = logging.getLogger("safelight.server")


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """One version: ``kind`` is save, autosave, restore, or found (it was there before); ``saved`` in s since 1970."""

    id: int
    kind: str
    saved: float
    digest: str
    size: int


def has_versions(file: str) -> bool:
    """Say whether versions of a user's file are kept: of saved workflows."""
    return file.startswith(FOLDER) and file.endswith(SUFFIX)


class Versions:
    """Owns the database. Safe to use from several threads; opened when first used."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def keep(self, user: str, file: str, data: bytes, kind: str, *, now: float | None = None) -> Version:
        """Keep ``data`` as the newest version of ``file``, unless it is that already; return it.

        Raises `OutputError` when it cannot be kept.
        """
        if len(data) > MOST_DOCUMENT:
            raise OutputError(
                "the document is too large to keep versions of", expected=f"at most {MOST_DOCUMENT} bytes"
            )
        digest, now = hashlib.sha256(data).hexdigest(), time.time() if now is None else now
        with self._open() as db:
            newest = _listed(db, user, file, 1)
            if newest and newest[0].digest == digest:
                if newest[0].kind == "autosave" and kind != "autosave":
                    db.execute("UPDATE versions SET kind = ?, saved = ? WHERE id = ?", (kind, now, newest[0].id))
                return _listed(db, user, file, 1)[0]
            db.execute("INSERT OR IGNORE INTO contents VALUES (?, ?, ?)", (digest, zlib.compress(data), len(data)))
            db.execute(
                "INSERT INTO versions (user, file, digest, kind, saved) VALUES (?, ?, ?, ?, ?)",
                (user, file, digest, kind, now),
            )
            _thin(db, user, file, now)
            return _listed(db, user, file, 1)[0]

    def keep_found(self, user: str, file: str, path: Path) -> None:
        """Keep what is in the file now, before it is replaced or removed, if no save of ours wrote it."""
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            if len(data) <= MOST_DOCUMENT and all(one.digest != digest for one in self.listed(user, file)):
                self.keep(user, file, data, "found")

    def listed(self, user: str, file: str) -> list[Version]:
        """List the versions of a file, the newest first."""
        with self._open() as db:
            return _listed(db, user, file, -1)

    def files(self, user: str) -> list[tuple[str, int, float]]:
        """List the files of a user that have versions, with how many and when the newest was saved."""
        with self._open() as db:
            rows = db.execute(
                "SELECT file, count(*), max(saved) FROM versions WHERE user = ? GROUP BY file ORDER BY file", (user,)
            )
            return list(rows)

    def read(self, user: str, file: str, id: int) -> bytes:
        """Return the document of a version. Raises `PathError` when there is none."""
        with self._open() as db:
            row = db.execute(
                "SELECT packed FROM contents JOIN versions USING (digest) WHERE id = ? AND user = ? AND file = ?",
                (id, user, file),
            ).fetchone()
        if row is None:
            raise PathError("there is no such version", hint="GET /versions/FILE lists them")
        return zlib.decompress(row[0])

    def remove(self, user: str, file: str, id: int | None) -> int:
        """Remove a version, or all of a file; return how many were there."""
        with self._open() as db:
            done = db.execute(
                "DELETE FROM versions WHERE user = ? AND file = ? AND coalesce(?, id) = id", (user, file, id)
            ).rowcount
            _drop_unused(db)
        return done

    def rename(self, user: str, file: str, new: str) -> None:
        """Let the versions of a file be those of its new name."""
        with self._open() as db:
            db.execute("UPDATE versions SET file = ? WHERE user = ? AND file = ?", (new, user, file))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Offer the database in one transaction. Raises `OutputError` when it cannot be read or written."""
        with self._lock:
            try:
                db = self._connection
                if db is None:
                    db = self._connection = _connect(self._path)
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                raise OutputError(f"the versions of workflows cannot be kept: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    db = sqlite3.connect(path, timeout=20.0, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if db.execute("PRAGMA user_version").fetchone() == (0,):
        db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = 1; COMMIT;")
    return db


def _listed(db: sqlite3.Connection, user: str, file: str, most: int) -> list[Version]:
    rows = db.execute(
        "SELECT id, kind, saved, digest, size FROM versions JOIN contents USING (digest)"
        " WHERE user = ? AND file = ? ORDER BY id DESC LIMIT ?",
        (user, file, most),
    )
    return [Version(*row) for row in rows]


def _thin(db: sqlite3.Connection, user: str, file: str, now: float) -> None:
    """Forget versions of ``file`` that are close to others of their age, then the user's oldest beyond the bound."""
    gone = to_forget(_listed(db, user, file, -1), now)
    db.executemany("DELETE FROM versions WHERE id = ?", [(id,) for id in gone])
    held = 0
    newest_of: set[str] = set()
    seen: set[str] = set()
    rows = db.execute(
        "SELECT id, file, digest, length(packed) FROM versions JOIN contents USING (digest)"
        " WHERE user = ? ORDER BY id DESC",
        (user,),
    ).fetchall()
    for id, name, digest, packed in rows:
        held += 0 if digest in seen else packed
        if held > MOST_BYTES and name in newest_of:
            db.execute("DELETE FROM versions WHERE id = ?", (id,))
            held -= 0 if digest in seen else packed
            continue
        seen.add(digest)
        newest_of.add(name)
    _drop_unused(db)


def to_forget(versions: Sequence[Version], now: float) -> list[int]:
    """Return the ids of ``versions`` (the newest first) that are thinned out: of those that share a step of time the
    newest stays, a save rather than an autosave; the newest of all always stays."""
    kept: dict[tuple[float, int], Version] = {}
    gone: list[int] = []
    for one in versions[1:]:
        age = max(now - one.saved, 0.0)
        step = next(seconds for limit, seconds in STEPS_S if age < limit)
        if not step:
            continue
        place = (step, int(one.saved // step))
        other = kept.setdefault(place, one)
        if other is not one:
            better = other.kind == "autosave" and one.kind != "autosave"
            gone.append(other.id if better else one.id)
            kept[place] = one if better else other
    dropped = frozenset(gone)
    left = [one.id for one in versions if one.id not in dropped]
    return gone + left[MOST_VERSIONS:]


def _drop_unused(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM contents WHERE digest NOT IN (SELECT digest FROM versions)")
