"""Which files a job is about to write, known before they have their names, so that a killed job can be undone.

The list is there before the job is given to a worker, and the worker appends a line (path, digest) before each file
gets its final name (`engine.jobs.write_list`). When the server finds the list of a job that has not ended, it waits for
the worker of the server before it to be gone, removes those files and runs the job again: no job leaves two copies of
one result. Nothing is ever removed but what stands in the list with the digest of its bytes, inside the output and temp
folders, and is not older than the list.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Final

from engine.jobs.write_list import lock

WORKER_GONE_S: Final = 10.0
"""So long a worker whose server was killed may take to end."""
CLOCK_S: Final = 0.1
"""So much older than it is a file may seem: systems tell its time in steps."""

_log = logging.getLogger("safelight.server")


class WrittenFiles:
    """Owns the lists, one file for each job that runs."""

    def __init__(self, directory: Path, roots: Sequence[Path]) -> None:
        self._directory = directory
        self._roots = tuple(roots)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def file(self, job: str) -> Path:
        """Return the list of a job. An id is a client's text: one that is not plain only enters as a digest."""
        plain = re.fullmatch(r"[0-9A-Za-z-]{1,64}", job) is not None
        return self._directory / f"{job if plain else hashlib.sha256(job.encode()).hexdigest()}.writes"

    def begin(self, job: str) -> None:
        """Make the list of a job that is about to run."""
        try:
            self.file(job).write_text(json.dumps({"began": time.time()}) + "\n", encoding="utf-8")
        except OSError as error:  # the job then fails where it begins, and says so
            _log.error("the list of files of job %s cannot be made: %s", job, error)

    def settle(self, job: str) -> None:
        """Forget the list: the job has its end."""
        with contextlib.suppress(OSError):
            self.file(job).unlink(missing_ok=True)

    def settle_all(self) -> None:
        """Forget every list that is left: after what was begun has been undone, they are of jobs with an end."""
        for file in self._directory.glob("*.writes"):
            with contextlib.suppress(OSError):
                file.unlink()

    def undo(self, jobs: Iterable[str]) -> None:
        """Remove what jobs that did not end had written."""
        left = {file.name for file in self._directory.glob("*.writes")}
        for job in jobs:
            if self.file(job).name in left:
                with contextlib.suppress(OSError), self.file(job).open("r+", encoding="utf-8") as file:
                    _wait_for_worker(file, job)
                    self._undo(file)
                    self.settle(job)  # while it is locked: a worker that comes late finds it gone

    def _undo(self, file: IO[str]) -> None:
        began = 0.0
        for line in file.read().splitlines():
            with contextlib.suppress(ValueError, KeyError, OSError, TypeError):  # the last line may be cut short
                entry = json.loads(line)
                if "began" in entry:
                    began = float(entry["began"])
                else:
                    self._remove(Path(entry["path"]), entry["sha256"], began)

    def _remove(self, path: Path, sha256: str, began: float) -> None:
        inside = any(path.resolve().is_relative_to(root.resolve()) for root in self._roots)
        if not inside or path.is_symlink() or not path.is_file() or path.stat().st_mtime < began - CLOCK_S:
            return
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if same:
            _log.info("removing %s: its job did not end and runs again", path.name)
            path.unlink()


def _wait_for_worker(file: IO[str], job: str) -> None:
    deadline = time.monotonic() + WORKER_GONE_S
    while not lock(file, exclusive=True, wait=False):
        if time.monotonic() > deadline:
            _log.error("something of the server before still holds the files of job %s", job)
            return
        time.sleep(0.02)
