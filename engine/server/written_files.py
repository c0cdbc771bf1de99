"""Which files a job is about to write, known before they have their names, so that a killed job can be undone.

The worker appends a line (path, digest) to the job's list before each file gets its final name. When the server finds
a job that had begun and not ended, it removes those files and runs it again: no job leaves two copies of one result.
Nothing but what stands in the list with the digest of its bytes, inside the output and temp folders, is ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

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

    def settle(self, job: str) -> None:
        """Forget the list: the job has its end."""
        with contextlib.suppress(OSError):
            self.file(job).unlink(missing_ok=True)

    def settle_all(self) -> None:
        """Forget every list that is left: after what was begun has been undone, they are of jobs with an end."""
        for file in self._directory.glob("*.writes"):
            with contextlib.suppress(OSError):
                file.unlink()

    def undo(self, job: str) -> None:
        """Remove what a job that did not end had written."""
        try:
            lines = self.file(job).read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, OSError, TypeError):  # the last line may be cut short
                entry = json.loads(line)
                self._remove(Path(entry["path"]), entry["sha256"])
        self.settle(job)

    def _remove(self, path: Path, sha256: str) -> None:
        inside = any(path.resolve().is_relative_to(root.resolve()) for root in self._roots)
        if not inside or path.is_symlink() or not path.is_file():
            return
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if same:
            _log.info("removing %s: its job did not end and runs again", path.name)
            path.unlink()
