"""The signature of a workflow: which named, typed values it takes and gives, told by nodes that it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import GraphError, InputError, Problem
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import Parameter
from engine.graph.registry import Registry
from engine.graph.sockets import ANY
from engine.graph.values import did_you_mean, fit, listed

PORT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "any": ANY,
        "text": "STRING",
        "whole number": "INT",
        "number": "FLOAT",
        "yes or no": "BOOLEAN",
        "image": "IMAGE",
        "mask": "MASK",
        "latent": "LATENT",
        "conditioning": "CONDITIONING",
        "model": "MODEL",
        "clip": "CLIP",
        "vae": "VAE",
    }
)
"""The kinds of values that a workflow can take, as people call them, and their socket types."""

INPUT, OUTPUT = "WorkflowInput", "WorkflowOutput"


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """One named value: its socket type and the node that stands for it. ``required``: a caller must give it."""

    name: str
    type: str
    node_id: str
    required: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """What a workflow takes and gives, in the order of its document."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def signature_of(graph: Graph, registry: Registry) -> Signature:
    """Return the signature of ``graph``. Raises `GraphError` where a name is missing, linked, or taken twice."""
    problems: list[Problem] = []
    inputs = _ports(graph, INPUT, problems)
    outputs = _ports(graph, OUTPUT, problems)
    if problems:
        raise GraphError(problems)
    return Signature(
        tuple(
            Port(name, PORT_TYPES.get(node.inputs.get("type", "any"), ANY), node.id, "value" not in node.inputs)
            for name, node in inputs.items()
        ),
        tuple(Port(name, _fed_type(graph, node, registry), node.id) for name, node in outputs.items()),
    )


def bound(graph: Graph, signature: Signature, given: Mapping[str, Any]) -> Graph:
    """Return ``graph`` with ``given`` in place of what its inputs had.

    Plain values are brought to the input's type. Raises `InputError` for a name that is not an input, a value that
    does not fit, and an input that is required and not given.
    """
    ports = {port.name: port for port in signature.inputs}
    for name in given:
        if name not in ports:
            raise InputError(
                f"the workflow has no input {name!r}",
                expected=f"one of {listed(list(ports))}" if ports else "no inputs",
                got=repr(name),
                hint=did_you_mean(name, list(ports)),
            )
    missing = [port.name for port in signature.inputs if port.required and port.name not in given]
    if missing:
        raise InputError(
            "an input of the workflow is not given", expected=listed(missing), got=listed(list(given)) or "-"
        )
    nodes = dict(graph.nodes)
    for name, value in given.items():
        node = nodes[ports[name].node_id]
        kind = ports[name].type
        plain = value is None or isinstance(value, (str, int, float, bool))
        fitted = fit(Parameter(name, kind), value) if plain and kind != ANY else value
        nodes[node.id] = dataclasses.replace(node, inputs=MappingProxyType({**node.inputs, "value": fitted}))
    return dataclasses.replace(graph, nodes=MappingProxyType(nodes))


def _ports(graph: Graph, kind: str, problems: list[Problem]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in _of_type(graph, kind):
        name = node.inputs.get("name")
        if not isinstance(name, str) or not name.strip():
            problems.append(_problem(node, "its name has to be a text", "a name, typed in", "give it a name"))
        elif name in found:
            problems.append(_problem(node, f"the name {name!r} is taken by node {found[name].id}", "a name of its own"))
        else:
            found[name] = node
    return found


def _of_type(graph: Graph, kind: str) -> Iterable[Node]:
    return (node for node in graph.nodes.values() if node.type == kind)


def _problem(node: Node, message: str, expected: str, hint: str | None = None) -> Problem:
    return Problem("E-SIGNATURE", message, node.id, node.title or node.type, "name", expected, hint=hint)


def _fed_type(graph: Graph, node: Node, registry: Registry) -> str:
    """Return the type of what feeds an output node."""
    value = node.inputs.get("value")
    source = graph.nodes.get(value.node) if isinstance(value, Link) else None
    kind = registry.get(source.type) if source is not None else None
    if kind is None or not isinstance(value, Link) or value.slot >= len(kind.outputs):
        return ANY
    return kind.outputs[value.slot].type
