"""The worker: a process that owns a `Session` and runs one job after the other, keeping results and weights warm.

    main thread     takes jobs and runs them, so nodes find what they expect of a main thread
    control thread  reads what the supervisor says: sets the cancel token of a running job, answers pings
    sender thread   sends what the socket did not take at once

A worker lives no longer than its supervisor. The control thread sees the connection close and ends the whole
process group; where a node holds the interpreter's lock in native code, the guardian does: a copy of this process, made
before anything was loaded, that does nothing but wait for the supervisor's end of a pipe to close.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import importlib
import logging
import os
import queue
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from engine.errors import Problem, SafelightError
from engine.execution.cancel import CancelToken
from engine.execution.context import CURRENT
from engine.graph.documents import load_document, parse_text
from engine.jobs.capture import Capture
from engine.jobs.following import PlannedRuns, Wanted
from engine.jobs.frames import Frame, FrameSender, read_frames
from engine.jobs.gauging import Gauging
from engine.jobs.job import ENDED
from engine.jobs.pack_messages import listen_to_packs
from engine.jobs.previews import PreviewMaker, PreviewOptions
from engine.jobs.process_tree import (
    DEAF,
    WINDOWS,
    adopt_orphans,
    descendants,
    end_own_group,
    end_processes,
    held_bytes,
    peak_bytes,
    refuse_huge_allocations,
)
from engine.jobs.records import event_record, plain, result_record, settings_from
from engine.jobs.write_list import listing_writes
from engine.paths.writing import ANNOUNCE
from engine.settings import Settings

FORKED: Final = 75
"""The exit code of a forked copy that came back from the node that made it."""
SOON: Final = frozenset({"run_started", "node_cached", "node_finished", "run_finished"})
"""Events that go with the next frame: others follow at once. How a crash began is told by those that do not wait."""
KEPT_SHARE: Final = 4
"""The results kept in memory take at most this part (a quarter) of a memory limit."""

_log = logging.getLogger("safelight.jobs")


def main(handle: str, lifeline: str = "") -> None:
    """Serve the supervisor whose socket ``handle`` names, until it says so or is gone.

    ``handle`` is a file descriptor; on Windows the socket itself comes through standard input, made for this
    process alone. ``lifeline`` is the read end of the guardian's pipe.
    """
    if lifeline:
        _start_guardian(int(lifeline), int(handle))
        os.close(int(lifeline))
    connection = _connection(handle)
    frames = read_frames(connection)
    connection.setblocking(False)
    first = next(frames, None)
    if first is None:
        end_own_group()
        return
    adopt_orphans()
    faulthandler.enable(2)  # says on the plain descriptor where native code crashed
    worker = Worker(connection, first[0])
    threading.Thread(target=worker.control, args=(frames,), name="control", daemon=True).start()
    worker.serve()


def _connection(handle: str) -> socket.socket:
    if WINDOWS:
        from_share = getattr(socket, "fromshare")  # noqa: B009  absent on other systems
        made = from_share(sys.stdin.buffer.read())
        assert isinstance(made, socket.socket)
        return made
    os.set_inheritable(int(handle), False)  # what a node starts has no part in this
    return socket.socket(fileno=int(handle))


def _start_guardian(lifeline: int, handle: int) -> None:
    """Fork the copy that ends this process group when the supervisor is gone, whatever this process is doing."""
    if os.fork():
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for descriptor in (0, 1, 2, handle):
        os.close(descriptor)
    with contextlib.suppress(OSError):
        os.read(lifeline, 1)
    end_own_group()


@dataclasses.dataclass(slots=True)
class _Running:
    """The job that runs now; written by the main thread, its token also by the control thread."""

    id: str
    token: CancelToken
    began: float
    previews: PreviewMaker
    nodes: list[str] = dataclasses.field(default_factory=list)


class Worker:
    """The session, what is running, and the way back to the supervisor."""

    def __init__(self, connection: socket.socket, setup: Mapping[str, Any]) -> None:
        self._connection = connection
        self._sender = FrameSender(connection, "worker")
        self._owner = os.getpid()
        self._running: _Running | None = None
        self._work: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._cancelled_early: set[str] = set()
        self._lock = threading.Lock()
        self._previews = PreviewOptions(**setup["previews"])
        self._max_ram: int | None = setup["max_ram_bytes"]
        self._capture = Capture(self._emit_line, setup["log_level"])
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._become_a_copy)
        module, _, attribute = setup["session"].partition(":")
        self._make_session = getattr(importlib.import_module(module), attribute)
        self._gauging = Gauging(self._emit_memory)
        self._settings = self._bounded(settings_from(setup["settings"]))
        self._begin(self._settings)
        self._salt: str | None = None
        if setup["warm"]:
            self._salt = self._session.services.salt  # loads torch
        _ = self._session.registry
        self._sender.send({"is": "ready", "pid": os.getpid()})

    def control(self, frames: Any) -> None:
        """Do what the supervisor says; ends this process when the supervisor is gone."""
        try:
            for message, data in frames:
                match message.get("do"):
                    case "cancel":
                        self._cancel(message["job"])
                    case "known":
                        self._tell_known(message)
                    case "gauge":
                        held = self._gauging.now(self._session)
                        self._sender.send({"is": "gauged", "gauge": message["gauge"], "memory": held})
                    case "ping":
                        self._sender.send({"is": "pong", "ping": message["ping"]})
                    case _:
                        self._work.put((message, data))
        except Exception as error:  # noqa: BLE001 (whatever it is: a worker that cannot be told to stop must not live on)
            os.write(2, f"the worker cannot hear its supervisor: {error}\n".encode())
            os._exit(DEAF)
        end_own_group()

    def serve(self) -> None:
        """Take one thing after the other from the supervisor, until it says that is all. Does not return."""
        while True:
            message, data = self._work.get()
            match message.get("do"):
                case "run":
                    self._run(message, data)
                case "free":
                    self._free(message)
                case "exit":
                    break
        self._close_cache()
        self._capture.end_lines()
        self._sender.drain(1.0)
        end_own_group()

    def _tell_known(self, message: Mapping[str, Any]) -> None:
        """Say which keys have a result, and in which tier, while something else may be running."""
        cache, tiers = vars(self._session).get("cache"), {}
        if cache is not None and self._salt is not None:
            with contextlib.suppress(sqlite3.Error):
                tiers = {key: tier for key in message["keys"] if (tier := cache.tier_of(key)) is not None}
        self._sender.send({"is": "known", "known": message["known"], "tiers": tiers, "salt": self._salt})

    def _cancel(self, job: str) -> None:
        with self._lock:
            if self._running is not None and self._running.id == job:
                self._running.token.cancel()
            else:
                self._cancelled_early.add(job)

    def _run(self, job: Mapping[str, Any], text: bytes) -> None:
        running = _Running(job["id"], CancelToken(), time.time(), PreviewMaker(self._previews))
        with self._lock:
            self._running = running
            if running.id in self._cancelled_early:
                running.token.cancel()
            self._cancelled_early.clear()
        self._sender.send({"is": "began", "job": running.id})
        listen_to_packs(self._emit_for_pack)
        if self._max_ram is not None:
            refuse_huge_allocations(self._max_ram)
        report = self._compute(job, text, running)
        if os.getpid() != self._owner:
            os._exit(FORKED)
        self._gauging.look(self._session, at_end=True)
        if running.token.cancelled:
            self._end_children(running.began)
        self._capture.end_lines()
        with self._lock:
            self._running = None
        self._salt = self._session.services.salt
        self._sender.send({**report, "job": running.id, "peak_memory_bytes": peak_bytes()})
        self._store_results()  # nobody waits for it, and a worker may be ended at any time

    def _store_results(self) -> None:
        try:
            if "cache" in vars(self._session):
                self._session.cache.settle()
        except Exception:  # noqa: BLE001 (as in `_close_cache`)
            _log.exception("the kept results could not be written")

    def _compute(self, job: Mapping[str, Any], text: bytes, running: _Running) -> dict[str, Any]:
        """Run a job and return what to report; whatever a node raises is in it."""
        try:
            session = self._session_for(job["settings"])
            document = parse_text(text, "the workflow") if text else job["document"]
            graph = load_document(document, session.interfaces)
            if job["workflow"] is not None:
                graph = dataclasses.replace(graph, workflow=job["workflow"])
            with listing_writes(job.get("writes")) as announce:
                ANNOUNCE.set(announce)
                result, plan = self._runs.run(
                    graph,
                    outputs=job["outputs"],
                    listener=lambda event: self._tell(running, event),
                    cancel=running.token,
                    measure=job["measure"],
                    user=job.get("user"),
                    coming=None if job["coming"] is None else lambda: self._coming(job["coming"]),
                )
            return {"is": "report", "report": {**result_record(result.made), "plan": plan}}
        except SafelightError as error:
            problems = [plain(problem) for problem in error.problems]
            return {"is": "refused", "problems": problems, "exit_code": error.exit_code}
        except BaseException as error:  # noqa: BLE001 (SystemExit of a node ends its job, not the worker)
            if os.getpid() != self._owner:
                os._exit(FORKED)
            _log.error("the run was broken off", exc_info=error)
            return {"is": "broke", "problem": plain(_broken_off(error)), "nodes": list(running.nodes)}

    def _coming(self, job: Mapping[str, Any]) -> Wanted:
        """Read the job that runs next. Raises what reading it raises."""
        document = job["document"]
        document = parse_text(document, "the workflow") if isinstance(document, str) else document
        return Wanted(load_document(document, self._session.interfaces), job["outputs"], job["user"])

    def _session_for(self, record: Mapping[str, Any] | None) -> Any:
        wanted = self._settings if record is None else self._bounded(settings_from(record))
        if wanted != self._session.settings:
            self._close_cache()
            self._begin(wanted)
        return self._session

    def _begin(self, settings: Settings) -> None:
        self._session = self._make_session(settings)
        self._runs = PlannedRuns(self._session)

    def _close_cache(self) -> None:
        """Let results that are still being written to disk be written."""
        try:
            if "cache" in vars(self._session):
                self._session.cache.close()
        except Exception:  # noqa: BLE001 (the results are for later; nothing depends on them now)
            _log.exception("the kept results could not be written")

    def _bounded(self, settings: Settings) -> Settings:
        """Leave room under the memory limit: what is kept between jobs must not be what goes past it."""
        if self._max_ram is None:
            return settings
        return dataclasses.replace(settings, cache_bytes=min(settings.cache_bytes, self._max_ram // KEPT_SHARE))

    def _tell(self, running: _Running, event: Any) -> None:
        """Send one event of the executor. A forked copy of this process that got here has left its node: it ends."""
        if os.getpid() != self._owner:
            os._exit(FORKED)
        record = event_record(event)
        name, node = record["event"], record.get("node_id")
        if name == "node_started":
            running.nodes.append(str(node))
        elif name in ENDED and node in running.nodes:
            self._capture.end_lines()
            running.nodes.remove(node)
        self._sender.send(
            {"is": "event", "job": running.id, "event": record},
            droppable=name == "node_progress",
            soon=name in SOON,
        )
        self._gauging.look(self._session)
        if getattr(event, "preview", None) is not None and running.previews.due() and self._sender.idle:
            made = running.previews.make(event.preview)
            if made is not None:
                facts = {"event": "preview", "node_id": node, **made[0]}
                self._sender.send({"is": "event", "job": running.id, "event": facts}, made[1])

    def _emit_line(self, stream: str, text: str, level: str | None) -> None:
        running = self._running
        job = None if running is None else running.id
        context = CURRENT.get()  # beside each other run coroutines; a node's own threads know none
        node = context.node_id if context is not None else None
        if node is None and running is not None and running.nodes:
            node = running.nodes[-1]
        line: dict[str, Any] = {"event": "log", "node_id": node, "stream": stream, "text": text, "level": level}
        left_out, self._sender.left_out = self._sender.left_out, 0
        if left_out:
            line["left_out"] = left_out
        self._sender.send({"is": "event", "job": job, "event": line}, droppable=True)

    def _emit_memory(self, event: Mapping[str, Any]) -> None:
        running = self._running
        if running is not None and os.getpid() == self._owner:
            self._sender.send({"is": "event", "job": running.id, "event": dict(event)}, droppable=True)

    def _emit_for_pack(self, event: Mapping[str, Any], picture: Any) -> None:
        """Send what a pack tells clients; a picture only when one is due."""
        running = self._running
        if running is None or os.getpid() != self._owner:
            return
        if picture is None:
            self._sender.send({"is": "event", "job": running.id, "event": dict(event)}, droppable=True)
        elif running.previews.due() and self._sender.idle and running.nodes:
            made = running.previews.make(picture)
            if made is not None:
                facts = {"event": "preview", "node_id": running.nodes[-1], **made[0]}
                self._sender.send({"is": "event", "job": running.id, "event": facts}, made[1])

    def _free(self, message: Mapping[str, Any]) -> None:
        """Let go of what is kept between jobs. What a job is using is not touched: this runs between two."""
        before = held_bytes(os.getpid())
        try:
            if message["cache"]:
                self._session.cache.clear()
            if message["models"] and "services" in vars(self._session):
                self._session.services.models.drop_unused()
            _return_memory()
        except Exception:  # noqa: BLE001 (what cannot be let go of stays)
            _log.exception("letting go of results and weights failed")
        self._gauging.look(self._session, at_end=True)
        self._sender.send({"is": "freed", "free": message["free"], "before": before, "after": held_bytes(os.getpid())})

    def _end_children(self, began: float) -> None:
        """End what the nodes of a cancelled job have started and left running."""
        with contextlib.suppress(Exception):
            end_processes(descendants(os.getpid(), born_after=began))

    def _become_a_copy(self) -> None:
        """In a process that a node forked: have no part in the protocol, print to the plain descriptors."""
        with contextlib.suppress(OSError):
            os.close(self._connection.detach())
        self._capture.release()


def _broken_off(error: BaseException) -> Problem:
    if isinstance(error, SystemExit):
        return Problem(
            "E-NODE",
            f"the node asked to end the program (SystemExit: {error.code})",
            expected="a result or an error",
            hint="a node must raise an ordinary error instead of calling sys.exit()",
        )
    return Problem("E-NODE", f"{type(error).__name__}: {str(error)[:600]}", hint="the log holds the traceback")


def _return_memory() -> None:
    """Give memory that is free in this process back to the system, and cached blocks back to the device."""
    import gc

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform.startswith("linux"):
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
