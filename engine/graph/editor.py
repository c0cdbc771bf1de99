"""Editor workflows (0.4 and 1) to graphs: what the browser does when it queues a run, done here for every entry.

Read the records (`editor_document`), put the nodes of subgraphs in place of their instances (`subgraphs`,
`group_nodes`), name the widget values (`editor_widgets`), then follow each wire to what really feeds it
(`editor_trace`). Nodes that only the editor knows, muted and bypassed nodes are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import Problem
from engine.graph.api_prompt import VALUE_KEY
from engine.graph.dynamic_text import resolve_dynamic_texts
from engine.graph.editor_document import (
    BYPASSED,
    MUTED,
    Body,
    EditorNode,
    read_body,
    read_definitions,
    refuse,
)
from engine.graph.editor_trace import VIRTUAL_TYPES, Constant, Tracer, Unfed
from engine.graph.editor_widgets import named_values
from engine.graph.group_nodes import group_name, group_overrides, read_groups
from engine.graph.interfaces import Interfaces
from engine.graph.model import Graph, Link, Node
from engine.graph.subgraphs import Scope, expand


def graph_from_editor(data: Mapping[str, Any], interfaces: Interfaces) -> Graph:
    """Read an editor workflow; the document itself is kept as the graph's ``workflow``.

    ``interfaces`` give the parameters that the positional widget values belong to. Seeds keep their saved values.
    Raises `GraphError` listing the nodes, links and subgraphs that cannot be read.
    """
    problems: list[Problem] = []
    root = read_body(data, problems)
    definitions = read_definitions(data, problems)
    groups = read_groups(data, problems)
    refuse(problems)

    def definition_of(node: EditorNode) -> Body | None:
        found = definitions.get(node.type)
        if found is None and (name := group_name(node.type)) is not None:
            found = groups.get(name)
        return found

    placed = expand(root, definition_of)
    _set_group_values(placed, interfaces)
    tracer = Tracer(definition_of)
    nodes: dict[str, Node] = {}
    for scope, node in placed:
        if node.type in VIRTUAL_TYPES or node.mode in (MUTED, BYPASSED):
            continue
        id = scope.prefix + node.id
        nodes[id] = _node(id, scope, node, interfaces, tracer)
    resolve_dynamic_texts(nodes, interfaces)
    return Graph(MappingProxyType(_without_dangling(_in_export_order(nodes))), data)


def _set_group_values(placed: list[tuple[Scope, EditorNode]], interfaces: Interfaces) -> None:
    """Set what group nodes hold for the nodes inside them, which needs the widgets of all of these at once."""
    done: set[Scope] = set()
    for scope, _ in placed:
        if scope.instance is None or scope in done or group_name(scope.instance.type) is None:
            continue
        done.add(scope)
        scope.overrides = MappingProxyType(group_overrides(scope.instance, scope.body, interfaces))


def _node(id: str, scope: Scope, node: EditorNode, interfaces: Interfaces, tracer: Tracer) -> Node:
    interface = interfaces.get(node.type)
    inputs = named_values(node, interface)
    for name in list(inputs):
        if (node.id, name) in scope.overrides:
            inputs[name] = scope.overrides[node.id, name]
    for slot in node.inputs:
        if slot.link is None or not slot.name:
            continue
        fed = tracer.source(scope, slot.link, slot.type)
        if isinstance(fed, Constant):
            inputs[slot.name] = fed.value
        elif isinstance(fed, Link):
            inputs[slot.name] = fed
        elif fed is Unfed.MUTED:
            inputs.pop(slot.name, None)
    wrapped = {name: {VALUE_KEY: value} if isinstance(value, list) else value for name, value in inputs.items()}
    title = node.title or (interface.display_name if interface is not None else node.type)
    return Node(id, node.type, MappingProxyType(wrapped), title)


def _in_export_order(nodes: dict[str, Node]) -> dict[str, Node]:
    """Order nodes as exported prompts have them: whole-number ids ascending, then the others as they came."""
    numbers = sorted((id for id in nodes if id.isdecimal() and str(int(id)) == id), key=int)
    return {id: nodes[id] for id in [*numbers, *(id for id in nodes if not (id.isdecimal() and str(int(id)) == id))]}


def _without_dangling(nodes: dict[str, Node]) -> dict[str, Node]:
    """Remove links to nodes that were left out."""
    for id, node in nodes.items():
        if any(isinstance(value, Link) and value.node not in nodes for value in node.inputs.values()):
            kept = {
                name: value
                for name, value in node.inputs.items()
                if not (isinstance(value, Link) and value.node not in nodes)
            }
            nodes[id] = Node(id, node.type, MappingProxyType(kept), node.title, node.extra)
    return nodes
