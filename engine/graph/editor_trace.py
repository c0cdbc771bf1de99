"""Following wires to what really feeds an input: through reroutes, bypassed nodes and the borders of subgraphs."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, TypeAlias

from engine.graph.editor_document import BYPASSED, MUTED, EditorLink, EditorNode
from engine.graph.model import Link
from engine.graph.sockets import is_wildcard, members
from engine.graph.subgraphs import OUTSIDE, Definitions, Scope

PRIMITIVE, SETTER, GETTER = "PrimitiveNode", "SetNode", "GetNode"
REROUTES = frozenset({"Reroute", "Reroute (rgthree)", SETTER})
"""Types that bring their first input to all of their outputs."""

VIRTUAL_TYPES = REROUTES | {
    PRIMITIVE,
    GETTER,
    "Note",
    "MarkdownNote",
    "Label (rgthree)",
    "Bookmark (rgthree)",
    "Fast Groups Muter (rgthree)",
    "Fast Groups Bypasser (rgthree)",
    "Fast Muter (rgthree)",
    "Fast Bypasser (rgthree)",
    "Fast Actions Button (rgthree)",
    "Node Collector (rgthree)",
    "Mute / Bypass Repeater (rgthree)",
    "Mute / Bypass Relay (rgthree)",
}
"""Types that only the editor knows, its own and those of widely used packs; they never run."""


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """A value instead of a wire. ``pushed`` says that a primitive node writes it into the widgets it is wired to."""

    value: Any
    pushed: bool


class Unfed(enum.Enum):
    """Why an input is fed by nothing: no wire leads anywhere, or the node there is muted."""

    NOTHING = "nothing"
    MUTED = "muted"


Fed: TypeAlias = Link | Constant | Unfed

Key: TypeAlias = tuple[Scope, str, str]


class Tracer:
    """Finds what feeds an input. What was found along the way is kept, so that a graph takes linear time."""

    def __init__(self, definition_of: Definitions) -> None:
        self._definition_of = definition_of
        self._found: dict[Key, Fed] = {}
        self._named: dict[Scope, dict[str, EditorNode]] = {}

    def source(self, scope: Scope, link_id: str, wanted: str) -> Fed:
        """Return what the wire ``link_id`` of ``scope`` brings to an input of type ``wanted``."""
        walked: list[Key] = []
        seen: set[Key] = set()
        last_bypass = -1
        step: tuple[Scope, str] | Fed = (scope, link_id)
        while isinstance(step, tuple):
            key = (*step, wanted)
            if key in self._found:
                step = self._found[key]
                break
            if key in seen:  # reroutes that feed each other bring nothing
                step = Unfed.NOTHING
                break
            seen.add(key)
            walked.append(key)
            step, bypassed = self._step(*step, wanted)
            if bypassed:
                last_bypass = len(walked) - 1
        beyond = Unfed.NOTHING if isinstance(step, Constant) and step.pushed else step
        for place, key in enumerate(walked):
            # A primitive writes into the widgets it is wired to, which a bypassed node between hides.
            self._found[key] = beyond if place <= last_bypass else step
        return self._found[(scope, link_id, wanted)] if walked else step

    def _step(self, scope: Scope, link_id: str, wanted: str) -> tuple[tuple[Scope, str] | Fed, bool]:
        """Follow one wire to its origin: the next wire, or what feeds it; and whether a bypassed node was passed."""
        link = scope.body.links.get(link_id)
        if link is None:
            return Unfed.NOTHING, False
        if link.origin == scope.body.input_node and scope.parent is not None:
            return _outside(scope, link), False
        node = scope.body.nodes.get(link.origin)
        if node is None:
            return Unfed.NOTHING, False
        if node.type == PRIMITIVE:
            return _primitive(scope, node), False
        if node.type == GETTER:
            node = self._setters(scope).get(str(_first_value(node)))
            if node is None:
                return Unfed.NOTHING, False
        if node.mode == MUTED:
            return Unfed.MUTED, False
        if node.type in REROUTES:
            return _onward(scope, node, 0), False
        if node.mode == BYPASSED:
            return _onward(scope, node, bypass_slot(node, link.origin_slot, wanted)), True
        if node.type in VIRTUAL_TYPES:
            return Unfed.NOTHING, False
        body = self._definition_of(node)
        if body is None:
            return Link(scope.prefix + node.id, link.origin_slot), False
        leaving = body.exits.get(link.origin_slot)
        child = scope.children.get(node.id)
        return ((child, leaving.id) if leaving and child else Unfed.NOTHING), False

    def _setters(self, scope: Scope) -> dict[str, EditorNode]:
        """Return the nodes that give a wire a name in ``scope``, by that name."""
        if scope not in self._named:
            setters = (node for node in scope.body.nodes.values() if node.type == SETTER)
            self._named[scope] = {str(_first_value(node)): node for node in setters}
        return self._named[scope]


def _outside(scope: Scope, link: EditorLink) -> tuple[Scope, str] | Fed:
    """Follow a wire that comes in from outside the subgraph, or take the value that the instance holds instead."""
    names, instance, parent = scope.body.inputs, scope.instance, scope.parent
    if instance is None or parent is None or not 0 <= link.origin_slot < len(names):
        return Unfed.NOTHING
    name = names[link.origin_slot]
    slot = instance.input(name)
    if slot is not None and slot.link is not None and slot.link in parent.body.links:
        return parent, slot.link
    if (OUTSIDE, name) in scope.overrides:
        return Constant(scope.overrides[OUTSIDE, name], pushed=False)
    return Unfed.NOTHING


def _primitive(scope: Scope, node: EditorNode) -> Fed:
    value = scope.overrides.get((node.id, "value"), _first_value(node))
    return Unfed.NOTHING if value is None else Constant(value, pushed=True)


def _first_value(node: EditorNode) -> Any:
    values = node.values if isinstance(node.values, tuple) else tuple(node.values.values())
    return values[0] if values else None


def _onward(scope: Scope, node: EditorNode, slot: int | None) -> tuple[Scope, str] | Unfed:
    if slot is None or slot >= len(node.inputs):
        return Unfed.NOTHING
    link = node.inputs[slot].link
    return Unfed.NOTHING if link is None else (scope, link)


def bypass_slot(node: EditorNode, output: int, wanted: str) -> int | None:
    """Return the input slot that a bypassed node passes on as ``output``, or None.

    The same slot when its type fits, else the first of exactly that type, else the first that fits. A wildcard
    takes the same slot, or the first.
    """
    if not node.inputs:
        return None
    kind = node.outputs[output] if 0 <= output < len(node.outputs) else wanted
    if is_wildcard(wanted) or is_wildcard(kind):
        return output if 0 <= output < len(node.inputs) else 0
    if 0 <= output < len(node.inputs) and _connects(node.inputs[output].type, kind):
        return output
    for fits in (_equal, _connects):
        for slot, one in enumerate(node.inputs):
            if fits(one.type, kind):
                return slot
    return None


def _equal(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _connects(one: str, other: str) -> bool:
    """Say whether the editor would join these types: wildcards and sets separated by commas, whatever their case."""
    if is_wildcard(one) or is_wildcard(other):
        return True
    return not members(one.lower()).isdisjoint(members(other.lower()))
