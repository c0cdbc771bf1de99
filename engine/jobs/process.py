"""One worker process as its supervisor sees it: starting it, talking to it, how it ended.

The two talk over a socket pair that the worker inherits: nobody else can connect to it, it closes by itself with
either process, and it is the same stream on every system. On Windows, where nothing is inherited, the worker's end is
made over to its process id alone and comes through its standard input. (multiprocessing's connections would do
the same with a listening socket and a key, and would offer unpickling to both sides.) The worker's standard input is
empty; its standard output and error are one pipe that is read line by line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.jobs.capture import split_lines
from engine.jobs.frames import BrokenStream, FrameSender, read_frames
from engine.jobs.process_tree import DEAF, WINDOWS, end_tree, held_bytes, oom_kills

LAST_LINES: Final = 40
MAX_LINES: Final = 2_000
"""So many lines wait for a slow listener; what is printed beyond is left out."""
_START = (
    "'safelight worker'; import sys; sys.path[:] = {path!r}; "
    "from engine.jobs.worker import main; main({handle!r}, {lifeline!r})"
)

OnFrame = Callable[["WorkerProcess", dict[str, Any], bytes], None]
OnLine = Callable[["WorkerProcess", str], None]
OnGone = Callable[["WorkerProcess"], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Hearing:
    """Who is told what of a worker: each frame, each raw line, and once that it is gone. Called in its threads."""

    frame: OnFrame
    line: OnLine
    gone: OnGone


class WorkerProcess:
    """A process that was started; `ready` once it said so, `gone` once its connection closed."""

    def __init__(self, setup: Mapping[str, Any], hearing: Hearing) -> None:
        """Start the process. Raises `OSError` when the system does not let it."""
        self.started = time.monotonic()
        self.start_seconds: float | None = None
        self.ready = False
        self.gone = False
        self.jobs = 0
        self._oom_kills = oom_kills()
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._hearing = hearing
        self._connection, other = socket.socketpair()
        self._lifeline: int | None = None
        self._process = self._spawn(other)
        self.sender = FrameSender(self._connection, "supervisor")
        self.sender.send(setup)
        self._reader = threading.Thread(target=self._read, name="worker frames", daemon=True)
        self._reader.start()
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._line_teller = threading.Thread(target=self._tell_lines, name="worker lines", daemon=True)
        self._line_teller.start()
        threading.Thread(target=self._read_output, name="worker output", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self._process.pid

    @property
    def was_killed(self) -> bool:
        """Say whether a signal ended it; False while it lives."""
        return (self._process.returncode or 0) < 0

    def _spawn(self, other: socket.socket) -> subprocess.Popen[bytes]:
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 (the working directory stands as "")
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        handle, lifeline, shared = "", "", b""
        if WINDOWS:
            options |= {"stdin": subprocess.PIPE, "creationflags": 0x200}  # CREATE_NEW_PROCESS_GROUP
        else:
            read_end, self._lifeline = os.pipe()
            handle, lifeline = str(other.fileno()), str(read_end)
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which cancels in order.
            options |= {"pass_fds": (other.fileno(), read_end), "start_new_session": True}
        code = _START.format(path=path, handle=handle, lifeline=lifeline)
        try:
            process = subprocess.Popen([sys.executable, "-P", "-c", code], **options)
        finally:
            if not WINDOWS:
                os.close(read_end)
        if WINDOWS:
            shared = getattr(other, "share")(process.pid)  # noqa: B009  absent on other systems
            assert process.stdin is not None
            process.stdin.write(shared)
            process.stdin.close()
        other.close()
        return process

    def _read(self) -> None:
        try:
            for message, data in read_frames(self._connection):
                if message.get("is") == "ready":
                    self.start_seconds = time.monotonic() - self.started
                    self.ready = True
                elif message.get("is") == "event" and message["event"].get("event") == "log":
                    self.last_lines.append(message["event"]["text"])
                self._hearing.frame(self, message, data)
        except BrokenStream as error:
            self.last_lines.append(f"the worker sent what is no frame: {error}")
        finally:
            self.gone = True
            self._hearing.gone(self)

    def _read_output(self) -> None:
        """Keep the pipe empty, whoever listens: a full one would stop the node that prints."""
        output = self._process.stdout
        assert output is not None
        begun = bytearray()
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(output.fileno(), 1 << 16):
                for line in split_lines(begun, chunk):
                    with contextlib.suppress(queue.Full):
                        self._lines.put_nowait(line)
        if begun:
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(begun.decode("utf-8", "replace"))
        self._lines.put(None)
        with contextlib.suppress(OSError):
            output.close()

    def _tell_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            self.last_lines.append(line)
            self._hearing.line(self, line)

    def held_bytes(self) -> int | None:
        """Return the memory that it and what it started hold now; None when it is gone."""
        return held_bytes(self.pid)

    def end(self) -> None:
        """End it at once with all that it started; after this it runs no code of a node any more. `reap` follows.

        There is no SIGTERM first: the token was the polite way, and a signal's handler in Python does not run
        while native code computes. Files are safe, they get their name only when they are whole.
        """
        end_tree(self.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.1)  # one that holds much memory takes longer, and nobody need wait for that

    def reap(self, wait: float = 5.0) -> int | None:
        """Collect a process that has ended or is about to, end what it left running, and return its exit code.

        One that is not gone after ``wait`` seconds (it closed its connection and lives on) is ended.
        """
        try:
            self._process.wait(wait)
        except subprocess.TimeoutExpired:
            end_tree(self.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
        self._end_rest()
        self._close()
        return self._process.returncode

    def bury(self, wait: float = 5.0) -> tuple[str, str]:
        """Collect a process that died; say how, and what that usually means."""
        code = self.reap(wait)
        now = oom_kills()
        return ending(code, now is not None and now != self._oom_kills)

    def _end_rest(self) -> None:
        """End what is left of the group: the guardian, and what nodes forked. Its id is theirs while any lives."""
        if not WINDOWS:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def _close(self) -> None:
        self.sender.close()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._reader:
            self._reader.join(1.0)
        if threading.current_thread() is not self._line_teller:
            self._line_teller.join(0.5)  # the last words of a crash
        self._connection.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def ending(code: int | None, out_of_memory: bool = False) -> tuple[str, str]:
    """Say how a process ended, from its exit code, and what that usually means.

    With ``out_of_memory`` the system has ended some process for want of memory meanwhile.
    """
    if code is None or code == DEAF:
        return "lost its connection", "a node closed file descriptors that are not its own"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        probably = "" if out_of_memory else "probably "
        hints = {
            "SIGKILL": f"the system {probably}ran out of memory and ended it; make the picture or the batch smaller, "
            "or set --max-ram to be told which node it was",
            "SIGSEGV": "native code of the node, or of a library it uses, is at fault; the log shows where",
            "SIGBUS": "native code is at fault, or a file that was mapped became shorter; the log shows where",
            "SIGABRT": "native code gave up; the log shows its last words",
            "SIGILL": "a library was built for another processor",
            "SIGFPE": "native code divided by zero; the log shows where",
        }
        return f"was ended by {name}", hints.get(name, "somebody else ended it")
    if code == 0 or not WINDOWS:
        return f"ended by itself with exit code {code}", "a node must not end the interpreter (os._exit)"
    return f"ended with exit code {code:#x}", "native code of the node, or of a library it uses, may be at fault"
