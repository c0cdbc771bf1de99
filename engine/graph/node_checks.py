"""Checks that depend on the single node: inputs that depend on values, the node's own check, shared types."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import InputError, Problem
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import MISSING, InputCheck, NodeType, Parameter
from engine.graph.registry import Registry
from engine.graph.sockets import compatible, is_wildcard
from engine.graph.values import fit, unwrap

TEMPLATE = "template_id"
"""The option of inputs that must all be of one type: those with an equal value of it."""


def parameters_of(node_type: NodeType, inputs: Mapping[str, Any]) -> Mapping[str, Parameter]:
    """Return the inputs of a node by name; they may depend on the node's own constants ``inputs``."""
    if node_type.inputs_for is None:
        return node_type.by_name
    values = {name: None if isinstance(value, Link) else unwrap(value) for name, value in inputs.items()}
    return {one.name: one for one in node_type.inputs_for(values)}


def as_checked(parameter: Parameter, check: InputCheck) -> Parameter:
    """Return the parameter without range and choices where the node's own check looks at it instead."""
    if check.names is not None and parameter.name not in check.names:
        return parameter
    return dataclasses.replace(parameter, minimum=None, maximum=None, choices=None)


def own_check_problem(
    graph: Graph, registry: Registry, node: Node, node_type: NodeType, parameters: Mapping[str, Parameter]
) -> Problem | None:
    """Ask the node's own check; nothing it does makes this raise."""
    check = node_type.check
    if check is None:
        return None
    values: dict[str, Any] = {}
    for parameter in parameters.values():
        if parameter.name in node.inputs:
            values[parameter.name] = _fitted(parameter, node.inputs[parameter.name], check)
        elif parameter.required and parameter.default is not MISSING:
            values[parameter.name] = parameter.default
    types = dict(_link_types(graph, registry, node))
    values.update(dict.fromkeys(types.keys() - values.keys()))
    try:
        answer = check.call(values, types)
    except Exception as error:  # noqa: BLE001 (whatever a node's check raises is a problem of the workflow)
        return _refused(node, f"the check of {node_type.id} failed: {type(error).__name__}: {error}", node_type)
    if answer is True:
        return None
    return _refused(node, answer or f"{node_type.id} refuses its inputs", node_type)


def template_problems(
    graph: Graph, registry: Registry, node: Node, parameters: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """Yield a problem for each link whose type differs from that of another input with the same template."""
    if not any(TEMPLATE in one.options for one in parameters.values()):
        return
    bound: dict[Any, tuple[str, str]] = {}
    for name, socket in _link_types(graph, registry, node):
        parameter = parameters.get(name)
        template = parameter.options.get(TEMPLATE) if parameter is not None else None
        if template is None or is_wildcard(socket):
            continue
        first, wanted = bound.setdefault(template, (name, socket))
        if not compatible(socket, wanted):
            yield Problem(
                "E-LINK-TYPE", f'the input has to be of the same type as "{first}"', node.id, node.title or node.type,
                name, wanted, socket, f"connect outputs of one type to both, for example {wanted}",
            )  # fmt: skip


def _link_types(graph: Graph, registry: Registry, node: Node) -> Iterator[tuple[str, str]]:
    for name, value in node.inputs.items():
        if isinstance(value, Link) and value.node in graph.nodes:
            source = registry.get(graph.nodes[value.node].type)
            if source is not None and 0 <= value.slot < len(source.outputs):
                yield name, source.outputs[value.slot].type


def _fitted(parameter: Parameter, value: Any, check: InputCheck) -> Any:
    if isinstance(value, Link):
        return None
    try:
        return fit(as_checked(parameter, check), value)
    except InputError:
        return unwrap(value)


def _refused(node: Node, message: str, node_type: NodeType) -> Problem:
    hint = f"this is checked by the node itself ({node_type.module})" if node_type.module else None
    return Problem("E-CHECK", message, node.id, node.title or node.type, hint=hint)
