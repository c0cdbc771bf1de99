"""Flattening: instances of subgraphs become the nodes inside them, with ids ``instance:inner``.

A `Scope` is one use of a body (the workflow, or a definition at one place); a definition that is used twice has two
scopes and is read once. Expanding walks with an explicit stack, however deep the definitions are nested.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import GraphError, Problem
from engine.graph.api_prompt import MAX_NODES
from engine.graph.editor_document import BYPASSED, MUTED, Body, EditorNode
from engine.graph.model import EMPTY

OUTSIDE = "-1"
"""Stands for the subgraph's own input where the widgets of an instance are listed."""

MAX_PATH = 4_000
"""Longest flattened id, in letters: 100 nested instances with long ids stay far below."""

Overrides = Mapping[tuple[str, str], Any]
"""Values that an instance sets inside: by (inner node id or `OUTSIDE`, widget name)."""


@dataclasses.dataclass(slots=True, eq=False)
class Scope:
    """One use of a body: where it stands and what its instance sets. ``children`` are its own instances by node id."""

    body: Body
    prefix: str = ""
    parent: Scope | None = None
    instance: EditorNode | None = None
    overrides: Overrides = dataclasses.field(default_factory=dict)
    children: dict[str, Scope] = dataclasses.field(default_factory=dict)


Definitions = Callable[[EditorNode], "Body | None"]
"""Gives the body that a node is an instance of, or None for an ordinary node."""


def expand(root: Body, definition_of: Definitions) -> list[tuple[Scope, EditorNode]]:
    """Return every node that may run with the scope it stands in, instances replaced by what is inside them.

    Muted and bypassed instances are not entered. Raises `GraphError` when a subgraph contains itself or the whole
    grows beyond `MAX_NODES`.
    """
    check_nesting(root, definition_of)
    top = Scope(root)
    found: list[tuple[Scope, EditorNode]] = []
    stack: list[tuple[Scope, Iterator[EditorNode]]] = [(top, iter(root.nodes.values()))]
    visited = 0
    while stack:
        scope, rest = stack[-1]
        node = next(rest, None)
        if node is None:
            stack.pop()
            continue
        visited += 1
        if visited > MAX_NODES or len(scope.prefix) > MAX_PATH:
            raise GraphError(
                [Problem("E-TOO-LARGE", "the workflow unfolds to too many nodes", expected=f"at most {MAX_NODES}")]
            )
        body = definition_of(node)
        if body is None:
            found.append((scope, node))
        elif node.mode not in (MUTED, BYPASSED):
            child = Scope(
                body, f"{scope.prefix}{node.id}:", scope, node, instance_overrides(node, body, scope.overrides)
            )
            scope.children[node.id] = child
            stack.append((child, iter(body.nodes.values())))
    return found


def check_nesting(root: Body, definition_of: Definitions) -> None:
    """Raise `GraphError`, naming the way round, when a definition contains itself, directly or through others."""
    done: set[int] = set()
    path = [root]
    stack = [iter(root.nodes.values())]
    on_path = {id(root)}
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            body = path.pop()
            on_path.discard(id(body))
            done.add(id(body))
            continue
        inner = definition_of(node)
        if inner is None or id(inner) in done:
            continue
        if id(inner) in on_path:
            start = next(place for place, body in enumerate(path) if body is inner)
            names = [f'"{body.name}"' for body in [*path[start:], inner]]
            way = " -> ".join(names if len(names) <= 10 else [*names[:8], "…", names[-1]])
            raise GraphError(
                [
                    Problem(
                        "E-SUBGRAPH-CYCLE",
                        f"a subgraph contains itself: {way}",
                        node_id=node.id,
                        node_title=node.title,
                        hint="remove the instance that closes the circle",
                    )
                ]
            )
        path.append(inner)
        on_path.add(id(inner))
        stack.append(iter(inner.nodes.values()))


def instance_overrides(node: EditorNode, body: Body, outer: Overrides) -> Overrides:
    """Return what the instance ``node`` of ``body`` sets inside, given what is set on itself from ``outer``.

    A null among the instance's own values leaves the value inside as it is. Values by name may say which inner node
    they belong to, ``"7: seed"``.
    """
    entries = _places(node, body)
    if not entries and not outer:
        return MappingProxyType({})
    found: dict[tuple[str, str], Any] = {}
    if isinstance(node.values, Mapping):
        for entry in entries:
            key = next((key for key in (": ".join(entry), entry[1]) if key in node.values), None)
            if key is not None and node.values[key] is not None:
                found[entry] = node.values[key]
    else:
        found.update({entry: value for entry, value in zip(entries, node.values, strict=False) if value is not None})
    for (target, name), value in outer.items():
        if target == node.id:
            for entry in entries:
                if entry[1] in (name, name.rpartition(": ")[2]):
                    found[entry] = value
                    break
    return MappingProxyType(found)


def _places(node: EditorNode, body: Body) -> list[tuple[str, str]]:
    """Return what the saved values of an instance are values of, in order.

    Editors have saved three forms: the widgets of ``proxyWidgets`` alone, after the subgraph inputs that feed
    widgets, or only those inputs. The number of values tells them apart.
    """
    shown = proxies(node)
    inputs = [(OUTSIDE, name) for name in widget_inputs(body)]
    others = [entry for entry in inputs if entry not in shown]
    if isinstance(node.values, Mapping):
        return [*others, *shown]
    count = len(node.values)
    if not shown or (count == len(inputs) and count != len(shown)):
        return inputs
    return [*others, *shown] if others and count == len(others) + len(shown) else shown


def proxies(node: EditorNode) -> list[tuple[str, str]]:
    """Return the (inner node id, widget) pairs that an instance shows, without its previews."""
    saved: Any = node.properties.get("proxyWidgets", EMPTY)
    if isinstance(saved, str):  # files of one editor version hold the list as text
        try:
            saved = json.loads(saved)
        except (ValueError, RecursionError):
            return []
    if not isinstance(saved, list):
        return []
    pairs = [(str(one[0]), str(one[1])) for one in saved if isinstance(one, list) and len(one) >= 2]
    return [pair for pair in pairs if not pair[1].startswith("$$")]


def widget_inputs(body: Body) -> list[str]:
    """Return the names of the subgraph inputs that feed a widget inside, in order."""
    fed: set[int] = set()
    widget_links = {
        slot.link for node in body.nodes.values() for slot in node.inputs if slot.widget is not None and slot.link
    }
    for link in body.links.values():
        if link.origin == body.input_node and link.id in widget_links:
            fed.add(link.origin_slot)
    return [name for slot, name in enumerate(body.inputs) if slot in fed]
