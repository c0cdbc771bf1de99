"""Reading the editor's document into records: nodes, slots, links and subgraph definitions, whatever their spelling.

Versions 0.4 and 1 differ in how a link is written (a list or an object); both are read wherever a link may stand.
Nothing is interpreted here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from engine.errors import GraphError, Problem

MAX_ID_LENGTH = 200

Values: TypeAlias = "tuple[Any, ...] | Mapping[str, Any]"
"""Widget values: by position, or by name as some node packs save them."""

ALWAYS, MUTED, BYPASSED = 0, 2, 4
INPUT_NODE, OUTPUT_NODE = "-10", "-20"


@dataclasses.dataclass(frozen=True, slots=True)
class EditorInput:
    """One input slot: its name, type, the id of the link that feeds it, and the widget it stands for."""

    name: str
    type: str
    link: str | None
    widget: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class EditorNode:
    """One saved node. ``outputs`` are the types of the output slots."""

    id: str
    type: str
    title: str | None
    mode: int
    inputs: tuple[EditorInput, ...]
    outputs: tuple[str, ...]
    values: Values
    properties: Mapping[str, Any]

    def input(self, name: str) -> EditorInput | None:
        """Return the input slot called ``name``, or None."""
        return next((slot for slot in self.inputs if slot.name == name), None)


@dataclasses.dataclass(frozen=True, slots=True)
class EditorLink:
    """One wire, from output ``origin_slot`` of ``origin`` to input ``target_slot`` of ``target``."""

    id: str
    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """The nodes and links of the workflow or of one subgraph definition.

    ``inputs`` and ``outputs`` name the slots of the subgraph (none for the workflow itself), ``exits`` gives the link
    that feeds each output slot, ``input_node`` is the origin of the links that come in from outside.
    """

    id: str
    name: str
    nodes: Mapping[str, EditorNode]
    links: Mapping[str, EditorLink]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    exits: Mapping[int, EditorLink] = dataclasses.field(default_factory=dict)
    input_node: str = INPUT_NODE


def read_body(data: Mapping[str, Any], problems: list[Problem]) -> Body:
    """Read the workflow or one subgraph definition; what cannot be read is added to ``problems``."""
    name = str(data.get("name") or "the workflow")
    nodes: dict[str, EditorNode] = {}
    for position, entry in enumerate(_list(data.get("nodes"))):
        node = _node(entry, name, position, problems)
        if node is None:
            continue
        if node.id in nodes:
            problems.append(Problem("E-NODE-ID", f"two nodes of {name} have this id", node_id=node.id))
        nodes[node.id] = node
    links = {link.id: link for link in _links(data, name, problems)}
    output_node = _io_node(data, "outputNode", OUTPUT_NODE)
    exits = {link.target_slot: link for link in links.values() if link.target == output_node}
    return Body(
        id=str(data.get("id") or ""),
        name=name,
        nodes=MappingProxyType(nodes),
        links=MappingProxyType(links),
        inputs=_slot_names(data.get("inputs")),
        outputs=_slot_names(data.get("outputs")),
        exits=MappingProxyType(exits),
        input_node=_io_node(data, "inputNode", INPUT_NODE),
    )


def read_definitions(data: Mapping[str, Any], problems: list[Problem]) -> dict[str, Body]:
    """Read the subgraph definitions of a workflow, and those that stand inside other definitions."""
    bodies: dict[str, Body] = {}
    pending = [data]
    while pending:
        definitions = pending.pop().get("definitions")
        subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
        if isinstance(subgraphs, dict):
            subgraphs = [{"id": id, **one} for id, one in subgraphs.items() if isinstance(one, dict)]
        for entry in _list(subgraphs):
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                problems.append(Problem("E-SUBGRAPH", "a subgraph definition has no id"))
                continue
            if entry["id"] not in bodies:
                bodies[entry["id"]] = read_body(entry, problems)
                pending.append(entry)
    return bodies


def read_id(value: Any) -> str | None:
    """Return an id as text (files hold numbers or strings), or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    text = str(value)
    return text if 0 < len(text) <= MAX_ID_LENGTH else None


