"""Say what happened: one JSON object for programs, a few lines or a table for people."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import Problem, SafelightError
from engine.graph.model import Graph


def print_json(document: Any) -> None:
    """Print one JSON document to standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_error(error: SafelightError) -> None:
    """Print what went wrong to standard error, every problem on its own lines."""
    print_problems(error.problems)


def print_problems(problems: Iterable[Problem]) -> None:
    """Print problems to standard error."""
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)


def problem_records(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Return problems as plain data, without the facts that are not known."""
    return [
        {key: value for key, value in dataclasses.asdict(problem).items() if value is not None} for problem in problems
    ]


def title_of(graph: Graph, node_id: str) -> str:
    """Name a node for people: its title, else its type; a node that another one made while running by its id."""
    node = graph.nodes.get(node_id)
    return node_id if node is None else node.title or node.type


def peak_memory_bytes() -> int | None:
    """Return the most memory this process has held so far, or None where the system does not tell."""
    if sys.platform == "win32":
        return _peak_on_windows()
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss on Linux also counts what the process that started this one held
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_on_windows() -> int | None:
    """Ask PSAPI for PeakWorkingSetSize, the second number of PROCESS_MEMORY_COUNTERS after two 32-bit ones."""
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", ctypes.c_uint32),
            ("page_faults", ctypes.c_uint32),
            ("peak_working_set", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009  absent on other systems
    asked = kernel.K32GetProcessMemoryInfo(ctypes.c_void_p(-1), ctypes.byref(counters), counters.cb)
    return int(counters.peak_working_set) if asked else None


def human_bytes(count: float) -> str:
    """Write a size for people: ``22.9 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"


def human_seconds(seconds: float) -> str:
    """Write a duration for people: ``0.42 s``, ``1:05``."""
    return f"{seconds:.2f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02}"
