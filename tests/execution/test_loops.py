"""Loops: rounds over the same nodes, in one another, with what is wanted inside; and what is refused."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from sample_nodes import Bench, graph_of, kind

import nodes.flow
import nodes.lists
import nodes.loops
from engine.errors import GraphError
from engine.execution.cancel import CancelToken
from engine.execution.events import Event, NodeProgress
from engine.execution.outcome import RunResult, State
from engine.graph.model import Graph
from engine.graph.node_types import Many, NodeResult, NodeType
from engine.graph.registry import declared_in


def bench(*more: NodeType, **facts: Any) -> Bench:
    flow = [one for module in (nodes.flow, nodes.loops, nodes.lists) for one in declared_in(module)]
    shows = kind("Shows", lambda *, a: NodeResult((), {"texts": [a]}), {"a": "*"}, (), output_node=True)
    return Bench(*flow, shows, *more, **facts)


def values(result: RunResult, node: str) -> tuple[Any, ...]:
    assert result.ok, result.errors
    return result.values[node]


def each(**nodes: tuple[str, dict[str, Any]]) -> Graph:
    """A loop over the numbers 0..3 around ``nodes``."""
    return graph_of(l=("ListRange", {"start": 0, "stop": 4, "step": 1}), s=("ForEachStart", {"items": "l:0"}), **nodes)


def test_results_of_all_rounds_come_as_a_list() -> None:
    one = bench()
    graph = each(x=("Add", {"a": "s:1", "b": 10}), e=("LoopEnd", {"loop": "s:0", "result": "x:0"}))
    assert values(one.run(graph, outputs=["e"]), "e")[0] == Many((10, 11, 12, 13))
    assert one.calls == ["add 0 10", "add 1 10", "add 2 10", "add 3 10"]
    progress = [(event.step, event.total) for event in one.events if isinstance(event, NodeProgress)]
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    again = one.run(graph, outputs=["e"])
    assert again.nodes["e"].state is State.CACHED and one.calls == []


def test_index_and_count_are_there() -> None:
    graph = each(e=("LoopEnd", {"loop": "s:0", "result": "s:2", "carried": "s:3"}))
    assert values(bench().run(graph, outputs=["e"]), "e")[:2] == (Many((0, 1, 2, 3)), 4)


def test_values_are_carried_from_round_to_round() -> None:
    graph = graph_of(
        s=("RepeatStart", {"start": 1, "stop": 6, "step": 1, "carried": 100}),
        x=("Add", {"a": "s:2", "b": "s:1"}),
        e=("LoopEnd", {"loop": "s:0", "carried": "x:0", "result": "x:0"}),
        y=("Add", {"a": "e:1", "b": 1}),
    )
    result = bench().run(graph, outputs=["e", "y"])
    assert values(result, "e")[:2] == (Many((101, 103, 106, 110, 115)), 115)
    assert values(result, "y") == (116,)


def test_a_while_loop_ends_when_it_is_told() -> None:
    graph = graph_of(
        s=("WhileStart", {"begin": True, "max_rounds": 50, "carried": 1}),
        x=("Add", {"a": "s:2", "b": "s:2"}),
        c=("FlowCompare", {"a": "x:0", "operation": "<", "b": 100}),
        e=("LoopEnd", {"loop": "s:0", "carried": "x:0", "again": "c:0"}),
    )
    assert values(bench().run(graph, outputs=["e"]), "e")[1] == 128


def test_a_while_loop_that_does_not_end_fails_and_says_so() -> None:
    graph = graph_of(
        s=("WhileStart", {"begin": True, "max_rounds": 5, "carried": 1}),
        e=("LoopEnd", {"loop": "s:0", "carried": "s:2"}),
    )
    result = bench().run(graph, outputs=["e"])
    assert "did not end within 5 rounds" in str(result.errors[0])


@pytest.mark.parametrize(
    "start",
    [
        ("ForEachStart", {"items": "l:0"}),
        ("RepeatStart", {"start": 0, "stop": 0, "step": 1}),
        ("WhileStart", {"begin": False, "max_rounds": 5}),
    ],
)
def test_no_round_gives_an_empty_list_and_what_was_carried_in(start: tuple[str, dict[str, Any]]) -> None:
    one = bench()
    graph = graph_of(
        l=("ListRange", {"start": 0, "stop": 0, "step": 1}),
        s=(start[0], {**start[1], "carried": 7}),
        x=("Number", {"value": "s:1"}),
        w=("Shows", {"a": "x:0"}),
        e=("LoopEnd", {"loop": "s:0", "result": "x:0", "carried": "x:0"}),
    )
    result = one.run(graph, outputs=["e", "w"])
    assert values(result, "e")[:2] == (Many(), 7) and one.calls == []
    assert result.nodes["w"].state is State.DONE and not result.nodes["w"].ui


def test_a_round_can_be_left_out_and_a_loop_can_stop_early() -> None:
    graph = each(
        odd=("Parity", {"a": "s:1"}),
        g=("FlowGate", {"value": "s:1", "open": "odd:0", "message": ""}),
        c=("FlowCompare", {"a": "s:1", "operation": "<", "b": 2}),
        e=("LoopEnd", {"loop": "s:0", "result": "g:0"}),
        f=("ForEachStart", {"items": "l:0"}),
        h=("FlowCompare", {"a": "f:1", "operation": "<", "b": 2}),
        j=("LoopEnd", {"loop": "f:0", "result": "f:1", "again": "h:0"}),
    )
    result = bench().run(graph, outputs=["e", "j"])
    assert values(result, "e")[0] == Many((1, 3))
    assert values(result, "j")[0] == Many((0, 1, 2))


def test_what_shows_inside_shows_in_every_round_and_again_from_the_cache() -> None:
    one = bench()
    graph = each(
        x=("Add", {"a": "s:1", "b": 10}), w=("Shows", {"a": "x:0"}), e=("LoopEnd", {"loop": "s:0", "result": "s:1"})
    )
    for _ in range(2):
        result = one.run(graph)  # the end itself is not wanted: what is inside needs it
        assert result.outputs == ("w",) and result.ok
        assert dict(result.nodes["w"].ui) == {"texts": [10, 11, 12, 13]}
    assert one.calls == []
    without = one.run(graph, outputs=["e"])
    assert "w" not in without.nodes


def nested() -> Graph:
    return graph_of(
        s=("RepeatStart", {"start": 0, "stop": 3, "step": 1, "carried": 0}),
        t=("RepeatStart", {"start": 0, "stop": "s:1", "step": 1, "carried": "s:2"}),
        x=("Add", {"a": "t:2", "b": 1}),
        w=("Shows", {"a": "x:0"}),
        f=("LoopEnd", {"loop": "t:0", "carried": "x:0", "result": "t:1"}),
        y=("Add", {"a": "f:1", "b": 100}),
        e=("LoopEnd", {"loop": "s:0", "carried": "y:0", "result": "f:0"}),
    )


def test_loops_inside_loops() -> None:
    one = bench()
    result = one.run(nested(), outputs=["e", "w"])
    assert values(result, "e")[:2] == (Many((0, 0, 1)), 303)
    assert dict(result.nodes["w"].ui) == {"texts": [101, 202, 203]}
    again = one.run(nested(), outputs=["e", "w"])
    assert one.calls == [] and dict(again.nodes["w"].ui) == {"texts": [101, 202, 203]}


def test_choices_and_expansion_inside_a_loop() -> None:
    def make(*, a: int) -> NodeResult:
        from engine.graph.model import Link

        return NodeResult((Link("made", 0),), expand={"made": {"class_type": "Add", "inputs": {"a": a, "b": 1000}}})

    one = bench(kind("Make", make, {"a": "INT"}))
    graph = each(
        far=("Number", {"value": 5}),
        odd=("Parity", {"a": "s:1"}),
        m=("Make", {"a": "s:1"}),
        i=("FlowIf", {"condition": "odd:0", "if_true": "m:0", "if_false": "far:0"}),
        e=("LoopEnd", {"loop": "s:0", "result": "i:0"}),
    )
    assert values(one.run(graph, outputs=["e"]), "e")[0] == Many((5, 1001, 5, 1003))
    assert one.calls.count("number 5") == 1


def test_a_failure_inside_ends_the_loop_and_names_the_node() -> None:
    graph = each(x=("Fail", {"a": "s:1"}), e=("LoopEnd", {"loop": "s:0", "result": "x:0"}), n=("Number", {"value": 1}))
    result = bench().run(graph, outputs=["e", "n"])
    assert result.nodes["x"].state is State.FAILED and result.nodes["e"].because == "x"
    assert result.nodes["n"].state is State.DONE


def test_changes_outside_and_inside_are_noticed() -> None:
    one = bench()

    def graph(amount: int, seed: int) -> Graph:
        return each(
            o=("Number", {"value": amount}),
            x=("Add", {"a": "s:1", "b": "o:0"}),
            y=("Add", {"a": "x:0", "b": seed}),
            e=("LoopEnd", {"loop": "s:0", "result": "y:0"}),
        )

    one.run(graph(1, 1), outputs=["e"])
    assert values(one.run(graph(2, 1), outputs=["e"]), "e")[0] == Many((3, 4, 5, 6))
    assert values(one.run(graph(1, 5), outputs=["e"]), "e")[0] == Many((6, 7, 8, 9))
    assert one.calls == ["add 1 5", "add 4 5"] or len([call for call in one.calls if call.endswith(" 5")]) <= 4
    one.run(graph(1, 1), outputs=["e"])
    assert one.calls == []


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (each(x=("Show", {"a": "s:1"})), "the loop has no end"),
        (each(e=("LoopEnd", {"loop": "s:0"}), f=("LoopEnd", {"loop": "s:0"}), x=("Show", {"a": "e:0"})), "has 2 ends"),
        (each(e=("LoopEnd", {"loop": "l:0"}), x=("Show", {"a": "s:1"}), y=("Show", {"a": "e:0"})), "start of one"),
        (
            graph_of(
                s=("RepeatStart", {"start": 0, "stop": 2, "step": 1}),
                t=("RepeatStart", {"start": 0, "stop": 2, "step": 1}),
                x=("Add", {"a": "s:1", "b": "t:1"}),
                e=("LoopEnd", {"loop": "s:0", "result": "x:0"}),
                f=("LoopEnd", {"loop": "t:0", "result": "t:1"}),
                w=("Show", {"a": "e:0"}),
            ),
            "inside of two loops",
        ),
        (
            graph_of(
                s=("RepeatStart", {"start": 0, "stop": 2, "step": 1}),
                t=("RepeatStart", {"start": 0, "stop": "s:1", "step": 1}),
                e=("LoopEnd", {"loop": "s:0", "result": "t:1"}),
                f=("LoopEnd", {"loop": "t:0", "result": "t:1"}),
                w=("Show", {"a": "e:0"}),
            ),
            "outside of this one",
        ),
    ],
)
def test_loops_that_are_not_in_order_are_refused(graph: Graph, says: str) -> None:
    with pytest.raises(GraphError) as caught:
        bench().run(graph)
    assert says in str(caught.value)


def test_a_loop_can_be_cancelled() -> None:
    token = CancelToken()

    def listener(event: Event) -> None:
        if isinstance(event, NodeProgress) and event.step == 3:
            token.cancel()

    graph = graph_of(
        s=("RepeatStart", {"start": 0, "stop": 1000, "step": 1}),
        x=("Add", {"a": "s:1"}),
        e=("LoopEnd", {"loop": "s:0", "result": "x:0"}),
    )
    one = bench()
    result = one.run(graph, outputs=["e"], cancel=token, listener=listener)
    assert result.cancelled and result.nodes["e"].state is State.CANCELLED and len(one.calls) == 3


def test_ten_thousand_rounds_take_the_memory_of_a_few() -> None:
    def heavy(*, a: int) -> bytes:
        return bytes(100_000)

    one = bench(
        kind("Heavy", heavy, {"a": "INT"}, ("*",)), kind("Size", lambda *, a: len(a) % 2, {"a": "*"}), max_size=0
    )

    def run(rounds: int) -> int:
        graph = graph_of(
            s=("RepeatStart", {"start": 0, "stop": rounds, "step": 1, "carried": 0}),
            h=("Heavy", {"a": "s:1"}),
            z=("Size", {"a": "h:0"}),
            e=("LoopEnd", {"loop": "s:0", "carried": "z:0"}),
        )
        gc.collect()
        tracemalloc.start()
        assert one.run(graph, outputs=["e"], listener=None).ok
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = run(10), run(2000)
    assert many < few + 300_000  # one round holds 100 kB; two thousand of them kept would be 200 MB
