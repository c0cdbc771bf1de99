"""``/object_info``: node types in the form that the ecosystem's clients and editors read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.graph.node_types import MISSING, FolderChoices, NodeType, Parameter

Listing = Callable[[str], Iterable[str]]
MODULES: Mapping[str, str] = {"nodes": "nodes"}


def describe(node_type: NodeType, listing: Listing) -> dict[str, Any]:
    """Return the entry of one node type; ``listing(folder)`` gives the files that a folder has now."""
    sections: dict[str, dict[str, Any]] = {"required": {}}
    for parameter in node_type.inputs:
        section = "required" if parameter.required else "optional"
        sections.setdefault(section, {})[parameter.name] = input_entry(parameter, listing)
    entry: dict[str, Any] = {
        "input": sections,
        "input_order": {section: list(inputs) for section, inputs in sections.items()},
        "output": [output.type for output in node_type.outputs],
        "output_is_list": [output.is_list for output in node_type.outputs],
        "output_name": [output.name for output in node_type.outputs],
        "name": node_type.id,
        "display_name": node_type.display_name,
        "description": node_type.description,
        "python_module": node_type.module or "nodes",
        "category": node_type.category,
        "output_node": node_type.output_node,
        "deprecated": node_type.deprecated,
        "experimental": node_type.experimental,
    }
    if any(output.help for output in node_type.outputs):
        entry["output_tooltips"] = [output.help for output in node_type.outputs]
    return entry


def input_entry(parameter: Parameter, listing: Listing) -> list[Any]:
    """Return one input as ``[type, options]``, or ``[[choices], options]`` where there are choices."""
    options = {key: value for key, value in parameter.options.items() if _is_plain(value)}
    kind: Any = parameter.type
    choices = parameter.choices
    if isinstance(choices, FolderChoices):
        kind = list(choices.offered_in(listing))
    elif choices is not None and kind == "COMBO":
        kind = list(choices)
        options.pop("options", None)
    default = parameter.default
    if default is not MISSING and _is_plain(default):
        options["default"] = default
    facts = {
        "min": parameter.minimum,
        "max": parameter.maximum,
        "step": parameter.step,
        "round": parameter.round,
        "tooltip": parameter.help or None,
    }
    options |= {key: value for key, value in facts.items() if value is not None}
    switches = {
        "multiline": parameter.multiline,
        "dynamicPrompts": parameter.dynamic_prompts,
        "control_after_generate": parameter.control_after_generate,
        "image_upload": parameter.image_upload,
        "forceInput": parameter.force_input,
        "lazy": parameter.lazy,
        "rawLink": parameter.raw_link,
    }
    options |= {key: True for key, value in switches.items() if value}
    return [kind, options] if options else [kind]


def _is_plain(value: Any) -> bool:
    """Say whether ``value`` can be written as JSON; packs put functions and classes into options."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, Mapping):
            if not all(isinstance(key, str) for key in one):
                return False
            pending += one.values()
        elif isinstance(one, (list, tuple)):
            pending += one
        elif one is not None and type(one) not in (bool, int, float, str):
            return False
    return True
