"""Random graphs against an evaluator that only recurses; random edits recompute what they affect and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sample_nodes import Bench, kind

from engine.execution.context import Context
from engine.execution.outcome import State
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import Many, NodeType, Output, Parameter

MODULUS = 97


def mix(a: int, b: int, salt: int) -> int:
    return (a * 31 + b * 17 + salt) % MODULUS


class Counting:
    """Node types that write down which node ran: mixing, choosing lazily, making a list, adding a list up."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def types(self) -> list[NodeType]:
        def mixes(context: Context, *, a: int, b: int, salt: int) -> int:
            self.ran.append(context.node_id)
            return mix(a, b, salt)

        def coarse(context: Context, *, a: int, b: int, salt: int) -> int:
            self.ran.append(context.node_id)
            return mix(a, b, salt) % 2

        def picks(context: Context, *, a: int, b: Any, c: Any, salt: int) -> int:
            self.ran.append(context.node_id)
            return (b if a % 2 else c) + salt

        def needs(context: Context, inputs: Mapping[str, Any]) -> list[str]:
            return ["b" if inputs["a"] % 2 else "c"]

        def spreads(context: Context, *, a: int, b: int, salt: int) -> list[int]:
            self.ran.append(context.node_id)
            return [a, b, salt][: (a + b + salt) % 4]

        def sums(context: Context, *, a: list[int], b: list[int], salt: list[int]) -> int:
            self.ran.append(context.node_id)
            return (sum(a) + sum(b) + salt[0]) % MODULUS

        ints = [Parameter("a", "*"), Parameter("b", "*"), Parameter("salt", "INT")]
        lazy = [ints[0], Parameter("b", "*", lazy=True), Parameter("c", "*", lazy=True), ints[2]]
        context = {"wants_context": True}
        return [
            kind("Mix", mixes, ints, **context),
            kind("Coarse", coarse, ints, **context),
            kind("Pick", picks, lazy, needs=needs, **context),
            NodeType("Spread", "", "", tuple(ints), (Output("x", "*", is_list=True),), spreads, "1", **context),
            kind("Sum", sums, ints, input_is_list=True, **context),
        ]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph of up to 25 nodes; each takes numbers or earlier nodes. Lists are always added up at once."""
    nodes: dict[str, Node] = {}
    sources: list[str] = []
    for place in range(draw(st.integers(2, 25))):
        type = draw(st.sampled_from(["Mix", "Mix", "Coarse", "Pick", "List"]))
        names = ("a", "b", "c") if type == "Pick" else ("a", "b")

        def value() -> Any:
            if sources and draw(st.booleans()):
                return Link(draw(st.sampled_from(sources)), 0)
            return draw(st.integers(0, 9))

        inputs = {name: value() for name in names} | {"salt": draw(st.integers(0, 3))}
        if type == "List":
            nodes[f"l{place}"] = Node(f"l{place}", "Spread", inputs)
            inputs = {"a": Link(f"l{place}", 0), "b": value(), "salt": draw(st.integers(0, 3))}
            type = "Sum"
        nodes[f"n{place}"] = Node(f"n{place}", type, inputs)
        sources.append(f"n{place}")
    return Graph(nodes)


def naive(graph: Graph, node_id: str) -> tuple[int, frozenset[str]]:
    """Return the value of a node and the ids of the nodes it takes, by plain recursion."""
    needed = {node_id}

    def value(item: Any) -> int:
        if isinstance(item, Link):
            made, more = naive(graph, item.node)
            needed.update(more)
            return made
        return int(item)

    node = graph.nodes[node_id]
    get = node.inputs
    if node.type == "Pick":
        return value(get["b"] if value(get["a"]) % 2 else get["c"]) + get["salt"], frozenset(needed)
    if node.type == "Sum":
        spread = graph.nodes[get["a"].node]
        needed.add(spread.id)
        a, b, salt = value(spread.inputs["a"]), value(spread.inputs["b"]), spread.inputs["salt"]
        listed = [a, b, salt][: (a + b + salt) % 4]
        return (sum(listed) + value(get["b"]) + get["salt"]) % MODULUS, frozenset(needed)
    made = mix(value(get["a"]), value(get["b"]), get["salt"])
    return (made % 2 if node.type == "Coarse" else made), frozenset(needed)


def spelled(graph: Graph) -> dict[str, int]:
    """Number the nodes so that those which compute the same have one number."""
    numbers: dict[tuple[Any, ...], int] = {}
    found: dict[str, int] = {}
    for node_id, node in graph.nodes.items():
        inputs = tuple((name, ("@", found[v.node]) if isinstance(v, Link) else v) for name, v in node.inputs.items())
        found[node_id] = numbers.setdefault((node.type, inputs), len(numbers))
    return found


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_values_and_the_nodes_that_run_are_those_of_plain_recursion(graph: Graph) -> None:
    counting = Counting()
    bench = Bench(*counting.types())
    wanted = [node_id for node_id in graph.nodes if node_id.startswith("n")][-3:]
    result = bench.run(graph, outputs=wanted)
    assert result.ok, result.errors
    truth = {node_id: naive(graph, node_id) for node_id in wanted}
    assert {node_id: result.values[node_id][0] for node_id in wanted} == {one: truth[one][0] for one in wanted}
    assert len(set(counting.ran)) == len(counting.ran)
    needed = frozenset().union(*(needed for _, needed in truth.values()))
    names = spelled(graph)
    # Of nodes that compute the same, the first one runs for all of them.
    assert {names[node_id] for node_id in counting.ran} <= {names[node_id] for node_id in needed}


@given(graphs(), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_an_edit_reruns_only_what_it_affects_and_going_back_reruns_nothing(
    graph: Graph, edits: list[tuple[int, int]]
) -> None:
    counting = Counting()
    bench = Bench(*counting.types())
    wanted = [list(graph.nodes)[-1]]
    bench.run(graph, outputs=wanted)
    history = [graph]
    for place, salt in edits:
        ids = list(graph.nodes)
        changed = ids[place % len(ids)]
        node = graph.nodes[changed]
        edited = Graph({**graph.nodes, changed: dataclasses.replace(node, inputs={**node.inputs, "salt": salt})})
        counting.ran.clear()
        result = bench.run(edited, outputs=wanted)
        assert result.values[wanted[0]][0] == naive(edited, wanted[0])[0]
        names = spelled(edited)
        assert {names[one] for one in counting.ran} <= {names[one] for one in affected(edited, changed)}
        graph = edited
        history.append(graph)
    for past in reversed(history):
        counting.ran.clear()
        result = bench.run(past, outputs=wanted)
        assert counting.ran == [] and result.nodes[wanted[0]].state is State.CACHED


def affected(graph: Graph, changed: str) -> set[str]:
    """Return the changed node and all below it; a lazy choice above may also turn to what never ran."""
    below = {changed}
    for node_id, node in graph.nodes.items():  # earlier nodes come first
        if any(isinstance(v, Link) and v.node in below for v in node.inputs.values()):
            below.add(node_id)
    pending = [node_id for node_id in below if graph.nodes[node_id].type == "Pick"]
    above: set[str] = set()
    while pending:
        node_id = pending.pop()
        if node_id not in above:
            above.add(node_id)
            pending += [v.node for v in graph.nodes[node_id].inputs.values() if isinstance(v, Link)]
    return below | above


def test_a_shared_list_is_spread_once() -> None:
    counting = Counting()
    bench = Bench(*counting.types())
    graph = Graph(
        {
            "l": Node("l", "Spread", {"a": 1, "b": 2, "salt": 0}),
            "x": Node("x", "Mix", {"a": Link("l", 0), "b": 1, "salt": 0}),
            "y": Node("y", "Mix", {"a": Link("l", 0), "b": 2, "salt": 0}),
        }
    )
    result = bench.run(graph, outputs=["x", "y"])
    assert counting.ran.count("l") == 1
    assert result.values["x"][0] == Many(mix(a, 1, 0) for a in (1, 2, 0))
