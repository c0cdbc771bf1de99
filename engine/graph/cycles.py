"""Finding the cycles of a graph, with an explicit stack."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TypeAlias

from engine.graph.model import Graph, Link

MAX_CYCLES = 20
"""Cycles are reported until there are this many: a graph can hold more of them than nodes."""

CyclePath: TypeAlias = list[tuple[str, str]]
"""Pairs (node, its input that is fed by the next node); the last one is fed by the first."""


def cycles(graph: Graph, among: Set[str]) -> Iterator[CyclePath]:
    """Yield cycles among the nodes ``among``, each through at least one link that no cycle before it closed."""
    finished: set[str] = set()
    reported: set[str] = set()
    count = 0
    for root in graph.nodes:
        if root not in among or root in finished:
            continue
        for path in _cycles_from(graph, root, among, finished):
            ends = (path[0][0], path[-1][0])
            if ends[0] in reported or ends[1] in reported:
                continue
            reported.update(id for id, _ in path)
            yield path
            count += 1
            if count == MAX_CYCLES:
                return


def _cycles_from(graph: Graph, root: str, among: Set[str], finished: set[str]) -> Iterator[CyclePath]:
    """Walk upstream from ``root`` in depth order; a link to a node of the present path closes a cycle."""
    place = {root: 0}
    path: CyclePath = [(root, "")]
    stack = [_links(graph, root)]
    while stack:
        for name, source in stack[-1]:
            if source not in among or source in finished:
                continue
            path[-1] = (path[-1][0], name)
            if source in place:
                yield path[place[source] :]
                continue
            place[source] = len(path)
            path.append((source, ""))
            stack.append(_links(graph, source))
            break
        else:
            stack.pop()
            id, _ = path.pop()
            del place[id]
            finished.add(id)


def _links(graph: Graph, id: str) -> Iterator[tuple[str, str]]:
    return ((name, value.node) for name, value in graph.nodes[id].inputs.items() if isinstance(value, Link))
