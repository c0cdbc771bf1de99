"""Values on the border: our frozen LATENT and CONDITIONING there, the dicts and lists that packs know here.

Only values of our own types are changed on the way in, and only what can be said in them on the way out; anything else
passes as it is. torch is not imported here: a value of those types can only be there when it is.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping
from typing import Any

from engine.graph.node_types import Many, NodeResult, Output
from engine.graph.sockets import is_wildcard, members

_BRIDGED = frozenset({"LATENT", "CONDITIONING"})
_LATENT_FIELDS = ("samples", "noise_mask", "batch_index")
_ENTRY_KEYS = {
    "pooled_output": "pooled",
    "strength": "strength",
    "mask": "mask",
    "mask_strength": "mask_strength",
    "set_area_to_bounds": "set_area_to_bounds",
    "start_percent": "start_percent",
    "end_percent": "end_percent",
    "control": "control",
    "control_apply_to_uncond": "control_apply_to_uncond",
}
"""How packs call the fields of a `ConditioningEntry`."""


@functools.lru_cache(maxsize=1024)
def may_bridge(socket: str) -> bool:
    """Say whether a socket may carry values that look different to packs."""
    return is_wildcard(socket) or not members(socket).isdisjoint(_BRIDGED)


def to_pack(socket: str, value: Any, as_lists: bool = False) -> Any:
    """Return an input of type ``socket`` as packs know it; ``as_lists`` when ``value`` is a list of such."""
    if not may_bridge(socket):
        return value
    if as_lists and type(value) is list:
        return [_to_pack(one) for one in value]
    return _to_pack(value)


def from_pack(result: NodeResult, outputs: tuple[Output, ...]) -> NodeResult:
    """Return ``result`` with its LATENT and CONDITIONING values as the engine's own nodes take them."""
    values = tuple(
        _output(value) if may_bridge(one.type) else value for value, one in zip(result.values, outputs, strict=False)
    )
    if all(new is old for new, old in zip(values, result.values, strict=False)):
        return result
    return dataclasses.replace(result, values=values)


def _output(value: Any) -> Any:
    return Many(_from_pack(one) for one in value) if isinstance(value, Many) else _from_pack(value)


def _to_pack(value: Any) -> Any:
    kind = type(value)
    if kind is tuple:
        conditioning: Any = sys.modules.get("engine.diffusion.conditioning")
        if conditioning is None or not value:
            return value
        if not all(isinstance(one, conditioning.ConditioningEntry) for one in value):
            return value
        return [[one.embedding, _entry_dict(one, conditioning)] for one in value]
    latents: Any = sys.modules.get("engine.diffusion.latents")
    if latents is None or not isinstance(value, latents.Latent):
        return value
    found = {"samples": value.samples, **getattr(value, "extra", {})}
    if value.noise_mask is not None:
        found["noise_mask"] = value.noise_mask
    if value.batch_index is not None:
        found["batch_index"] = list(value.batch_index)
    return found


def _entry_dict(entry: Any, conditioning: Any) -> dict[str, Any]:
    plain = conditioning.ConditioningEntry(entry.embedding)
    found = dict(entry.extra)
    for key, field in _ENTRY_KEYS.items():
        value = getattr(entry, field)
        if value is not getattr(plain, field) and value != getattr(plain, field):
            found[key] = value
    if entry.area is not None:
        area = entry.area
        sides = (area.height, area.width, area.y, area.x)
        found["area"] = ("percentage", *sides) if area.relative else tuple(int(side) for side in sides)
    return found


def _from_pack(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return _latent(value) if getattr(value.get("samples"), "ndim", 0) == 4 else value
    if kind is list and value and all(_is_entry(one) for one in value):
        return tuple(_entry(one[0], one[1]) for one in value)
    return value


def _latent(value: Mapping[str, Any]) -> Any:
    from engine.compat.pack_latent import PackLatent
    from engine.diffusion.latents import Latent

    index = value.get("batch_index")
    fields = (value["samples"], value.get("noise_mask"), None if index is None else tuple(index))
    extra = {key: one for key, one in value.items() if key not in _LATENT_FIELDS}
    return PackLatent(*fields, extra) if extra else Latent(*fields)


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and getattr(value[0], "ndim", 0) == 3
        and isinstance(value[1], Mapping)
    )


def _entry(embedding: Any, facts: Mapping[str, Any]) -> Any:
    from engine.diffusion.conditioning import Area, ConditioningEntry

    fields = {field: facts[key] for key, field in _ENTRY_KEYS.items() if facts.get(key) is not None}
    area = facts.get("area")
    if isinstance(area, (list, tuple)):
        relative = bool(area) and area[0] == "percentage"
        height, width, y, x = area[1:] if relative else area
        fields["area"] = Area(height, width, y, x, relative)
    extra = {key: value for key, value in facts.items() if key not in _ENTRY_KEYS and key != "area"}
    return ConditioningEntry(embedding, extra=extra, **fields)
