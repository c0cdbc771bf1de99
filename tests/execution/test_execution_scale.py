from __future__ import annotations

import sys
import time
from types import MappingProxyType

from sample_nodes import Bench

from engine.execution.order import plan
from engine.graph.model import Graph, Link, Node


def chain(count: int, type: str = "Add") -> Graph:
    nodes = {"0": Node("0", "Number", MappingProxyType({"value": 1}))}
    for i in range(1, count):
        nodes[str(i)] = Node(str(i), type, MappingProxyType({"a": Link(str(i - 1), 0)}))
    return Graph(MappingProxyType(nodes))


def fan_in(count: int) -> Graph:
    """Build pairs of neighbours' sums: every node feeds two others, so that paths are many and nodes are few."""
    nodes = {"0": Node("0", "Number", MappingProxyType({"value": 1}))}
    for i in range(1, count):
        inputs = {"a": Link(str(i - 1), 0), "b": Link(str(max(0, i - 2)), 0)}
        nodes[str(i)] = Node(
            str(i), "Parity" if i % 2 else "Add", MappingProxyType(inputs if i % 2 == 0 else {"a": inputs["a"]})
        )
    return Graph(MappingProxyType(nodes))


def test_a_chain_of_a_hundred_thousand_nodes_needs_no_call_stack() -> None:
    bench = Bench(max_size=1 << 30)
    graph = chain(100_000)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        first = bench.run(graph, ["99999"], listener=None)
        second = bench.run(graph, ["99999"], listener=None)
    finally:
        sys.setrecursionlimit(limit)
    assert first.ok
    assert second.nodes["99999"].state == "cached"
    assert len(second.nodes) == 1


def test_a_failure_at_the_top_of_a_long_chain_skips_all_of_it() -> None:
    bench = Bench()
    graph = chain(5_000)
    nodes = {**graph.nodes, "0": Node("0", "Fail", MappingProxyType({"a": 1}))}
    result = bench.run(Graph(MappingProxyType(nodes)), ["4999"], listener=None)
    assert result.nodes["4999"].because == "0"
    assert len(result.nodes) == 5_000


def test_paths_are_not_followed_one_by_one() -> None:
    bench = Bench()
    assert bench.run(fan_in(2_000), ["1998"], listener=None).ok


def test_cost_grows_in_proportion() -> None:
    """Ten times the nodes may cost about ten times as much; quadratic growth would cost a hundred times."""
    bench = Bench()

    def seconds(count: int) -> float:
        graph = chain(count)
        times = []
        for _ in range(3):
            started = time.process_time()
            plan(graph, bench.registry, [str(count - 1)])
            times.append(time.process_time() - started)
        return min(times)

    assert seconds(20_000) < 40 * max(seconds(2_000), 1e-3)
