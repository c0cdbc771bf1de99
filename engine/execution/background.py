"""Do small jobs one after the other in a thread beside the run, so that a run does not wait for a disk."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

_log = logging.getLogger("safelight.cache")

Job = Callable[[], object]
IDLE_SECONDS = 0.5


class JobQueue:
    """Runs jobs in order. The thread starts with the first job; it does not keep the process alive.

    ``when_idle`` is called in the thread once nothing was submitted or touched for `IDLE_SECONDS`. It does a little
    and says whether there is more to do; it is called again as long as nothing else is there to be done.
    """

    def __init__(self, max_bytes: int, when_idle: Callable[[], bool]) -> None:
        self._max_bytes = max_bytes
        self._when_idle = when_idle
        self._changed = threading.Condition()
        self._jobs: deque[tuple[int, Job]] = deque()
        self._waiting = 0
        self._open = True
        self._thread: threading.Thread | None = None
        self._active = 0.0  # when something was submitted or touched last, by time.monotonic
        self._at_rest = True  # nothing is left to do in idle moments
        self._tidying = False  # `when_idle` runs

    def submit(self, job: Job, nbytes: int = 0) -> None:
        """Queue a job that holds ``nbytes``; waits while the queue holds too many. Dropped when the queue is closed."""
        with self._changed:
            while self._open and self._jobs and self._waiting + nbytes > self._max_bytes:
                self._changed.wait()
            if not self._open:
                return
            self._jobs.append((nbytes, job))
            self._waiting += nbytes
            self._note_activity()
            self._changed.notify_all()

    def touch(self) -> None:
        """Say that there is something for an idle moment, and that this is none."""
        with self._changed:
            if self._open:
                self._note_activity()

    def flush(self) -> None:
        """Wait until all that was submitted is done."""
        with self._changed:
            while (self._jobs or self._tidying) and self._thread is not None and self._thread.is_alive():
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

    def _note_activity(self) -> None:
        self._active = time.monotonic()
        if self._at_rest:
            self._at_rest = False
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="cache writer", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._wait()
                if not self._jobs and not self._open:
                    return
                nbytes, job = self._jobs[0] if self._jobs else (0, None)
                if job is None:
                    self._tidying = self._at_rest = True
            more = self._do(self._when_idle if job is None else job)
            tidied = job is None
            del job
            with self._changed:
                if tidied:
                    self._tidying = False
                    self._at_rest = self._at_rest and not more
                else:
                    self._jobs.popleft()  # only now, so that `flush` waits for the job at work
                    self._waiting -= nbytes
                self._changed.notify_all()

    def _wait(self) -> None:
        """Wait for a job, for the end, or for an idle moment with something to do in it."""
        while self._open and not self._jobs:
            left = None if self._at_rest else self._active + IDLE_SECONDS - time.monotonic()
            if left is not None and left <= 0:
                return
            self._changed.wait(left)

    def _do(self, job: Job) -> object:
        try:
            return job()
        except Exception:  # noqa: BLE001 (the next job must have its turn whatever this one does)
            _log.exception("the disk cache failed at a job")
            return None


def next_of(waiting: Iterable[deque[Job]]) -> Job | None:
    """Take the next job off the first queue that has one; several threads may do so."""
    for jobs in waiting:
        with contextlib.suppress(IndexError):
            return jobs.popleft()
    return None


def nothing() -> None:
    """Do nothing."""
