"""A record of a run in time, in the format that Chrome's and Perfetto's trace viewers open.

The format is "Trace Event Format" (complete events ``X``, instants ``i``, metadata ``M``), times in microseconds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

from engine.errors import OutputError
from engine.execution.events import (
    Event,
    NodeBlocked,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from engine.graph.model import Graph

_PROCESS = 1


class Trace:
    """Hear a run and keep what happened when. Nodes that run at the same time get lanes of their own."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._zero = time.perf_counter()
        self._open: dict[str, tuple[int, float]] = {}  # the lane and the start of each node that runs
        self._events: list[dict[str, Any]] = []
        self._lanes = 0

    def __call__(self, event: Event) -> None:
        """Keep one event."""
        now = (time.perf_counter() - self._zero) * 1e6
        match event:
            case NodeStarted(node_id):
                taken = {lane for lane, _ in self._open.values()}
                lane = next(lane for lane in range(len(taken) + 1) if lane not in taken)
                self._lanes = max(self._lanes, lane + 1)
                self._open[node_id] = (lane, now)
            case NodeProgress(node_id, step, total):
                self._instant(node_id, f"step {step} of {total}", now)
            case NodeRetried(node_id, how):
                self._instant(node_id, f"retried {how}", now)
            case NodeFinished(node_id):
                used = dataclasses.asdict(event.usage) if event.usage is not None else {}
                self._close(node_id, now, {"state": "done", **used})
            case NodeFailed(node_id, problem):
                self._close(node_id, now, {"state": "failed", "problem": str(problem)})
            case NodeCached(node_id):
                self._close(node_id, now, {"state": "cached", "tier": event.tier})
            case NodeSkipped(node_id, because):
                self._close(node_id, now, {"state": "skipped", "because": because})
            case NodeBlocked(node_id):
                self._close(node_id, now, {"state": "blocked"})
            case RunStarted():
                self._zero, self._events = time.perf_counter(), []
            case RunFinished(states):
                self._events.append(self._record("run", "X", 0.0, 0, {"outputs": dict(states)}) | {"dur": now})

    def document(self) -> dict[str, Any]:
        """Return the trace as plain data."""
        names = [("run", 0), *((f"nodes {lane + 1}" if lane else "nodes", lane + 1) for lane in range(self._lanes))]
        threads = [self._record("thread_name", "M", 0.0, lane, {"name": name}) for name, lane in names]
        return {"traceEvents": [*threads, *self._events], "displayTimeUnit": "ms"}

    def write(self, path: Path) -> None:
        """Write the trace to ``path``, whole or not at all. Raises `OutputError` when that is not possible."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(self.document(), ensure_ascii=False), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(f"the trace cannot be written: {error.strerror or error}", got=str(path)) from error

    def _instant(self, node_id: str, name: str, now: float) -> None:
        lane = self._open.get(node_id, (0, 0.0))[0]
        self._events.append(self._record(name, "i", now, lane + 1, {"node": node_id}) | {"s": "t"})

    def _close(self, node_id: str, now: float, facts: dict[str, Any]) -> None:
        lane, started = self._open.pop(node_id, (0, now))
        node = self._graph.nodes.get(node_id)
        name = (node.title or node.type) if node is not None else node_id
        about = {"node": node_id, "type": node.type if node is not None else None, **facts}
        self._events.append(self._record(name, "X", started, lane + 1, about) | {"dur": now - started})

    def _record(self, name: str, phase: str, at: float, lane: int, facts: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "ph": phase, "ts": at, "pid": _PROCESS, "tid": lane, "cat": "safelight", "args": facts}
