"""What happens during a run, told one way: the executor calls a listener, nothing is asked back.

Every event is a frozen record. Whoever shows, journals or forwards them adds numbers, times and job ids. The
``display_id`` of a node that another one made while running is the node of the document to show it at.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import Problem
from engine.graph.node_types import SavedFile

_log = logging.getLogger("safelight.execution")


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What a node took, in bytes: the most memory held while it ran (None: not known), weights moved for it."""

    peak_bytes: int | None
    moved_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class RunStarted:
    """Say what is wanted and which nodes will run, in order; a node may yet turn out to be cached."""

    outputs: tuple[str, ...]
    steps: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class NodeCached:
    """Say that a node's result was there already, or is the result of an identical node of this run (no ``tier``)."""

    node_id: str
    ui: Mapping[str, Any]
    files: tuple[SavedFile, ...]
    display_id: str | None = None
    tier: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeStarted:
    """Say that a node begins to run."""

    node_id: str
    display_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeProgress:
    """Say that ``step`` of ``total`` is done; ``preview`` is what the listener may show, or None.

    It may be a function that makes the picture; then it only costs when somebody looks, and must be called at once.
    """

    node_id: str
    step: int
    total: int
    preview: Any = None
    display_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeFinished:
    """Say that a node ran, how long it took, and what it has to show. Inside a loop, once for each round."""

    node_id: str
    seconds: float
    ui: Mapping[str, Any]
    files: tuple[SavedFile, ...]
    display_id: str | None = None
    usage: Usage | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeFailed:
    """Say that a node could not be computed, and why."""

    node_id: str
    problem: Problem
    display_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeSkipped:
    """Say that a node was not run because the node ``because``, which it needs, failed."""

    node_id: str
    because: str
    display_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeBlocked:
    """Say that a node was passed over because what it would receive is blocked; ``message`` says why, if it does."""

    node_id: str
    message: str | None
    display_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeRetried:
    """Say that a node ran out of memory and is tried again, ``how``."""

    node_id: str
    how: str
    display_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RunFinished:
    """Say that nothing more will happen. ``states`` maps each wanted output to its one final state."""

    states: Mapping[str, str]
    seconds: float


Event = (
    RunStarted
    | NodeCached
    | NodeStarted
    | NodeProgress
    | NodeFinished
    | NodeFailed
    | NodeSkipped
    | NodeBlocked
    | NodeRetried
    | RunFinished
)

Listener = Callable[[Event], None]
"""Hears each event in the thread that runs the graph, so it must be quick. What it raises is logged and dropped."""


def tell(listener: Listener | None, event: Event) -> None:
    """Hand ``event`` to ``listener``. A fault of the listener is never taken for a fault of the node it hears of."""
    if listener is None:
        return
    try:
        listener(event)
    except Exception:  # noqa: BLE001 (whatever it raises, the run goes on)
        _log.exception("the listener failed on %s", type(event).__name__)


def broadcast(*listeners: Listener) -> Listener:
    """Return a listener that hands each event to all of ``listeners``, in their order."""

    def forward(event: Event) -> None:
        for listener in listeners:
            tell(listener, event)

    return forward
