"""Which nodes of a graph a loop repeats, found before anything runs.

A loop is a start and an end that is linked to it. Its *body* is every wanted node that the start feeds, other than by
way of the end: also those that lead nowhere, so that a picture saved inside is saved in each round. Loops lie inside
one another or apart; anything else is refused. Seen from outside, a loop is one node, its end, which needs
whatever its members need from outside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from engine.errors import GraphError, Problem
from engine.execution.order import ancestors
from engine.graph.model import EMPTY, Graph, Link, Node
from engine.graph.node_types import LoopEnd, LoopStart
from engine.graph.registry import Registry


@dataclasses.dataclass(frozen=True, slots=True)
class Loop:
    """One loop, named by its end.

    ``body`` are the nodes of each round in an order that runs (an inner loop is there as its end alone), ``members``
    the same with everything inside inner loops, start and end included. ``outside`` are the nodes that members need
    from elsewhere, ``sinks`` those wanted nodes of the body that the end need not depend on.
    """

    start: str
    end: str
    parent: str | None
    body: tuple[str, ...]
    members: tuple[str, ...]
    outside: tuple[str, ...]
    sinks: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Loops:
    """All loops by their end. ``inside`` maps each node of a body, and each start, to the end of its innermost loop."""

    by_end: Mapping[str, Loop]
    inside: Mapping[str, str]

    @property
    def with_sinks(self) -> list[str]:
        """List the ends of outermost loops in which, however deep, something is wanted that no end depends on."""
        return [end for end, loop in self.by_end.items() if loop.parent is None and loop.sinks]


NO_LOOPS = Loops(EMPTY, EMPTY)


def find_loops(
    graph: Graph, registry: Registry, wanted: Collection[str], order: Sequence[str], among: Iterable[str] | None = None
) -> Loops:
    """Find the loops that ``order``, all that ``wanted`` needs, has the starts of.

    Ends are looked for ``among`` the nodes of the graph (default: all). Raises `GraphError` for a start without an end
    or with several, and for loops that cross.
    """
    nodes = graph.nodes

    def role(node_id: str) -> LoopStart | LoopEnd | None:
        kind = registry.types.get(nodes[node_id].type)
        return kind.loop if kind is not None else None

    if not any(isinstance(role(node_id), LoopStart) for node_id in order):
        return NO_LOOPS
    ends = _ends(nodes, role, nodes if among is None else among)
    seen = dict.fromkeys(order)
    pending = list(order)
    while pending:  # an end may need further loops, and those their ends
        node_id = pending.pop()
        if isinstance(role(node_id), LoopStart):
            more = ancestors(graph, [_only_end(nodes[node_id], ends)], available=seen)
            seen.update(dict.fromkeys(more))
            pending += more
    whole = ancestors(graph, seen)
    return _Regions(nodes, role, whole, {s: found[0] for s, found in ends.items() if s in seen}, wanted).find()


def _ends(nodes: Mapping[str, Node], role: Callable[[str], object], among: Iterable[str]) -> dict[str, list[str]]:
    """Map each start to the ends that are linked to it."""
    ends: dict[str, list[str]] = {}
    for node_id in among:
        mine = role(node_id)
        if isinstance(mine, LoopEnd):
            link = nodes[node_id].inputs.get(mine.start)
            if type(link) is not Link or not isinstance(role(link.node), LoopStart):
                raise _refused(
                    nodes[node_id], "E-LOOP-START", "the end of a loop is not linked to the start of one",
                    f"connect its input {mine.start!r} to the output of that kind of a loop's start",
                )  # fmt: skip
            ends.setdefault(link.node, []).append(node_id)
    return ends


def _only_end(start: Node, ends: Mapping[str, list[str]]) -> str:
    found = ends.get(start.id, [])
    if len(found) == 1:
        return found[0]
    if not found:
        raise _refused(start, "E-LOOP-END", "the loop has no end", "connect a LoopEnd to its output loop")
    raise _refused(start, "E-LOOP-END", f"the loop has {len(found)} ends: {', '.join(found)}", "keep one of them")


class _Regions:
    """The search for what lies in which loop. Lives for one call of `find_loops`."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        role: Callable[[str], object],
        order: Sequence[str],
        end_of: Mapping[str, str],
        wanted: Collection[str],
    ) -> None:
        self._nodes = nodes
        self._role = role
        self._order = order
        self._position = {node_id: position for position, node_id in enumerate(order)}
        self._end_of = end_of
        self._starts = {end: start for start, end in end_of.items()}
        self._wanted = wanted
        self._level: dict[str, str | None] = {}  # the innermost loop that a node lies in, by its end
        self._after: dict[str, str | None] = {}  # the same for what the node feeds
        self._parent: dict[str, str | None] = {}

    def find(self) -> Loops:
        for node_id in self._order:
            self._place(self._nodes[node_id])
        body: dict[str, list[str]] = {end: [] for end in self._starts}
        for node_id in self._order:
            level = self._level[node_id]
            if level is not None and node_id not in self._end_of:
                body[level].append(node_id)
        loops: dict[str, Loop] = {}
        # An end comes after the ends inside it, so inner loops are there when the outer one is put together.
        for end in (one for one in self._order if one in self._starts):
            loops[end] = self._loop(end, body[end], loops)
        inside = {one: level for one, level in self._level.items() if level is not None and one not in self._end_of}
        inside.update(self._end_of)
        return Loops(loops, inside)

    def _place(self, node: Node) -> None:
        levels = {self._after[v.node]: v.node for v in node.inputs.values() if type(v) is Link}
        own = self._starts.get(node.id)
        level = self._innermost(node, levels)
        if own is not None:
            if level != node.id:
                raise _refused(
                    node, "E-LOOP-CROSS", f"a loop inside ends at {level!r}, outside of this one, or not at all",
                    "end the inner loop before the outer one",
                )  # fmt: skip
            level = self._parent[node.id]
        self._level[node.id] = level
        end = self._end_of.get(node.id)
        if end is not None:
            self._parent[end] = level
        self._after[node.id] = end or level

    def _innermost(self, node: Node, levels: Mapping[str | None, str]) -> str | None:
        """Return the deepest of ``levels``; all others have to lie around it."""
        if len(levels) < 2:
            return next(iter(levels), None)
        chains = {level: self._around(level) for level in levels}
        deepest = max(levels, key=lambda level: len(chains[level]))
        for level, source in levels.items():
            if level is not None and level not in chains[deepest]:
                raise _refused(
                    node, "E-LOOP-CROSS",
                    f"it takes values from the inside of two loops, by way of {source!r} and {levels[deepest]!r}",
                    "take what is to leave a loop from its end",
                )  # fmt: skip
        return deepest

    def _around(self, level: str | None) -> dict[str, None]:
        chain: dict[str, None] = {}
        while level is not None:
            chain[level] = None
            level = self._parent[level]
        return chain

    def _loop(self, end: str, body: list[str], inner: Mapping[str, Loop]) -> Loop:
        start = self._starts[end]
        nested = [inner[node_id] for node_id in body if node_id in inner]
        own = {start, end, *body}
        needs = {
            v.node: None for one in (start, *body, end) for v in self._nodes[one].inputs.values() if type(v) is Link
        }
        needs |= {node_id: None for loop in nested for node_id in loop.outside}
        members = own | {node_id for loop in nested for node_id in loop.members}
        feeding = {v.node for v in self._nodes[end].inputs.values() if type(v) is Link}
        forced = {loop.end for loop in nested if loop.sinks}
        sinks = [one for one in body if (one in self._wanted and one not in feeding) or one in forced]
        return Loop(
            start,
            end,
            self._parent[end],
            tuple(body),
            tuple(sorted(members, key=self._position.__getitem__)),
            tuple(node_id for node_id in needs if node_id not in members),
            tuple(sinks),
        )


def _refused(node: Node, code: str, message: str, hint: str) -> GraphError:
    return GraphError([Problem(code, message, node.id, node.title or node.type, hint=hint)])
