"""Find what an adapter file changes in a network, from the two headers alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from engine.weights.adapters.keys import Address, Role, read_key, unsupported_kind
from engine.weights.adapters.low_rank import low_rank_shape
from engine.weights.adapters.slots import Slot, Slots
from engine.weights.recipe import Part

__all__ = ["Match", "Matched", "context_width", "match_adapters", "unsupported_kinds"]

Shapes = Mapping[str, tuple[int, ...]]
Kind = Literal["low rank", "difference"]

LOW_RANK: Final[frozenset[Role]] = frozenset({"up", "down", "mid", "alpha", "magnitude"})
DIFFERENCES: Final[Mapping[Role, str]] = {"diff": "weight", "w_norm": "weight", "diff_b": "bias", "b_norm": "bias"}


@dataclass(frozen=True, slots=True)
class Matched:
    """Say that tensors of the file (by role) change a parameter of the network."""

    parameter: str
    kind: Kind
    tensors: Mapping[Role, str]


@dataclass(frozen=True, slots=True)
class Match:
    """Hold what fits a part of a model; which names of the file meant that part, yet fit nothing of it, by name
    (`unknown`) or by size (`misfits`); and which meant it at all (`addressed`).
    """

    matched: tuple[Matched, ...]
    unknown: tuple[str, ...]
    misfits: tuple[str, ...]
    addressed: int


def match_adapters(part: Part, shapes: Shapes, slots: Slots) -> Match:
    """Bring the tensors of a file, by `shapes`, together with the slots of the network that is a model's `part`."""
    modules: dict[tuple[int, str], dict[Role, str]] = {}
    for key in shapes:
        address = read_key(key)
        if address is not None and address.part == part:
            modules.setdefault((address.encoder, address.module), {})[address.role] = key
    matched: list[Matched] = []
    unknown: list[str] = []
    misfits: list[str] = []
    for place, roles in modules.items():
        slot = slots.get(place)
        if slot is None:
            unknown.extend(roles.values())
            continue
        found = _fitting(slot, roles, shapes)
        used = {key for one in found for key in one.tensors.values()}
        matched.extend(found)
        misfits.extend(key for key in roles.values() if key not in used)
    addressed = sum(len(roles) for roles in modules.values())
    return Match(tuple(matched), tuple(unknown), tuple(misfits), addressed)


def unsupported_kinds(keys: Collection[str]) -> list[str]:
    """Name the kinds of adapters in a file that are known and not supported."""
    return sorted({kind for key in keys if (kind := unsupported_kind(key)) is not None})


def context_width(shapes: Shapes) -> int | None:
    """Return the width of the prompt embedding that an adapter file was trained with; None where it does not say."""
    for key, shape in shapes.items():
        address = read_key(key)
        if address is not None and _reads_context(address) and len(shape) >= 2:
            return shape[1]
    return None


def _reads_context(address: Address) -> bool:
    return address.role == "down" and address.module.endswith(("attn2_to_k", "attn2_to_v"))


def _fitting(slot: Slot, roles: Mapping[Role, str], shapes: Shapes) -> list[Matched]:
    """Return what of a module's tensors fits its slot."""
    found: list[Matched] = []
    low_rank = {role: key for role, key in roles.items() if role in LOW_RANK}
    sizes = {role: shapes[key] for role, key in low_rank.items()}
    if _fits_low_rank(slot.weight_shape, sizes) and _fits_magnitude(slot.weight_shape, low_rank, shapes):
        found.append(Matched(slot.weight, "low rank", low_rank))
    for role, leaf in DIFFERENCES.items():
        name, shape = (slot.weight, slot.weight_shape) if leaf == "weight" else (slot.bias, slot.bias_shape)
        if role in roles and name is not None and math.prod(shapes[roles[role]]) == math.prod(shape):
            found.append(Matched(name, "difference", {role: roles[role]}))
    return found


def _fits_low_rank(weight: tuple[int, ...], roles: Mapping[Role, tuple[int, ...]]) -> bool:
    if "up" not in roles or "down" not in roles or len(weight) < 2:
        return False
    if math.prod(roles.get("alpha", ())) != 1:
        return False
    return low_rank_shape(roles["up"], roles["down"], roles.get("mid")) == (weight[0], math.prod(weight[1:]))


def _fits_magnitude(weight: tuple[int, ...], roles: Mapping[Role, str], shapes: Shapes) -> bool:
    """Say whether there is one magnitude for each row, or in older files for each column, or none at all."""
    key = roles.get("magnitude")
    if key is None:
        return True
    shape = shapes[key]
    is_by_column = key.endswith("dora_scale") and len(shape) > 1 and shape[0] == 1 and weight[0] != 1
    return math.prod(shape) == weight[1 if is_by_column else 0]
