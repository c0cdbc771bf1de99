"""What clients are told of a job: the executor's events in the words of the ecosystem's protocol.

One `Story` for each run of a job. It hears the supervisor's events in order and returns the messages to send; at the
end it knows what history keeps. Each job is told one end: success, error or interruption, when all that could run has
run, although a branch may have failed long before (`progress_state` says so at once).
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from engine.graph.api_prompt import is_link
from engine.server.job_rows import CANCELLED, COMPLETED, FAILED

MAX_SHOWN_TEXT: Final = 500
STATE_INTERVAL_S: Final = 0.1
SMALL_STATE: Final = 64
"""The whole state is sent at every step while no more nodes than this have begun; then at the interval."""

_CAUSE = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One message: ``kept`` ones have a number and can be told again, others only matter while they are new."""

    type: str
    data: Mapping[str, Any]
    kept: bool = True


@dataclasses.dataclass(slots=True)
class _Shown:
    value: float
    max: float
    state: str
    display: str


class Story:
    """Tells one run of a job; see the module's own text."""

    def __init__(self, prompt_id: str, prompt: Mapping[str, Any], lazy_inputs: Mapping[str, frozenset[str]]) -> None:
        """``prompt`` is the API prompt; ``lazy_inputs`` names the lazy inputs of node types that have some."""
        self.id = prompt_id
        self.prompt = prompt
        self.messages: list[list[Any]] = []
        self.shown: dict[str, Mapping[str, Any]] = {}
        self.meta: dict[str, dict[str, Any]] = {}
        self.running: dict[str, str] = {}
        self.problems: list[Mapping[str, Any]] = []
        self.states: dict[str, str] = {}
        self.started_ms: float | None = None
        self._lazy = lazy_inputs
        self._executed: list[str] = []
        self._steps: frozenset[str] = frozenset()
        self._cached: dict[str, None] = {}
        self._told: set[str] = set()
        self.facts: dict[str, dict[str, Any]] = {}
        """What each node took and made: seconds, bytes, the tier of a kept result, names of files."""
        self._gathering = False
        self._progress: dict[str, _Shown] = {}
        self._last_state = 0.0
        self._current: str | None = None

    def hear(self, event: Mapping[str, Any]) -> list[Message]:
        """Take in an event of the supervisor; return what to tell."""
        name = event["event"]
        told: list[Message] = []
        if self._gathering and name != "node_cached":
            self._gathering = False
            told += self._tell_cached()
        handler = _HANDLERS.get(name)
        if handler is not None:
            told += handler(self, event)
        return told

    def begin(self) -> list[Message]:
        """Tell that the job has begun."""
        self.started_ms = _now_ms()
        return [self._kept("execution_start", {"timestamp": int(self.started_ms)})]

    # -- handlers of events

    def _on_started(self, event: Mapping[str, Any]) -> Iterator[Message]:
        self._steps = frozenset(event["steps"])
        self._gathering = True
        return iter(())

    def _on_cached(self, event: Mapping[str, Any]) -> Iterator[Message]:
        node = str(event["node_id"])
        self._cached[node] = None
        self._keep(node, event)
        self._note(node, event)
        if not self._gathering:
            yield from self._tell_cached()

    def _tell_cached(self) -> Iterator[Message]:
        """Tell which nodes need not run: those that were found, and what only these needed."""
        found = [*self._cached, *self._above(self._cached)]
        told = bool(self._told)
        fresh = [node for node in dict.fromkeys(found) if node not in self._told]
        self._told.update(fresh)
        if fresh or not told:
            yield self._kept("execution_cached", {"nodes": fresh, "timestamp": int(_now_ms())})
        for node in self._cached:
            self._set(node, 1, 1, "finished", node)
            if node in self.shown:
                yield self._executed_message(node, self.meta[node]["display_node"])
        self._cached = {}

    def _above(self, nodes: Iterable[str]) -> Iterator[str]:
        """Walk what feeds cached nodes, but for lazy inputs, which may never have been asked for."""
        pending, seen = list(nodes), set(nodes)
        while pending:
            entry = self.prompt.get(pending.pop())
            if not isinstance(entry, Mapping):
                continue
            lazy = self._lazy.get(str(entry.get("class_type")), frozenset())
            for name, value in (entry.get("inputs") or {}).items():
                if name in lazy or not is_link(value) or value[0] in seen or value[0] in self._steps:
                    continue
                seen.add(value[0])
                if value[0] in self.prompt:
                    pending.append(value[0])
                    yield value[0]

    def _on_node_started(self, event: Mapping[str, Any]) -> Iterator[Message]:
        node = str(event["node_id"])
        display = str(event.get("display_id") or node)
        self.running[node] = display
        self._current = node
        self._meta(node, display)
        self._set(node, 0, 1, "running", display)
        yield from self._state()
        yield self._kept("executing", {"node": node, "display_node": display})

    def _on_progress(self, event: Mapping[str, Any]) -> Iterator[Message]:
        node, step, total = str(event["node_id"]), event["step"], event["total"]
        display = str(event.get("display_id") or node)
        self._set(node, step, total, "running", display)
        yield from self._state(soon=False)
        yield Message("progress", {"value": step, "max": total, "prompt_id": self.id, "node": node}, kept=False)

    def _on_finished(self, event: Mapping[str, Any]) -> Iterator[Message]:
        node = str(event["node_id"])
        display = self.running.pop(node, str(event.get("display_id") or node))
        self._executed.append(node)
        self._keep(node, event)
        self._note(node, event)
        total = self._progress[node].max if node in self._progress else 1
        self._set(node, total, total, "finished", display)
        yield from self._state()
        if node in self.shown:
            yield self._executed_message(node, display)

    def _on_failed(self, event: Mapping[str, Any]) -> Iterator[Message]:
        node = str(event["node_id"])
        display = self.running.pop(node, str(event.get("display_id") or node))
        self.problems.append(event["problem"])
        self._set(node, 0, 1, "error", display)
        yield from self._state()

    def _on_blocked(self, event: Mapping[str, Any]) -> Iterator[Message]:
        node = str(event["node_id"])
        self.running.pop(node, None)
        if event.get("message"):
            problem = {"code": "E-BLOCKED", "message": event["message"], "node_id": node}
            self.problems.append(problem)
            self._set(node, 0, 1, "error", str(event.get("display_id") or node))
            yield from self._state()

    # -- the end

    def end(self, report: Mapping[str, Any]) -> tuple[str, Message]:
        """Return the state that the job ends in, and the one message that says so."""
        self.states = dict(report["outputs"])
        for done, facts in self.facts.items():
            self.meta.get(done, {}).update(facts)
        stamp = {"timestamp": int(_now_ms())}
        if report["state"] == "cancelled":
            node = next(iter(report["running"]), None) or self._current
            return CANCELLED, self._kept("execution_interrupted", {**self._where(node), **stamp})
        problems = [*self.problems, *(one for one in report["problems"] if one not in self.problems)]
        if report["state"] == "failed" or problems:
            first: Mapping[str, Any] = problems[0] if problems else {"code": "E-NODE", "message": "the job failed"}
            others = [problem_text(one) for one in problems[1:]]
            return FAILED, self._kept("execution_error", {**self._error(first), "also": others, **stamp})
        return COMPLETED, self._kept("execution_success", stamp)

    def _error(self, problem: Mapping[str, Any]) -> dict[str, Any]:
        node = problem.get("node_id")
        kind, message = cause_of(problem)
        entry = self.prompt.get(str(node)) or {}
        inputs = entry.get("inputs") or {} if isinstance(entry, Mapping) else {}
        given = {
            name: [f"output {value[1]} of node {value[0]}" if is_link(value) else _short(value)]
            for name, value in inputs.items()
        }
        lines = [f"{problem_text(problem)}\n"]
        return {
            **self._where(node),
            "exception_message": message,
            "exception_type": kind,
            "traceback": lines,
            "current_inputs": given,
            "current_outputs": list(dict.fromkeys([*self._told, *self._executed])),
            "code": problem.get("code"),
            "hint": problem.get("hint"),
        }

    def _where(self, node: Any) -> dict[str, Any]:
        entry = self.prompt.get(str(node))
        known = isinstance(entry, Mapping)
        kind = entry.get("class_type") if isinstance(entry, Mapping) and known else None
        return {
            "node_id": None if node is None else str(node),
            "node_type": kind,
            "executed": list(dict.fromkeys([*self._told, *self._executed])),
        }

    # -- what is kept

    def snapshot(self) -> list[Message]:
        """Return what a client that comes in the middle needs to know first."""
        if self._current is None or not self.running:
            return []
        node = list(self.running)[-1]
        return [
            Message("executing", {"node": node, "display_node": self.running[node], "prompt_id": self.id}, kept=False),
            self._whole_state(),
        ]

    def preview_facts(self, node: str) -> dict[str, Any]:
        """Return what goes along with a preview of ``node``."""
        display = self.running.get(node, node)
        return {
            "node_id": node,
            "prompt_id": self.id,
            "display_node_id": display,
            "parent_node_id": None if display == node else display,
            "real_node_id": node,
        }

    def _kept(self, type: str, data: Mapping[str, Any]) -> Message:
        whole = {**data, "prompt_id": self.id}
        if type.startswith("execution_"):
            self.messages.append([type, whole])
        return Message(type, whole)

    def _executed_message(self, node: str, display: str) -> Message:
        return self._kept("executed", {"node": node, "display_node": display, "output": self.shown[node]})

    def _keep(self, node: str, event: Mapping[str, Any]) -> None:
        self._meta(node, str(event.get("display_id") or node))
        if event.get("ui"):
            self.shown[node] = event["ui"]

    def _note(self, node: str, event: Mapping[str, Any]) -> None:
        """Note what a node took and made; inside a loop, all rounds together."""
        known, facts = self.facts.get(node, {}), facts_of(event)
        if "seconds" in known and "seconds" in facts:
            facts["seconds"] += known["seconds"]
            facts["peak_bytes"] = max(facts.get("peak_bytes", 0), known.get("peak_bytes", 0)) or None
            facts["files"] = [*known.get("files", ()), *facts.get("files", ())]
        self.facts[node] = {name: value for name, value in facts.items() if value}

    def _meta(self, node: str, display: str) -> None:
        parent = None if display == node else display
        self.meta[node] = {"node_id": node, "display_node": display, "parent_node": parent, "real_node_id": node}

    def _set(self, node: str, value: float, most: float, state: str, display: str) -> None:
        self._progress[node] = _Shown(value, most, state, display)

    def _state(self, *, soon: bool = True) -> Iterator[Message]:
        now = time.monotonic()
        small = soon and len(self._progress) <= SMALL_STATE
        if small or now >= self._last_state + STATE_INTERVAL_S:
            self._last_state = now
            yield self._whole_state()

    def _whole_state(self) -> Message:
        nodes = {
            node: {
                "value": one.value,
                "max": one.max,
                "state": one.state,
                "node_id": node,
                "prompt_id": self.id,
                "display_node_id": one.display,
                "parent_node_id": None if one.display == node else one.display,
                "real_node_id": node,
                **(self.facts.get(node, {}) if one.state == "finished" else {}),
            }
            for node, one in self._progress.items()
        }
        return Message("progress_state", {"prompt_id": self.id, "nodes": nodes}, kept=False)