def read_node(
    entry: Mapping[str, Any], id: str, type: str, inputs: tuple[EditorInput, ...] | None = None
) -> EditorNode:
    """Make a node record from a saved entry whose ``id`` and ``type`` are known to be good."""
    title, mode, values = entry.get("title"), entry.get("mode"), entry.get("widgets_values")
    properties = entry.get("properties")
    return EditorNode(
        id=id,
        type=type,
        title=title if isinstance(title, str) and title else None,
        mode=mode if isinstance(mode, int) else ALWAYS,
        inputs=read_inputs(entry) if inputs is None else inputs,
        outputs=tuple(_type(slot) for slot in _list(entry.get("outputs")) if isinstance(slot, dict)),
        values=MappingProxyType(values) if isinstance(values, dict) else tuple(_list(values)),
        properties=MappingProxyType(properties if isinstance(properties, dict) else {}),
    )


def read_inputs(entry: Mapping[str, Any]) -> tuple[EditorInput, ...]:
    """Read the input slots of a saved node; slots without a name get an empty one, so that positions stay."""
    slots: list[EditorInput] = []
    for slot in _list(entry.get("inputs")):
        one = slot if isinstance(slot, dict) else {}
        widget = one.get("widget")
        name = one.get("name")
        slots.append(
            EditorInput(
                name=name if isinstance(name, str) else "",
                type=_type(one),
                link=read_id(one.get("link")),
                widget=_widget_name(widget, name),
            )
        )
    return tuple(slots)


def _widget_name(widget: Any, name: Any) -> str | None:
    if not isinstance(widget, dict):
        return None
    found = widget.get("name", name)
    return found if isinstance(found, str) else None


def _node(entry: Any, where: str, position: int, problems: list[Problem]) -> EditorNode | None:
    if not isinstance(entry, dict):
        problems.append(Problem("E-NODE-ENTRY", f"entry {position} of the nodes of {where} is not an object"))
        return None
    id = read_id(entry.get("id"))
    if id is None:
        problems.append(Problem("E-NODE-ID", f"node {position} of {where} has no id, or one that cannot be used"))
        return None
    kind = entry.get("type")
    if not isinstance(kind, str) or not kind:
        problems.append(
            Problem("E-CLASS-TYPE", "the node does not say what it is", node_id=id, expected='"type": a node type')
        )
        return None
    return read_node(entry, id, kind)


def _links(data: Mapping[str, Any], where: str, problems: list[Problem]) -> Iterator[EditorLink]:
    for position, entry in enumerate(_list(data.get("links"))):
        if entry is None:
            continue  # old files keep holes where links were removed
        link = _link(entry)
        if link is None:
            problems.append(
                Problem(
                    "E-LINK",
                    f"link {position} of {where} cannot be read",
                    expected="[id, origin node, origin slot, target node, target slot, type] or an object of these",
                )
            )
        else:
            yield link


def _link(entry: Any) -> EditorLink | None:
    if isinstance(entry, dict):
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
        entry = [entry.get(key) for key in keys]
    if not isinstance(entry, list) or len(entry) < 5:
        return None
    id, origin, target = read_id(entry[0]), read_id(entry[1]), read_id(entry[3])
    origin_slot, target_slot = read_slot(entry[2]), read_slot(entry[4])
    if id is None or origin is None or target is None or origin_slot is None:
        return None
    return EditorLink(id, origin, origin_slot, target, -1 if target_slot is None else target_slot)


def read_slot(value: Any) -> int | None:
    """Return a slot number, or None for anything that is not a whole number."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def _io_node(data: Mapping[str, Any], key: str, default: str) -> str:
    entry = data.get(key)
    return (read_id(entry.get("id")) if isinstance(entry, dict) else None) or default


def _slot_names(slots: Any) -> tuple[str, ...]:
    return tuple(str(slot.get("name", "")) if isinstance(slot, dict) else "" for slot in _list(slots))


def _type(slot: Mapping[str, Any]) -> str:
    kind = slot.get("type")
    if isinstance(kind, str):
        return kind
    return "COMBO" if isinstance(kind, list) else "*"  # old files spell a choice out as the list of its values


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def refuse(problems: Sequence[Problem]) -> None:
    """Raise `GraphError` when there are ``problems``."""
    if problems:
        raise GraphError(problems)
