"""Queueing the workflows of a request like any other jobs, and waiting for them as the request's client does.

Each iteration is a job of its own, so the queue, the history and every viewer see it. A request whose client goes away
is cancelled, unless its pictures are saved: then it goes on to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, cast

from aiohttp import web

from engine.server import job_rows as rows
from engine.server.desk import QueueFull
from engine.server.hub import PREVIEW, Client
from engine.server.prompts import Refusal
from engine.server.sdapi.pictures import read_shown
from engine.server.sdapi.refusals import Refused
from engine.server.sdapi.templates import Workflow
from engine.server.state import ServerState

LOOK_S: Final = 0.25
"""How often a waiting request looks whether its client and its jobs are still there."""
PLAIN_PREVIEWS: Final = {"supports_preview_metadata": False}
PREVIEW_HEAD: Final = 8
RETRY: Final = "the queue is full: wait until some jobs are done, then try again"


class ClientGone(Exception):
    """Say that nobody waits for the answer any more."""


@dataclasses.dataclass(slots=True)
class Progress:
    """How far one request is. ``steps`` are by job and sampler node; ``preview`` is the newest picture, encoded."""

    jobs: list[str]
    plan: Sequence[Workflow]
    owner: str | None = None
    began: float = dataclasses.field(default_factory=time.time)
    ended: set[str] = dataclasses.field(default_factory=set)
    steps: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    running: str | None = None
    preview: bytes | None = None
    interrupted: bool = False
    skipped: bool = False

    def position(self) -> tuple[int, int]:
        """Return the steps taken in the job that runs, and how many it has."""
        if self.running is None or self.running not in self.jobs:
            return 0, 0
        planned = self.plan[self.jobs.index(self.running)].sampler_steps
        done = sum(min(self.steps.get((self.running, node), 0), most) for node, most in planned.items())
        return done, sum(planned.values())

    def fraction(self) -> float:
        """Return how much is done, 0.01 .. 1."""
        count = max(len(self.plan), 1)
        step, most = self.position()
        return min(0.01 + len(self.ended) / count + (step / most / count if most else 0.0), 1.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What a request's jobs came to: the bytes of each picture by its place (None where it was not made), and why."""

    pictures: tuple[bytes | None, ...]
    interrupted: bool
    error: str | None


class _Ear:
    """Stands in the place of a WebSocket for a listener inside the server."""

    closed = False

    async def close(self, **_: Any) -> None:
        """Do nothing: there is no connection."""


class Generations:
    """The requests that wait now, the oldest first. Everything here runs in the event loop."""

    def __init__(self) -> None:
        self.waiting: list[Progress] = []

    def current(self, viewer: str | None = None) -> Progress | None:
        """Return the request whose job runs, else the oldest; only of ``viewer`` if given."""
        seen = [one for one in self.waiting if viewer is None or one.owner == viewer]
        return next((one for one in seen if one.running is not None), seen[0] if seen else None)

    async def run(
        self,
        state: ServerState,
        plan: Sequence[Workflow],
        gone: Callable[[], bool],
        *,
        goes_on: bool = False,
        user: str | None = None,
    ) -> Made:
        """Queue workflows and wait for their ends. Raises `Refused` where they cannot be queued, `ClientGone`.

        ``gone`` says whether the client left; what has not ended then is cancelled, unless it ``goes_on`` alone.
        """
        progress = Progress([], plan, user)
        listener = Client(cast(web.WebSocketResponse, _Ear()), f"sdapi-{uuid.uuid4()}", features=PLAIN_PREVIEWS)
        self.waiting.append(progress)
        state.hub.clients.add(listener)
        try:
            async with _cancelled_unless_done(state, progress):
                for workflow in plan:
                    progress.jobs.append(await _submit(state, workflow, listener.id, user))
                await _wait(state, progress, listener, gone, goes_on=goes_on)
        finally:
            state.hub.clients.discard(listener)
            self.waiting.remove(progress)
        return await _gather(state, progress)


