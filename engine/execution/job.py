"""One node being computed: what it is called with, and calling it, again with less where memory runs out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from engine.execution.calling import Calls, blocked_result, call
from engine.execution.context import Context, RunScope
from engine.execution.events import Usage
from engine.execution.expansion import Expansion
from engine.execution.failures import ran_out_of_memory
from engine.execution.report import Report
from engine.execution.run_state import is_key
from engine.graph.model import Node
from engine.graph.node_types import NodeType


@dataclasses.dataclass(slots=True)
class Job:
    """A node that is being computed: what it is called with, and what the calls are waiting for."""

    node: Node
    node_type: NodeType
    inputs: dict[str, Any]
    origin: str
    calls: Calls
    started: float
    expansion: Expansion | None = None
    retries: tuple[str, ...] = ()
    rungs: tuple[str, ...] = ()
    measured: Callable[[], tuple[int | None, int]] | None = None

    def usage(self) -> Usage | None:
        """Return what the node took, if it was measured."""
        return Usage(*self.measured()) if self.measured is not None else None

    def forget_state(self, scope: RunScope) -> None:
        """Let go of what the calls kept for a run that goes on: the node is done."""
        for place in range(len(self.calls.arguments)):
            key = self.key(place)
            if key in scope.kept and scope.services.partials is not None:
                scope.kept.remove(key)
                scope.services.partials.drop_partial(key)

    def key(self, place: int) -> str | None:
        """Return the key of one of the calls; None where nothing has the key of the node."""
        if not is_key(self.origin):
            return None
        return f"{self.origin}-{place}" if self.calls.mapped else self.origin


def make_calls(job: Job, scope: RunScope, report: Report) -> list[Any]:
    """Make the calls of a node and return what each gave, which may have to be awaited.

    After running out of memory the node is tried again with all room that can be made, then in its smaller ways.
    """
    calls = job.calls
    if not calls.all_blocked:
        report.started(job.node.id)
    if scope.services.meter is not None:
        job.measured = scope.services.meter()
    node_type, debug = job.node_type, scope.services.debug
    while True:
        try:
            made = []
            for place, (arguments, blocked) in enumerate(zip(calls.arguments, calls.blocked, strict=True)):
                if blocked is None:
                    context = Context(job.node.id, job.node.title, scope, job.key(place), place)
                    made.append(call(node_type, context, arguments, debug))
                else:
                    made.append(blocked_result(node_type, blocked))
            job.rungs = scope.services.rungs() if scope.services.rungs is not None else ()
            return made
        except Exception as error:
            ways = _smaller_ways(job.node_type, scope)[len(job.retries) :] if ran_out_of_memory(error) else []
            if not ways:
                raise
            how, node_type = ways[0]
        # Outside of the handler: the error, and all that its frames hold, is gone by now.
        if scope.services.make_room is not None:
            scope.services.make_room()
        job.retries = (*job.retries, how)
        if node_type is not job.node_type:
            scope.in_parts[job.node.id] = how
        report.retried(job.node.id, how)


def _smaller_ways(node_type: NodeType, scope: RunScope) -> list[tuple[str, NodeType]]:
    ways = [("again, with nothing else in memory", node_type)] if scope.services.make_room is not None else []
    return ways + [(way.how, dataclasses.replace(node_type, run=way.run)) for way in node_type.smaller]
