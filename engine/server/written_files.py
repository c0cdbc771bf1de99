"""Which files a job is about to write, known before they have their names, so that a killed job can be undone.

The worker appends a line (path, digest) to the job's list before each file gets its final name
(`engine.jobs.write_list`). When the server finds the list of a job that has not ended, it waits for the worker of the
server before it to be gone, removes those files and runs the job again: no job leaves two copies of one result. Nothing
is ever removed but what stands in the list with the digest of its bytes, inside the output and temp folders, and is not
older than the job.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Final

from engine.jobs.write_list import EPOCH, lock
from engine.paths import replace_file

SUFFIX: Final = ".writes"
WORKER_GONE_S: Final = 10.0
"""So long a worker whose server was killed may take to end."""
CLOCK_S: Final = 0.1
"""So much older than it is a file may seem: systems tell its time in steps."""

_log = logging.getLogger("safelight.server")


class WrittenFiles:
    """Owns the lists, one file for each job that runs and writes."""

    def __init__(self, directory: Path, roots: Sequence[Path]) -> None:
        """Begin an epoch: from now on no worker of an earlier server begins to write."""
        self._directory = directory
        self._roots = tuple(roots)
        self._epoch = secrets.token_hex(8)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(directory / EPOCH, self._epoch.encode())

    def file(self, job: str) -> Path:
        """Return the list of a job that runs now."""
        return self._directory / f"{_key(job)}.{self._epoch}{SUFFIX}"

    def settle(self, job: str) -> None:
        """Forget the list, if one was made: the job has its end."""
        with contextlib.suppress(OSError):
            self.file(job).unlink()

    def settle_all(self) -> None:
        """Forget every list that is left: after what was begun has been undone, they are of jobs with an end."""
        for file in self._directory.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                file.unlink()

    def undo(self, jobs: Iterable[str]) -> None:
        """Remove what jobs that did not end had written under earlier servers."""
        left: dict[str, list[Path]] = {}
        for path in self._directory.glob(f"*{SUFFIX}"):
            left.setdefault(path.name.split(".")[0], []).append(path)
        for job in jobs if left else ():
            for path in left.get(_key(job), ()):
                with contextlib.suppress(OSError), path.open("r+", encoding="utf-8") as file:
                    _wait_for_worker(file, job)
                    self._undo(file)
                    path.unlink()

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


def _key(job: str) -> str:
    """Return what stands for a job in file names: its id, or a digest of one that is not plain (a client chose it)."""
    plain = re.fullmatch(r"[0-9A-Za-z-]{1,64}", job) is not None
    return job if plain else hashlib.sha256(job.encode()).hexdigest()


def _wait_for_worker(file: IO[str], job: str) -> None:
    deadline = time.monotonic() + WORKER_GONE_S
    while not lock(file, exclusive=True, wait=False):
        if time.monotonic() > deadline:
            _log.error("something of the server before still holds the files of job %s", job)
            return
        time.sleep(0.02)
