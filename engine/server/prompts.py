"""What is posted to be run: reading it, and saying what is wrong with it in the ecosystem's form.

Their error objects are ``{type, message, details, extra_info}``; our problems say more, which stands in ``details``.
Where only some outputs can be computed, those are queued and the answer lists what is wrong with the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.errors import Problem
from engine.graph.model import Graph, Link
from engine.graph.node_types import Parameter
from engine.graph.registry import Registry

MAX_CHOICES: Final = 20
MAX_TRACED: Final = 200
"""For so many bad nodes it is said which outputs depend on each; a graph with more says it for these."""

TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "E-MISSING-INPUT": ("required_input_missing", "Required input is missing"),
    "E-MISSING-NODE": ("bad_linked_input", "Bad linked input"),
    "E-MISSING-SLOT": ("bad_linked_input", "Bad linked input"),
    "E-LINK": ("bad_linked_input", "Bad linked input"),
    "E-LINK-TYPE": ("return_type_mismatch", "Return type mismatch between linked nodes"),
    "E-TYPE": ("invalid_input_type", "Failed to convert an input value"),
    "E-NEEDS-LINK": ("bad_linked_input", "Bad linked input"),
    "E-CHOICE": ("value_not_in_list", "Value not in list"),
    "E-FILE": ("value_not_in_list", "Value not in list"),
    "E-CYCLE": ("dependency_cycle", "Dependency cycle detected"),
    "E-CHECK": ("custom_validation_failed", "Custom validation failed for node"),
    "E-UNEXPECTED-INPUT": ("unexpected_input", "The node has no such input"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Say why nothing of a prompt is run."""

    error: Mapping[str, Any]
    node_errors: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": self.error, "node_errors": self.node_errors}


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """What of a prompt is run: its API form as JSON text, the outputs that can be computed, what is wrong with the
    others, the editor's document where one was posted, and the graph of both."""

    prompt: Mapping[str, Any]
    text: str
    outputs: tuple[str, ...]
    node_errors: Mapping[str, Any]
    workflow: Mapping[str, Any] | None = None
    graph: Graph | None = dataclasses.field(default=None, repr=False, compare=False)


def refusal(kind: str, message: str, details: str = "", **extra: Any) -> Refusal:
    """Return a refusal of the whole prompt."""
    return Refusal({"type": kind, "message": message, "details": details, "extra_info": extra})


def refusal_of(problems: Sequence[Problem]) -> Refusal:
    """Return the refusal of a document that cannot be read."""
    first = problems[0]
    details = "\n".join(str(one) for one in problems[:20])
    extra = {"problems": [dataclasses.asdict(one) for one in problems[:100]]}
    if first.code == "E-CLASS-TYPE":
        where = f"Node ID '#{first.node_id}'"
        return refusal("missing_node_type", f"Cannot execute: {first.message}", f"{where}\n{details}", **extra)
    return refusal("invalid_prompt", f"Cannot execute: {first.message}", details, **extra)


def judge(
    graph: Graph, registry: Registry, problems: Sequence[Problem], outputs: Collection[str]
) -> Refusal | tuple[tuple[str, ...], dict[str, Any]]:
    """Say which of ``outputs`` can be computed and what is wrong with the others, or why nothing can be run."""
    missing = [one for one in problems if one.code == "E-UNKNOWN-NODE"]
    if missing:
        return _missing_type(graph, missing)
    if not outputs:
        details = next((str(one) for one in problems if one.code == "E-NO-OUTPUT"), "")
        return refusal("prompt_no_outputs", "Prompt has no outputs", details)
    node_errors = _node_errors(graph, registry, problems, outputs)
    bad = _below(graph, [id for id in node_errors if id in graph.nodes])
    valid = tuple(id for id in outputs if id in graph.nodes and id not in bad)
    if valid:
        return valid, node_errors
    details = "\n".join(str(one) for one in problems[:20])
    error = refusal("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
    return Refusal(error.error, node_errors)


def _missing_type(graph: Graph, problems: Sequence[Problem]) -> Refusal:
    first = problems[0]
    node = graph.nodes[first.node_id or ""]
    lines = [f"Node ID '#{first.node_id}'", *(str(one) for one in problems[:20])]
    return refusal(
        "missing_node_type",
        f"Node '{node.title or node.type}' not found. Its type '{node.type}' is not installed. {first.hint or ''}",
        "\n".join(lines),
        node_id=first.node_id,
        class_type=node.type,
        node_title=node.title or node.type,
    )


def _node_errors(
    graph: Graph, registry: Registry, problems: Sequence[Problem], outputs: Iterable[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wanted = list(outputs)
    for problem in problems:
        id = problem.node_id
        if id is None or id not in graph.nodes:
            continue
        if id not in found:
            below = _below(graph, [id]) if len(found) < MAX_TRACED else set()
            found[id] = {
                "errors": [],
                "dependent_outputs": [output for output in wanted if output in below],
                "class_type": graph.nodes[id].type,
            }
        found[id]["errors"].append(error_object(problem, graph, registry))
    return found


def error_object(problem: Problem, graph: Graph, registry: Registry) -> dict[str, Any]:
    """Return one problem of a node as the ecosystem's clients know it."""
    node = graph.nodes[problem.node_id or ""]
    node_type = registry.get(node.type)
    parameter = None if node_type is None else node_type.by_name.get(problem.input or "")
    value = node.inputs.get(problem.input or "")
    kind, message = _kind(problem, parameter, value)
    extra: dict[str, Any] = {"code": problem.code, "hint": problem.hint, "expected": problem.expected}
    name = problem.input
    text = f"{problem.message}" + (f"; expected {problem.expected}" if problem.expected else "")
    text += f", got {problem.got}" if problem.got else ""
    text += f". {problem.hint}" if problem.hint else ""
    if name is not None:
        extra["input_name"] = name
        if isinstance(value, Link):
            extra["linked_node"] = [value.node, value.slot]
        elif value is not None:
            extra["received_value"] = value
        if parameter is not None:
            bounds = {"min": parameter.minimum, "max": parameter.maximum}
            limits = {key: one for key, one in bounds.items() if one is not None}
            extra["input_config"] = [parameter.type, limits]
    return {"type": kind, "message": message, "details": f"{name}: {text}" if name else text, "extra_info": extra}


def _kind(problem: Problem, parameter: Parameter | None, value: Any) -> tuple[str, str]:
    if problem.code != "E-RANGE":
        return TYPES.get(problem.code, ("custom_validation_failed", "Custom validation failed for node"))
    low = None if parameter is None else parameter.minimum
    try:
        too_small = low is not None and float(value) < low
    except (TypeError, ValueError):
        too_small = False
    if too_small:
        return "value_smaller_than_min", f"Value {value} smaller than min of {low}"
    high = None if parameter is None else parameter.maximum
    return "value_bigger_than_max", f"Value {value} bigger than max of {high}"


def _below(graph: Graph, ids: Iterable[str]) -> set[str]:
    """Return ``ids`` and all nodes that they feed, over any number of links."""
    fed: dict[str, list[str]] = {}
    for id, node in graph.nodes.items():
        for value in node.inputs.values():
            if isinstance(value, Link):
                fed.setdefault(value.node, []).append(id)
    found: set[str] = set()
    pending = list(ids)
    while pending:
        id = pending.pop()
        if id not in found:
            found.add(id)
            pending += fed.get(id, ())
    return found


__all__ = ["Accepted", "Refusal", "error_object", "judge", "refusal", "refusal_of"]
