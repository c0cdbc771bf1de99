"""Runs jobs in a worker process and keeps running them whatever happens to the worker.

    supervisor = Supervisor(settings)
    job = supervisor.submit(JobRequest("1", prompt), listener)
    report = job.result()              # or: await job.wait()
    supervisor.cancel("1")             # from any thread
    supervisor.close()

One job runs at a time, in the order of submission; results and weights stay warm in the worker from job to job. All
methods may be called from any thread and from an event loop: none of them waits for the worker, but `close`. Nothing
here needs torch.

A job is only given up for dead when its process is: a worker that does not answer `ping` may well be computing, since
a node in native code can hold the interpreter's lock for as long as it likes. Only a cancel, its own ``timeout_s`` or
the memory limit end such a node.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal

from engine.errors import Problem
from engine.jobs.job import Job, JobListener
from engine.jobs.limits import past_limit, patience
from engine.jobs.options import SupervisorOptions, SupervisorStatus, WorkerState, setup_record
from engine.jobs.process import Hearing, WorkerProcess
from engine.jobs.questions import Answer, Questions
from engine.jobs.records import JobRequest, problem_from
from engine.settings import Settings

CancelAnswer = Literal["running", "waiting", "ended", "unknown"]
REMEMBERED: Final = 10_000
"""So many ids of jobs that ended are known."""
MAX_TRIES: Final = 3
"""So often a job is handed to a worker that dies before it has begun with it, or a worker is killed as it starts."""
REAP_S: Final = 30.0
"""So long the system may take to clear away a process that was ended, with all its memory, before it is let go of."""
FAREWELL_S: Final = 15.0
"""So long a worker that is told to end may take to write down the results it keeps."""
FULL: Final = 0.75
"""With more than this share of the memory limit held between jobs, what is kept is dropped before the next."""

_log = logging.getLogger("safelight.jobs")


class Supervisor:
    """Owns a worker process and the jobs that wait for it; see the module's own text."""

    def __init__(
        self,
        settings: Settings,
        options: SupervisorOptions | None = None,
        on_line: JobListener | None = None,
    ) -> None:
        """``on_line`` hears the log events that belong to no job."""
        self._settings = settings
        self._options = options or SupervisorOptions()
        self._on_line = on_line
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._current: Job | None = None
        self._ended: deque[str] = deque(maxlen=REMEMBERED)
        self._worker: WorkerProcess | None = None
        self._starts = 0
        self._failed_starts = 0  # in a row
        self._eager = self._options.eager
        self._closing = False
        self._questions = Questions()
        self._hearing = Hearing(self._on_frame, self._on_raw_line, self._on_gone)
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, request: JobRequest, listener: JobListener | None = None) -> Job:
        """Let a job wait for its turn.

        Raises `ValueError` when its id waits or runs, also (or `TypeError`) when it cannot be sent, `RuntimeError` once
        closed.
        """
        job = Job(request, listener)
        with self._changed:
            if self._closing:
                raise RuntimeError("the supervisor was closed")
            if request.id in self._waiting or (self._current is not None and self._current.id == request.id):
                raise ValueError(f"there is a job {request.id!r} already")
            self._waiting[request.id] = job
            self._changed.notify_all()
        return job

    def cancel(self, id: str) -> CancelAnswer:
        """Ask a job to stop, and say what it was doing.

        One that waits is over when this returns. One that runs has `Settings.cancel_grace_s` seconds to stop at its
        next step, keeping the worker and what is warm in it; then the worker is ended and started again.
        """
        with self._changed:
            job = self._waiting.pop(id, None)
            if job is None:
                current = self._current if self._current is not None and self._current.id == id else None
                if current is None or current.future.done():
                    return "ended" if current is not None or id in self._ended else "unknown"
                if current.cancel_asked is None:
                    current.cancel_asked = time.monotonic()
                    if self._worker is not None:
                        self._worker.sender.send({"do": "cancel", "job": id})
                self._changed.notify_all()
                return "running"
            self._ended.append(id)
        job.finish_cancelled({})
        return "waiting"

    def free(self, *, models: bool = True, cache: bool = True) -> Answer:
        """Let go of what is kept between jobs: weights, results. Happens between two jobs; the future tells when, with
        the bytes held ``before`` and ``after`` (None: no worker was there)."""
        return self._ask({"do": "free", "models": models, "cache": cache}, {"before": None, "after": None})

    def ping(self) -> Answer:
        """Ask the worker's control thread for an answer. No answer does not mean that it is dead."""
        return self._ask({"do": "ping"}, {})

    def known(self, keys: Sequence[str]) -> Answer:
        """Ask the worker's control thread which keys have a result: ``tiers`` by key, and the ``salt`` of its keys
        (None: it has run nothing). Without a worker the answer is empty; one that computes may take its time."""
        return self._ask({"do": "known", "keys": list(keys)}, {})

    def gauges(self) -> Answer:
        """Ask the worker's control thread what is held now: ``memory``, empty before the first job."""
        return self._ask({"do": "gauge"}, {"memory": {}})

    def _ask(self, message: dict[str, Any], nothing: dict[str, Any]) -> Answer:
        with self._changed:
            return self._questions.ask(self._worker, message, nothing)

    @property
    def ready(self) -> bool:
        """Say whether a worker is there that can be asked something."""
        worker = self._worker
        return worker is not None and worker.ready and not worker.gone

    def status(self) -> SupervisorStatus:
        """Say how things are now."""
        with self._changed:
            worker, job = self._worker, self._current
            waiting = tuple(self._waiting)
            starts = self._starts
        state: WorkerState = "stopped"
        if worker is not None and not worker.gone:
            state = "running" if job is not None else "idle" if worker.ready else "starting"
        return SupervisorStatus(
            state,
            None if worker is None else worker.pid,
            None if worker is None else worker.start_seconds,
            starts,
            None if worker is None else worker.held_bytes(),
            None if job is None else job.id,
            () if job is None else job.running,
            waiting,
        )

    def start(self) -> None:
        """Start the worker now, if it is not there; does not wait for it."""
        with self._changed:
            self._eager = True
            self._changed.notify_all()

    def close(self) -> None:
        """Cancel what waits and what runs, end the worker, and wait until all is over."""
        with self._changed:
            self._closing = True
            ids = [*self._waiting, *([self._current.id] if self._current else [])]
        for one in ids:
            self.cancel(one)
        with self._changed:
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # -- what the worker says; in its reader's threads

    def _on_frame(self, worker: WorkerProcess, message: dict[str, Any], data: bytes) -> None:
        kind, job = message.get("is"), self._current
        mine = job is not None and job.id == message.get("job") and worker is self._worker
        if kind == "event":
            if job is not None and mine:
                job.hear(message["event"], data or None)
            elif self._on_line is not None and message["event"].get("event") == "log":
                self._on_line({**message["event"], "job": message.get("job"), "time": time.time()}, None)
            return
        if not self._questions.hear(message) and job is not None and mine:
            self._on_job_frame(worker, job, message)
        with self._changed:
            self._changed.notify_all()

    def _on_job_frame(self, worker: WorkerProcess, job: Job, message: Mapping[str, Any]) -> None:
        facts = {"pid": worker.pid, "killed": False, "peak_memory_bytes": message.get("peak_memory_bytes")}
        match message.get("is"):
            case "began":
                job.began, job.began_at = True, time.monotonic()
                job.hear({"event": "job_started", "worker": worker.pid})
            case "report":
                job.finish_reported(message["report"], facts)
            case "refused":
                problems = tuple(problem_from(one) for one in message["problems"])
                job.finish_refused(problems, message["exit_code"], facts)
            case "broke":
                job.finish_broken(problem_from(message["problem"]), facts)

    def _on_raw_line(self, worker: WorkerProcess, text: str) -> None:
        """Hand on a line that was written past the worker's own streams; the node is the one that runs now."""
        job = self._current if worker is self._worker else None
        nodes = () if job is None else job.running
        node = nodes[-1] if nodes else None
        line = {"event": "log", "node_id": node, "stream": "raw", "text": text, "level": None}
        if job is not None:
            job.hear(line)
        elif self._on_line is not None:
            self._on_line({**line, "job": None, "time": time.time()}, None)

    def _on_gone(self, worker: WorkerProcess) -> None:
        with self._changed:
            self._changed.notify_all()

    # -- the supervisor's own thread: the only one that starts, feeds and ends workers

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._something_to_do)
                closing = self._closing and not self._waiting
            if closing:
                break
            try:
                worker = self._living_worker()
                if worker is not None:
                    self._run_next(worker)
            except Exception:  # noqa: BLE001 (a fault of ours must not end the thread that all jobs wait for)
                _log.exception("the supervisor failed")
                self._begin_anew()
        self._close_worker()

    def _begin_anew(self) -> None:
        """After a fault of the supervisor: give up the job and the worker that it was at."""
        job, worker = self._current, self._worker
        if worker is not None:
            worker.end()
            worker.reap()
        self._let_go()
        if job is not None:
            job.finish_broken(Problem("E-WORKER", "the supervisor of the worker failed", hint="the log says why"), {})
        with self._changed:
            self._current = None

    def _something_to_do(self) -> bool:
        missing = self._worker is None or self._worker.gone
        return bool(self._closing or self._waiting or (self._eager and missing) or (self._worker and missing))

    def _living_worker(self) -> WorkerProcess | None:
        """Return a worker that is ready; None when none could be started, or none is needed."""
        worker = self._worker
        if worker is not None and worker.gone:
            _log.warning("the idle worker %s", worker.bury()[0])
            self._let_go()
            if not worker.jobs:  # it would do so again and again
                self._eager = False
            worker = None
        if worker is None and (self._waiting or self._eager):
            worker = self._start_worker()
        return worker

    def _start_worker(self) -> WorkerProcess | None:
        try:
            worker = WorkerProcess(setup_record(self._settings, self._options), self._hearing)
        except OSError as error:
            self._cannot_start(f"the system refused it: {error}")
            return None
        with self._changed:
            self._worker = worker
            self._starts += 1
            limit = self._options.start_timeout_s
            self._changed.wait_for(lambda: worker.ready or worker.gone or self._closing, limit)
        if worker.ready and not worker.gone:
            self._failed_starts = 0
            return worker
        too_slow = not worker.gone
        if too_slow:
            worker.end()
        how = worker.bury()[0]
        said = " / ".join(list(worker.last_lines)[-3:])
        self._let_go()
        self._failed_starts += 1
        by_chance = worker.was_killed and not too_slow and self._failed_starts < MAX_TRIES
        if not (by_chance or self._closing):
            self._failed_starts = 0
            self._cannot_start(f"it {how}; its last words: {said or 'none'}")
        return None

    def _cannot_start(self, why: str) -> None:
        """Fail the job that needed a worker; without one, do not try again until one comes."""
        _log.error("the worker process could not be started: %s", why)
        with self._changed:
            self._eager = False
            job = self._waiting.popitem(last=False)[1] if self._waiting else None
            if job is not None:
                self._ended.append(job.id)
        if job is not None:
            problem = Problem("E-WORKER", "the worker process could not be started", got=why)
            job.finish_refused((problem,), 1, {})

    def _run_next(self, worker: WorkerProcess) -> None:
        if self._settings.max_ram_bytes is not None and self._waiting:
            held = worker.held_bytes() or 0
            if held > FULL * self._settings.max_ram_bytes:
                worker.sender.send({"do": "free", "models": True, "cache": True, "free": 0})
        with self._changed:
            if not self._waiting or worker.gone:
                return
            _, job = self._waiting.popitem(last=False)
            self._current = job
            job.sent = time.monotonic()
            job.tries += 1
            worker.jobs += 1
        worker.sender.send_encoded(job.frame)
        self._watch(worker, job)
        with self._changed:
            self._current = None
            if job.future.done():
                self._ended.append(job.id)

    def _watch(self, worker: WorkerProcess, job: Job) -> None:
        """Stay with a job until it has its report, ending the worker where it must be."""
        while True:
            with self._changed:
                if not (job.future.done() or worker.gone):
                    self._changed.wait(patience(job, self._settings, self._options.poll_s))  # a cancel wakes it, too
                done, gone = job.future.done(), worker.gone
            if done:
                return
            if gone:
                self._bury(worker, job)
                return
            now = time.monotonic()
            out_of_grace = job.cancel_asked is not None and now >= job.cancel_asked + self._settings.cancel_grace_s
            problem = None if out_of_grace else past_limit(worker, job, self._settings, now)
            if out_of_grace or problem is not None:
                worker.end()
                facts = {"pid": worker.pid, "killed": True, "peak_memory_bytes": None}
                if problem is None:
                    job.finish_cancelled(facts)
                else:
                    job.finish_broken(problem, facts)
                worker.reap(REAP_S)
                self._let_go()
                return

    def _bury(self, worker: WorkerProcess, job: Job) -> None:
        """Report a job whose worker died. One that had not begun is put back: the job had no part in it."""
        how, hint = worker.bury(1.0)
        self._let_go()
        if not job.began and job.cancel_asked is None and job.tries < MAX_TRIES:
            with self._changed:
                self._waiting[job.id] = job
                self._waiting.move_to_end(job.id, last=False)
            return
        facts = {"pid": worker.pid, "killed": True, "peak_memory_bytes": None}
        if job.cancel_asked is not None:
            job.finish_cancelled(facts)
            return
        when = "while the node ran" if job.running else "while no node ran"
        job.finish_broken(Problem("E-WORKER", f"the worker process {how} {when}", hint=hint), facts)

    def _let_go(self) -> None:
        """Forget a worker that is gone, and answer what it was asked."""
        with self._changed:
            self._worker = None
            self._eager = self._options.restart and (self._eager or self._options.eager)
        self._questions.give_up()

    def _close_worker(self) -> None:
        worker = self._worker
        if worker is None:
            return
        worker.sender.send({"do": "exit"})
        with self._changed:
            self._changed.wait_for(lambda: worker.gone, FAREWELL_S)
        worker.end()
        worker.reap(REAP_S)
        self._let_go()
