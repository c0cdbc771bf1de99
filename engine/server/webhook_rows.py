"""The statements on the table of webhooks: armed with a job, due with its end, gone when delivered or given up.

A row becomes due in the transaction that ends its job, so an end that was kept is told, whatever happens in between.
Address and secret stand in this table alone, which only the server's user can read.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable
from typing import Any, Final

EVENTS: Final = ("completed", "failed", "cancelled")
MAX_OUTPUTS: Final = 256 << 10
"""Outputs whose JSON is longer than this are left out of what is posted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Webhook:
    """Where to tell the end of a job, of which ends, and the key that signs it."""

    url: str
    events: tuple[str, ...] = EVENTS
    secret: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """One message that is due. ``attempt`` counts the tries so far."""

    number: int
    job: str
    url: str
    secret: str | None
    payload: str
    attempt: int


def arm(db: sqlite3.Connection, job: str, webhook: Webhook) -> None:
    """Keep a webhook until its job ends."""
    db.execute(
        "INSERT INTO webhooks (job, url, secret, events) VALUES (?, ?, ?, ?)",
        (job, webhook.url, webhook.secret, ",".join(webhook.events)),
    )


def release(db: sqlite3.Connection, job: str, state: str, now_ms: float) -> bool:
    """Make a job's webhook due, as it has ended; say whether there is one."""
    row = db.execute("SELECT number, events FROM webhooks WHERE job = ? AND payload IS NULL", (job,)).fetchone()
    if row is None:
        return False
    number, events = row
    if state not in events.split(","):
        db.execute("DELETE FROM webhooks WHERE number = ?", (number,))
        return False
    payload = _payload(db, job, state)
    db.execute("UPDATE webhooks SET payload = ?, due = ? WHERE number = ?", (payload, now_ms, number))
    return True


def _payload(db: sqlite3.Connection, job: str, state: str) -> str:
    batch, created, started, ended, shown, error = db.execute(
        "SELECT batch, created, started, ended, shown, error FROM jobs WHERE id = ?", (job,)
    ).fetchone()
    told: dict[str, Any] = {
        "event": state,
        "prompt_id": job,
        "batch_id": batch,
        "create_time": int(created),
        "execution_start_time": None if started is None else int(started),
        "execution_end_time": None if ended is None else int(ended),
        "outputs": json.loads(shown) if shown and len(shown) <= MAX_OUTPUTS else {},
        "outputs_left_out": bool(shown and len(shown) > MAX_OUTPUTS),
    }
    if error:
        kept = ("node_id", "node_type", "exception_type", "exception_message")  # nothing of a traceback
        told["error"] = {key: value for key, value in json.loads(error).items() if key in kept}
    return json.dumps(told)


def due(now_ms: float, most: int) -> Callable[[sqlite3.Connection], tuple[list[Delivery], float | None]]:
    """Return the operation that lists what is due, the oldest first, and says when the next one will be."""

    def do(db: sqlite3.Connection) -> tuple[list[Delivery], float | None]:
        rows = db.execute(
            "SELECT number, job, url, secret, payload, attempt FROM webhooks WHERE payload IS NOT NULL AND due <= ?"
            " ORDER BY due LIMIT ?",
            (now_ms, most),
        )
        found = [Delivery(*row) for row in rows]
        (later,) = db.execute(
            "SELECT min(due) FROM webhooks WHERE payload IS NOT NULL AND due > ?", (now_ms,)
        ).fetchone()
        return found, later

    return do


def done(number: int) -> Callable[[sqlite3.Connection], Any]:
    """Return the operation that forgets a delivery."""
    return lambda db: db.execute("DELETE FROM webhooks WHERE number = ?", (number,))


def put_off(number: int, until_ms: float) -> Callable[[sqlite3.Connection], Any]:
    """Return the operation that notes a failed try and when the next one is due."""
    return lambda db: db.execute(
        "UPDATE webhooks SET attempt = attempt + 1, due = ? WHERE number = ?", (until_ms, number)
    )
