"""The objects that packs' nodes live in: one for each node of a graph, kept between runs."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any


class Instances:
    """Keeps one instance per (node id, class) until the node leaves the graph.

    Packs rely on ``self`` surviving from run to run. Whoever runs graphs calls `keep` with the ids that are there.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, type], Any] = {}
        self._lock = threading.Lock()

    def get(self, node_id: str, kind: type) -> Any:
        """Return the instance of ``kind`` for this node, made when it is first asked for."""
        key = (node_id, kind)
        with self._lock:
            if key not in self._made:
                self._made[key] = kind()
            return self._made[key]

    def keep(self, node_ids: Collection[str]) -> None:
        """Let go of the instances of all other nodes; those of expanded nodes go when their maker does."""
        with self._lock:
            for key in [key for key in self._made if not _is_among(key[0], node_ids)]:
                del self._made[key]

    def __len__(self) -> int:
        return len(self._made)


def _is_among(node_id: str, node_ids: Collection[str]) -> bool:
    """Say whether a node is there, or was made by one that is (``7.0.0.1`` by ``7``)."""
    return node_id in node_ids or node_id.split(".", 1)[0] in node_ids
