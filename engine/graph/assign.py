"""Setting one input of a graph from outside, as ``--set NODE.INPUT=VALUE`` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import InputError
from engine.graph.model import Graph, Node
from engine.graph.node_types import Parameter
from engine.graph.registry import Registry
from engine.graph.values import Listing, did_you_mean, fit, listed


def set_value(graph: Graph, target: str, value: Any, registry: Registry, listing: Listing | None = None) -> Graph:
    """Return ``graph`` with the input named by ``target`` set to ``value``, in place of a constant or a link.

    ``target`` is ``NODE.INPUT``; NODE is an id, a title, or a node type that occurs once (in this order; titles and
    input names may hold dots). ``value`` may be text, which is read as the input's type asks. Raises `InputError`
    when the target is not found or not unique, or the value does not fit.
    """
    node, parameter = _resolve(graph, target, registry)
    try:
        fitted = fit(parameter, value, listing)
    except InputError as error:
        raise error.at(node.id, node.title or node.type) from None
    changed = dataclasses.replace(node, inputs=MappingProxyType({**node.inputs, parameter.name: fitted}))
    return dataclasses.replace(graph, nodes=MappingProxyType({**graph.nodes, node.id: changed}))


def _resolve(graph: Graph, target: str, registry: Registry) -> tuple[Node, Parameter]:
    titles, types = _by_name(graph)
    nearest: tuple[Node, str] | None = None
    for name, input in _splits(target):
        nodes = [graph.nodes[name]] if name in graph.nodes else titles.get(name) or types.get(name) or []
        fitting = [(node, parameter) for node in nodes if (parameter := _parameter(node, input, registry))]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise _ambiguous(name, [f"{node.id}.{input}" for node, _ in fitting])
        if nodes and nearest is None:
            nearest = nodes[0], input
    if nearest is not None:
        raise _no_input(*nearest, registry)
    name, dot, _ = target.partition(".")
    if not dot:
        raise InputError(
            f"{target!r} names no input",
            code="E-SET-TARGET",
            expected="NODE.INPUT, NODE being an id or a title",
            got=repr(target),
            hint="for example 3.seed",
        )
    raise _no_node(graph, name, titles)


def _by_name(graph: Graph) -> tuple[Mapping[str, list[Node]], Mapping[str, list[Node]]]:
    titles: dict[str, list[Node]] = {}
    types: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        if node.title:
            titles.setdefault(node.title, []).append(node)
        types.setdefault(node.type, []).append(node)
    return titles, types


def _splits(target: str) -> Iterator[tuple[str, str]]:
    """Yield every way to read ``target`` as node and input, the longest input name first."""
    place = target.find(".")
    while place >= 0:
        yield target[:place], target[place + 1 :]
        place = target.find(".", place + 1)


def _parameter(node: Node, input: str, registry: Registry) -> Parameter | None:
    node_type = registry.get(node.type)
    return node_type.by_name.get(input) if node_type is not None else None


def _ambiguous(name: str, choices: list[str]) -> InputError:
    return InputError(
        f"{len(choices)} nodes are called {name!r}",
        code="E-SET-AMBIGUOUS",
        expected="the id of one of them",
        got=repr(name),
        hint=f"name it by its id: {listed(choices)}",
    )


def _no_input(node: Node, input: str, registry: Registry) -> InputError:
    node_type = registry.get(node.type)
    if node_type is None:
        error = InputError(
            f"there is no node type {node.type!r}", code="E-UNKNOWN-NODE", hint="install the node pack that declares it"
        )
    else:
        names = [parameter.name for parameter in node_type.inputs]
        error = InputError(
            f"{node.type} has no input {input!r}",
            code="E-SET-INPUT",
            expected=f"one of {listed(names)}" if names else "another node: this one has no inputs",
            got=repr(input),
            hint=did_you_mean(input, names),
        )
    error.at(node.id, node.title or node.type)
    return error


def _no_node(graph: Graph, name: str, titles: Mapping[str, list[Node]]) -> InputError:
    names = [*graph.nodes, *titles]
    return InputError(
        f"no node is called {name!r}",
        code="E-SET-NODE",
        expected="the id or the title of a node",
        got=repr(name),
        hint=did_you_mean(name, names) or f"the nodes are: {listed(names)}",
    )


def find_node(graph: Graph, name: str) -> Node:
    """Return the node called ``name``, an id or a title. Raises `InputError` when there is none, or several."""
    if name in graph.nodes:
        return graph.nodes[name]
    found = [node for node in graph.nodes.values() if node.title == name or (not node.title and node.type == name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = listed([node.id for node in found])
        raise InputError(f"{len(found)} nodes are called {name!r}", hint=f"name one by its id: {ids}")
    names = [*graph.nodes, *(node.title or node.type for node in graph.nodes.values())]
    raise InputError(f"no node is called {name!r}", expected="an id or a title", hint=did_you_mean(name, names))
