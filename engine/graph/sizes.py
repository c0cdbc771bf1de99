"""Refuse what asks for more pixels or steps than any machine has: numbers that are each in range multiply."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from engine.graph.model import Graph, Link, Node

MAX_PIXELS: Final = 1 << 32
"""Most pixels that the constants of one node may ask for: 16 pictures of 16384 x 16384, or 4,096 of 1024 x 1024."""

MAX_WORK: Final = 1 << 38
"""Most steps x pixels of one sampler: 1,000 steps for 262 pictures of 1024 x 1024."""

_FACTORS: Final = ("width", "height", "batch_size", "length", "amount")


def asked_pixels(inputs: Mapping[str, Any]) -> int:
    """Return width x height x count as far as ``inputs`` holds them as constants; 0 for a node without a size."""
    if not all(_is_count(inputs.get(name)) for name in ("width", "height")):
        return 0
    return math.prod(max(0, int(inputs[name])) for name in _FACTORS if _is_count(inputs.get(name)))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def too_much_work(graph: Graph, needed: Collection[str]) -> Iterator[tuple[Node, int, int]]:
    """Yield the nodes of ``needed`` whose steps, times the most pixels that a node above asks for, are too many.

    With each come its steps and these pixels. Linear in the size of the graph; nodes on a cycle are passed over.
    """
    if not any(_is_count(graph.nodes[id].inputs.get("steps")) for id in needed):
        return
    sources = {
        id: {one.node for one in graph.nodes[id].inputs.values() if isinstance(one, Link) and one.node in needed}
        for id in needed
    }
    fed: dict[str, list[str]] = {id: [] for id in needed}
    for id, above in sources.items():
        for one in above:
            fed[one].append(id)
    waits = {id: len(above) for id, above in sources.items()}
    ready = [id for id, count in waits.items() if count == 0]
    most: dict[str, int] = {}
    while ready:
        id = ready.pop()
        inputs = graph.nodes[id].inputs
        most[id] = max([asked_pixels(inputs), *(most[one] for one in sources[id])])
        steps = int(inputs["steps"]) if _is_count(inputs.get("steps")) else 0
        if most[id] * steps > MAX_WORK:
            yield graph.nodes[id], steps, most[id]
        for one in fed[id]:
            waits[one] -= 1
            if waits[one] == 0:
                ready.append(one)
