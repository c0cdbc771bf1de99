"""How a run ended: one final state for each node that it met."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from engine.errors import SafelightError
from engine.execution.events import Usage
from engine.graph.hot_records import hot_record
from engine.graph.model import EMPTY
from engine.graph.node_types import SavedFile


class State(enum.StrEnum):
    """The final state of a node: it ran, its result was there, it failed, it needed one that failed, something above
    decided that it is not to run, or it was not reached before the run was stopped."""

    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


@hot_record()
class NodeOutcome:
    """What became of one node.

    ``seconds`` is 0 unless it ran; ``because`` is the failed node that it waited for. A node inside a loop has one
    outcome for all rounds. ``retries`` say how it was tried again after it ran out of memory; ``rungs`` what else was
    done about memory, which changes no result; ``usage`` is there when the run was measured. ``tier`` is the tier of
    the cache that had a result, None for that of an identical node.
    """

    state: State
    seconds: float = 0.0
    ui: Mapping[str, Any] = dataclasses.field(default_factory=lambda: EMPTY)
    files: tuple[SavedFile, ...] = ()
    error: SafelightError | None = None
    because: str | None = None
    retries: tuple[str, ...] = ()
    rungs: tuple[str, ...] = ()
    usage: Usage | None = None
    tier: str | None = None

    @property
    def in_order(self) -> bool:
        """Say whether this is as the graph wants it: done, cached, or blocked without complaint."""
        if self.state is State.BLOCKED:
            return self.error is None and self.because is None
        return self.state in (State.DONE, State.CACHED)


@dataclasses.dataclass(frozen=True, slots=True)
class RunResult:
    """What a run made.

    ``nodes`` has an outcome for every node that was run, looked up or waited for, and for every wanted output;
    nodes whose results nobody needed (all below them was cached) are not in it. ``values`` has the output values of
    the wanted outputs that are done or cached.
    """

    outputs: tuple[str, ...]
    nodes: Mapping[str, NodeOutcome]
    values: Mapping[str, tuple[Any, ...]]
    seconds: float

    @property
    def ok(self) -> bool:
        """Say whether every wanted output is there, or blocked on purpose."""
        return all(self.nodes[output].in_order for output in self.outputs)

    @property
    def cancelled(self) -> bool:
        """Say whether the run was stopped before all was done."""
        return any(outcome.state is State.CANCELLED for outcome in self.nodes.values())

    @property
    def errors(self) -> tuple[SafelightError, ...]:
        """List what failed, in the order it happened."""
        return tuple(outcome.error for outcome in self.nodes.values() if outcome.error is not None)

    @property
    def files(self) -> tuple[SavedFile, ...]:
        """List the files of the wanted outputs, in their order."""
        return tuple(file for output in self.outputs for file in self.nodes[output].files)
