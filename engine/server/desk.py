"""The desk: takes jobs in, gives them to the worker one after the other, and sees that each has one end.

What was accepted is in the `Store` before the client is told so. The queue in memory is a copy of it, in the order of
`QueuedJob.order`. Everything here runs in the event loop.
"""

from __future__ import annotations

import asyncio
import bisect
import dataclasses
import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.jobs.job import listener_in
from engine.jobs.records import JobRequest
from engine.jobs.supervisor import Supervisor
from engine.server import job_rows as rows
from engine.server.catalogue import Catalogue
from engine.server.console import Console
from engine.server.hub import Hub
from engine.server.job_rows import JobEnd, QueuedJob
from engine.server.options import PREVIEW_METHODS, PreviewMethod
from engine.server.prompts import Accepted
from engine.server.store import Store
from engine.server.story import Message, Story
from engine.server.written_files import WrittenFiles

SECRETS: Final = ("auth_token_comfy_org", "api_key_comfy_org")
"""Keys of ``extra_data`` that are never kept."""
MAX_TRIES: Final = 25
"""So often a job is begun again after the server itself was killed while it ran."""

_log = logging.getLogger("safelight.server")


class QueueFull(Exception):
    """Say that no more jobs are taken in now."""


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
    ) -> None:
        self.catalogue = catalogue
        self.store = store
        self.hub = hub
        self.supervisor = supervisor
        self.console = console
        self._written = written
        self._max_pending = max_pending
        self._history_size = history_size
        self._previews = previews
        self._order: list[tuple[tuple[float, int], str]] = []
        self._waiting: dict[str, QueuedJob] = {}
        self._accepting = 0
        self._running: _Running | None = None
        self._ending: _Running | None = None
        """The job whose end is being kept. The next one runs meanwhile, and what it says is held back until then."""
        self._held: list[tuple[Mapping[str, Any], bytes | None]] = []
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._number = 0
        self._next_event = 1
        self._reserved = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self.paused = False
        self.closing = False
        self.finished: dict[str, int] = {}

    # -- what waits

    @property
    def remaining(self) -> int:
        """How many jobs wait or run."""
        return len(self._waiting) + (self._running is not None) + (self._ending is not None)

    def waiting(self) -> list[QueuedJob]:
        """List the jobs that wait, in their order."""
        return [self._waiting[id] for _, id in self._order]

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
        self._number = await self.store.read(rows.highest_number)
        self._next_event = await self.store.read(rows.first_number)
        for job in found:
            if job.id in begun:
                await asyncio.to_thread(self._written.undo, job.id)
            if job.tries >= MAX_TRIES and job.id in begun:
                await self._give_up(job)
            else:
                self._put(job)
        await asyncio.to_thread(self._written.settle_all)
        if found:
            _log.info("%d jobs of the queue that was left are taken up again", len(self._order))

    async def _give_up(self, job: QueuedJob) -> None:
        message = f"the server was ended {job.tries} times while this job ran"
        error = {"prompt_id": job.id, "node_id": None, "exception_message": message, "exception_type": "E-SERVER"}
        status = {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}
        end = JobEnd(rows.FAILED, _now_ms(), "{}", json.dumps(status), "{}", json.dumps(error), "{}")
        await self.store.keep(rows.finish(job.id, end, self._history_size))

    def _put(self, job: QueuedJob) -> None:
        self._waiting[job.id] = job
        bisect.insort(self._order, (job.order, job.id))

    def _take(self, id: str) -> QueuedJob | None:
        job = self._waiting.pop(id, None)
        if job is not None:
            at = bisect.bisect_left(self._order, (job.order, id))
            del self._order[at]
        return job

    async def submit(self, accepted: Accepted, body: Mapping[str, Any]) -> QueuedJob:
        """Take a job in; it is on the disk when this returns. Raises `QueueFull`.

        One whose ``prompt_id`` is known already is not taken in again, so that asking twice does no harm.
        """
        if self.closing or len(self._waiting) + self._accepting >= self._max_pending:
            raise QueueFull
        extra = dict(body["extra_data"]) if isinstance(body.get("extra_data"), Mapping) else {}
        client = body.get("client_id") or extra.get("client_id")
        client = client if isinstance(client, str) else None
        now = _now_ms()
        extra = {key: value for key, value in extra.items() if key not in SECRETS}
        if client is not None:
            extra["client_id"] = client
        extra.setdefault("create_time", int(now))
        if accepted.workflow is not None:
            given = extra.get("extra_pnginfo")
            extra["extra_pnginfo"] = {**(given if isinstance(given, Mapping) else {}), "workflow": accepted.workflow}
        id = body.get("prompt_id")
        id = id if isinstance(id, str) and 0 < len(id) <= 200 else str(uuid.uuid4())
        job = QueuedJob(id, self._place(body), client, accepted.text, json.dumps(extra), accepted.outputs, now)
        self._accepting += 1
        try:
            seq = await self.store.write(rows.add(job, _workflow_id(extra)))
        finally:
            self._accepting -= 1
        if seq < 0:
            known = await self.store.read(rows.job_row(id))
            number = job.number if known is None else known["number"]
            return dataclasses.replace(job, number=number)
        job = dataclasses.replace(job, seq=seq)
        self._put(job)
        self.tell_status()
        self.pump()
        return job

    def _place(self, body: Mapping[str, Any]) -> float:
        number = body.get("number")
        if isinstance(number, (int, float)) and not isinstance(number, bool) and abs(number) < 1e15:
            return float(number)
        self._number += 1
        return float(-self._number if body.get("front") else self._number)

    # -- what runs

    def pump(self) -> None:
        """Begin with the next job, if none runs."""
        if self._running is not None or not self._order or self.paused or self.closing:
            return
        job = self._take(self._order[0][1])
        assert job is not None
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
        name = event["event"]
        if name == "preview":
            if data is not None and running.previews != "none":
                facts = running.story.preview_facts(str(event["node_id"]))
                plain_too = running.previews != "default"
                self.hub.tell_preview(facts, event["format"], data, running.job.client, plain_too=plain_too)
            return
        if name == "log":
            self.console.add(event)
            return
        if name == "message":
            owner = event["sid"] or running.job.client
            self.hub.tell(Message(event["type"], event["data"], kept=False), running.job.id, owner, None)
            return
        if name == "text":
            self.hub.tell_text(event["node_id"], event["text"], running.job.id, event["sid"] or running.job.client)
            return
        if name == "job_finished":
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
            self.tell_status()
            for message in running.story.begin():
                self._publish(running.job, message)

    async def _finish(self, running: _Running, report: Mapping[str, Any]) -> None:
        """Keep how a job ended, then tell it: whoever hears of the end finds the history there."""
        job, story = running.job, running.story
        state, message = story.end(report)
        completed = state == rows.COMPLETED
        status = {
            "status_str": "success" if completed else "error",
            "completed": completed,
            "messages": story.messages,
        }
        error = None if completed else json.dumps(message.data)
        shown, told, meta = (json.dumps(one) for one in (story.shown, status, story.meta))
        end = JobEnd(state, _now_ms(), shown, told, meta, error, json.dumps(story.states))
        try:
            await self.store.keep(rows.finish(job.id, end, self._history_size))
        except Exception:  # noqa: BLE001 (a full disk must not stop the queue; the client is told all the same)
            _log.exception("the end of job %s could not be kept", job.id)
        self._written.settle(job.id)
        self.finished[state] = self.finished.get(state, 0) + 1
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
        data = self.hub.tell(message, job.id, job.client, n)
        if n is not None:
            self.store.note(rows.add_event(n, job.id, job.client, message.type, data, time.time()))

    @property
    def last_event(self) -> int:
        """The number of the last event that was told."""
        return self._next_event - 1

    def tell_status(self) -> None:
        """Tell every client how many jobs there are."""
        self.hub.tell_all("status", {"status": self.exec_info()})

    def exec_info(self) -> dict[str, Any]:
        """Return ``{exec_info: {queue_remaining}}``."""
        return {"exec_info": {"queue_remaining": self.remaining}}

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
        job = self._take(id)
        if job is None:
            return None
        moved = dataclasses.replace(job, number=self._place(body))
        self._put(moved)
        await self.store.keep(rows.set_number(id, moved.number))
        return moved

    # -- stopping

    async def drop(self, ids: Iterable[str] | None) -> list[str]:
        """Take jobs that wait off the queue (None: all); return the ids of those that were there."""
        wanted = list(self._waiting) if ids is None else list(ids)
        dropped = [id for id in wanted if self._take(id) is not None]
        if dropped:
            await self.store.keep(rows.cancel_waiting(dropped, _now_ms()))
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


def _workflow_id(extra: Mapping[str, Any]) -> str | None:
    found: Any = extra
    for key in ("extra_pnginfo", "workflow", "id"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def _now_ms() -> float:
    return time.time() * 1000
