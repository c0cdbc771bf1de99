"""Validation: every problem of a graph at once, before anything runs.

Only what the wanted outputs need is checked, because nothing else will run. Everything here is linear in the size of
the graph and walks it with lists, never with the call stack.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engine.errors import InputError, Problem
from engine.graph.cycles import cycles
from engine.graph.editor_widgets import ADDED_WIDGETS
from engine.graph.model import Graph, Link, Node
from engine.graph.node_checks import as_checked, own_check_problem, parameters_of, template_problems
from engine.graph.node_types import MISSING, NodeType, Parameter
from engine.graph.registry import Registry
from engine.graph.sizes import MAX_PIXELS, MAX_WORK, asked_pixels, too_much_work
from engine.graph.sockets import compatible
from engine.graph.values import Listing, described, did_you_mean, fit, listed, looked_up_once

IGNORED_CONSTANTS = frozenset(
    {
        "control_after_generate",
        "control_before_generate",
        "upload",
        "is_changed",
        "choose file to upload",
        "choose video to upload",
        "speak_and_recognation",
        "audioUI",
        "device",
        "refresh",
    }
)
"""Constants that clients of the ecosystem send for widgets that only their front end knows."""


def validate(
    graph: Graph,
    registry: Registry,
    listing: Listing | None = None,
    outputs: Sequence[str] | None = None,
    absent: Callable[[str], str | None] | None = None,
) -> list[Problem]:
    """List all problems of the nodes that ``outputs`` need (default: every output node), in graph order.

    ``listing`` gives the file names of a model or input folder; without it files are not looked for. ``absent`` may
    know why a node type is not there, and what to do.
    """
    problems: list[Problem] = []
    targets = _targets(graph, registry, outputs, problems)
    needed = needed_by(graph, targets)
    check = _Check(graph, registry, looked_up_once(listing), {}, {}, absent)
    for id, node in graph.nodes.items():
        if id in needed:
            problems += _node_problems(check, node)
    problems.extend(_cycle_problem(graph, path) for path in cycles(graph, needed))
    problems.extend(_work_problem(*found) for found in too_much_work(graph, needed))
    return problems


def _work_problem(node: Node, steps: int, pixels: int) -> Problem:
    limit, got = f"at most {MAX_WORK:,} steps x pixels", f"{steps:,} x {pixels:,}"
    return _problem(node, "E-TOO-LARGE", "steps x width x height x count is too much", expected=limit, got=got)


def needed_by(graph: Graph, targets: Iterable[str]) -> set[str]:
    """Return the ids of ``targets`` and of all nodes that feed them. Links to missing nodes are passed over."""
    needed: set[str] = set()
    pending = [id for id in targets if id in graph.nodes]
    while pending:
        id = pending.pop()
        if id in needed:
            continue
        needed.add(id)
        sources = {value.node for value in graph.nodes[id].inputs.values() if isinstance(value, Link)}
        pending += (source for source in sources if source not in needed and source in graph.nodes)
    return needed


def output_nodes(graph: Graph, registry: Registry) -> list[str]:
    """Return the ids of the nodes whose results leave the graph, in graph order."""
    return [
        id
        for id, node in graph.nodes.items()
        if (node_type := registry.get(node.type)) is not None and node_type.output_node
    ]


def label(node: Node) -> str:
    """Name a node in a message: ``7 "Positive prompt"``."""
    return f'{node.id} "{node.title}"' if node.title else f"{node.id} ({node.type})"


def coerce_inputs(graph: Graph, registry: Registry, listing: Listing | None = None) -> Graph:
    """Return the graph with constants converted to their declared types and ``__value__`` lists unwrapped.

    Missing inputs get their defaults, so that leaving one out and giving it make the same key. Constants of unknown
    inputs are dropped. With ``listing``, file names come out as they are listed (files saved on another system name
    them with other slashes). For graphs that `validate` found no problem in: values that do not fit stay as they are.
    """
    listing = looked_up_once(listing)
    nodes: dict[str, Node] = {}
    defaults: dict[str, dict[str, Any]] = {}
    for id, node in graph.nodes.items():
        node_type = registry.get(node.type)
        if node_type is None:
            nodes[id] = node
            continue
        if node.type not in defaults:
            defaults[node.type] = {
                one.name: one.default for one in node_type.inputs if one.required and one.default is not MISSING
            }
        inputs = _coerced(node, parameters_of(node_type, node.inputs), listing, node_type)
        for name, value in defaults[node.type].items():
            inputs.setdefault(name, value)
        nodes[id] = Node(id, node.type, MappingProxyType(inputs), node.title, node.extra)
    return Graph(MappingProxyType(nodes), graph.workflow)


def _coerced(
    node: Node, parameters: Mapping[str, Parameter], listing: Listing | None, node_type: NodeType
) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    check = node_type.check
    for name, value in node.inputs.items():
        if type(value) is Link:
            inputs[name] = value
        elif (parameter := parameters.get(name)) is not None:
            try:
                inputs[name] = fit(parameter if check is None else as_checked(parameter, check), value, listing)
            except InputError:
                inputs[name] = value
    return inputs


def _targets(graph: Graph, registry: Registry, outputs: Sequence[str] | None, problems: list[Problem]) -> list[str]:
    if outputs is not None:
        problems.extend(_no_such_output(graph, registry, id) for id in outputs if id not in graph.nodes)
        return [id for id in outputs if id in graph.nodes]
    found = output_nodes(graph, registry)
    # An unknown type that nothing consumes may well be an output of a pack that is not installed.
    consumed = {
        value.node for node in graph.nodes.values() for value in node.inputs.values() if isinstance(value, Link)
    }
    unknown = [id for id, node in graph.nodes.items() if registry.get(node.type) is None and id not in consumed]
    if not found and not unknown:
        kinds = [one.id for one in registry if one.output_node]
        problems.append(
            Problem(
                "E-NO-OUTPUT",
                "no node of the workflow saves or shows anything",
                expected="at least one output node",
                got=f"{len(graph.nodes)} nodes, none of them an output",
                hint=f"add one of: {listed(kinds)}" if kinds else "add an output node, for example SaveImage",
            )
        )
    return found + unknown


def _no_such_output(graph: Graph, registry: Registry, id: str) -> Problem:
    known = output_nodes(graph, registry)
    return Problem(
        "E-NO-SUCH-OUTPUT",
        f"the wanted output {id!r} is not a node of the workflow",
        expected="the id of an output node",
        got=repr(id),
        hint=did_you_mean(id, known) or (f"the output nodes are: {listed(known)}" if known else None),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Check:
    """One validation. Equal mistakes are looked into once: searching for the nearest name is what takes time."""

    graph: Graph
    registry: Registry
    listing: Listing | None
    fitted: dict[tuple[str, str, str], Problem | None]
    hints: dict[tuple[str, str], str]
    absent: Callable[[str], str | None] | None = None


def _node_problems(check: _Check, node: Node) -> Iterator[Problem]:
    node_type = check.registry.get(node.type)
    if node_type is None:
        yield _unknown_type(check, node)
        return
    inputs = node.inputs
    parameters = parameters_of(node_type, inputs)
    found: list[Problem] = []
    for parameter in parameters.values():
        if parameter.name in inputs:
            value = inputs[parameter.name]
            if isinstance(value, Link):
                problem = _link_problem(check, node, parameter, value, node_type)
            else:
                problem = _constant_problem(check, node, parameter, value, node_type)
            if problem is not None:
                found.append(problem)
        elif parameter.required and parameter.default is MISSING:
            found.append(_missing(node, parameter))
    for name, value in inputs.items():
        if name not in parameters and not _is_allowed(node, node_type, name, value):
            found.append(_unexpected(check, node, node_type, name))
    if not found and (pixels := asked_pixels(inputs)) > MAX_PIXELS:
        limit = f"at most {MAX_PIXELS:,} pixels in one node"
        found.append(
            _problem(node, "E-TOO-LARGE", "width x height x count is too much", expected=limit, got=f"{pixels:,}")
        )
    if not found and node_type.drops_unknown:
        found.extend(template_problems(check.graph, check.registry, node, parameters))
    if not found and node_type.check is not None:
        problem = own_check_problem(check.graph, check.registry, node, node_type, parameters)
        found += [] if problem is None else [problem]
    yield from found


def _is_allowed(node: Node, node_type: NodeType, name: str, value: Any) -> bool:
    """Say whether a node may have an input that its type does not declare."""
    if isinstance(value, Link):
        return node_type.open_inputs
    return node_type.drops_unknown or _is_editors_own(node, name)


def _unknown_type(check: _Check, node: Node) -> Problem:
    hint = check.hints.get((node.type, ""))
    if hint is None:
        near = check.registry.closest(node.type)
        told = check.absent(node.type) if check.absent is not None else None
        hint = told or ("did you mean " + " or ".join(near) + "?" if near else "install the node pack that declares it")
        check.hints[node.type, ""] = hint
    return _problem(node, "E-UNKNOWN-NODE", f"there is no node type {node.type!r}", got=node.type, hint=hint)


def _is_editors_own(node: Node, name: str) -> bool:
    added = ADDED_WIDGETS.get(node.type)
    return name in IGNORED_CONSTANTS or (added is not None and name == added[0])


def _constant_problem(
    check: _Check, node: Node, parameter: Parameter, value: Any, node_type: NodeType
) -> Problem | None:
    if node_type.check is not None:
        parameter = as_checked(parameter, node_type.check)
    key = (node.type, parameter.name, value) if isinstance(value, str) and node_type.inputs_for is None else None
    if key is not None and key in check.fitted:
        found = check.fitted[key]
    else:
        found = None
        try:
            fit(parameter, value, check.listing)
        except InputError as error:
            found = error.problem
        if key is not None:
            check.fitted[key] = found
    return found and dataclasses.replace(found, node_id=node.id, node_title=node.title or node.type)


def _link_problem(check: _Check, node: Node, parameter: Parameter, link: Link, node_type: NodeType) -> Problem | None:
    source = check.graph.nodes.get(link.node)
    if source is None:
        return _problem(
            node, "E-MISSING-NODE", f"the link leads to node {link.node!r}, which is not in the workflow",
            input=parameter.name, expected=f"an output of type {parameter.type}", hint="connect the input again",
        )  # fmt: skip
    source_type = check.registry.get(source.type)
    if source_type is None:
        return None  # reported at the source itself
    if not 0 <= link.slot < len(source_type.outputs):
        return _problem(
            node, "E-MISSING-SLOT", f"the link leads to an output that node {label(source)} does not have",
            input=parameter.name,
            expected=_slots(source_type),
            got=f"output {link.slot}",
            hint="connect the input again",
        )  # fmt: skip
    output = source_type.outputs[link.slot]
    if node_type.check is not None and node_type.check.types:
        return None  # the node looks at the types itself
    if not compatible(output.type, parameter.type):
        return _problem(
            node, "E-LINK-TYPE", f'output "{output.name}" of node {label(source)} does not fit this input',
            input=parameter.name, expected=parameter.type, got=output.type,
            hint=f"connect an output of type {parameter.type}",
        )  # fmt: skip
    return None


def _slots(node_type: NodeType) -> str:
    if not node_type.outputs:
        return f"another node: {node_type.id} has no outputs"
    return f"one of the {len(node_type.outputs)} outputs of {node_type.id}, counted from 0"


def _missing(node: Node, parameter: Parameter) -> Problem:
    hint = "give it a value" if parameter.is_widget else f"connect an output of type {parameter.type}"
    return _problem(
        node, "E-MISSING-INPUT", "a required input is missing", input=parameter.name,
        expected=described(parameter), got="nothing", hint=hint,
    )  # fmt: skip


def _unexpected(check: _Check, node: Node, node_type: NodeType, name: str) -> Problem:
    hint = check.hints.get((node.type, name))
    if hint is None:
        names = [parameter.name for parameter in node_type.inputs]
        hint = did_you_mean(name, names) or (f"its inputs are: {listed(names)}" if names else "it has no inputs")
        check.hints[node.type, name] = hint
    message = f"{node_type.id} has no input of that name"
    return _problem(node, "E-UNEXPECTED-INPUT", message, input=name, got=repr(name), hint=hint)


def _problem(node: Node, code: str, message: str, **facts: Any) -> Problem:
    return Problem(code, message, node.id, node.title or node.type, **facts)


def _cycle_problem(graph: Graph, path: Sequence[tuple[str, str]]) -> Problem:
    """Describe a cycle given as (node, input that the next one takes it by) pairs, at most ten of them."""
    steps = [f"{label(graph.nodes[id])}.{name}" for id, name in path]
    if len(steps) > 10:
        steps = [*steps[:8], f"… {len(steps) - 9} more …", steps[-1]]
    first = graph.nodes[path[0][0]]
    text = " -> ".join([*steps, label(first)])
    return _problem(first, "E-CYCLE", f"the node feeds itself: {text}", hint="remove one of these links")
