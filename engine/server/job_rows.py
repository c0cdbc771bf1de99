"""The statements on the tables of jobs and events: each function does one thing in one transaction."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.server import webhook_rows
from engine.server.webhook_rows import Webhook

PENDING: Final = "pending"
RUNNING: Final = "in_progress"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
ENDED: Final = (COMPLETED, FAILED, CANCELLED)
NUMBERS_AT_ONCE: Final = 10_000
EVENTS_KEPT: Final = 200_000


@dataclasses.dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits or runs. ``prompt`` and ``extra`` are JSON text, so that listing the queue costs little.

    ``created`` is in milliseconds since 1970. ``valid`` are the outputs that are computed. ``owner`` is the name of the
    token that it was asked with, ``batch`` the batch that it belongs to; ``turn`` orders jobs of one number.
    """

    id: str
    number: float
    client: str | None
    prompt: str
    extra: str
    valid: tuple[str, ...]
    created: float
    seq: int = 0
    tries: int = 0
    owner: str | None = None
    batch: str | None = None
    turn: int = 0

    @property
    def order(self) -> tuple[float, int, int]:
        """Sort key: lower numbers first, then whose turn it is, then as they came."""
        return (self.number, self.turn, self.seq)

    @property
    def fair_client(self) -> str:
        """Who shares the queue with others: the token it was asked with, else the client."""
        return f"token {self.owner}" if self.owner is not None else self.client or ""

    def item(self) -> str:
        """Return the JSON of the queue's entry ``[number, id, prompt, extra_data, outputs]``."""
        return (
            f"[{number_text(self.number)}, {json.dumps(self.id)}, {self.prompt}, {self.extra}, "
            f"{json.dumps(list(self.valid))}]"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended, as it is kept: JSON texts of what it showed, its status, its nodes and its error."""

    state: str
    ended: float
    shown: str
    status: str
    meta: str
    error: str | None
    states: str


def number_text(number: float) -> str:
    """Write a queue number as clients know it: whole where it is whole."""
    return str(int(number)) if number.is_integer() else repr(number)


Added = tuple[QueuedJob, str | None, Webhook | None]
"""A job that is queued, the id of its workflow, and what its end is told to."""


def add(jobs: Sequence[Added], *, apart: bool = False) -> Callable[[sqlite3.Connection], list[int] | None]:
    """Return the operation that adds jobs, all or none, and gives their places; -1 for each whose id is taken.

    Where users are kept ``apart`` it adds nothing and gives None when one's id is taken by another user.
    """

    def one(db: sqlite3.Connection, job: QueuedJob, workflow_id: str | None, webhook: Webhook | None) -> int:
        values = (job.id, job.number, PENDING, job.client, job.prompt, job.extra, json.dumps(list(job.valid)))
        done = db.execute(
            "INSERT OR IGNORE INTO jobs (id, number, state, client, prompt, extra, outputs, workflow_id, created,"
            " owner, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, workflow_id, job.created, job.owner, job.batch),
        )
        if done.rowcount and webhook is not None:
            webhook_rows.arm(db, job.id, webhook)
        return int(done.lastrowid or 0) if done.rowcount else -1

    def taken(db: sqlite3.Connection, job: QueuedJob) -> bool:
        return bool(db.execute("SELECT 1 FROM jobs WHERE id = ? AND owner IS NOT ?", (job.id, job.owner)).fetchone())

    def do(db: sqlite3.Connection) -> list[int] | None:
        if apart and any(taken(db, job) for job, _, _ in jobs):
            return None
        return [one(db, *added) for added in jobs]

    return do


def unfinished(db: sqlite3.Connection) -> list[QueuedJob]:
    """List the jobs that were accepted and have not ended, in their order."""
    rows = db.execute(
        "SELECT id, number, client, prompt, extra, outputs, created, seq, tries, owner, batch"
        " FROM jobs WHERE state IN (?, ?)"
        " ORDER BY number, seq",
        (PENDING, RUNNING),
    )
    return [
        QueuedJob(id, number, client, prompt, extra, tuple(json.loads(outputs)), *others)
        for id, number, client, prompt, extra, outputs, *others in rows
    ]


def running_ids(db: sqlite3.Connection) -> list[str]:
    """List the ids of jobs that ran when the server stopped."""
    return [id for (id,) in db.execute("SELECT id FROM jobs WHERE state = ?", (RUNNING,))]


def highest_number(db: sqlite3.Connection) -> int:
    """Return the highest number that a job had, in absolute terms."""
    (found,) = db.execute("SELECT max(abs(number)) FROM jobs").fetchone()
    return int(found or 0)


def set_number(id: str, number: float) -> Callable[[sqlite3.Connection], Any]:
    """Return the operation that gives a job another place in the queue."""
    return lambda db: db.execute("UPDATE jobs SET number = ? WHERE id = ?", (number, id))


def set_running(id: str, started: float) -> Callable[[sqlite3.Connection], Any]:
    """Return the operation that marks a job as running."""
    return lambda db: db.execute(
        "UPDATE jobs SET state = ?, started = ?, tries = tries + 1 WHERE id = ?", (RUNNING, started, id)
    )


def finish(id: str, end: JobEnd, most: int) -> Callable[[sqlite3.Connection], bool]:
    """Return the operation that ends a job, and forgets the oldest of those that ended beyond ``most``.

    It says whether a webhook is due now.
    """

    def do(db: sqlite3.Connection) -> bool:
        db.execute(
            "UPDATE jobs SET state = ?, ended = ?, shown = ?, status = ?, meta = ?, error = ?, states = ? WHERE id = ?",
            (*(getattr(end, field.name) for field in dataclasses.fields(end)), id),
        )
        told = webhook_rows.release(db, id, end.state, end.ended)
        (count,) = db.execute("SELECT count(*) FROM jobs").fetchone()
        if count > most + most // 10:
            db.execute(
                f"DELETE FROM jobs WHERE state IN {ENDED} AND seq NOT IN"
                f" (SELECT seq FROM jobs WHERE state IN {ENDED} ORDER BY seq DESC LIMIT ?)",
                (most,),
            )
        return told

    return do


def cancel_waiting(ids: Sequence[str], now: float) -> Callable[[sqlite3.Connection], bool]:
    """Return the operation that ends jobs which had not begun; it says whether webhooks are due now."""

    def do(db: sqlite3.Connection) -> bool:
        told = False
        for id in ids:
            done = db.execute(
                f"UPDATE jobs SET state = ?, ended = ? WHERE id = ? AND state NOT IN {ENDED}", (CANCELLED, now, id)
            )
            if done.rowcount:
                told = webhook_rows.release(db, id, CANCELLED, now) or told
        return told

    return do


def forget(ids: Sequence[str] | None, owner: str | None = None) -> Callable[[sqlite3.Connection], None]:
    """Return the operation that removes jobs that ended: those in ``ids``, or all; of ``owner`` alone if given."""

    def do(db: sqlite3.Connection) -> None:
        if ids is None:
            which = f"state IN {ENDED} AND coalesce(:owner, owner) IS owner"
            db.execute(f"DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE {which})", {"owner": owner})
            db.execute(f"DELETE FROM jobs WHERE {which}", {"owner": owner})
        else:
            which = f"id = ? AND state IN {ENDED} AND coalesce(?, owner) IS owner"
            db.executemany(f"DELETE FROM jobs WHERE {which}", [(id, owner) for id in ids])

    return do


HISTORY_COLUMNS: Final = "id, number, prompt, extra, outputs, shown, status, meta"


def history(
    most: int | None, offset: int | None, owner: str | None = None
) -> Callable[[sqlite3.Connection], list[tuple[Any, ...]]]:
    """Return the operation that lists what ended after it had begun, the oldest first: the last ``most`` of them, or
    ``most`` from ``offset``; only those of ``owner`` if given."""

    def do(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
        where = "FROM jobs WHERE status IS NOT NULL AND coalesce(?, owner) IS owner ORDER BY seq"
        if offset is None or offset < 0:
            rows = db.execute(f"SELECT {HISTORY_COLUMNS} {where} DESC LIMIT ?", (owner, -1 if most is None else most))
            return list(rows)[::-1]
        limit = (owner, -1 if most is None else most, offset)
        return list(db.execute(f"SELECT {HISTORY_COLUMNS} {where} LIMIT ? OFFSET ?", limit))

    return do


def history_of(id: str, owner: str | None = None) -> Callable[[sqlite3.Connection], list[tuple[Any, ...]]]:
    """Return the operation that gives a job's row of the history, if there is one (of ``owner``, if given)."""
    where = "id = ? AND status IS NOT NULL AND coalesce(?, owner) IS owner"
    return lambda db: list(db.execute(f"SELECT {HISTORY_COLUMNS} FROM jobs WHERE {where}", (id, owner)))


def history_text(rows: Iterable[tuple[Any, ...]]) -> str:
    """Write rows of the history as one JSON object by job id."""
    entries = [
        f'{json.dumps(id)}: {{"prompt": [{number_text(number)}, {json.dumps(id)}, {prompt}, {extra}, {outputs}], '
        f'"outputs": {shown}, "status": {status}, "meta": {meta}}}'
        for id, number, prompt, extra, outputs, shown, status, meta in rows
    ]
    return "{" + ", ".join(entries) + "}"


NAME: Final = (
    "CASE WHEN json_valid(extra) AND json_type(extra, '$.workflow_name') = 'text'"
    " THEN substr(json_extract(extra, '$.workflow_name'), 1, 200) END"
)
"""What a job's workflow is called by whoever queued it."""
JOB_COLUMNS: Final = (
    "id",
    "state",
    "number",
    "created",
    "started",
    "ended",
    "error",
    "shown",
    "workflow_id",
    "prompt",
    "extra",
    "outputs",
    "status",
    "client",
    "states",
    "owner",
    "batch",
    "meta",
)


def job_row(id: str, owner: str | None = None) -> Callable[[sqlite3.Connection], dict[str, Any] | None]:
    """Return the operation that gives all of one job; None where there is none (of ``owner``, if given)."""
    where = "id = ? AND coalesce(?, owner) IS owner"

    def do(db: sqlite3.Connection) -> dict[str, Any] | None:
        row = db.execute(f"SELECT {', '.join(JOB_COLUMNS)}, {NAME} FROM jobs WHERE {where}", (id, owner)).fetchone()
        return None if row is None else dict(zip((*JOB_COLUMNS, "name"), row, strict=True))

    return do


def events_since(
    since: int, job: str | None, client: str | None, most: int, owner: str | None = None
) -> Callable[[sqlite3.Connection], list[tuple[int, str, str, str, float]]]:
    """Return the operation that lists events after number ``since``, of one job, client or owner, or all."""
    where, values = ["n > ?"], [since]
    for column, value in (("job", job), ("client", client), ("owner", owner)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)  # type: ignore[arg-type]
    statement = f"SELECT n, job, type, data, time FROM events WHERE {' AND '.join(where)} ORDER BY n LIMIT ?"
    return lambda db: list(db.execute(statement, (*values, most)))


def add_event(n: int, job: QueuedJob, type: str, data: str, time: float) -> Callable[..., Any]:
    """Return the operation that keeps an event, and forgets old ones now and then."""

    def do(db: sqlite3.Connection) -> None:
        values = (n, job.id, job.client, type, data, time, job.owner)
        db.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        if n % NUMBERS_AT_ONCE == 0:
            db.execute("DELETE FROM events WHERE n <= ?", (n - EVENTS_KEPT,))

    return do


def reserve_numbers(up_to: int) -> Callable[[sqlite3.Connection], Any]:
    """Return the operation that says: events may have been told with numbers up to ``up_to``."""
    return lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES ('reserved', ?)", (up_to,))


def first_number(db: sqlite3.Connection) -> int:
    """Return a number that no event was told with, nor any lower one."""
    (highest,) = db.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()
    found = db.execute("SELECT value FROM facts WHERE name = 'reserved'").fetchone()
    return max(int(highest), int(found[0]) if found else 0) + 1


def count_by_state(db: sqlite3.Connection) -> Mapping[str, int]:
    """Count jobs by state."""
    return dict(db.execute("SELECT state, count(*) FROM jobs GROUP BY state"))


def list_jobs(
    states: Sequence[str],
    equal: Mapping[str, str | None],
    *,
    by_duration: bool,
    ascending: bool,
    most: int,
    offset: int,
) -> Callable[[sqlite3.Connection], tuple[list[dict[str, Any]], int]]:
    """Return the operation that lists jobs and counts all that there are of them: those of ``states``, if
    any are named, whose columns are ``equal`` to what is given."""
    where, values = ["1"], list[Any]()
    if states:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values += states
    for column, value in equal.items():
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    chosen = " AND ".join(where)
    order = "coalesce(ended - started, 0)" if by_duration else "created"
    direction = "ASC" if ascending else "DESC"

    def do(db: sqlite3.Connection) -> tuple[list[dict[str, Any]], int]:
        (total,) = db.execute(f"SELECT count(*) FROM jobs WHERE {chosen}", values).fetchone()
        found = db.execute(
            f"SELECT {', '.join(JOB_COLUMNS)}, {NAME} FROM jobs WHERE {chosen}"
            f" ORDER BY {order} {direction}, seq {direction} LIMIT ? OFFSET ?",
            (*values, most, offset),
        )
        return [dict(zip((*JOB_COLUMNS, "name"), row, strict=True)) for row in found], int(total)

    return do
