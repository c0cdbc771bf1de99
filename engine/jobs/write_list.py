"""The list of files that a job is about to write, kept by its worker while the job runs.

Whoever starts the job makes the list, empty. The worker holds a shared lock on it for as long as the job runs, so that
whoever undoes a job that was left can wait until nothing is written any more; a list that was taken away meanwhile
ends the job before it writes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from engine.errors import OutputError

Announce = Callable[[Path, str], None]


@contextlib.contextmanager
def listing_writes(path: str | None) -> Iterator[Announce | None]:
    """Offer what adds a line to the list at ``path`` before a file gets its name; None where nobody keeps one.

    Raises `OutputError` when the list is not there any more.
    """
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        raise _taken_back() from None
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        lock(file, exclusive=False, wait=True)
        if os.fstat(descriptor).st_nlink == 0:
            raise _taken_back()

        def announce(written: Path, sha256: str) -> None:
            file.write(json.dumps({"path": str(written.absolute()), "sha256": sha256}) + "\n")
            file.flush()

        yield announce


def lock(file: IO[Any], *, exclusive: bool, wait: bool) -> bool:
    """Take a lock on an open file that lasts until it is closed; False where another process holds one.

    Where the system has no such locks (Windows), this says True.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _taken_back() -> OutputError:
    return OutputError("the job was taken back before it began", hint="another server runs it")
