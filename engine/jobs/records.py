"""What crosses the wire as plain data: settings and a job on the way in, events and the report on the way out."""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from engine.errors import Problem, SafelightError
from engine.execution.events import Event, Usage
from engine.execution.failures import describe
from engine.execution.outcome import NodeOutcome, RunResult, State
from engine.graph.model import EMPTY
from engine.graph.node_types import SavedFile
from engine.settings import Settings, read_settings

JobState = Literal["done", "failed", "cancelled"]
MAX_DEPTH = 24
MAX_INT_BITS = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class JobRequest:
    """Say what to run.

    ``document`` is anything `Session.open` reads, as JSON text or already parsed: an API prompt, an editor's workflow.
    Text costs this process nothing: it is the worker that reads it. ``workflow`` replaces the editor's document that
    pictures carry. ``outputs`` names the wanted nodes by id (None: every output node). ``settings`` replaces the
    supervisor's, but for its limits; a worker that has other ones begins a new session, so nothing is warm.
    ``timeout_s`` ends the job after so many seconds of running (None: only a cancel does). With ``measure`` the outcome
    of each node has its ``usage``. ``writes`` is a file to which the worker adds a line (path,
    sha256) before each file of a result gets its name. A ``user`` has files and kept results of its own. ``coming`` is
    what runs next, as far as anybody knows: what it needs is kept where there is room.
    """

    id: str
    document: Mapping[str, Any] | bytes
    outputs: Sequence[str] | None = None
    workflow: Mapping[str, Any] | None = None
    settings: Settings | None = None
    timeout_s: float | None = None
    measure: bool = False
    writes: Path | None = None
    user: str | None = None
    coming: JobRequest | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class JobReport:
    """Say how a job ended; each job has exactly one.

    ``outputs`` maps each wanted output to its one final state (`State`), ``nodes`` every node that was met to its
    `NodeOutcome` as plain data (``error`` replaced by ``problem``). ``running`` names the nodes that had begun and not
    ended when the job was cancelled or its worker died. ``problems`` lists what went wrong, in order. A job
    that was refused (a bad graph) has problems and no nodes. ``worker`` tells of the process: ``pid``, ``killed``
    (it had to be, or died), ``peak_memory_bytes``. ``plan`` says what weights were planned to take and took where a
    device was streamed to (`engine.jobs.following`). ``exit_code`` is what a command line ends with.
    """

    id: str
    state: JobState
    outputs: Mapping[str, str] = dataclasses.field(default_factory=lambda: EMPTY)
    nodes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: EMPTY)
    problems: tuple[Problem, ...] = ()
    running: tuple[str, ...] = ()
    seconds: float = 0.0
    exit_code: int = 0
    worker: Mapping[str, Any] = dataclasses.field(default_factory=lambda: EMPTY)
    plan: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data; all but its problems is that already."""
        record = {name: getattr(self, name) for name in _field_names(JobReport)}
        sequences = {"problems": plain(self.problems), "running": list(self.running)}
        return {**record, **sequences, **{name: dict(record[name]) for name in ("outputs", "nodes", "worker")}}

    def as_result(self) -> RunResult:
        """Return the report in the form of a run in this process, without values; for who shows both alike."""
        nodes = {id: _outcome_from(record) for id, record in self.nodes.items()}
        for id, state in self.outputs.items():
            nodes.setdefault(id, NodeOutcome(State(state)))
        return RunResult(tuple(self.outputs), nodes, EMPTY, self.seconds)


class ReportedFailure(SafelightError):
    """Stand for an error that was raised in a worker; holds what it said, not the object itself."""

    def __init__(self, problem: Problem, exit_code: int = 1) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.exit_code = exit_code


def plain(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as JSON can hold it: dataclasses by their fields, NaN and infinity as null.

    What cannot be written (a tensor, an object of a pack) is described in a few words, so no value of a node can make
    a report fail.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if value.bit_length() <= MAX_INT_BITS else describe(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if value is EMPTY:
        return {}
    if kind is tuple and not value:
        return []
    if depth > MAX_DEPTH:
        return describe(value)
    if isinstance(value, enum.Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, Mapping):
        return {str(key): plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, BaseException):
        return [plain(one, depth + 1) for one in getattr(value, "problems", ())] or str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name), depth + 1) for name in _field_names(kind)}
    if isinstance(value, (str, PurePath)):
        return str(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a number of numpy or torch
        return plain(value.item(), depth + 1)
    return describe(value)


def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


@cache
def event_name(class_name: str) -> str:
    """Return what events of a class are called: ``NodeStarted`` is ``node_started``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


