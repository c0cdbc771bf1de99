"""The one thing a node receives beside its inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from engine.errors import InputError
from engine.execution.cancel import CancelToken
from engine.execution.events import Listener, NodeProgress, tell
from engine.graph.api_prompt import graph_to_api
from engine.graph.fingerprint import FileIdentity
from engine.graph.hot_records import hot_record
from engine.graph.model import EMPTY, Graph, Node
from engine.graph.secrets import without_values

Meter = Callable[[], Callable[[], tuple[int | None, int]]]
"""Begins to measure when called; what that returns ends it and gives the bytes held at most and the bytes moved."""


class Partials(Protocol):
    """Keeps the state of computations that were stopped, by their key."""

    def partial(self, key: str) -> Any:
        """Return what was kept, or None."""

    def keep_partial(self, key: str, state: Any) -> None:
        """Keep ``state`` in place of what was kept before."""

    def drop_partial(self, key: str) -> None:
        """Forget what was kept."""


def no_files(folder: str, name: str) -> str:
    """Refuse to identify a file; stands in where a run is given no folders."""
    raise InputError(
        f"the file {name!r} of the folder {folder!r} cannot be looked at",
        expected="a run that knows its folders",
        got="none",
        hint="pass Services(file_identity=...) to execute",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """What a run is given for its nodes and its keys; the executor itself only uses the last seven fields.

    ``file_identity(folder, name)`` tells which bytes a file name stands for; ``salt`` is whatever else all results
    depend on (device kind, number format, library versions). ``make_room`` lets go of all memory
    that can be made again, before a node that ran out of it is tried again; ``rungs`` tells what was done about memory
    since it was last asked, without a result being changed. ``meter`` measures each node, ``partials``
    keeps what stopped nodes had. ``debug`` makes every node's inputs be checked for changes.
    """

    # Any: this layer hands them on and may not know their types, which live beside it or above it.
    folders: Any = None
    models: Any = None
    settings: Any = None
    file_identity: FileIdentity = no_files
    salt: str = ""
    make_room: Callable[[], None] | None = None
    rungs: Callable[[], tuple[str, ...]] | None = None
    meter: Meter | None = None
    partials: Partials | None = None
    debug: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Lineage:
    """Tell which node made another one while running, and at which node of the document that one shows."""

    parent_id: str
    display_id: str


@dataclasses.dataclass(slots=True)
class RunScope:
    """What all contexts of one run share. The API form of the graph is made when a node first asks for it.

    ``nodes`` are those of the graph and, while the run goes on, those that nodes made; ``lineage`` tells of the latter.
    ``kept`` are the keys under which nodes that are not done keep a state. ``secrets`` are texts that no document
    shows to a node. ``in_parts`` says of nodes for which memory was too small how they were done instead, which may
    show in results.
    """

    graph: Graph
    services: Services
    listener: Listener | None
    cancel: CancelToken
    nodes: Mapping[str, Node] = dataclasses.field(default_factory=lambda: EMPTY)
    lineage: dict[str, Lineage] = dataclasses.field(default_factory=dict)
    kept: set[str] = dataclasses.field(default_factory=set)
    secrets: frozenset[str] = frozenset()
    in_parts: dict[str, str] = dataclasses.field(default_factory=dict)
    _prompt: dict[str, Any] | None = None

    def prompt(self) -> Mapping[str, Any]:
        """Return the API form of the graph."""
        if self._prompt is None:
            self._prompt = without_values(graph_to_api(self.graph), self.secrets)
        return self._prompt

    def display_id(self, node_id: str) -> str | None:
        """Return the node of the document to show ``node_id`` at, where that is another one."""
        line = self.lineage.get(node_id)
        return line.display_id if line is not None else None


@hot_record()
class Context:
    """What a node may know and do while it runs.

    ``progress`` and ``check_cancelled`` raise `Cancelled` when the run was asked to stop, so a node that reports
    each step stops within one step. A node must not change what it reads here. ``key`` names the computation: the same
    node, code and content of inputs have the same one in every run; None where nothing has it. ``place`` counts the
    calls of a node for the items of a list.
    """

    node_id: str
    node_title: str | None
    scope: RunScope
    key: str | None = None
    place: int = 0

    @property
    def prompt(self) -> Mapping[str, Any]:
        """The API form of the graph that runs, to write into pictures."""
        return self.scope.prompt()

    @property
    def workflow(self) -> Mapping[str, Any] | None:
        """The editor's document that the graph came from, or None."""
        workflow: Mapping[str, Any] | None = without_values(self.scope.graph.workflow, self.scope.secrets)
        return workflow

    @property
    def in_parts(self) -> Mapping[str, str]:
        """How nodes of this run were done for which memory was too small (``in tiles of 512``), by their id."""
        return {self.scope.display_id(node_id) or node_id: how for node_id, how in self.scope.in_parts.items()}

    @property
    def graph_view(self) -> RunScope:
        """The graph as it is now, with ``nodes`` that others made while running, and their ``lineage``."""
        return self.scope

    # Any for the next three: see `Services`.
    @property
    def folders(self) -> Any:
        """The folders of the run: the only way from a name to a path."""
        return self.scope.services.folders

    @property
    def models(self) -> Any:
        """The owner of weights and devices."""
        return self.scope.services.models

    @property
    def settings(self) -> Any:
        """The settings of the run."""
        return self.scope.services.settings

    @property
    def cancelled(self) -> bool:
        """Say whether the run was asked to stop, for loops that cannot raise where they are."""
        return self.scope.cancel.cancelled

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when the run was asked to stop."""
        self.scope.cancel.check()

    def recall(self) -> Any:
        """Return what an earlier run of this very computation kept before it was stopped, or None."""
        partials = self.scope.services.partials
        if partials is None or self.key is None:
            return None
        state = partials.partial(self.key)
        if state is not None:
            self.scope.kept.add(self.key)
        return state

    def keep(self, state: Any) -> None:
        """Keep ``state`` (tensors, tuples, plain data) for a later run, in place of what was kept before.

        It is forgotten when the node is done.
        """
        partials = self.scope.services.partials
        if partials is not None and self.key is not None:
            partials.keep_partial(self.key, state)
            self.scope.kept.add(self.key)

    def progress(self, step: int, total: int, preview: Any = None) -> None:
        """Report that ``step`` of ``total`` is done; ``preview`` is shown if anybody looks. Raises `Cancelled`.

        ``preview`` may be a function that makes what is shown, called only then.
        """
        self.scope.cancel.check()
        shown_at = self.scope.display_id(self.node_id)
        tell(self.scope.listener, NodeProgress(self.node_id, step, total, preview, shown_at))
        self.scope.cancel.check()  # the listener may have been what asked


CURRENT: ContextVar[Context | None] = ContextVar("safelight_current_context", default=None)
"""The context of the node whose code runs, for code that is given none (a pack's progress bar, deep inside)."""


def lone_context(
    services: Services | None = None,
    *,
    listener: Listener | None = None,
    cancel: CancelToken | None = None,
) -> Context:
    """Return a context for calling a node by itself, outside any graph."""
    return Context("", None, RunScope(Graph(EMPTY), services or Services(), listener, cancel or CancelToken()))
