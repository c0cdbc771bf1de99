"""One job as the supervisor knows it: what was heard of it so far, and the one report it ends with.

Whichever way a job ends, its listener hears the same: ``job_started``, the executor's events with ``run_finished``
at the end, ``job_finished`` with the report, and nothing after that. Where the worker died, what it could no longer say
is said here in its place.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import Cancelled, Problem
from engine.execution.outcome import NodeOutcome, State
from engine.jobs.frames import encode_frame
from engine.jobs.records import JobReport, JobRequest, JobState, outcome_record, plain, problem_from, request_record

JobListener = Callable[[Mapping[str, Any], bytes | None], None]
"""Hears each event of a job as plain data with ``event``, ``job`` and ``time`` (seconds since 1970), and the bytes of a
preview.

It is called in the supervisor's threads, one event after the other, and must be quick: while it runs nothing is read
from the worker, which then leaves out previews, progress and lines of output, but never waits. What it raises is
logged.
"""

ENDED = {
    "node_finished": State.DONE,
    "node_cached": State.CACHED,
    "node_failed": State.FAILED,
    "node_skipped": State.SKIPPED,
    "node_blocked": State.BLOCKED,
}
"""The events that end a node, and the state it ends in."""
MOST_AT_ONCE = 256
"""So many events are handed to a loop in one of its turns."""
_log = logging.getLogger("safelight.jobs")


def listener_in(loop: asyncio.AbstractEventLoop, callback: JobListener) -> JobListener:
    """Return a listener that has ``callback`` called in the thread of ``loop``, in the order of the events.

    It never waits, so what the loop has not come to is kept in memory; previews are what is worth dropping there. The
    loop is woken once for all that came since it last looked.
    """
    lock = threading.Lock()
    heard: deque[tuple[Mapping[str, Any], bytes | None]] = deque()
    woken = False

    def forward(event: Mapping[str, Any], data: bytes | None) -> None:
        nonlocal woken
        with lock:
            heard.append((event, data))
            if woken:
                return
            woken = True
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody listens any more
            loop.call_soon_threadsafe(take)

    def take() -> None:
        nonlocal woken
        with lock:
            now = [heard.popleft() for _ in range(min(len(heard), MOST_AT_ONCE))]
            woken = bool(heard)
            if woken:
                loop.call_soon(take)
        for one in now:
            try:
                callback(*one)
            except Exception as error:  # noqa: BLE001 (told as the loop tells it; the other events are heard all the same)
                loop.call_exception_handler({"message": "a listener failed", "exception": error})

    return forward


class Job:
    """A job that was submitted. ``future`` ends with its `JobReport`, never with an error."""

    def __init__(self, request: JobRequest, listener: JobListener | None) -> None:
        """Raises `TypeError` or `ValueError` when the document cannot be sent: it is not JSON, or too large."""
        record, text = request_record(request)
        self.request = request
        self.frame = encode_frame({"do": "run", **record}, text)
        self.future: concurrent.futures.Future[JobReport] = concurrent.futures.Future()
        self.future.set_running_or_notify_cancel()  # nobody who waits for it can take it back
        self.began = False
        self.tries = 0
        self.cancel_asked: float | None = None  # when, by time.monotonic
        self.sent: float | None = None
        self.began_at: float | None = None
        """When the worker took it up; both by time.monotonic."""
        self.stopped_because: Problem | None = None
        """Why the supervisor itself ended the worker (past its memory or its time), if it did."""
        self._listener = listener
        self._lock = threading.RLock()  # a listener may cancel its own job
        self._wanted: tuple[str, ...] = ()
        self._nodes: dict[str, dict[str, Any]] = {}
        self._running: dict[str, str | None] = {}
        """The nodes that run, and where the document shows those that it does not hold itself."""

    @property
    def id(self) -> str:
        """The id that it was submitted under."""
        return self.request.id

    @property
    def running(self) -> tuple[str, ...]:
        """The nodes that run now, the last to begin at the end; with asynchronous nodes it can be several."""
        return tuple(self._running)

    def result(self, timeout: float | None = None) -> JobReport:
        """Wait for the report. Raises `TimeoutError`."""
        return self.future.result(timeout)

    async def wait(self) -> JobReport:
        """Wait for the report without holding up the event loop; being cancelled itself does not cancel the job."""
        return await asyncio.shield(asyncio.wrap_future(self.future))

    def hear(self, record: Mapping[str, Any], data: bytes | None = None) -> None:
        """Take in an event and hand it on; nothing is heard after the report."""
        with self._lock:
            if self.future.done():
                return
            self._take_in(record)
            if self._listener is not None:
                try:
                    self._listener({**record, "job": self.id, "time": time.time()}, data)
                except Exception:  # noqa: BLE001 (whatever it raises, the job goes on)
                    _log.exception("the listener of job %s failed on %s", self.id, record.get("event"))

    def _take_in(self, record: Mapping[str, Any]) -> None:
        name, node = record.get("event"), record.get("node_id")
        if name == "run_started":
            self._wanted = tuple(record["outputs"])
        elif name == "node_started":
            self._running[str(node)] = record.get("display_id")
        elif name in ENDED:
            self._running.pop(str(node), None)
            self._nodes[str(node)] = _node_record(str(ENDED[name]), record)

    def finish(self, report: JobReport) -> bool:
        """End the job with its report; say whether it had none yet."""
        with self._lock:
            if self.future.done():
                return False
            self.hear({"event": "job_finished", "report": report.as_json()})
            self.future.set_result(report)
            return True

    def finish_reported(self, report: Mapping[str, Any], worker: Mapping[str, Any]) -> bool:
        """End the job with what the worker reported."""
        state: JobState = "cancelled" if report["cancelled"] else "done" if report["ok"] else "failed"
        problems = tuple(problem_from(one) for one in report["problems"])
        made = JobReport(
            self.id,
            state,
            report["outputs"],
            report["nodes"],
            problems,
            self.running,
            report["seconds"],
            Cancelled.exit_code if state == "cancelled" else report["exit_code"],
            worker,
            report.get("plan"),
        )
        return self.finish(made)

    def finish_refused(self, problems: tuple[Problem, ...], exit_code: int, worker: Mapping[str, Any]) -> bool:
        """End a job of which nothing was run."""
        outputs = dict.fromkeys(self.request.outputs or (), str(State.FAILED))
        return self.finish(JobReport(self.id, "failed", outputs, {}, problems, exit_code=exit_code, worker=worker))

    def finish_cancelled(self, worker: Mapping[str, Any]) -> bool:
        """End a job that was cancelled while it waited, or whose worker had to be ended for it."""
        with self._lock:
            running = self.running
            for node in running:
                self._nodes[node] = _node_record(str(State.CANCELLED), {})
            return self._finish_run("cancelled", str(State.CANCELLED), {}, (), running, worker)

    def finish_broken(self, problem: Problem, worker: Mapping[str, Any]) -> bool:
        """End a job whose worker is gone: what ran has failed, what had not ended is skipped because of it.

        ``problem`` says what happened; the node that began last is put into it.
        """
        with self._lock:
            running = self.running
            problems = [dataclasses.replace(problem, **self._named(node)) for node in reversed(running[-1:])]
            for node in running[:-1]:
                also = f"the node ran beside node {running[-1]!r} when the worker stopped"
                problems.append(Problem(problem.code, also, **self._named(node)))
            for one in problems:
                failed = {"problem": plain(one), "exit_code": 1}
                self._nodes[str(one.node_id)] = _node_record(str(State.FAILED), failed)
                shown = self._running.get(str(one.node_id))
                event = {"event": "node_failed", "node_id": one.node_id, "problem": plain(one), "display_id": shown}
                self.hear(event)
            because = {"because": running[-1]} if running else {}
            earlier = [record["problem"] for record in self._nodes.values() if record["problem"]]
            known = tuple(problem_from(one) for one in earlier) or (problem,)
            return self._finish_run("failed", str(State.SKIPPED), because, known, running, worker)

    def _finish_run(
        self,
        state: JobState,
        left: str,
        because: Mapping[str, Any],
        problems: tuple[Problem, ...],
        running: tuple[str, ...],
        worker: Mapping[str, Any],
    ) -> bool:
        """Give every wanted output that has none yet the state ``left``, say that the run is over, and report."""
        wanted = self._wanted or tuple(self.request.outputs or ())
        for node in wanted:
            if node not in self._nodes:
                self._nodes[node] = _node_record(left, because)
                if because:
                    self.hear({"event": "node_skipped", "node_id": node, **because})
        outputs = {node: self._nodes[node]["state"] for node in wanted}
        seconds = 0.0 if self.sent is None else time.monotonic() - self.sent
        if self.began:
            self.hear({"event": "run_finished", "states": outputs, "seconds": seconds})
        code = Cancelled.exit_code if state == "cancelled" else 1
        made = JobReport(self.id, state, outputs, dict(self._nodes), problems, running, seconds, code, worker)
        return self.finish(made)

    def _named(self, node: str) -> dict[str, Any]:
        return {"node_id": node, "node_title": _title(self.request.document, self._running.get(node) or node)}


def _node_record(state: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node's outcome as the worker would have reported it, from its last event."""
    known = outcome_record(NodeOutcome(State(state)))
    known |= {name: record[name] for name in known if name in record}
    known["exit_code"] = record.get("exit_code", 1 if known["problem"] else 0)
    return known


def _title(document: Mapping[str, Any] | bytes, node: str) -> str | None:
    """Return what the document calls a node: its title or its type; None where it is not found."""
    if isinstance(document, bytes):
        with contextlib.suppress(ValueError):
            return _title(json.loads(document), node)
    if not isinstance(document, Mapping):
        return None
    prompt = document.get("prompt", document)
    entry = prompt.get(node) if isinstance(prompt, Mapping) else None
    if isinstance(entry, Mapping):
        meta = entry.get("_meta")
        title = meta.get("title") if isinstance(meta, Mapping) else None
        return str(title or entry.get("class_type") or node)
    listed = document.get("nodes")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and str(one.get("id")) == node:
            return str(one.get("title") or one.get("type"))
    return None
