"""The desk: takes jobs in, gives them to the worker one after the other, and sees that each has one end.

What was accepted is in the `Store` before the client is told so. The queue in memory (`waiting.py`) is a copy of it.
Everything here runs in the event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.errors import InputError
from engine.jobs.job import listener_in
from engine.jobs.records import JobRequest
from engine.jobs.supervisor import Supervisor
from engine.server import job_rows as rows
from engine.server.between import tell_between
from engine.server.catalogue import Catalogue
from engine.server.console import Console
from engine.server.grouping import Grouping
from engine.server.hub import Hub
from engine.server.intake import Asked, coming, queued
from engine.server.job_rows import JobEnd, QueuedJob
from engine.server.options import PREVIEW_METHODS, PreviewMethod
from engine.server.prompts import Accepted
from engine.server.store import Store
from engine.server.story import Message, Story
from engine.server.waiting import WaitingJobs
from engine.server.written_files import WrittenFiles

MAX_TRIES: Final = 25
"""So often a job is begun again after the server itself was killed while it ran."""
_log = logging.getLogger("safelight.server")


class QueueFull(Exception):
    """Say that no more jobs are taken in now."""


class IdTaken(InputError):
    """Say that another user has a job of that id."""

    code = "E-ID-TAKEN"


@dataclasses.dataclass(slots=True)
class _Running:
    job: QueuedJob
    story: Story
    previews: str
    began: bool = False


class Desk:
    """See the module's own text."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: Store,
        hub: Hub,
        supervisor: Supervisor,
        console: Console,
        written: WrittenFiles,
        *,
        max_pending: int,
        history_size: int,
        previews: PreviewMethod = "default",
        apart: bool = False,
        group_models: bool = False,
    ) -> None:
        """With ``apart`` each owner of jobs has files and kept results of its own; see `grouping` for the last."""
        self.catalogue = catalogue
        self.store = store
        self.hub = hub
        self.supervisor = supervisor
        self.console = console
        self._written = written
        self._max_pending = max_pending
        self._history_size = history_size
        self._previews = previews
        self._apart = apart
        self._group_models = group_models
        self._waiting = WaitingJobs()
        self._accepting = 0
        self._running: _Running | None = None
        self._ending: _Running | None = None
        """The job whose end is being kept. The next one runs meanwhile, and what it says is held back until then."""
        self._held: list[tuple[Mapping[str, Any], bytes | None]] = []
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._next_event = 1
        self._reserved = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self.paused = False
        self.closing = False
        self.finished: dict[str, int] = {}
        self.memory: dict[str, Any] = {}
        """What the worker last said of what it holds, see `engine.jobs.gauging`."""
        self.webhooks_due: Callable[[], None] = lambda: None
        """Called when the end of a job is to be told to a webhook."""

    # -- what waits

    @property
    def remaining(self) -> int:
        """How many jobs wait or run."""
        return len(self._waiting) + (self._running is not None) + (self._ending is not None)

    def remaining_of(self, viewer: str | None) -> int:
        """How many jobs wait or run, as far as ``viewer`` may know."""
        if viewer is None:
            return self.remaining
        return self._waiting.count_of[viewer] + sum(
            one is not None and one.job.owner == viewer for one in (self._running, self._ending)
        )

    def waiting(self) -> list[QueuedJob]:
        """List the jobs that wait, in their order."""
        return self._waiting.listed()

    def running(self) -> QueuedJob | None:
        """Return the job that runs, or None."""
        return None if self._running is None else self._running.job

    def running_story(self) -> Story | None:
        """Return what is told of the job that runs, or None."""
        return None if self._running is None else self._running.story

    async def restore(self) -> None:
        """Take up what an earlier server left: what had not ended runs again, after what it wrote was removed."""
        found = await self.store.read(rows.unfinished)
        begun = set(await self.store.read(rows.running_ids))
        highest = await self.store.read(rows.highest_number)
        self._next_event = await self.store.read(rows.first_number)
        # Also of those that are not marked as running: the worker may have been faster than the mark.
        await asyncio.to_thread(self._written.undo, [job.id for job in found])
        left: list[QueuedJob] = []
        for job in found:
            if job.tries >= MAX_TRIES and job.id in begun:
                await self._give_up(job)
            else:
                left.append(job)
        self._waiting.restore(left, highest)
        await asyncio.to_thread(self._written.settle_all)
        if found:
            _log.info("%d jobs of the queue that was left are taken up again", len(left))

    async def _give_up(self, job: QueuedJob) -> None:
        message = f"the server was ended {job.tries} times while this job ran"
        error = {"prompt_id": job.id, "node_id": None, "exception_message": message, "exception_type": "E-SERVER"}
        status = {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}
        end = JobEnd(rows.FAILED, _now_ms(), "{}", json.dumps(status), "{}", json.dumps(error), "{}")
        await self.store.keep(rows.finish(job.id, end, self._history_size))

    async def submit(self, accepted: Accepted, body: Mapping[str, Any], owner: str | None = None) -> QueuedJob:
        """Take one job in, as `submit_all` does."""
        (job,) = await self.submit_all([Asked(accepted, body, owner)])
        return job

    async def submit_all(self, asked: Sequence[Asked]) -> list[QueuedJob]:
        """Take jobs in, all or none; they are on the disk when this returns. Raises `QueueFull` and `IdTaken`.

        One whose ``prompt_id`` is known already is not taken in again, so that asking twice does no harm.
        """
        if self.closing or len(self._waiting) + self._accepting + len(asked) > self._max_pending:
            raise QueueFull
        made: list[tuple[QueuedJob, bool]] = []
        added: list[rows.Added] = []
        for one in asked:
            job, workflow_id = queued(one)
            place = self._waiting.place(one.body, job.fair_client)
            job = dataclasses.replace(job, number=place.number, turn=place.turn)
            made.append((job, place.shared))
            added.append((job, workflow_id, one.webhook))
        self._accepting += len(asked)
        try:
            seqs = await self.store.write(rows.add(added, apart=self._apart))
        finally:
            self._accepting -= len(asked)
        if seqs is None:
            raise IdTaken("another job has this prompt_id", hint="choose another, or none")
        taken = [await self._taken(*one, seq) for one, seq in zip(made, seqs, strict=True)]
        self.tell_status()
        self.pump()
        return taken

    async def _taken(self, job: QueuedJob, shared: bool, seq: int) -> QueuedJob:
        if seq < 0:
            known = await self.store.read(rows.job_row(job.id))
            return job if known is None else dataclasses.replace(job, number=known["number"])
        job = dataclasses.replace(job, seq=seq)
        self._waiting.put(job, shared=shared)
        return job

    # -- what runs

    def pump(self) -> None:
        """Begin with the next job, if none runs."""
        if self._running is not None or self.paused or self.closing:
            return
        if self._group_models and self._waiting.grouping is None:
            self._waiting.grouping = Grouping(self.catalogue.session.registry)
        job = self._waiting.next()
        if job is None:
            return
        prompt = json.loads(job.prompt)
        extra = json.loads(job.extra)
        workflow = (extra.get("extra_pnginfo") or {}).get("workflow") if isinstance(extra, dict) else None
        asked = extra.get("preview_method") if isinstance(extra, dict) else None
        previews = asked if asked in PREVIEW_METHODS and asked != "default" else self._previews
        running = _Running(job, Story(job.id, prompt, self.catalogue.lazy_inputs()), previews)
        self._running = running
        self._idle.clear()
        self.store.note(rows.set_running(job.id, _now_ms()))
        request = JobRequest(
            job.id,
            job.prompt.encode(),
            job.valid,
            workflow if isinstance(workflow, Mapping) else None,
            writes=self._written.file(job.id),
            user=job.owner if self._apart else None,
            measure=isinstance(extra, dict) and extra.get("measure") is True,
            coming=coming(self._waiting.first(), apart=self._apart),
        )
        self.supervisor.submit(request, listener_in(asyncio.get_running_loop(), self._hear))

    def _hear(self, event: Mapping[str, Any], data: bytes | None) -> None:
        """Hear what happens in the worker; called in the event loop, in order."""
        running = self._running
        if running is None or event.get("job") != running.job.id:
            return
        if self._ending is not None:
            self._held.append((event, data))
            return
        if event["event"] == "memory":
            self.memory = {name: value for name, value in event.items() if name not in ("event", "job")}
            self.hub.tell_watchers("memory", self.memory)
            return
        if tell_between(self.hub, self.console, running.job, running.story, running.previews, event, data):
            return
        if event["event"] == "job_finished":
            self._begin(running)
            self._ending, self._running = running, None
            self.pump()
            task = asyncio.get_running_loop().create_task(self._finish(running, event["report"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        self._begin(running)
        for message in running.story.hear(event):
            self._publish(running.job, message)

    def _begin(self, running: _Running) -> None:
        if not running.began:
            running.began = True
            _log.debug("job %s begins", running.job.id, extra={"job": running.job.id})
            self.tell_status()
            for message in running.story.begin():
                self._publish(running.job, message)

    async def _finish(self, running: _Running, report: Mapping[str, Any]) -> None:
        """Keep how a job ended, then tell it: whoever hears of the end finds the history there."""
        job, story = running.job, running.story
        state, message = story.end(report)
        completed = state == rows.COMPLETED
        status = {"status_str": "success" if completed else "error", "completed": completed, "messages": story.messages}
        if report.get("plan") is not None:
            status["plan"] = report["plan"]
        error = None if completed else json.dumps(message.data)
        shown, told, meta = (json.dumps(one) for one in (story.shown, status, story.meta))
        end = JobEnd(state, _now_ms(), shown, told, meta, error, json.dumps(story.states))
        try:
            if await self.store.keep(rows.finish(job.id, end, self._history_size)):
                self.webhooks_due()
        except Exception:  # noqa: BLE001 (a full disk must not stop the queue; the client is told all the same)
            _log.exception("the end of job %s could not be kept", job.id, extra={"job": job.id})
        self._written.settle(job.id)
        self.finished[state] = self.finished.get(state, 0) + 1
        _log.info("job %s: %s", job.id, state, extra={"job": job.id})
        self._publish(job, message)
        self._publish(job, Message("executing", {"node": None, "prompt_id": job.id}))
        self._ending = None
        self._tell_waiters(job.id)
        self.tell_status()
        held, self._held = self._held, []
        for event, data in held:
            self._hear(event, data)
        self.pump()
        if self._running is None and self._ending is None:
            self._idle.set()

    def _publish(self, job: QueuedJob, message: Message) -> None:
        n = None
        if message.kept:
            n = self._next_event
            self._next_event += 1
            if n >= self._reserved:
                self._reserved = n + rows.NUMBERS_AT_ONCE
                self.store.note(rows.reserve_numbers(self._reserved))
        data = self.hub.tell(message, job.id, job.client, n, job.owner)
        if n is not None:
            self.store.note(rows.add_event(n, job, message.type, data, time.time()))

    @property
    def last_event(self) -> int:
        """The number of the last event that was told."""
        return self._next_event - 1

    def tell_status(self) -> None:
        """Tell every client how many jobs there are."""
        self.hub.tell_all("status", lambda viewer: {"status": self.exec_info(viewer)})

    def exec_info(self, viewer: str | None = None) -> dict[str, Any]:
        """Return ``{exec_info: {queue_remaining}}``, as far as ``viewer`` may know."""
        return {"exec_info": {"queue_remaining": self.remaining_of(viewer)}}

    async def wait_for(self, id: str, seconds: float) -> bool:
        """Wait until a job has ended, at most so many seconds; say whether it has."""
        if id not in self._waiting and not any(one and one.job.id == id for one in (self._running, self._ending)):
            return True
        ended = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(id, []).append(ended)
        try:
            await asyncio.wait_for(ended, seconds)
        except TimeoutError:
            return False
        return True

    def _tell_waiters(self, id: str) -> None:
        for one in self._waiters.pop(id, ()):
            if not one.done():
                one.set_result(None)

    async def move(self, id: str, body: Mapping[str, Any]) -> QueuedJob | None:
        """Give a job that waits the place that ``body`` asks for (``number`` or ``front``); None where none waits."""
        job = self._waiting.take(id)
        if job is None:
            return None
        place = self._waiting.place(body, job.fair_client)
        moved = dataclasses.replace(job, number=place.number, turn=place.turn)
        self._waiting.put(moved, shared=place.shared)
        await self.store.keep(rows.set_number(id, moved.number))
        return moved

    # -- stopping

    async def drop(self, ids: Iterable[str] | None) -> list[str]:
        """Take jobs that wait off the queue (None: all); return the ids of those that were there."""
        dropped = self._waiting.drop(self._waiting.ids() if ids is None else list(ids))
        if dropped:
            if await self.store.keep(rows.cancel_waiting(dropped, _now_ms())):
                self.webhooks_due()
            for id in dropped:
                self._tell_waiters(id)
            self.tell_status()
        return dropped

    def interrupt(self, id: str | None = None) -> bool:
        """Ask the job that runs to stop; with ``id`` only if it is that one. Say whether one was asked."""
        running = self._running
        if running is None or (id is not None and running.job.id != id):
            return False
        self.supervisor.cancel(running.job.id)
        return True

    async def cancel(self, id: str) -> bool:
        """Take a job off the queue or ask it to stop; False where it neither waits nor runs."""
        return bool(await self.drop([id])) or self.interrupt(id)

    async def close(self, grace_s: float) -> None:
        """Take nothing in any more; let the job that runs end within ``grace_s`` seconds.

        One that does not is left as it is in the store: the next server runs it again.
        """
        self.closing = True
        if (self._running is not None or self._ending is not None) and grace_s > 0:
            try:
                await asyncio.wait_for(self._idle.wait(), grace_s)
            except TimeoutError:
                _log.info("job %s is left to the next start", self._running.job.id if self._running else "")
        self._running = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)


def _now_ms() -> float:
    return time.time() * 1000
