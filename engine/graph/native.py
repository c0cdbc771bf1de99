"""The editor's native form, ``{"safelight": 1, ...}``: the API prompt with a view of it, values and outputs by name.

It is made into the records of an editor workflow, so that subgraphs, bypassed and muted nodes mean the same in every
form. ``nodes`` holds by id ``{type, inputs: {name: value or [node, output]}, mode, kept, slots: {in, out}}``,
``definitions`` the subgraphs with ``inputs``, ``outputs`` and ``exits`` (what feeds each output), ``view`` what the
eye sees. A list that is a value stands as ``{"__value__": [...]}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import DocumentError, GraphError, Problem
from engine.graph.editor import graph_from_editor
from engine.graph.editor_document import ALWAYS, BYPASSED, INPUT_NODE, MUTED, OUTPUT_NODE
from engine.graph.interfaces import Interfaces
from engine.graph.model import EMPTY, Graph
from engine.graph.values import unwrap

VERSION = 1

_MODES = {"mute": MUTED, "bypass": BYPASSED}


def looks_native(data: Mapping[str, Any]) -> bool:
    """Say whether ``data`` is a document in the native form, of whatever version."""
    return type(data.get("safelight")) is int and isinstance(data.get("nodes"), dict)


def graph_from_native(data: Mapping[str, Any], interfaces: Interfaces) -> Graph:
    """Read a native document; the document itself is kept as the graph's ``workflow``.

    Raises `DocumentError` for a document of a newer version and `GraphError` listing what cannot be read.
    """
    if data["safelight"] > VERSION:
        raise DocumentError(
            f"the workflow is of version {data['safelight']}",
            expected=f"version {VERSION}",
            hint="open it with the version of the program that saved it, or a newer one",
        )
    problems: list[Problem] = []
    workflow = _body(data, "the workflow", problems)
    definitions = _object(data.get("definitions"))
    workflow["definitions"] = {
        "subgraphs": [
            {**_body(entry, f"the subgraph {id!r}", problems), "id": id}
            for id, entry in definitions.items()
            if isinstance(entry, dict)
        ]
    }
    workflow["extra"] = _object(_object(data.get("meta")).get("extra"))
    if problems:
        raise GraphError(problems)
    return Graph(graph_from_editor(workflow, interfaces).nodes, data)


def _body(data: Mapping[str, Any], where: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the workflow or one definition as an editor workflow has it."""
    entries = _object(data.get("nodes"))
    places = _object(_object(data.get("view")).get("nodes"))
    outputs = {id: _names(_slots(entry, "out")) for id, entry in entries.items()}
    outputs[INPUT_NODE] = _names(data.get("inputs"))
    links: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    for id, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            problems.append(
                Problem("E-CLASS-TYPE", f"the node of {where} does not say what it is", node_id=id, expected='"type"')
            )
            continue
        nodes.append(_node(id, entry, _object(places.get(id)), outputs, links))
    exits = data.get("exits")
    for place, value in enumerate(exits if isinstance(exits, list) else ()):
        _link(value, OUTPUT_NODE, place, outputs, links)
    return {
        "name": data.get("name") or where,
        "nodes": nodes,
        "links": links,
        "inputs": _listed(data.get("inputs")),
        "outputs": _listed(data.get("outputs")),
    }


def _node(
    id: str,
    entry: Mapping[str, Any],
    place: Mapping[str, Any],
    outputs: Mapping[str, list[str]],
    links: list[dict[str, Any]],
) -> dict[str, Any]:
    given = _object(entry.get("inputs"))
    slots = _slots(entry, "in")
    keys = list(_keys(slots))
    inputs = []
    for position, (slot, key) in enumerate(zip(slots, keys, strict=True)):
        link = _link(given.get(key), id, position, outputs, links)
        widget = slot.get("widget")
        inputs.append({**slot, "link": link, "widget": {"name": widget} if isinstance(widget, str) else None})
    extra = _object(place.get("extra"))
    properties = dict(_object(extra.get("properties")))
    if "proxies" in entry:
        properties["proxyWidgets"] = entry["proxies"]
    return {
        "id": id,
        "type": entry["type"],
        "title": place.get("title"),
        "mode": _MODES.get(str(entry.get("mode")), ALWAYS),
        "inputs": inputs,
        "outputs": _slots(entry, "out"),
        "properties": properties,
        "widgets_values": _values(entry, given),
    }


def _values(entry: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any] | list[Any]:
    """Return the values by name, or by place for a type that nobody could describe when the document was saved."""
    kept = _object(entry.get("kept"))
    by_place = [kept[f"#{place}"] for place in range(len(kept)) if f"#{place}" in kept]
    values = {name: unwrap(value) for name, value in given.items() if not isinstance(value, list)}
    if by_place and not values:
        return [unwrap(value) for value in by_place]
    # What is kept of a linked widget is what it holds when the wire leads nowhere.
    values |= {name: unwrap(value) for name, value in kept.items() if not name.startswith("#")}
    editors_own = (":control", ":filter")
    # A null stands for the default.
    return {name: value for name, value in values.items() if value is not None and not name.endswith(editors_own)}


def _link(
    value: Any, target: str, slot: int, outputs: Mapping[str, list[str]], links: list[dict[str, Any]]
) -> int | None:
    """Add the link that ``value`` (``[node, output name or number]``) stands for, and return its id."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        return None
    origin, output = value
    names = outputs.get(origin, [])
    if isinstance(output, str):
        if output not in names:
            return None
        output = names.index(output)
    if type(output) is not int or output < 0:
        return None
    links.append(
        {
            "id": len(links) + 1,
            "origin_id": origin,
            "origin_slot": output,
            "target_id": target,
            "target_slot": slot,
        }
    )
    return len(links)


def _keys(slots: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the names under which links into ``slots`` stand: a slot's own, or its place where another has it."""
    names = _names(slots)
    for place, name in enumerate(names):
        yield name if names.index(name) == place and not name.startswith("@") else f"@{place}"


def _slots(entry: Any, side: str) -> list[dict[str, Any]]:
    slots = _object(entry.get("slots") if isinstance(entry, dict) else None).get(side)
    return [dict(slot) for slot in _listed(slots)]


def _names(slots: Any) -> list[str]:
    return [name if isinstance(name := slot.get("name"), str) else "" for slot in _listed(slots)]


def _listed(value: Any) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else EMPTY
