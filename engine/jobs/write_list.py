"""The list of files that a job is about to write, kept by its worker from the first of them until the job ends.

Each list belongs to an epoch, the life of one server, which stands in its name and in the file ``epoch`` beside it. The
worker locks a list when it makes it, and then looks whether its epoch is still the present one. So a server that first
begins its own epoch and then waits for the locks of all lists that it finds can be sure that nothing is written any
more by the workers of the one before.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from engine.errors import OutputError

Announce = Callable[[Path, str], None]
EPOCH: Final = "epoch"


@contextlib.contextmanager
def listing_writes(path: str | None) -> Iterator[Announce | None]:
    """Offer what adds a line to the list at ``path`` before a file gets its name; None where nobody keeps one.

    It raises `OutputError` when the server that gave the job is not the present one any more.
    """
    if path is None:
        yield None
        return
    began = time.time()
    made: list[IO[str]] = []

    def announce(written: Path, sha256: str) -> None:
        if not made:
            made.append(_make(Path(path), began))
        made[0].write(json.dumps({"path": str(written.absolute()), "sha256": sha256}) + "\n")
        made[0].flush()

    try:
        yield announce
    finally:
        for file in made:
            file.close()


def _make(path: Path, began: float) -> IO[str]:
    """Make a list and lock it. Raises `OutputError` when its epoch is over."""
    file = path.open("a", encoding="utf-8")
    lock(file, exclusive=False, wait=True)
    if present_epoch(path.parent) != path.name.split(".")[-2]:
        file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        raise OutputError("the job was taken back before it wrote anything", hint="another server runs it")
    file.write(json.dumps({"began": began}) + "\n")
    return file


def present_epoch(directory: Path) -> str | None:
    """Return the name of the present epoch; None where none has begun."""
    try:
        return (directory / EPOCH).read_text(encoding="ascii").strip()
    except OSError:
        return None


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