_HANDLERS: Final = {
    "run_started": Story._on_started,
    "node_cached": Story._on_cached,
    "node_started": Story._on_node_started,
    "node_progress": Story._on_progress,
    "node_finished": Story._on_finished,
    "node_failed": Story._on_failed,
    "node_blocked": Story._on_blocked,
}


def facts_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the end of a node tells: ``seconds`` of running, or ``tier``; ``peak_bytes`` and ``moved_bytes``
    where they were measured; the names of ``files`` that it wrote."""
    facts = {name: event[name] for name in ("seconds", "tier") if event.get(name) is not None}
    facts |= {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
    if event.get("files"):
        facts["files"] = [
            {"filename": PurePath(one["path"]).name, "subfolder": one["subfolder"], "type": one["folder"]}
            for one in event["files"]
        ]
    return facts


def cause_of(problem: Mapping[str, Any]) -> tuple[str, str]:
    """Return the type of the exception that a problem came from, and its message.

    What a node raised is told as ``ValueError: text``; problems of our own have their code for a type.
    """
    code, message = str(problem.get("code")), str(problem.get("message"))
    if code == "E-BLOCKED":
        return "ExecutionBlocked", message
    if code in ("E-NODE", "E-MEMORY"):
        found = _CAUSE.fullmatch(message)
        if found is not None:
            return found[1], found[2] or found[1]
    facts = [f"expected {problem['expected']}"] if problem.get("expected") else []
    facts += [f"got {problem['got']}"] if problem.get("got") else []
    return code, message + (f" ({', '.join(facts)})" if facts else "")


def problem_text(problem: Mapping[str, Any]) -> str:
    """Write a problem in one text, as the terminal shows it."""
    kind, message = cause_of(problem)
    title = f' "{problem["node_title"]}"' if problem.get("node_title") else ""
    where = f"node {problem['node_id']}{title}: " if problem.get("node_id") is not None else ""
    hint = f"\nhint: {problem['hint']}" if problem.get("hint") else ""
    return f"{where}{kind}: {message}{hint}"


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_SHOWN_TEXT:
        return value[:MAX_SHOWN_TEXT] + "…"
    return value


def _now_ms() -> float:
    return time.time() * 1000
