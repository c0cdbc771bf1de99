"""The nodes of benchmarks/server.py: no torch, each with a load of its own kind."""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import sys
import time
from typing import Annotated

from engine.execution.context import Context, Services
from engine.graph.declare import Int, node
from engine.graph.node_types import NodeResult
from engine.graph.registry import EMPTY_REGISTRY, Registry, declared_in
from engine.session import Session

Whole = Annotated[int, Int(0, 10**9)]
WORK_S = 12


@node("Add", category="benchmark", output_node=True)
def add(*, value: Whole = 0) -> Whole:
    """Add one."""
    return value + 1


@node("Steps", category="benchmark", output_node=True, cacheable=False)
def steps(context: Context, *, value: Whole = 100, pause_ms: Whole = 5) -> Whole:
    """Report so many steps."""
    for step in range(value):
        time.sleep(pause_ms / 1000)
        context.progress(step + 1, value)
    return value


@node("Compute", category="benchmark", output_node=True, cacheable=False)
def compute(*, value: Whole = WORK_S) -> Whole:
    """Keep every core busy for so many seconds."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range((os.cpu_count() or 1) - 1)]
    try:
        end = time.monotonic() + value
        while time.monotonic() < end:
            pass
    finally:
        for other in others:
            other.kill()
            other.wait()
    return value


@node("Talk", category="benchmark", output_node=True, cacheable=False)
def talk(*, value: Whole = 100) -> NodeResult:
    """Show a text of so many KiB."""
    return NodeResult((), ui={"text": ["x" * (value << 10)]})


@node("SleepHoldingTheLock", category="benchmark", output_node=True, cacheable=False)
def sleep_holding_the_lock(*, value: Whole = 60) -> Whole:
    """Sleep in C; no thread of this process runs Python meanwhile."""
    ctypes.PyDLL(None).sleep(value)
    return value


class BenchmarkSession(Session):
    """A session of these nodes alone."""

    @property
    def registry(self) -> Registry:  # type: ignore[override]
        """The node types of this file."""
        return _registry()

    @property
    def services(self) -> Services:  # type: ignore[override]
        """Nothing but the folders."""
        return Services(folders=self.folders, settings=self.settings)


@functools.cache
def _registry() -> Registry:
    return EMPTY_REGISTRY.with_types(declared_in(sys.modules[__name__]))
