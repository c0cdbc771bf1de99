"""Do small jobs one after the other in a thread beside the run, so that a run does not wait for a disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("safelight.cache")

Job = Callable[[], None]
IDLE_SECONDS = 0.5


class JobQueue:
    """Runs jobs in order. The thread starts with the first job; it does not keep the process alive.

    ``when_idle`` is called in the thread once there was nothing to do for `IDLE_SECONDS`; it may submit more.
    """

    def __init__(self, max_bytes: int, when_idle: Job) -> None:
        self._max_bytes = max_bytes
        self._when_idle = when_idle
        self._changed = threading.Condition()
        self._jobs: deque[tuple[int, Job]] = deque()
        self._waiting = 0
        self._open = True
        self._thread: threading.Thread | None = None

    def submit(self, job: Job, nbytes: int = 0) -> None:
        """Queue a job that holds ``nbytes``; waits while the queue holds too many. Dropped when the queue is closed."""
        with self._changed:
            while self._open and self._jobs and self._waiting + nbytes > self._max_bytes:
                self._changed.wait()
            if not self._open:
                return
            self._jobs.append((nbytes, job))
            self._waiting += nbytes
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="cache writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was submitted is done."""
        with self._changed:
            while self._jobs and self._thread is not None and self._thread.is_alive():
                self._changed.wait(1.0)

    def close(self) -> None:
        """Do what is queued, then end the thread."""
        if threading.current_thread() is self._thread:  # the last reference went away in a job
            self._open = False
            return
        self.flush()
        with self._changed:
            self._open = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        told = False  # whether `when_idle` was called since the last job
        while True:
            with self._changed:
                woken = bool(self._jobs) or not self._open or self._changed.wait(None if told else IDLE_SECONDS)
                if not self._jobs and not self._open:
                    return
                nbytes, job = self._jobs[0] if self._jobs else (0, None)
            if job is None:
                if not woken:
                    told = True
                    self._do(self._when_idle)
                continue
            told = False
            self._do(job)
            del job
            with self._changed:
                self._jobs.popleft()  # only now, so that `flush` waits for the job at work
                self._waiting -= nbytes
                self._changed.notify_all()

    def _do(self, job: Job) -> None:
        try:
            job()
        except Exception:  # noqa: BLE001 (the next job must have its turn whatever this one does)
            _log.exception("the disk cache failed at a job")
