"""When a job has had enough: of its time, and of the memory that its worker may hold."""

from __future__ import annotations

import time
from typing import Final

from engine.errors import Problem
from engine.jobs.job import Job
from engine.jobs.process import WorkerProcess
from engine.settings import Settings

TAKEN_UP_S: Final = 30.0
"""A worker that has not taken a job up after so long uses the job's own time."""


def patience(job: Job, settings: Settings, poll_s: float) -> float | None:
    """Return for how many seconds nothing needs to be looked at; None: until something is heard."""
    now = time.monotonic()
    limits = []
    if job.cancel_asked is not None:
        limits.append(job.cancel_asked + settings.cancel_grace_s - now)
    if job.request.timeout_s is not None and job.sent is not None:
        limits.append(_running_since(job, now) + job.request.timeout_s - now)
    if settings.max_ram_bytes is not None:
        limits.append(poll_s)
    return max(0.0, min(limits)) if limits else None


def _running_since(job: Job, now: float) -> float:
    """Return when a job's time began: when its worker took it up, which a busy machine may put off; not for ever."""
    assert job.sent is not None
    return job.began_at if job.began_at is not None else min(now, job.sent + TAKEN_UP_S)


def past_limit(worker: WorkerProcess, job: Job, settings: Settings, now: float) -> Problem | None:
    """Say what a running job went past, if it did: its time, or the memory of its worker."""
    seconds, limit = job.request.timeout_s, settings.max_ram_bytes
    who = "the node" if job.running else "the job"
    if seconds is not None and job.sent is not None and now >= _running_since(job, now) + seconds:
        return Problem(
            "E-TIMEOUT",
            f"{who} ran when the job's time of {seconds:g} s was over",
            hint="give the job more time, or let it do less",
        )
    held = None if limit is None else worker.held_bytes()
    if limit is None or held is None or held <= limit:
        return None
    return Problem(
        "E-MEMORY",
        f"{who} went past --max-ram",
        expected=f"at most {limit / (1 << 20):.0f} MiB in the worker process",
        got=f"{held / (1 << 20):.0f} MiB",
        hint="make the picture or the batch smaller, or allow more with --max-ram",
    )
