"""Which results may outlive the process.

A node that is not ``lasting`` (`NodeType`) may depend on more than its inputs, code and files: its result is never kept
for another process. What stands below one is kept under what its inputs are, never under how they were made, so that in
another process such a node runs again and its new result decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.model import Graph, Link
from engine.graph.node_types import NodeType
from engine.graph.registry import Registry


class Lasting:
    """Knows, for the nodes of one graph, under which keys their results may be kept beyond the process."""

    def __init__(self, graph: Graph, registry: Registry) -> None:
        self._nodes = frozenset(graph.nodes)
        self._below = _below(graph, registry)

    def below(self, node_id: str) -> bool:
        """Say whether a node is, or may stand below, one that is not lasting."""
        return node_id in self._below or (bool(self._below) and node_id not in self._nodes)

    def keys(self, node_type: NodeType, node_id: str, origin: str) -> Sequence[str | None] | None:
        """Return the keys that may lead to a node's result in another process; None for all."""
        if not node_type.lasting:
            return ()
        return (origin,) if self.below(node_id) else None


def _below(graph: Graph, registry: Registry) -> frozenset[str]:
    """Return the nodes that are not lasting and all that they feed."""
    pending = [
        id for id, node in graph.nodes.items() if (known := registry.get(node.type)) is not None and not known.lasting
    ]
    if not pending:
        return frozenset()
    fed: dict[str, list[str]] = {}
    for id, node in graph.nodes.items():
        for value in node.inputs.values():
            if type(value) is Link:
                fed.setdefault(value.node, []).append(id)
    found: set[str] = set()
    while pending:
        id = pending.pop()
        if id not in found:
            found.add(id)
            pending += fed.get(id, ())
    return frozenset(found)
