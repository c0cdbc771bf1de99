"""The one thing a node receives beside its inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.errors import InputError
from engine.execution.cancel import CancelToken
from engine.execution.events import Listener, NodeProgress, tell
from engine.graph.api_prompt import graph_to_api
from engine.graph.fingerprint import FileIdentity
from engine.graph.model import EMPTY, Graph


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
    """What a run is given for its nodes and its keys; the executor itself only uses the last two fields.

    ``file_identity(folder, name)`` tells which bytes a file name stands for; ``salt`` is whatever else all results
    depend on (device kind, number format, library versions).
    """

    # Any: this layer hands them on and may not know their types, which live beside it or above it.
    folders: Any = None
    models: Any = None
    settings: Any = None
    file_identity: FileIdentity = no_files
    salt: str = ""


@dataclasses.dataclass(slots=True)
class RunScope:
    """What all contexts of one run share. The API form of the graph is made when a node first asks for it."""

    graph: Graph
    services: Services
    listener: Listener | None
    cancel: CancelToken
    _prompt: dict[str, Any] | None = None

    def prompt(self) -> Mapping[str, Any]:
        """Return the API form of the graph."""
        if self._prompt is None:
            self._prompt = graph_to_api(self.graph)
        return self._prompt


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a node may know and do while it runs.

    ``progress`` and ``check_cancelled`` raise `Cancelled` when the run was asked to stop, so a node that reports
    each step stops within one step. A node must not change what it reads here.
    """

    node_id: str
    node_title: str | None
    scope: RunScope

    @property
    def prompt(self) -> Mapping[str, Any]:
        """The API form of the graph that runs, to write into pictures."""
        return self.scope.prompt()

    @property
    def workflow(self) -> Mapping[str, Any] | None:
        """The editor's document that the graph came from, or None."""
        return self.scope.graph.workflow

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

    def progress(self, step: int, total: int, preview: Any = None) -> None:
        """Report that ``step`` of ``total`` is done; ``preview`` is shown if anybody looks. Raises `Cancelled`.

        ``preview`` may be a function that makes what is shown, called only then.
        """
        self.scope.cancel.check()
        tell(self.scope.listener, NodeProgress(self.node_id, step, total, preview))
        self.scope.cancel.check()  # the listener may have been what asked


def lone_context(
    services: Services | None = None,
    *,
    listener: Listener | None = None,
    cancel: CancelToken | None = None,
) -> Context:
    """Return a context for calling a node by itself, outside any graph."""
    return Context("", None, RunScope(Graph(EMPTY), services or Services(), listener, cancel or CancelToken()))
