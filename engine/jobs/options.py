"""How a supervisor runs its workers, and what it says of them."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from engine.jobs.previews import PreviewOptions
from engine.jobs.records import plain, settings_record
from engine.settings import Settings

WorkerState = Literal["stopped", "starting", "idle", "running"]


@dataclasses.dataclass(frozen=True, slots=True)
class SupervisorOptions:
    """Say how workers are run.

    ``session`` names what makes the session from its `Settings`, as ``module:attribute``. ``eager`` starts the worker
    at once and, with ``restart``, again as soon as it died; else it is started when a job comes. ``warm`` loads torch
    before the first job. ``poll_s`` is how often the memory limit is looked at.
    """

    session: str = "engine.session:Session"
    eager: bool = False
    restart: bool = True
    warm: bool = False
    poll_s: float = 0.05
    start_timeout_s: float = 120.0
    log_level: str = "WARNING"
    previews: PreviewOptions = dataclasses.field(default_factory=PreviewOptions)


@dataclasses.dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """Say how things are now. ``start_seconds`` is what the present worker took to be ready."""

    state: WorkerState
    pid: int | None
    start_seconds: float | None
    starts: int
    held_bytes: int | None
    job: str | None
    nodes: tuple[str, ...]
    waiting: tuple[str, ...]


def setup_record(settings: Settings, options: SupervisorOptions) -> dict[str, Any]:
    """Return the first message to a worker: what it is made with."""
    return {
        "settings": settings_record(settings),
        "session": options.session,
        "log_level": options.log_level,
        "previews": plain(options.previews),
        "max_ram_bytes": settings.max_ram_bytes,
        "warm": options.warm,
    }
