"""The database of the queue: brought up to date from the version before, and not ended by who does not wait."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

from engine.server import job_rows as rows
from engine.server import store as module
from engine.server.store import LAYOUT, Store


def test_a_database_of_the_first_layout_keeps_its_jobs(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / module.FILE_NAME)) as db:
        db.executescript(f"BEGIN; {module._TABLES} PRAGMA user_version = 1; COMMIT;")
        db.execute(
            "INSERT INTO jobs (id, number, state, client, prompt, extra, outputs, created)"
            " VALUES ('old', 3, 'pending', 'me', '{}', '{}', '[]', 1)"
        )
        db.commit()

    async def look() -> None:
        store = Store(tmp_path, asyncio.get_running_loop())
        try:
            (job,) = await store.read(rows.unfinished)
            assert (job.id, job.number, job.client, job.owner, job.batch) == ("old", 3, "me", None, None)
            assert await store.read(lambda db: db.execute("PRAGMA user_version").fetchone()) == (LAYOUT,)
            assert await store.read(lambda db: db.execute("SELECT count(*) FROM webhooks").fetchone()) == (0,)
        finally:
            store.close()

    asyncio.run(look())
    with contextlib.closing(sqlite3.connect(tmp_path / module.FILE_NAME)) as db:
        db.execute("PRAGMA user_version = 99")

    async def refused() -> None:
        with pytest.raises(sqlite3.DatabaseError, match="another version"):
            Store(tmp_path, asyncio.get_running_loop())

    asyncio.run(refused())


def test_who_stops_waiting_does_not_stop_the_queue(tmp_path: Path) -> None:
    async def journey() -> None:
        store = Store(tmp_path, asyncio.get_running_loop())
        try:
            waiting = asyncio.create_task(store.keep(lambda db: time.sleep(0.2)))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert await asyncio.wait_for(store.keep(lambda db: 5), 5) == 5
        finally:
            store.close()

    asyncio.run(journey())
