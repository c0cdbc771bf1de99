"""Group nodes, the older form of subgraphs: read as definitions, so that everything else knows subgraphs alone.

A group node has the type ``workflow>Name`` (earlier ``workflow/Name``); ``extra.groupNodes`` holds its nodes, the links
between them as ``[from, slot, to, slot, id, type]`` by position, and which linked outputs also show outside.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import Problem
from engine.graph.editor_document import (
    INPUT_NODE,
    OUTPUT_NODE,
    Body,
    EditorInput,
    EditorLink,
    EditorNode,
    read_id,
    read_inputs,
    read_node,
    read_slot,
)
from engine.graph.editor_widgets import Widget, take_values, widgets_of
from engine.graph.interfaces import Interfaces

PREFIXES = ("workflow>", "workflow/")


def group_name(type: str) -> str | None:
    """Return the name of the group that a node type stands for, or None."""
    return next((type[len(prefix) :] for prefix in PREFIXES if type.startswith(prefix)), None)


def read_groups(data: Mapping[str, Any], problems: list[Problem]) -> dict[str, Body]:
    """Read the group nodes of a workflow by name."""
    extra = data.get("extra")
    groups = extra.get("groupNodes") if isinstance(extra, dict) else None
    found: dict[str, Body] = {}
    for name, entry in groups.items() if isinstance(groups, dict) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("nodes"), list):
            problems.append(Problem("E-GROUP-NODE", f"the group node {name!r} has no list of nodes"))
            continue
        found[name] = _body(name, entry)
    return found


def _body(name: str, entry: Mapping[str, Any]) -> Body:
    raw = [one if isinstance(one, dict) else {} for one in entry["nodes"]]
    inside = _links(entry, raw)
    fed = {(link.target, link.target_slot): link.id for link in inside}
    ports = _Ports({}, [], [])
    nodes: dict[str, EditorNode] = {}
    links = {link.id: link for link in inside}
    for place, one in enumerate(raw):
        id = str(place)
        slots: list[EditorInput] = []
        for position, slot in enumerate(read_inputs(one)):
            link_id = fed.get((id, position))
            if link_id is None:
                shown = _shown(entry, id, "input", slot.name)
                link_id = f"in {id} {position}"
                links[link_id] = EditorLink(link_id, INPUT_NODE, len(ports.inputs), id, position)
                ports.inputs.append(ports.unique(shown, one))
            slots.append(dataclasses.replace(slot, link=link_id))
        kind = one.get("type")
        nodes[id] = read_node(one, id, kind if isinstance(kind, str) else "", tuple(slots))
    exits = _exits(entry, nodes, inside, ports)
    return Body(
        id=name,
        name=name,
        nodes=MappingProxyType(nodes),
        links=MappingProxyType({**links, **{link.id: link for link in exits.values()}}),
        inputs=tuple(ports.inputs),
        outputs=tuple(ports.outputs),
        exits=MappingProxyType(exits),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Ports:
    """The slots of the group as they are named, one after another."""

    seen: dict[str, int]
    inputs: list[str]
    outputs: list[str]

    def unique(self, name: str, node: Mapping[str, Any]) -> str:
        """Return ``name``, or with the node's title before it, or with a number, whichever is still free."""
        count = self.seen.get(name, 0)
        self.seen[name] = count + 1
        if not count:
            return name
        longer = f"{node.get('title') or node.get('type')} {name}"
        count = self.seen.get(longer, 0)
        self.seen[longer] = count + 1
        return f"{longer} {count}" if count else longer


def _links(entry: Mapping[str, Any], raw: list[dict[str, Any]]) -> list[EditorLink]:
    found: list[EditorLink] = []
    entries = entry.get("links")
    for number, one in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(one, list) or len(one) < 4:
            continue
        origin, target = read_id(one[0]), read_id(one[2])
        slots = read_slot(one[1]), read_slot(one[3])
        if origin is None or target is None or slots[0] is None or slots[1] is None:
            continue  # wires that came in from outside name no origin
        if origin.isdigit() and int(origin) < len(raw):
            found.append(EditorLink(f"l{number}", origin, slots[0], target, slots[1]))
    return found


def _exits(
    entry: Mapping[str, Any], nodes: Mapping[str, EditorNode], inside: list[EditorLink], ports: _Ports
) -> dict[int, EditorLink]:
    """List the outputs that show outside: those wired to nothing inside, and those marked as external."""
    wired = {(link.origin, link.origin_slot) for link in inside}
    external = entry.get("external")
    marked = {
        (str(one[0]), one[1])
        for one in (external if isinstance(external, list) else ())
        if isinstance(one, list) and len(one) >= 2 and isinstance(one[1], int)
    }
    exits: dict[int, EditorLink] = {}
    for id, node in nodes.items():
        for slot, kind in enumerate(node.outputs):
            if (id, slot) in wired and (id, slot) not in marked:
                continue
            if _setting(entry, id, "output", str(slot)).get("visible") is False:
                continue
            place = len(ports.outputs)
            exits[place] = EditorLink(f"out {place}", id, slot, OUTPUT_NODE, place)
            ports.outputs.append(kind)
    return exits


def _shown(entry: Mapping[str, Any], id: str, side: str, name: str) -> str:
    renamed = _setting(entry, id, side, name).get("name")
    return renamed if isinstance(renamed, str) and renamed else name


def _setting(entry: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = entry.get("config")
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def group_overrides(node: EditorNode, body: Body, interfaces: Interfaces) -> dict[tuple[str, str], Any]:
    """Return the widget values that the group node ``node`` sets inside, by (inner node id, widget).

    The saved list runs through the widgets of all inner nodes in order. It is only taken when it comes out even,
    with or without the widgets that are wired inside; else the values inside stay.
    """
    if isinstance(node.values, Mapping) or not node.values:
        return {}
    for with_wired in (True, False):
        values = deque(node.values)
        found: dict[tuple[str, str], Any] = {}
        for id, inner in body.nodes.items():
            widgets: list[Widget] = list(widgets_of(inner, interfaces.get(inner.type)))
            if not with_wired:
                wired = {slot.widget for slot in inner.inputs if not (slot.link or "").startswith("in ")}
                widgets = [widget for widget in widgets if widget.name not in wired]
            named = take_values(widgets, values) if values else {}
            found.update({(id, name): value for name, value in named.items()})
        if not values:
            return found
    return {}
