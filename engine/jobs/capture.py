"""What a worker's nodes print and log, as lines that name the node, never as bytes in between the protocol.

`print` and `logging` of the worker's own interpreter come here and go out as log frames. What is written past it
(C code, `os.write`, processes that a node starts, last words of a crash) goes to the plain descriptors 1 and 2, which
the supervisor reads.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, Final

MAX_LINE: Final = 8_192

Emit = Callable[[str, str, str | None], None]
"""Takes a line: its stream (``stdout``, ``stderr``, ``log``), its text, and its level where it has one."""


class LineStream(io.RawIOBase):
    """A stream whose lines go to ``emit``. A line that never ends is cut, so nothing grows without bound.

    A carriage return ends a line, too: a progress bar is one line for each time it is drawn.
    """

    def __init__(self, name: str, descriptor: int, emit: Emit) -> None:
        self._stream = name
        self._descriptor = descriptor
        self._emit = emit
        self._begun = bytearray()
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        """Take bytes; whole lines go out at once."""
        taken = bytes(data)
        if os.getpid() != self._owner:  # a forked copy, whose lock may be held by a thread that it does not have
            return os.write(self._descriptor, taken)
        with self._lock:
            lines = split_lines(self._begun, taken)
        for line in lines:
            self._emit(self._stream, line, None)
        return len(taken)

    def end_line(self) -> None:
        """Send on what was begun and not ended."""
        with self._lock:
            rest = bytes(self._begun)
            self._begun.clear()
        if rest:
            self._emit(self._stream, rest.decode("utf-8", "replace"), None)


def split_lines(begun: bytearray, data: bytes) -> list[str]:
    """Return the lines that ``data`` ends, the first of them begun before; ``begun`` keeps what is not ended."""
    begun += data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    *whole, rest = bytes(begun).split(b"\n")
    begun[:] = rest
    if len(begun) > MAX_LINE:
        whole.append(bytes(begun))
        begun.clear()
    return [line[:MAX_LINE].decode("utf-8", "replace") for line in whole if line]


class LogLines(logging.Handler):
    """A logging handler whose records go to ``emit`` with their level."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, its traceback included."""
        try:
            self._emit("log", self.format(record)[: MAX_LINE * 4], record.levelname)
        except Exception:  # noqa: BLE001 (as every handler: a log message never ends what is logged)
            self.handleError(record)


class Capture:
    """Takes the place of `sys.stdout` and `sys.stderr` and of the root logger's handlers, for as long as this
    process lives."""

    def __init__(self, emit: Emit, level: str) -> None:
        self._raw = [LineStream("stdout", 1, emit), LineStream("stderr", 2, emit)]
        sys.stdout, sys.stderr = (_text(stream) for stream in self._raw)
        logging.basicConfig(level=level, handlers=[LogLines(emit)], force=True)

    def end_lines(self) -> None:
        """Send on what was printed without an end of line; called at the end of a node."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # a node closed it
                continue
        for raw in self._raw:
            raw.end_line()

    def release(self) -> None:
        """Print to the plain descriptors again; for a forked copy, which has no part in the protocol."""
        sys.stdout, sys.stderr = _plain(1), _plain(2)
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)


def _text(raw: LineStream) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


def _plain(descriptor: int) -> IO[str]:
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
