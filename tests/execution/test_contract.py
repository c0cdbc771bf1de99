"""The whole contract between a node and the executor: lists, lazy inputs, expansion, blocked values, coroutines."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from sample_nodes import Bench, graph_of, kind

from engine.execution.cancel import CancelToken
from engine.execution.context import CURRENT, Context, Services
from engine.execution.events import NodeBlocked, NodeFinished, NodeProgress, NodeRetried, NodeStarted
from engine.execution.outcome import State
from engine.graph.model import Graph, Link
from engine.graph.node_types import Blocked, Many, NodeResult, NodeType, Output, Parameter, Smaller


def items(*values: Any) -> NodeType:
    """A node that gives a list."""
    return NodeType("Items", "", "", (), (Output("items", "*", is_list=True),), lambda: list(values), "1")


def listing(name: str, run: Any, **facts: Any) -> NodeType:
    """A node with an input "a" that gives a list."""
    return NodeType(name, "", "", (Parameter("a", "*"),), (Output("all", "*", is_list=True),), run, "1", **facts)


def one(bench: Bench, graph: Graph, node: str = "x") -> Any:
    result = bench.run(graph, outputs=[node])
    assert result.ok, result.errors
    return result.values[node][0]


class TestLists:
    def test_a_node_runs_once_for_each_item_and_shorter_lists_repeat_their_last(self) -> None:
        bench = Bench(items(1, 2, 3), listing("Twice", lambda *, a: [a, a]))
        graph = graph_of(i=("Items", {}), x=("Add", {"a": "i:0", "b": 10}))
        assert one(bench, graph) == Many((11, 12, 13))
        more = Bench(items(0, 1, 2), kind("Pair", lambda: Many((0, 1)), (), ("INT",)))
        graph = graph_of(i=("Items", {}), p=("Pair", {}), x=("Add", {"a": "i:0", "b": "p:0"}))
        assert one(more, graph) == Many((0, 2, 3))

    def test_list_outputs_are_strung_together(self) -> None:
        bench = Bench(items(1, 2), listing("Twice", lambda *, a: [a, -a]))
        assert one(bench, graph_of(i=("Items", {}), x=("Twice", {"a": "i:0"}))) == Many((1, -1, 2, -2))

    def test_whole_lists_go_to_a_node_that_takes_them(self) -> None:
        seen: list[Any] = []

        def total(*, a: list[int], b: list[int]) -> int:
            seen.append((a, b))
            return sum(a)

        bench = Bench(items(1, 2, 3), kind("Total", total, {"a": "INT", "b": "INT"}, input_is_list=True))
        assert one(bench, graph_of(i=("Items", {}), x=("Total", {"a": "i:0", "b": 7}))) == 6
        assert seen == [([1, 2, 3], [7])]

    def test_an_empty_list_means_nothing_to_do(self) -> None:
        bench = Bench(items(), kind("Total", lambda *, a: sum(a), {"a": "INT"}, input_is_list=True))
        assert one(bench, graph_of(i=("Items", {}), x=("Add", {"a": "i:0", "b": 1}))) == Many()
        assert bench.calls == []
        assert one(bench, graph_of(i=("Items", {}), x=("Total", {"a": "i:0"}))) == 0
        result = bench.run(graph_of(i=("Items", {}), s=("Show", {"a": "i:0"})))
        assert result.ok and result.nodes["s"].state is State.DONE

    def test_a_batch_is_one_item(self) -> None:
        bench = Bench(kind("Batch", lambda: [1, 2, 3], (), ("INT",)), kind("Len", lambda *, a: len(a), {"a": "*"}))
        assert one(bench, graph_of(b=("Batch", {}), x=("Len", {"a": "b:0"}))) == 3

    def test_what_calls_show_is_put_together(self) -> None:
        shows = kind("Shows", lambda *, a: NodeResult((), {"texts": [a], "n": 1}), {"a": "*"}, (), output_node=True)
        bench = Bench(items("a", "b"), shows)
        result = bench.run(graph_of(i=("Items", {}), s=("Shows", {"a": "i:0"})))
        assert dict(result.nodes["s"].ui) == {"texts": ["a", "b"], "n": 1}

    def test_equal_lists_cut_off_what_follows(self) -> None:
        bench = Bench(listing("Split", lambda *, a: [a % 2, 5]))
        graph = graph_of(n=("Number", {"value": 1}), l=("Split", {"a": "n:0"}), x=("Add", {"a": "l:0", "b": 1}))
        assert one(bench, graph) == Many((2, 6))
        graph = graph_of(n=("Number", {"value": 3}), l=("Split", {"a": "n:0"}), x=("Add", {"a": "l:0", "b": 1}))
        assert one(bench, graph) == Many((2, 6))
        assert bench.calls == ["number 3"]

    def test_a_list_output_must_be_a_list(self) -> None:
        bench = Bench(listing("Wrong", lambda *, a: 5))
        result = bench.run(graph_of(x=("Wrong", {"a": 1})), outputs=["x"])
        assert "no list" in str(result.errors[0])


def choose() -> NodeType:
    inputs = (Parameter("yes", "BOOLEAN"), Parameter("a", "*", lazy=True), Parameter("b", "*", lazy=True))

    def needs(context: Context, inputs: Mapping[str, Any]) -> list[str]:
        return ["a" if inputs["yes"] else "b"]

    return kind("Choose", lambda *, yes, a, b: a if yes else b, inputs, ("*",), needs=needs)


class TestLazyInputs:
    def graph(self, yes: bool) -> Graph:
        return graph_of(
            one=("Number", {"value": 1}),
            two=("Number", {"value": 2}),
            deep=("Add", {"a": "two:0", "b": 1}),
            x=("Choose", {"yes": yes, "a": "one:0", "b": "deep:0"}),
        )

    def test_only_what_is_asked_for_runs(self) -> None:
        bench = Bench(choose())
        assert one(bench, self.graph(True)) == 1
        assert bench.calls == ["number 1"]
        assert one(bench, self.graph(False)) == 3
        assert bench.calls == ["number 2", "add 2 1"]

    def test_the_branch_not_taken_does_not_matter_to_the_cache(self) -> None:
        bench = Bench(choose())
        one(bench, self.graph(True))
        graph = self.graph(True)
        changed = dict(graph.nodes) | graph_of(two=("Number", {"value": 9})).nodes
        runs = bench.run(Graph(changed), outputs=["x"])
        assert bench.calls == [] and runs.values["x"] == (1,)

    def test_a_node_may_ask_again_and_again(self) -> None:
        asked: list[dict[str, Any]] = []

        def needs(context: Context, inputs: Mapping[str, Any]) -> list[str]:
            asked.append(dict(inputs))
            return [next((name for name in "abc" if inputs[name] is None), "a")]

        inputs = [Parameter(name, "*", lazy=True) for name in "abc"]
        bench = Bench(kind("All", lambda *, a, b, c: (a, b, c), inputs, ("*",), needs=needs))
        graph = graph_of(
            n=("Number", {"value": 1}), m=("Number", {"value": 2}), k=("Number", {"value": 3}),
            x=("All", {"a": "n:0", "b": "m:0", "c": "k:0"}),
        )  # fmt: skip
        assert one(bench, graph) == (1, 2, 3)
        assert [sum(value is not None for value in one.values()) for one in asked] == [0, 1, 2, 3]

    def test_asking_for_what_is_not_there_is_the_nodes_failure(self) -> None:
        bench = Bench(
            kind("Odd", lambda *, a: a, [Parameter("a", "*", lazy=True)], needs=lambda context, inputs: ["z"])
        )
        result = bench.run(graph_of(n=("Number", {"value": 1}), x=("Odd", {"a": "n:0"})), outputs=["x"])
        assert "'z'" in str(result.errors[0]) and bench.calls == []

    def test_a_failing_branch_that_was_asked_for_holds_the_node_up(self) -> None:
        bench = Bench(choose())
        graph = graph_of(
            n=("Number", {"value": 1}), f=("Fail", {"a": "n:0"}), x=("Choose", {"yes": True, "a": "f:0", "b": "n:0"})
        )
        result = bench.run(graph, outputs=["x"])
        assert result.nodes["x"].state is State.SKIPPED and result.nodes["x"].because == "f"

    def test_what_others_computed_is_still_there_when_asked_for(self) -> None:
        bench = Bench(choose(), max_size=0)
        graph = graph_of(
            n=("Number", {"value": 4}), s=("Show", {"a": "n:0"}), p=("Add", {"a": "n:0", "b": 0}),
            q=("Parity", {"a": "p:0"}), x=("Choose", {"yes": "q:0", "a": "n:0", "b": "n:0"}),
        )  # fmt: skip
        result = bench.run(graph, outputs=["s", "x"])
        assert result.values["x"] == (4,)
        assert bench.calls.count("number 4") == 1

    def test_lists_ask_item_by_item(self) -> None:
        bench = Bench(choose(), items(True, False))
        graph = graph_of(
            i=("Items", {}), a=("Number", {"value": 1}), b=("Number", {"value": 2}),
            x=("Choose", {"yes": "i:0", "a": "a:0", "b": "b:0"}),
        )  # fmt: skip
        assert one(bench, graph) == Many((1, 2))

    def test_a_chain_of_a_thousand_lazy_nodes(self) -> None:
        nodes: dict[str, tuple[str, dict[str, Any]]] = {"n": ("Number", {"value": 5})}
        for place in range(1000):
            above = "n" if place == 0 else f"c{place - 1}"
            nodes[f"c{place}"] = ("Choose", {"yes": True, "a": f"{above}:0", "b": f"{above}:0"})
        assert one(Bench(choose()), graph_of(**nodes), "c999") == 5

    def test_links_are_handed_on_raw(self) -> None:
        seen: list[Any] = []
        raw = kind("Raw", lambda *, a: seen.append(a) or 1, [Parameter("a", "*", raw_link=True)], ("INT",))
        bench = Bench(raw)
        graph = graph_of(n=("Number", {"value": 1}), x=("Raw", {"a": "n:0"}))
        assert one(bench, graph) == 1
        assert seen == [Link("n", 0)] and bench.calls == []


def expander(make: Any, inputs: Any = (), outputs: tuple[str, ...] = ("*",), **facts: Any) -> NodeType:
    return kind("Make", make, inputs, outputs, wants_context=True, **facts)


class TestExpansion:
    def test_nodes_run_in_the_place_of_the_one_that_made_them(self) -> None:
        def make(context: Context, *, a: int) -> NodeResult:
            nodes = {
                "new.1": {"class_type": "Add", "inputs": {"a": ["n", 0], "b": a}},
                "new.2": {"class_type": "Add", "inputs": {"a": ["new.1", 0], "b": 100}},
            }
            return NodeResult((Link("new.2", 0),), expand=nodes)

        bench = Bench(expander(make, {"a": "INT"}))
        graph = graph_of(n=("Number", {"value": 1}), x=("Make", {"a": 10}), y=("Add", {"a": "x:0", "b": 1000}))
        result = bench.run(graph, outputs=["y"])
        assert result.values["y"] == (1111,)
        shown_at = {event.node_id: event.display_id for event in bench.events if isinstance(event, NodeFinished)}
        assert shown_at["new.1"] == "x" and shown_at["x"] is None
        assert bench.run(graph, outputs=["y"]).values["y"] == (1111,)
        assert bench.calls == []

    def test_a_thousand_expansions_deep(self) -> None:
        def make(context: Context, *, a: int) -> NodeResult:
            if a == 0:
                return NodeResult((0,))
            name = f"m{a}"
            nodes = {
                name: {"class_type": "Make", "inputs": {"a": a - 1}},
                f"{name}+": {"class_type": "Add", "inputs": {"a": [name, 0], "b": 1}},
            }
            return NodeResult((Link(f"{name}+", 0),), expand=nodes)

        bench = Bench(expander(make, {"a": "INT"}))
        assert one(bench, graph_of(x=("Make", {"a": 1000}))) == 1000

    def test_output_nodes_inside_run_and_are_told_of_again(self) -> None:
        shows = kind("Shows", lambda *, a: NodeResult((), {"texts": [a]}), {"a": "*"}, (), output_node=True)

        def make(context: Context) -> NodeResult:
            nodes = {"s1": {"class_type": "Shows", "inputs": {"a": "hi"}, "override_display_id": "elsewhere"}}
            return NodeResult((5,), expand=nodes)

        bench = Bench(expander(make), shows)
        graph = graph_of(x=("Make", {}))
        for _ in range(2):
            result = bench.run(graph, outputs=["x"])
            assert result.values["x"] == (5,) and dict(result.nodes["s1"].ui) == {"texts": ["hi"]}
        assert result.nodes["x"].state is State.CACHED

    def test_some_items_of_a_list_expand_and_others_do_not(self) -> None:
        def make(context: Context, *, a: int) -> NodeResult:
            if a % 2:
                return NodeResult((a,))
            return NodeResult(
                (Link(f"e{a}", 0),), expand={f"e{a}": {"class_type": "Add", "inputs": {"a": a, "b": 100}}}
            )

        bench = Bench(expander(make, {"a": "INT"}), items(1, 2, 3, 4))
        assert one(bench, graph_of(i=("Items", {}), x=("Make", {"a": "i:0"}))) == Many((1, 102, 3, 104))

    @pytest.mark.parametrize(
        ("nodes", "says"),
        [
            ({"n": {"class_type": "Number", "inputs": {"value": 1}}}, "taken"),
            ({"q": {"class_type": "Nothing", "inputs": {}}}, "no node type 'Nothing'"),
            ({"q": {"class_type": "Add", "inputs": {"a": ["gone", 0]}}}, "'gone'"),
        ],
    )
    def test_nodes_that_cannot_run_are_their_makers_failure(self, nodes: dict[str, Any], says: str) -> None:
        bench = Bench(expander(lambda context: NodeResult((Link(next(iter(nodes)), 0),), expand=nodes)))
        result = bench.run(graph_of(n=("Number", {"value": 1}), x=("Make", {}), s=("Show", {"a": "n:0"})), ["x", "s"])
        assert result.nodes["x"].state is State.FAILED and says in str(result.nodes["x"].error)
        assert result.nodes["s"].state is State.DONE

    def test_a_failure_inside_holds_the_maker_up(self) -> None:
        nodes = {"f": {"class_type": "Fail", "inputs": {"a": 1}}}
        bench = Bench(expander(lambda context: NodeResult((Link("f", 0),), expand=nodes)))
        result = bench.run(graph_of(x=("Make", {}), y=("Add", {"a": "x:0"})), outputs=["y"])
        assert result.nodes["f"].state is State.FAILED
        assert result.nodes["y"].because == "f"

    @pytest.mark.parametrize("by_way_of_the_maker", [False, True])
    def test_a_circle_is_blamed_on_its_maker(self, by_way_of_the_maker: bool) -> None:
        nodes = {
            "p": {"class_type": "Add", "inputs": {"a": ["x" if by_way_of_the_maker else "q", 0], "b": 1}},
            "q": {"class_type": "Add", "inputs": {"a": ["p", 0], "b": 1}},
        }
        bench = Bench(expander(lambda context: NodeResult((Link("q", 0),), expand=nodes)))
        result = bench.run(graph_of(x=("Make", {}), n=("Number", {"value": 1})), outputs=["x", "n"])
        assert result.nodes["x"].state is State.FAILED
        assert result.nodes["x"].error is not None and result.nodes["x"].error.problem.node_id == "x"
        assert result.nodes["n"].state is State.DONE

    def test_a_link_to_an_older_node_that_nobody_wanted(self) -> None:
        bench = Bench(expander(lambda context: NodeResult((Link("p", 0),))))
        graph = graph_of(n=("Number", {"value": 3}), p=("Parity", {"a": "n:0"}), x=("Make", {}))
        assert one(bench, graph) == 1


class TestBlockedValues:
    def gate(self, message: str | None = None) -> NodeType:
        return kind("Gate", lambda *, a: a if a else Blocked(message), {"a": "*"})

    def test_nothing_below_runs_and_that_is_in_order(self) -> None:
        bench = Bench(self.gate())
        graph = graph_of(g=("Gate", {"a": 0}), x=("Add", {"a": "g:0"}), s=("Show", {"a": "x:0"}))
        result = bench.run(graph)
        assert bench.calls == [] and result.ok
        assert bench.states(result) == {"g": "done", "x": "blocked", "s": "blocked"}
        assert NodeBlocked("x", None) in bench.events

    def test_a_message_is_an_error_of_the_first_that_meets_it_and_the_one_final_state(self) -> None:
        bench = Bench(self.gate("too dark"))
        graph = graph_of(g=("Gate", {"a": 0}), x=("Add", {"a": "g:0"}), s=("Show", {"a": "x:0"}), t=("Show", {"a": 1}))
        result = bench.run(graph)
        assert not result.ok and [str(one.problem.message) for one in result.errors] == ["too dark"]
        assert result.nodes["x"].error is not None and result.nodes["s"].because == "x"
        assert result.nodes["t"].state is State.DONE

    def test_items_of_a_list_are_blocked_one_by_one(self) -> None:
        bench = Bench(self.gate(), items(1, 0, 3))
        graph = graph_of(i=("Items", {}), g=("Gate", {"a": "i:0"}), x=("Add", {"a": "g:0", "b": 1}))
        assert one(bench, graph) == Many((2, Blocked(), 4))
        assert bench.calls == ["add 1 1", "add 3 1"]

    def test_a_node_that_takes_whole_lists_is_blocked_by_any_item(self) -> None:
        bench = Bench(self.gate(), items(1, 0), kind("Sum", lambda *, a: sum(a), {"a": "*"}, input_is_list=True))
        result = bench.run(graph_of(i=("Items", {}), g=("Gate", {"a": "i:0"}), x=("Sum", {"a": "g:0"})), outputs=["x"])
        assert result.nodes["x"].state is State.BLOCKED


class TestCoroutines:
    def sleeper(self) -> NodeType:
        async def sleep(*, seconds: float, a: int = 0) -> int:
            await asyncio.sleep(seconds)
            return a

        return kind("Sleep", sleep, (Parameter("seconds", "FLOAT"), Parameter("a", "INT", required=False)))

    def test_they_overlap_with_each_other_and_with_what_computes(self) -> None:
        def work(*, a: int) -> int:
            time.sleep(0.3)
            return a

        bench = Bench(self.sleeper(), kind("Work", work, {"a": "INT"}))
        graph = graph_of(w=("Work", {"a": 1}), **{f"s{i}": ("Sleep", {"seconds": 0.3, "a": i}) for i in range(20)})
        started = time.perf_counter()
        result = bench.run(graph, outputs=list(graph.nodes))
        assert result.ok and [result.values[f"s{i}"] for i in range(20)] == [(i,) for i in range(20)]
        assert time.perf_counter() - started < 1.5  # 6.3 one after the other

    def test_their_failure_stops_only_what_needs_them(self) -> None:
        async def fail(*, a: int) -> int:
            await asyncio.sleep(0.01)
            raise ValueError("no good")

        bench = Bench(kind("Late", fail, {"a": "INT"}), self.sleeper())
        graph = graph_of(f=("Late", {"a": 1}), x=("Add", {"a": "f:0"}), y=("Sleep", {"seconds": 0.05, "a": 2}))
        result = bench.run(graph, outputs=["x", "y"])
        assert bench.states(result) == {"f": "failed", "x": "skipped", "y": "done"}

    def test_items_of_a_list_wait_together(self) -> None:
        bench = Bench(self.sleeper(), items(*[0.2] * 20))
        started = time.perf_counter()
        assert len(one(bench, graph_of(i=("Items", {}), x=("Sleep", {"seconds": "i:0"})))) == 20
        assert time.perf_counter() - started < 1.5

    def test_cancelling_does_not_wait_for_them(self) -> None:
        cleaned: list[bool] = []

        async def long(*, a: int) -> int:
            try:
                await asyncio.sleep(60)
            finally:
                cleaned.append(True)
            return a

        token = CancelToken()
        bench = Bench(kind("Long", long, {"a": "INT"}))
        threading.Timer(0.1, token.cancel).start()
        started = time.perf_counter()
        result = bench.run(graph_of(x=("Long", {"a": 1})), outputs=["x"], cancel=token)
        assert result.cancelled and time.perf_counter() - started < 5 and cleaned == [True]

    def test_code_deep_inside_finds_its_node(self) -> None:
        def report() -> None:
            context = CURRENT.get()
            assert context is not None
            context.progress(1, 2)

        async def waits(*, a: int) -> int:
            await asyncio.sleep(0)
            report()
            return a

        bench = Bench(kind("Waits", waits, {"a": "INT"}), kind("Works", lambda *, a: report() or a, {"a": "INT"}))
        bench.run(graph_of(x=("Waits", {"a": 1}), y=("Works", {"a": 1})), outputs=["x", "y"])
        assert sorted(one.node_id for one in bench.events if isinstance(one, NodeProgress)) == ["x", "y"]
        assert CURRENT.get() is None

    def test_exiting_the_interpreter_is_a_failure_of_the_node(self) -> None:
        async def leaves(*, a: int) -> int:
            raise SystemExit(3)

        def goes(*, a: int) -> int:
            raise SystemExit(3)

        bench = Bench(kind("Leaves", leaves, {"a": "INT"}), kind("Goes", goes, {"a": "INT"}), self.sleeper())
        graph = graph_of(x=("Leaves", {"a": 1}), y=("Goes", {"a": 1}), z=("Sleep", {"seconds": 0.05}))
        result = bench.run(graph, outputs=["x", "y", "z"])
        assert bench.states(result) == {"x": "failed", "y": "failed", "z": "done"}
        assert all("end the whole program" in str(error) for error in result.errors)


class TestKeys:
    def test_a_node_that_says_it_changed_runs_and_equal_results_wake_nothing(self) -> None:
        now = [1.0]
        looks = kind("Looks", lambda: 7, (), changed=lambda values: now[0])
        bench = Bench(looks)
        graph = graph_of(l=("Looks", {}), x=("Add", {"a": "l:0", "b": 1}))
        assert one(bench, graph) == 8
        assert bench.run(graph, outputs=["x"]).nodes["x"].state is State.CACHED and bench.calls == []
        now[0] = 2.0
        result = bench.run(graph, outputs=["x"])
        assert bench.states(result) == {"l": "done", "x": "cached"} and bench.calls == []
        now[0] = math.nan
        assert bench.run(graph, outputs=["l"]).nodes["l"].state is State.DONE
        assert bench.run(graph, outputs=["l"]).nodes["l"].state is State.DONE

    def test_what_changed_sees_has_constants_and_no_links(self) -> None:
        seen: list[Any] = []
        looks = kind("Looks", lambda *, a, b: 1, {"a": "*", "b": "*"}, changed=lambda values: seen.append(dict(values)))
        one(Bench(looks), graph_of(n=("Number", {"value": 1}), x=("Looks", {"a": 5, "b": "n:0"})))
        assert seen == [{"a": 5, "b": None}]

    def test_one_that_fails_to_say_runs_each_time(self) -> None:
        looks = kind("Looks", lambda: 1, (), changed=lambda values: 1 / 0)
        bench = Bench(looks)
        for _ in range(2):
            assert bench.run(graph_of(x=("Looks", {})), outputs=["x"]).nodes["x"].state is State.DONE

    def test_equal_nodes_are_one_unless_their_id_counts(self) -> None:
        ran: list[int] = []
        bench = Bench(
            kind("Once", lambda: ran.append(1) or 1, ()), kind("Own", lambda: ran.append(2) or 2, (), per_node=True)
        )
        graph = graph_of(a=("Once", {}), b=("Once", {}), c=("Own", {}), d=("Own", {}))
        bench.run(graph, outputs=list("abcd"))
        assert sorted(ran) == [1, 2, 2]

    def test_undeclared_links_reach_a_node_that_is_open_to_them(self) -> None:
        got: list[Any] = []
        bench = Bench(kind("Open", lambda **all: got.append(all) or 1, (), open_inputs=True))
        one(bench, graph_of(n=("Number", {"value": 4}), x=("Open", {"in1": "n:0"})))
        assert got == [{"in1": 4}]


class TestMemoryRunsOut:
    def test_smaller_ways_are_tried_in_turn_and_reported(self) -> None:
        tried: list[str] = []

        def whole(*, a: int) -> int:
            tried.append("whole")
            raise MemoryError

        def tiles(*, a: int) -> int:
            tried.append("tiles")
            if tried.count("tiles") < 2:
                raise MemoryError
            return a

        ways = (Smaller("in tiles of 512", tiles), Smaller("in tiles of 256", tiles))
        bench = Bench(kind("Decode", whole, {"a": "INT"}, smaller=ways))
        room: list[int] = []
        services = Services(make_room=lambda: room.append(1))
        result = bench.run(graph_of(x=("Decode", {"a": 3})), outputs=["x"], services=services)
        assert result.values["x"] == (3,) and tried == ["whole", "whole", "tiles", "tiles"] and len(room) == 3
        assert result.nodes["x"].retries[1:] == ("in tiles of 512", "in tiles of 256")
        assert [one.how for one in bench.events if isinstance(one, NodeRetried)] == list(result.nodes["x"].retries)
        # What was made in another way is not kept as the result of the usual one.
        assert bench.run(graph_of(x=("Decode", {"a": 3})), outputs=["x"]).nodes["x"].state is State.DONE

    def test_when_nothing_helps_the_node_fails(self) -> None:
        def whole(*, a: int) -> int:
            raise MemoryError

        bench = Bench(kind("Decode", whole, {"a": "INT"}, smaller=(Smaller("smaller", whole),)))
        result = bench.run(graph_of(x=("Decode", {"a": 3})), outputs=["x"])
        assert result.errors[0].problem.code == "E-MEMORY" and result.nodes["x"].retries == ("smaller",)


def test_a_changed_input_is_found_in_debug_mode() -> None:
    def spoils(*, a: list[int]) -> int:
        a.append(1)
        return len(a)

    bench = Bench(kind("Give", lambda: [1, 2], (), ("*",)), kind("Spoils", spoils, {"a": "*"}))
    graph = graph_of(g=("Give", {}), x=("Spoils", {"a": "g:0"}))
    assert bench.run(graph, outputs=["x"]).ok
    result = bench.run(graph, outputs=["x"], services=Services(debug=True))
    assert result.ok  # from the cache
    fresh = dataclasses.replace(bench.registry.types["Spoils"], version="2")
    bench = Bench(bench.registry.types["Give"], fresh)
    result = bench.run(graph, outputs=["x"], services=Services(debug=True))
    assert "changed its input 'a'" in str(result.errors[0])


def test_started_is_told_once_for_each_run_of_a_node() -> None:
    bench = Bench(choose())
    bench.run(TestLazyInputs().graph(False), outputs=["x"])
    started = [event.node_id for event in bench.events if isinstance(event, NodeStarted)]
    assert started == ["two", "deep", "x"]
