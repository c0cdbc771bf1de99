"""What the system knows of processes: who descends from whom, what memory they hold, and how to end them all.

Linux is read from /proc; other systems are asked through psutil, which is only needed there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

LINUX = sys.platform.startswith("linux")
WINDOWS = sys.platform == "win32"
PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36
DEAF = 76
"""The exit code of a worker whose connection was closed on its own side."""


def adopt_orphans() -> None:
    """Let every descendant of this process stay one, also when the process between them ends (Linux only)."""
    if LINUX:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int, born_after: float | None = None) -> list[int]:
    """List the living processes below ``pid``; ``born_after`` (of `time.time`) leaves the older ones out."""
    if not LINUX:
        return _descendants_elsewhere(pid, born_after)
    parents: dict[int, list[int]] = {}
    born: dict[int, float] = {}
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = os.sysconf("SC_CLK_TCK")
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
                born[int(entry.name)] = booted + int(fields[19]) / ticks
    found: list[int] = []
    pending = [pid]
    while pending:
        below = parents.get(pending.pop(), [])
        found += below
        pending += below
    # A tick is 10 ms, so what was born in the same tick counts as younger.
    return found if born_after is None else [one for one in found if born[one] >= born_after - 1 / ticks]


def _descendants_elsewhere(pid: int, born_after: float | None) -> list[int]:
    import psutil

    with contextlib.suppress(psutil.Error):
        children = psutil.Process(pid).children(recursive=True)
        return [one.pid for one in children if born_after is None or one.create_time() >= born_after]
    return []


def held_bytes(pid: int) -> int | None:
    """Return the memory that a process and its descendants hold and the system cannot drop; None when it is gone.

    On Linux: what is theirs alone, in memory or swapped out. Mapped files (weights that are being read) do not
    count. Elsewhere: the resident set.
    """
    if not LINUX:
        return _held_elsewhere(pid)
    held = _status_bytes(pid, ("RssAnon:", "RssShmem:", "VmSwap:"))
    if held is None:
        return None
    with contextlib.suppress(OSError):
        for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split():
            held += _own_bytes(int(child))
    return held


def _status_bytes(pid: int, names: tuple[str, ...]) -> int | None:
    try:
        lines = (PROC / str(pid) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(names))


def _own_bytes(pid: int) -> int:
    """Return what a forked process has written itself; pages it shares with its parent count there."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text(errors="replace").splitlines():
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1]) << 10
    return 0


def _held_elsewhere(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return sum(int(one.memory_info().rss) for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


def oom_kills() -> int | None:
    """Return how many processes the system has ended for want of memory since it runs; None where it does not tell."""
    with contextlib.suppress(OSError):
        for line in (PROC / "vmstat").read_text(errors="replace").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def peak_bytes() -> int | None:
    """Return the most memory that this process has held, or None where the system does not tell."""
    if LINUX:
        return _status_bytes(os.getpid(), ("VmHWM:",))
    if WINDOWS:
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refuse_huge_allocations(limit: int) -> None:
    """Make an allocation fail at once that alone goes far beyond ``limit`` bytes, so that nobody has to be killed.

    The system counts writable address space, which is more than the memory in use (stacks of threads, buffers
    not touched yet), so the bound is wide and the supervisor's watch stays the one that is exact. Only on Linux, and
    not beside a GPU's driver, which reserves more address space than any limit leaves.
    """
    if not LINUX or Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists():
        return
    import resource

    held = held_bytes(os.getpid()) or 0
    reserved = _status_bytes(os.getpid(), ("VmData:",)) or 0
    slack = (1 << 30) + (os.cpu_count() or 1) * (16 << 20)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = reserved + max(0, limit - held) + slack
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (bound if hard < 0 else min(bound, hard), hard))


def end_processes(pids: Iterable[int]) -> None:
    """End processes at once. Those that are gone already are left in peace."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM if WINDOWS else signal.SIGKILL)  # on Windows this is TerminateProcess


def end_tree(pid: int) -> None:
    """End ``pid``, the leader of a group of its own, with all that it started.

    The first blow goes to the whole group at once, so that none of it can start another; the descendants that left the
    group were listed before.
    """
    if WINDOWS:
        command = ["taskkill", "/T", "/F", "/PID", str(pid)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return
    below = descendants(pid)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    end_processes(below)


def end_own_group() -> None:
    """End this process and its whole group. Does not return."""
    if not WINDOWS:
        with contextlib.suppress(OSError):
            os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
