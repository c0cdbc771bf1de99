"""The statements on batches. A batch is the jobs that bear its id; it is forgotten with the last of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from engine.server.job_rows import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING

STATES = (PENDING, RUNNING, COMPLETED, FAILED, CANCELLED)
_SUMS = ", ".join(f"sum(state = '{state}')" for state in STATES)
_COLUMNS = f"batch, count(*), min(created), max(ended), {_SUMS}"


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    id, size, created, ended, *counts = row
    states = dict(zip(STATES, (int(one) for one in counts), strict=True))
    open_ = states[PENDING] + states[RUNNING]
    return {
        "id": id,
        "jobs_count": size,
        "counts": states,
        "status": _status(states),
        "create_time": int(created),
        "end_time": None if open_ or ended is None else int(ended),
    }


def _status(states: dict[str, int]) -> str:
    if states[RUNNING] or (states[PENDING] and any(states[one] for one in (COMPLETED, FAILED))):
        return RUNNING
    return next((one for one in (PENDING, FAILED, CANCELLED) if states[one]), COMPLETED)


def list_batches(
    owner: str | None, most: int, offset: int
) -> Callable[[sqlite3.Connection], tuple[list[dict[str, Any]], int]]:
    """Return the operation that lists batches, the newest first, and counts all; only those of ``owner`` if given."""
    where, values = "batch IS NOT NULL", list[Any]()
    if owner is not None:
        where, values = f"{where} AND owner = ?", [owner]

    def do(db: sqlite3.Connection) -> tuple[list[dict[str, Any]], int]:
        (total,) = db.execute(f"SELECT count(DISTINCT batch) FROM jobs WHERE {where}", values).fetchone()
        found = db.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE {where} GROUP BY batch ORDER BY min(seq) DESC LIMIT ? OFFSET ?",
            (*values, most, offset),
        )
        return [_record(row) for row in found], int(total)

    return do


def batch(id: str, owner: str | None) -> Callable[[sqlite3.Connection], dict[str, Any] | None]:
    """Return the operation that gives a batch with its jobs, their states and values; None where there is none."""
    where, values = ("batch = ?", [id]) if owner is None else ("batch = ? AND owner = ?", [id, owner])

    def do(db: sqlite3.Connection) -> dict[str, Any] | None:
        row = db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {where} GROUP BY batch", values).fetchone()
        if row is None:
            return None
        jobs = db.execute(f"SELECT id, state, extra FROM jobs WHERE {where} ORDER BY seq", values)
        listed = [
            {"prompt_id": id, "status": state, "values": json.loads(extra).get("batch", {}).get("values", {})}
            for id, state, extra in jobs
        ]
        return {**_record(row), "jobs": listed}

    return do


def to_retry(
    id: str, states: tuple[str, ...], owner: str | None
) -> Callable[[sqlite3.Connection], list[tuple[str, str, str | None, str | None]]]:
    """Return the operation that gives prompt, extra data, client and owner of the jobs of a batch that are in
    ``states``; only those of ``owner`` if given."""
    marks = ", ".join("?" * len(states))
    return lambda db: list(
        db.execute(
            f"SELECT prompt, extra, client, owner FROM jobs WHERE batch = ? AND state IN ({marks})"
            " AND coalesce(?, owner) IS owner ORDER BY seq",
            (id, *states, owner),
        )
    )