def event_record(event: Any) -> dict[str, Any]:
    """Return an event of the executor as plain data, whatever fields it has; a preview travels beside it."""
    record = {name: plain(getattr(event, name)) for name in _field_names(type(event)) if name != "preview"}
    return {"event": event_name(type(event).__name__), **record}


def event_from(record: Mapping[str, Any]) -> Event | None:
    """Return the executor's event that ``record`` describes; None for one that is not the executor's, as log lines."""
    kind = _event_kinds().get(record.get("event", ""))
    if kind is None:
        return None
    event: Event = kind(**_restored(kind, record))
    return event


def _restored(kind: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the dataclass ``kind`` that ``record`` has, of the types they had before they were plain."""
    given = {name: record[name] for name in _field_names(kind) if name in record}
    for name, read in _READ.items():
        if given.get(name) is not None:
            given[name] = read(given[name])
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


@cache
def _event_kinds() -> dict[str, Any]:
    return {event_name(kind.__name__): kind for kind in get_args(Event)}


def outcome_record(outcome: NodeOutcome) -> dict[str, Any]:
    """Return a node's outcome as plain data: ``problem`` and ``exit_code`` stand for the error."""
    record = {name: plain(getattr(outcome, name)) for name in _field_names(type(outcome)) if name != "error"}
    error = outcome.error
    return {
        **record,
        "problem": None if error is None else plain(error.problem),
        "exit_code": 0 if error is None else error.exit_code,
    }


def result_record(result: RunResult) -> dict[str, Any]:
    """Return a run's result as plain data, without its values."""
    return {
        "outputs": {id: str(result.nodes[id].state) for id in result.outputs},
        "nodes": {id: outcome_record(outcome) for id, outcome in result.nodes.items()},
        "cancelled": result.cancelled,
        "ok": result.ok,
        "problems": [plain(problem) for error in result.errors for problem in error.problems],
        "exit_code": max((error.exit_code for error in result.errors), default=0),
        "seconds": result.seconds,
    }


def problem_from(record: Mapping[str, Any]) -> Problem:
    """Return the problem that ``record`` describes; fields that are not known here are left out."""
    known = _field_names(Problem)
    return Problem(**{name: value for name, value in record.items() if name in known})


def file_from(record: Mapping[str, Any]) -> SavedFile:
    """Return the file that ``record`` describes."""
    return SavedFile(**{name: record[name] for name in _field_names(SavedFile) if name in record})


def _outcome_from(record: Mapping[str, Any]) -> NodeOutcome:
    problem = record.get("problem")
    error = None if problem is None else ReportedFailure(problem_from(problem), record.get("exit_code", 1))
    return NodeOutcome(**{**_restored(NodeOutcome, record), "error": error})


_READ: Mapping[str, Any] = {
    "state": State,
    "problem": problem_from,
    "files": lambda files: tuple(file_from(one) for one in files),
    "usage": lambda usage: Usage(**usage),
}


def settings_record(settings: Settings) -> dict[str, Any]:
    """Return settings as plain data that `settings_from` reads."""
    record = plain(settings)
    assert isinstance(record, dict)
    return record


def settings_from(record: Mapping[str, Any]) -> Settings:
    """Return the settings that `settings_record` wrote; this process's environment has no say."""
    return read_settings(record, environ={})


def request_record(request: JobRequest) -> tuple[dict[str, Any], bytes]:
    """Return a job as plain data, and its document where that is text. A parsed one is JSON's and goes as it is."""
    text = request.document if isinstance(request.document, bytes) else b""
    record = {
        "id": request.id,
        "document": None if text else request.document,
        "outputs": None if request.outputs is None else list(request.outputs),
        "workflow": request.workflow,
        "measure": request.measure,
        "writes": None if request.writes is None else str(request.writes),
        "user": request.user,
        "settings": None if request.settings is None else settings_record(request.settings),
        "coming": None if request.coming is None else _coming_record(request.coming),
    }
    return record, text


def _coming_record(request: JobRequest) -> dict[str, Any]:
    document = request.document
    return {
        "document": document.decode(errors="replace") if isinstance(document, bytes) else document,
        "outputs": None if request.outputs is None else list(request.outputs),
        "user": request.user,
    }
