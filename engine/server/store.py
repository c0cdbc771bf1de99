"""The durable side of the queue: an SQLite database in write-ahead mode, written by one thread.

What is asked at the same time is written in one transaction, so that one flush to the disk serves many requests. An
answer is only given once the transaction is over: whatever a client was told is there after a kill -9. `write` also
waits for the disk itself (a power cut loses nothing that was acknowledged); `note` does not.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], Any]

_Asked = tuple[Operation, asyncio.Future[Any] | None, bool]
_Answer = tuple[asyncio.Future[Any], Any, BaseException | None]

LAYOUT: Final = 3
MOST_AT_ONCE: Final = 512
FILE_NAME: Final = "jobs.sqlite3"
LOCK_NAME: Final = "jobs.lock"

_TABLES = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, number REAL NOT NULL, state TEXT NOT NULL,
    client TEXT, prompt TEXT NOT NULL, extra TEXT NOT NULL, outputs TEXT NOT NULL, workflow_id TEXT,
    created REAL NOT NULL, started REAL, ended REAL, tries INTEGER NOT NULL DEFAULT 0,
    shown TEXT, status TEXT, meta TEXT, error TEXT, states TEXT);
CREATE INDEX jobs_by_state ON jobs (state, number, seq);
CREATE TABLE events (
    n INTEGER PRIMARY KEY, job TEXT NOT NULL, client TEXT, type TEXT NOT NULL, data TEXT NOT NULL, time REAL NOT NULL);
CREATE INDEX events_by_job ON events (job, n);
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_SINCE_LAYOUT_1 = """
ALTER TABLE jobs ADD COLUMN owner TEXT;
ALTER TABLE jobs ADD COLUMN batch TEXT;
CREATE INDEX jobs_by_batch ON jobs (batch, seq) WHERE batch IS NOT NULL;
CREATE TABLE webhooks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, url TEXT NOT NULL, secret TEXT, events TEXT NOT NULL,
    payload TEXT, due REAL, attempt INTEGER NOT NULL DEFAULT 0);
CREATE INDEX webhooks_by_job ON webhooks (job);
CREATE INDEX webhooks_by_due ON webhooks (due) WHERE due IS NOT NULL;
"""

_SINCE_LAYOUT_2 = "ALTER TABLE events ADD COLUMN owner TEXT;"
_SINCE: Final = (_TABLES, _SINCE_LAYOUT_1, _SINCE_LAYOUT_2)
"""What each layout lacks that the next one has."""

_log = logging.getLogger("safelight.server")


class Store:
    """Owns the database. `write`, `note` and `read` are called in the event loop; operations run in the threads."""

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Open or make the database in ``directory``. Raises `OSError` or `sqlite3.Error` when that cannot be done."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / FILE_NAME
        self._loop = loop
        self._work: queue.SimpleQueue[list[_Asked] | None] = queue.SimpleQueue()
        self._noted: list[_Asked] = []
        """What was noted in this turn of the loop; handed to the thread at once, or with what is asked first."""
        with contextlib.suppress(FileExistsError):  # what people write into prompts is theirs
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._connection = _connect(self.path)
        _prepare(self._connection)
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "store-reader")
        self._reading: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def write(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``operation``; return what it returns once that is on the disk."""
        return await self._ask(operation, flushed=True)

    async def keep(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``operation``; return what it returns once the end of this process would not undo it."""
        return await self._ask(operation, flushed=False)

    async def _ask(self, operation: Callable[[sqlite3.Connection], T], *, flushed: bool) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._noted.append((operation, answer, flushed))
        self._hand_over()
        return await answer

    def note(self, operation: Operation) -> None:
        """Do ``operation``, a single statement or what may be half done, soon and after all that was asked before."""
        self._noted.append((operation, None, False))
        if len(self._noted) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._noted:
            self._work.put(self._noted)
            self._noted = []

    async def read(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Do an ``operation`` that changes nothing, beside what is being written."""
        return await self._loop.run_in_executor(self._reader, self._read, operation)

    def _read(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        if self._reading is None:
            self._reading = _connect(self.path)
        return operation(self._reading)

    def close(self) -> None:
        """Write what was asked so far, and close the database."""
        self._hand_over()
        self._work.put(None)
        self._thread.join()
        self._reader.submit(lambda: self._reading.close() if self._reading else None).result()
        self._reader.shutdown()

    def _run(self) -> None:
        while True:
            came = self._work.get()
            asked: list[_Asked] = []
            with contextlib.suppress(queue.Empty):
                while came is not None:
                    asked += came
                    if len(asked) >= MOST_AT_ONCE:
                        break
                    came = self._work.get_nowait()
            self._do(asked)
            if came is None:
                self._connection.close()
                return

    def _do(self, asked: list[_Asked]) -> None:
        answers: list[_Answer] = []
        try:
            level = "FULL" if any(flushed for _, _, flushed in asked) else "NORMAL"
            self._connection.execute(f"PRAGMA synchronous = {level}")
            self._connection.execute("BEGIN IMMEDIATE")
            for operation, answer, _ in asked:
                if answer is not None:
                    answers.append((answer, *self._one(operation)))
                else:
                    self._note(operation)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:  # the disk is full, or gone
            _log.error("the queue could not be written: %s", error)
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            answers = [(answer, None, error) for _, answer, _ in asked if answer is not None]
        if answers:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(_give, answers)

    def _note(self, operation: Operation) -> None:
        """Do what nobody waits for."""
        try:
            operation(self._connection)
        except Exception as error:  # noqa: BLE001 (what else was asked is done all the same)
            _log.error("an operation on the queue failed: %s: %s", type(error).__name__, error)

    def _one(self, operation: Operation) -> tuple[Any, BaseException | None]:
        """Do one operation; one that fails undoes only itself."""
        self._connection.execute("SAVEPOINT one")
        try:
            result = operation(self._connection)
        except Exception as error:  # noqa: BLE001 (handed to whoever asked)
            self._connection.execute("ROLLBACK TO one")
            _log.error("an operation on the queue failed: %s: %s", type(error).__name__, error)
            return None, error
        finally:
            self._connection.execute("RELEASE one")
        return result, None


def _give(answers: list[_Answer]) -> None:
    """Give each answer to who waits for it: all of a transaction with one call from the thread to the loop."""
    for answer, result, failed in answers:
        if answer.done():
            continue  # whoever asked does not wait any more
        if failed is not None:
            answer.set_exception(failed)
        else:
            answer.set_result(result)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=20.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or what a database of an earlier layout lacks; one of a later layout is left as it is."""
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout == LAYOUT:
        return
    if layout not in range(LAYOUT):
        raise sqlite3.DatabaseError(f"the queue was written by another version (layout {layout})")
    tables = " ".join(_SINCE[layout:])
    connection.executescript(f"BEGIN; {tables} PRAGMA user_version = {LAYOUT}; COMMIT;")


class DirectoryLock:
    """Holds the claim that one server has on a user directory, for as long as its process lives."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def take(self, directory: Path) -> bool:
        """Claim ``directory``; False when another process has it."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows: opened for writing by one process is enough of a claim for the database itself
            pass
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the claim back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
