"""The API prompt: ``{id: {"class_type": ..., "inputs": {...}, "_meta": {"title": ...}}}``.

This is the form that clients post and that pictures carry. Reading and writing it loses nothing: unknown keys stay in
`Node.extra`, lists stay wrapped as ``{"__value__": [...]}``, the order of nodes and inputs stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import GraphError, Problem
from engine.graph.model import EMPTY, Graph, Link, Node

VALUE_KEY = "__value__"
"""Wraps a constant that is a list, because a bare list of two may be a link."""

MAX_NODES = 200_000
MAX_ID_LENGTH = 1_000

_OWN_KEYS = frozenset({"class_type", "inputs"})


def is_link(value: Any) -> bool:
    """Say whether ``value`` has the form of a link, ``["source id", slot]``."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and (value[1].is_integer() if isinstance(value[1], float) else type(value[1]) is int)
    )


def looks_like_api(data: Mapping[str, Any]) -> bool:
    """Say whether ``data`` is meant as an API prompt: some entry has a ``class_type``."""
    return any(isinstance(entry, dict) and "class_type" in entry for entry in data.values())


def graph_from_api(prompt: Mapping[str, Any], workflow: Mapping[str, Any] | None = None) -> Graph:
    """Read an API prompt; ``workflow`` is kept beside it for metadata.

    Raises `GraphError` with one problem for each entry that is not a node.
    """
    problems: list[Problem] = []
    if len(prompt) > MAX_NODES:
        raise GraphError([Problem("E-TOO-LARGE", f"{len(prompt)} nodes", expected=f"at most {MAX_NODES}")])
    nodes: dict[str, Node] = {}
    for id, entry in prompt.items():
        problem = _entry_problem(id, entry)
        if problem is not None:
            problems.append(problem)
            continue
        nodes[id] = _node(id, entry)
    if problems:
        raise GraphError(problems)
    return Graph(MappingProxyType(nodes), workflow)


def _node(id: str, entry: Mapping[str, Any]) -> Node:
    inputs = {
        name: Link(value[0], int(value[1])) if is_link(value) else value
        for name, value in entry.get("inputs", EMPTY).items()
    }
    extra = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    meta = extra.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return Node(
        id,
        entry["class_type"],
        MappingProxyType(inputs),
        title if isinstance(title, str) else None,
        MappingProxyType(extra) if extra else EMPTY,
    )


def _entry_problem(id: str, entry: Any) -> Problem | None:
    if not id or len(id) > MAX_ID_LENGTH:
        return Problem("E-NODE-ID", f"the node id {id[:40]!r} is empty or too long", node_id=id[:40] or '""')
    if not isinstance(entry, dict):
        return Problem(
            "E-NODE-ENTRY",
            "the entry is not a node",
            node_id=id,
            expected='an object with "class_type" and "inputs"',
            got=_kind(entry),
        )
    meta = entry.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) and isinstance(meta.get("title"), str) else None
    if not isinstance(entry.get("class_type"), str) or not entry["class_type"]:
        return Problem(
            "E-CLASS-TYPE",
            "the node does not say what it is",
            node_id=id,
            node_title=title,
            expected='"class_type": the name of a node type',
            got=_kind(entry["class_type"]) if "class_type" in entry else 'no "class_type"',
        )
    if not isinstance(entry.get("inputs", EMPTY), Mapping):
        return Problem(
            "E-INPUTS",
            '"inputs" is not an object',
            node_id=id,
            node_title=title,
            expected="an object of values by input name",
            got=_kind(entry["inputs"]),
        )
    return None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def graph_to_api(graph: Graph) -> dict[str, Any]:
    """Write ``graph`` as an API prompt; `graph_from_api` of the result gives the same graph."""
    prompt: dict[str, Any] = {}
    for id, node in graph.nodes.items():
        entry: dict[str, Any] = {
            "inputs": {name: _saved(value) for name, value in node.inputs.items()},
            "class_type": node.type,
        }
        entry.update(node.extra)
        if node.title is not None:
            meta = node.extra.get("_meta")
            entry["_meta"] = {**(meta if isinstance(meta, dict) else {}), "title": node.title}
        prompt[id] = entry
    return prompt


def _saved(value: Any) -> Any:
    if isinstance(value, Link):
        return [value.node, value.slot]
    # A list constant that reads like a link must be wrapped, or it would come back as one.
    return {VALUE_KEY: value} if is_link(value) else value
