"""What saved files need to know of node types: the order of their inputs, and their outputs.

An editor workflow keeps widget values by position, so reading one needs the parameter lists of its node types. They
come from the registry, and for node types that are not installed from a file: the saved answer of an engine's
``/object_info``, or the same entries one a line (JSONL, each with its ``id``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import DocumentError
from engine.graph.node_types import MISSING, NodeType, Output, Parameter
from engine.graph.registry import Registry
from engine.graph.strict_json import parse_text


@dataclasses.dataclass(frozen=True, slots=True)
class Interfaces:
    """Map node type ids to descriptions, of which only the declared part (not ``run``) is used."""

    types: Mapping[str, NodeType]

    @classmethod
    def from_registry(cls, registry: Registry) -> Interfaces:
        """Take the interfaces of all registered node types."""
        return cls(registry.types)

    def get(self, id: str) -> NodeType | None:
        """Return the description of node type ``id``, or None."""
        return self.types.get(id)

    def with_file(self, text: str | bytes, name: str = "the interfaces file") -> Interfaces:
        """Return these interfaces and those in ``text``, which win where both know a type.

        Raises `DocumentError` when ``text`` is neither a saved ``/object_info`` nor JSON lines with an ``id`` each.
        """
        added = {id: _node_type(id, entry) for id, entry in _entries(text, name).items()}
        return Interfaces(MappingProxyType({**self.types, **added}))


NO_INTERFACES = Interfaces(MappingProxyType({}))


def _entries(text: str | bytes, name: str) -> dict[str, Mapping[str, Any]]:
    decoded = text.decode("utf-8-sig", "replace") if isinstance(text, bytes) else text
    lines = [(number, line) for number, line in enumerate(decoded.splitlines(), 1) if line.strip()]
    first = _try_object(lines[0][1], f"{name}, line {lines[0][0]}") if lines else None
    if first is not None and isinstance(first.get("id"), str):
        entries: dict[str, Mapping[str, Any]] = {}
        for number, line in lines:
            entry = parse_text(line, f"{name}, line {number}")
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                raise _unknown_form(f"{name}, line {number}")
            entries[entry["id"]] = entry
        return _checked(entries, name)
    data = parse_text(text, name)
    if not isinstance(data, dict):
        raise _unknown_form(name)
    return _checked(data, name)


def _try_object(line: str, name: str) -> dict[str, Any] | None:
    try:
        entry = parse_text(line, name)
    except DocumentError:
        return None  # the first line of an object that spans several
    return entry if isinstance(entry, dict) else None


def _checked(entries: dict[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    for id, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("input"), dict | None):
            raise _unknown_form(f"{name}, entry {id!r}")
    return entries


def _unknown_form(name: str) -> DocumentError:
    return DocumentError(
        f"{name} does not describe node types",
        expected='an object of node types by id, or one JSON object with an "id" a line',
        hint="save the answer of /object_info to a file and give that",
    )


def _node_type(id: str, entry: Mapping[str, Any]) -> NodeType:
    sections = entry.get("input") or {}
    order = entry.get("input_order") or {}
    inputs: list[Parameter] = []
    for section in ("required", "optional"):
        declared = sections.get(section)
        if not isinstance(declared, dict):
            continue
        named = order.get(section) if isinstance(order, dict) else None
        names = [n for n in named if n in declared] if isinstance(named, list) else []
        names += [n for n in declared if n not in names] if len(names) < len(declared) else []
        inputs += [_parameter(name, declared[name], section == "required") for name in names]
    return NodeType(
        id=id,
        display_name=str(entry.get("display_name") or entry.get("name") or id),
        category=str(entry.get("category") or ""),
        inputs=tuple(inputs),
        outputs=_outputs(entry),
        run=None,
        version="",
        description=str(entry.get("description") or ""),
        output_node=bool(entry.get("output_node")),
    )


def _parameter(name: str, entry: Any, required: bool) -> Parameter:
    """Read ``[type, options]``, ``[[choices], options]`` or a bare type."""
    parts = entry if isinstance(entry, list) and entry else [entry]
    kind = parts[0]
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], dict) else {}
    choices: tuple[Any, ...] | None = None
    if isinstance(kind, list):
        kind, choices = "COMBO", tuple(kind)
    elif isinstance(kind, str) and kind.startswith("COMBO"):
        listed = options.get("options")
        kind, choices = "COMBO", tuple(listed) if isinstance(listed, list) and listed else None
    return Parameter(
        name=name,
        type=kind if isinstance(kind, str) else "*",
        required=required,
        default=options.get("default", MISSING),
        minimum=_bound(options.get("min")),
        maximum=_bound(options.get("max")),
        choices=choices,
        multiline=options.get("multiline") is True,
        dynamic_prompts=options.get("dynamicPrompts") is True,
        control_after_generate=bool(options.get("control_after_generate")),
        image_upload=options.get("image_upload") is True,
        force_input=options.get("forceInput") is True,
        lazy=options.get("lazy") is True,
        options=MappingProxyType(options),
    )


def _bound(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _outputs(entry: Mapping[str, Any]) -> tuple[Output, ...]:
    types, names, lists = (
        found if isinstance(found := entry.get(key), list) else []
        for key in ("output", "output_name", "output_is_list")
    )
    return tuple(
        Output(
            name=str(names[slot]) if slot < len(names) else str(kind),
            type=kind if isinstance(kind, str) else "COMBO",
            is_list=slot < len(lists) and bool(lists[slot]),
        )
        for slot, kind in enumerate(types)
    )
