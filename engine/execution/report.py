"""What became of each node of a run: told as it happens, and kept as the one outcome that each ends with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.execution.cache import Result, Shown
from engine.execution.calling import joined_ui
from engine.execution.context import RunScope
from engine.execution.events import (
    Listener,
    NodeBlocked,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    tell,
)
from engine.execution.outcome import NodeOutcome, State
from engine.graph.node_types import SavedFile

_FOR_TWINS = {State.DONE: State.CACHED, State.FAILED: State.SKIPPED}
"""A twin did not run itself: it shares the result, or is held up by the one that failed for both."""


class Report:
    """Keep the outcomes of a run and tell its listener.

    ``standing_for`` lists the twins of a node, ``repeated`` the nodes inside loops; both are filled by their owners.
    """

    def __init__(self, scope: RunScope) -> None:
        self._scope = scope
        self._listener: Listener | None = scope.listener
        self.outcomes: dict[str, NodeOutcome] = {}
        self.standing_for: dict[str, list[str]] = {}
        self.repeated: Mapping[str, str] = {}
        self._rounds: dict[str, _Rounds] = {}

    def started(self, node_id: str) -> None:
        """Tell that a node begins to run."""
        if self._listener is not None:
            tell(self._listener, NodeStarted(node_id, self._scope.display_id(node_id)))

    def retried(self, node_id: str, how: str) -> None:
        """Tell that a node is tried again."""
        tell(self._listener, NodeRetried(node_id, how, self._scope.display_id(node_id)))

    def reached(self, node_id: str, outcome: NodeOutcome) -> None:
        """Record and tell the final state of a node, and of the nodes it stands for."""
        self._record(node_id, outcome)
        twins = self.standing_for.get(node_id)
        if twins:
            state = _FOR_TWINS.get(outcome.state, outcome.state)
            because = outcome.because if outcome.error is None else node_id
            shared = NodeOutcome(state, 0.0, outcome.ui, outcome.files, None, because)
            for twin in twins:
                self._record(twin, shared)

    def told_again(self, result: Result) -> None:
        """Record and tell what the nodes inside the work of a cached result showed."""
        for one in result.shown:
            self._record(one.node_id, NodeOutcome(State.CACHED, 0.0, one.ui, one.files))

    def shown_by(self, node_id: str, result: Result) -> tuple[Shown, ...]:
        """Return what ``node_id`` and the nodes inside its work showed, for the result of whoever it works for."""
        if not result.ui and not result.files:
            return result.shown
        return (Shown(node_id, self._scope.display_id(node_id), result.ui, result.files), *result.shown)

    def settle(self) -> None:
        """Give each node inside a loop its one outcome for all rounds."""
        for node_id, rounds in self._rounds.items():
            self.outcomes[node_id] = rounds.outcome(self.outcomes[node_id])

    def _record(self, node_id: str, outcome: NodeOutcome) -> None:
        known = node_id in self.outcomes
        repeated = node_id in self.repeated
        self.outcomes[node_id] = outcome
        if repeated:
            self._rounds.setdefault(node_id, _Rounds()).add(outcome)
        if self._listener is None or (known and not repeated and node_id not in self._scope.lineage):
            return  # looked up once more after its result was let go: nothing new
        shown_at = self._scope.display_id(node_id)
        match outcome.state:
            case State.DONE:
                told = NodeFinished(node_id, outcome.seconds, outcome.ui, outcome.files, shown_at, outcome.usage)
                tell(self._listener, told)
            case State.CACHED:
                tell(self._listener, NodeCached(node_id, outcome.ui, outcome.files, shown_at, outcome.tier))
            case State.FAILED if outcome.error is not None:
                tell(self._listener, NodeFailed(node_id, outcome.error.problem, shown_at))
            case State.SKIPPED if outcome.because is not None:
                tell(self._listener, NodeSkipped(node_id, outcome.because, shown_at))
            case State.BLOCKED:
                message = outcome.error.problem.message if outcome.error is not None else None
                tell(self._listener, NodeBlocked(node_id, message, shown_at))


class _Rounds:
    """What a node inside a loop did in all rounds. What showed nothing takes no memory for each round."""

    def __init__(self) -> None:
        self._ran = False
        self._seconds = 0.0
        self._ui: list[Mapping[str, Any]] = []
        self._files: list[SavedFile] = []
        self._retries: list[str] = []
        self._rungs: list[str] = []

    def add(self, outcome: NodeOutcome) -> None:
        self._ran = self._ran or outcome.state is State.DONE
        self._seconds += outcome.seconds
        self._files += outcome.files
        self._retries += outcome.retries
        self._rungs += outcome.rungs
        if outcome.ui:
            self._ui.append(outcome.ui)

    def outcome(self, last: NodeOutcome) -> NodeOutcome:
        """Return the outcome, given that of the last round: the node ran if it ran in any round."""
        ran = self._ran and last.state in (State.CACHED, State.BLOCKED)
        return dataclasses.replace(
            last,
            state=State.DONE if ran else last.state,
            seconds=self._seconds,
            ui=joined_ui(self._ui),
            files=tuple(self._files),
            retries=tuple(self._retries),
            rungs=tuple(self._rungs),
        )