async def _submit(state: ServerState, workflow: Workflow, client: str, user: str | None) -> str:
    body = {"prompt": workflow.prompt, "client_id": client}
    accepted = await state.catalogue.ask(state.catalogue.accept, body, user)
    if isinstance(accepted, Refusal):
        raise Refused(500, f"{accepted.error['message']}: {accepted.error['details']}")
    if accepted.node_errors:
        wrong = next(iter(accepted.node_errors.values()))["errors"][0]
        raise Refused(500, str(wrong["details"]))
    try:
        return (await state.desk.submit(accepted, body, user)).id
    except QueueFull:
        raise Refused(429, RETRY) from None


@contextlib.asynccontextmanager
async def _cancelled_unless_done(state: ServerState, progress: Progress) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        for job in progress.jobs:
            if job not in progress.ended and not state.desk.closing:
                await state.desk.cancel(job)
        raise


async def _wait(
    state: ServerState, progress: Progress, listener: Client, gone: Callable[[], bool], *, goes_on: bool
) -> None:
    """Hear what happens until every job has its end."""
    looked = 0.0
    while len(progress.ended) < len(progress.jobs):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(listener.wake.wait(), LOOK_S)
        listener.wake.clear()
        if listener.dropped:
            raise Refused(500, "the server could not follow its own job")
        while listener.waiting or listener.newest:
            if listener.waiting:
                heard = listener.waiting.popleft()
                listener.waiting_bytes -= len(heard)
            else:
                heard = listener.newest.pop(next(iter(listener.newest)))
            if isinstance(heard, bytes):
                if int.from_bytes(heard[:4]) == PREVIEW:
                    progress.preview = heard[PREVIEW_HEAD:]
            else:
                _hear(progress, json.loads(heard))
        if time.monotonic() >= looked + LOOK_S:
            await _look(state, progress)
            looked = time.monotonic()
        if gone():
            if goes_on:
                progress.ended.update(progress.jobs)
            raise ClientGone
        if state.desk.closing:
            progress.ended.update(progress.jobs)  # they are left to the next start
            raise Refused(503, "the server stops; what waits is done after its next start")


def _hear(progress: Progress, message: Mapping[str, Any]) -> None:
    """Take in a message. A job that is taken off the queue has none: `_look` sees that."""
    kind, data = message["type"], message["data"]
    job = data.get("prompt_id")
    if kind == "execution_start":
        progress.running, progress.preview = job, None
    elif kind == "progress":
        progress.steps[job, str(data["node"])] = int(data["value"])
    elif kind == "executing" and data.get("node") is None:
        progress.ended.add(job)
        progress.running = None if progress.running == job else progress.running


async def _look(state: ServerState, progress: Progress) -> None:
    """Note the jobs that are neither waiting nor running: they were taken off the queue, or ended before we heard."""
    running = state.desk.running()
    there = {job.id for job in state.desk.waiting()} | ({running.id} if running is not None else set())
    for job in progress.jobs:
        if job not in progress.ended and job not in there:
            row = await state.store.keep(rows.job_row(job))
            if row is None or row["state"] in rows.ENDED:
                progress.ended.add(job)


async def _gather(state: ServerState, progress: Progress) -> Made:
    """Return the pictures of jobs that have ended."""
    pictures: list[bytes | None] = []
    folders = state.catalogue.session.private.of(progress.owner)
    interrupted, error = progress.interrupted, None
    for job, workflow in zip(progress.jobs, progress.plan, strict=True):
        row = await state.store.keep(rows.job_row(job))
        shown = json.loads(row["shown"] or "{}") if row else {}
        if row is None or row["state"] == rows.CANCELLED:
            interrupted = True
        elif row["state"] == rows.FAILED and error is None:
            told = json.loads(row["error"] or "{}")
            error = str(told.get("exception_message") or "the job failed")
        for save in workflow.saves:
            files = (shown.get(save) or {}).get("images") or [None]
            pictures.append(None if files[0] is None else await asyncio.to_thread(read_shown, folders, files[0]))
    return Made(tuple(pictures), interrupted, error)
