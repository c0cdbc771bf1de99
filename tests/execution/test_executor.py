from __future__ import annotations

import dataclasses
import gc
import weakref
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from sample_nodes import Bench, graph_of, kind

from engine.errors import Cancelled, InputError, MediaError, NodeFailure, PathError
from engine.execution.cancel import CancelToken
from engine.execution.context import Context, Services, lone_context
from engine.execution.events import (
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
    broadcast,
)
from engine.execution.outcome import State
from engine.graph.model import Graph
from engine.graph.node_types import FolderChoices, NodeResult, Parameter, SavedFile


def sums(value: int = 1, amount: int = 2) -> Graph:
    return graph_of(
        n=("Number", {"value": value}),
        x=("Add", {"a": "n:0", "b": amount}),
        p=("Parity", {"a": "x:0"}),
        s=("Show", {"a": "p:0"}),
        other=("Number", {"value": 100}),
    )


def test_only_what_is_wanted_runs_in_order_and_says_so() -> None:
    bench = Bench()
    result = bench.run(sums())
    assert bench.calls == ["number 1", "add 1 2", "parity 3", "show 1"]
    assert result.ok
    assert result.outputs == ("s",)
    assert bench.states(result) == dict.fromkeys("nxps", "done")
    assert result.values == {"s": ()}
    assert bench.events[0] == RunStarted(("s",), ("n", "x", "p", "s"))
    assert [type(event) for event in bench.events[1:-1]] == [NodeStarted, NodeFinished] * 4
    assert isinstance(bench.events[-1], RunFinished)
    assert bench.events[-1].states == {"s": "done"}
    assert all(outcome.seconds > 0 for outcome in result.nodes.values())


def test_any_node_may_be_wanted_and_outputs_come_in_the_order_of_the_document() -> None:
    result = Bench().run(sums(), outputs=["p", "other", "x"])
    assert result.outputs == ("x", "p", "other")
    assert result.values == {"x": (3,), "p": (1,), "other": (100,)}


def test_wanting_nothing_or_the_unknown_is_an_error() -> None:
    with pytest.raises(InputError, match="nope"):
        Bench().run(sums(), outputs=["nope"])
    with pytest.raises(InputError):
        Bench().run(sums(), outputs=[])
    with pytest.raises(InputError):
        Bench().run(graph_of(n=("Number", {"value": 1})))


def test_rerun_is_cached_and_looks_at_no_more_than_the_outputs() -> None:
    bench = Bench()
    bench.run(sums())
    result = bench.run(sums())
    assert bench.calls == []
    assert bench.states(result) == {"s": "cached"}
    assert [type(event) for event in bench.events] == [RunStarted, NodeCached, RunFinished]


def test_only_what_changed_and_what_is_below_it_runs_again() -> None:
    bench = Bench()
    bench.run(sums(amount=2))
    result = bench.run(sums(amount=3))
    assert bench.calls == ["add 1 3", "parity 4", "show 0"]
    assert bench.states(result) == {"n": "cached", "x": "done", "p": "done", "s": "done"}


def test_going_back_to_what_was_before_runs_nothing() -> None:
    bench = Bench()
    bench.run(sums(amount=2))
    bench.run(sums(amount=3))
    bench.run(sums(amount=2))
    assert bench.calls == []


def test_equal_content_cuts_off_what_is_below() -> None:
    bench = Bench()
    bench.run(sums(value=1, amount=2))
    result = bench.run(sums(value=3, amount=2))
    assert bench.calls == ["number 3", "add 3 2", "parity 5"], "5 is as odd as 3 was"
    assert bench.states(result)["s"] == "cached"
    result = bench.run(sums(value=3, amount=2))
    assert bench.calls == []
    assert bench.states(result) == {"s": "cached"}, "what was learnt is found at once"


def test_new_code_of_a_node_that_makes_the_same_wakes_nothing_below() -> None:
    bench, newer = Bench(), Bench(add_version="2")
    bench.run(sums())
    newer.cache = bench.cache
    newer.run(sums())
    assert newer.calls == ["add 1 2"]


def test_values_whose_content_cannot_be_told_are_known_by_what_made_them() -> None:
    calls: list[str] = []

    def opaque(*, a: int) -> object:
        calls.append(f"opaque {a}")
        return object()

    def use(*, a: object) -> int:
        calls.append("use")
        return 1

    bench = Bench(kind("Opaque", opaque, {"a": "INT"}), kind("Use", use, {"a": "*"}))

    def graph(value: int) -> Graph:
        return graph_of(
            n=("Number", {"value": value}),
            p=("Parity", {"a": "n:0"}),
            o=("Opaque", {"a": "p:0"}),
            u=("Use", {"a": "o:0"}),
        )

    bench.run(graph(1), ["u"])
    bench.run(graph(3), ["u"])
    assert calls == ["opaque 1", "use"], "the parity is the same, so the opaque value is"
    bench.run(graph(2), ["u"])
    assert calls == ["opaque 1", "use", "opaque 0", "use"]


def test_twins_run_once() -> None:
    bench = Bench()
    graph = graph_of(
        n1=("Number", {"value": 1}),
        n2=("Number", {"value": 1}),
        x1=("Add", {"a": "n1:0", "b": 5}),
        x2=("Add", {"b": 5, "a": "n2:0"}),
        y=("Add", {"a": "x1:0", "b": "x2:0"}),
        s1=("Show", {"a": "y:0"}),
        s2=("Show", {"a": "x2:0"}),
        s3=("Show", {"a": "x1:0"}),
    )
    result = bench.run(graph)
    assert sorted(bench.calls) == ["add 1 5", "add 6 6", "number 1", "show 12", "show 6"]
    assert result.ok
    assert {id: bench.states(result)[id] for id in ("s1", "s2", "s3")} == {"s1": "done", "s2": "done", "s3": "cached"}


def test_nodes_that_are_not_cacheable_always_run_and_equal_results_wake_nothing() -> None:
    bench = Bench()
    graph = graph_of(d=("Dice", {"value": 4}), x=("Add", {"a": "d:0"}), s=("Show", {"a": "x:0"}))
    bench.run(graph)
    assert bench.calls == ["dice", "add 4 0", "show 4"]
    result = bench.run(graph)
    assert bench.calls == ["dice"]
    assert bench.states(result) == {"d": "done", "x": "cached", "s": "cached"}


def test_opaque_results_of_nodes_that_always_run_are_new_each_time() -> None:
    calls: list[str] = []
    fresh = kind("Fresh", lambda: object(), cacheable=False)
    use = kind("Use", lambda *, a: calls.append("use") or 1, {"a": "*"})
    bench = Bench(fresh, use)
    graph = graph_of(f=("Fresh", {}), u=("Use", {"a": "f:0"}))
    bench.run(graph, ["u"])
    bench.run(graph, ["u"])
    assert calls == ["use", "use"]


def test_failure_stops_only_what_needs_it() -> None:
    bench = Bench()
    graph = graph_of(
        n=("Number", {"value": 1}),
        f=("Fail", {"a": "n:0"}),
        x=("Add", {"a": "f:0"}),
        bad=("Show", {"a": "x:0"}),
        worse=("Fail", {"a": "x:0"}),
        mixed=("Add", {"a": "n:0", "b": "worse:0"}),
        also_bad=("Show", {"a": "mixed:0"}),
        y=("Add", {"a": "n:0", "b": 1}),
        good=("Show", {"a": "y:0"}),
    )
    result = bench.run(graph)
    assert not result.ok
    states = bench.states(result)
    assert {id: states[id] for id in result.outputs} == {"bad": "skipped", "also_bad": "skipped", "good": "done"}
    assert result.nodes["bad"].because == "f"
    assert result.nodes["also_bad"].because == "f", "the blame goes to where it began"
    assert "show 2" in bench.calls
    assert [e.problem.node_id for e in bench.events if isinstance(e, NodeFailed)] == ["f"]
    assert NodeSkipped("also_bad", "f") in bench.events
    bench.run(graph)
    assert bench.calls == ["fail 1"], "a failure is not kept, everything else is"


def test_failure_names_the_node_and_describes_its_inputs() -> None:
    def broken(*, image: Any, text: str, count: int) -> int:
        raise ValueError("the inner reason")

    def give() -> Any:
        return np.zeros((1, 8, 8, 3), "float32")

    secret = "a very private prompt that goes on and on"
    bench = Bench(kind("Broken", broken, {"image": "IMAGE", "text": "STRING", "count": "INT"}), kind("Give", give))
    graph = graph_of(g=("Give", {}), b=("Broken", {"image": "g:0", "text": secret, "count": 3}))
    named = dataclasses.replace(graph.nodes["b"], title="My node")
    result = bench.run(Graph(MappingProxyType({**graph.nodes, "b": named})), ["b"])
    error = result.nodes["b"].error
    assert isinstance(error, NodeFailure)
    assert isinstance(error.__cause__, ValueError)
    problem = error.problem
    assert (problem.node_id, problem.node_title, problem.code) == ("b", "My node", "E-NODE")
    assert problem.message == "ValueError: the inner reason"
    assert problem.got == "image=ndarray(float32, [1, 8, 8, 3]), text=text of 41 characters, count=3"
    assert secret not in str(error)
    assert result.errors == (error,)


def test_errors_raised_on_purpose_stay_what_they_are() -> None:
    def refuse() -> int:
        raise MediaError("too large", expected="at most 3", got="4", hint="crop it")

    bench = Bench(kind("Refuse", refuse))
    error = bench.run(graph_of(r=("Refuse", {})), ["r"]).nodes["r"].error
    assert isinstance(error, MediaError)
    assert str(error) == 'E-MEDIA  node r "Refuse": too large (expected at most 3, got 4)\n  hint: crop it'


class Big:
    """Something whose end can be seen."""


@pytest.mark.parametrize("error", [MemoryError(), MediaError("too large")])
def test_a_failure_lets_go_of_what_the_node_held(error: Exception) -> None:
    big: list[weakref.ref[Big]] = []

    def make() -> Big:
        made = Big()
        big.append(weakref.ref(made))
        return made

    def exhaust(*, a: Big) -> int:
        held = make()
        try:
            raise KeyError(held)
        except KeyError:
            raise error  # noqa: B904 (the context must be let go of too)

    bench = Bench(kind("Make", make), kind("Exhaust", exhaust, {"a": "*"}), max_size=0)
    result = bench.run(graph_of(m=("Make", {}), e=("Exhaust", {"a": "m:0"})), ["e"])
    kept = result.nodes["e"].error
    assert kept is not None
    assert kept.problem.code == ("E-MEMORY" if isinstance(error, MemoryError) else "E-MEDIA")
    cause = kept.__cause__ or kept
    assert cause.__traceback__ is not None, "the lines are still there for the log"
    gc.collect()
    assert len(big) == 2
    assert [one() is not None for one in big] == [False, True], "the second is an argument of the KeyError itself"


@pytest.mark.parametrize(
    ("made", "slots", "got"),
    [
        ((1,), ("INT", "INT"), "1 values"),
        ((1, 2, 3), ("INT", "INT"), "3 values"),
        (5, ("INT", "INT"), "one value of type int"),
        (None, ("INT",), "None"),
        (None, ("INT", "INT"), "None"),
        (5, (), "one value of type int"),
        (NodeResult((1, 2)), ("INT",), "2 values"),
    ],
)
def test_wrong_number_of_outputs_is_a_clear_error(made: Any, slots: tuple[str, ...], got: str) -> None:
    bench = Bench(kind("Odd", lambda: made, outputs=slots, module="a_pack"))
    error = bench.run(graph_of(o=("Odd", {})), ["o"]).nodes["o"].error
    assert isinstance(error, NodeFailure)
    assert "'Odd'" in error.problem.message
    assert error.problem.got == got
    assert "a_pack" in str(error.problem.hint)


@pytest.mark.parametrize(
    ("made", "slots", "values"),
    [
        ((1, 2), ("INT", "INT"), (1, 2)),
        ([1, 2], ("INT", "INT"), (1, 2)),
        ((1,), ("COND",), ((1,),)),  # one output: the value itself, and that may well be a tuple
        (NodeResult(((1,),)), ("COND",), ((1,),)),
        (NodeResult((None,)), ("MASK",), (None,)),
        (None, (), ()),
        ((), (), ()),
    ],
)
def test_forms_of_return_values(made: Any, slots: tuple[str, ...], values: tuple[Any, ...]) -> None:
    bench = Bench(kind("Fine", lambda: made, outputs=slots))
    assert bench.run(graph_of(f=("Fine", {})), ["f"]).values["f"] == values


def test_ui_and_files_come_back_from_the_cache_as_long_as_the_files_exist(tmp_path: Path) -> None:
    target = tmp_path / "a.png"

    def save() -> NodeResult:
        target.write_bytes(b"x")
        return NodeResult(ui={"images": ["a.png"]}, files=(SavedFile(str(target), "output", "", "0"),))

    bench = Bench(kind("Save", save, outputs=(), output_node=True))
    graph = graph_of(s=("Save", {}))
    first = bench.run(graph)
    again = bench.run(graph)
    assert again.nodes["s"].state is State.CACHED
    assert again.nodes["s"].ui == first.nodes["s"].ui == {"images": ["a.png"]}
    assert again.files == first.files != ()
    assert [e.files for e in bench.events if isinstance(e, NodeCached)] == [again.files]
    target.unlink()
    assert bench.run(graph).nodes["s"].state is State.DONE
    assert target.exists()


def stepping(token: CancelToken, stop_at: int, steps: list[int]) -> Any:
    def run(context: Context, *, a: int) -> int:
        for step in range(100):
            steps.append(step)
            if step == stop_at:
                token.cancel()
            context.progress(step + 1, 100, preview=a)
        return a

    return kind("Steps", run, {"a": "INT"}, wants_context=True)


def test_cancel_stops_within_one_step_and_keeps_what_was_made() -> None:
    token, steps = CancelToken(), []
    bench = Bench(stepping(token, 7, steps))
    graph = graph_of(
        n=("Number", {"value": 1}), t=("Steps", {"a": "n:0"}), s=("Show", {"a": "t:0"}), z=("Show", {"a": 5})
    )
    result = bench.run(graph, ["n", "t", "s"], cancel=token)
    assert steps[-1] == 7
    assert result.cancelled
    assert bench.states(result) == {"n": "done", "t": "cancelled", "s": "cancelled"}
    assert NodeProgress("t", 7, 100, 1) in bench.events
    assert result.values == {"n": (1,)}
    assert isinstance(bench.events[-1], RunFinished)
    token2, steps2 = CancelToken(), []
    after = Bench(stepping(token2, -1, steps2))
    after.cache = bench.cache
    assert after.run(graph, ["t"]).ok
    assert after.calls == [], "the number was kept"


def test_cancel_by_the_listener_that_sees_a_step_stops_before_the_next_one() -> None:
    token, steps = CancelToken(), []
    bench = Bench(stepping(CancelToken(), -1, steps))

    def stop(event: Any) -> None:
        if isinstance(event, NodeProgress) and event.step == 4:
            token.cancel()

    result = bench.run(graph_of(t=("Steps", {"a": 1})), ["t"], listener=stop, cancel=token)
    assert result.nodes["t"].state is State.CANCELLED
    assert len(steps) == 4


def test_cancel_from_the_listener_and_before_the_run() -> None:
    token = CancelToken()

    def stop(event: Any) -> None:
        if isinstance(event, NodeFinished):
            token.cancel()

    bench = Bench()
    result = bench.run(sums(), listener=broadcast(stop, bench.events.append), cancel=token)
    assert bench.calls == ["number 1"]
    assert bench.states(result) == {"n": "done", "x": "cancelled", "p": "cancelled", "s": "cancelled"}
    result = Bench().run(sums(), cancel=token)
    assert result.nodes["s"].state is State.CANCELLED


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled])
def test_interrupts_inside_a_node_cancel_the_rest(stop: type[BaseException]) -> None:
    def interrupted() -> int:
        raise stop()

    bench = Bench(kind("Interrupted", interrupted))
    graph = graph_of(n=("Number", {"value": 1}), i=("Interrupted", {}), s=("Show", {"a": "i:0"}))
    result = bench.run(graph, ["n", "s"])
    assert bench.states(result) == {"n": "done", "i": "cancelled", "s": "cancelled"}


def test_a_faulty_listener_fails_no_node() -> None:
    def broken(event: Any) -> None:
        raise RuntimeError("listener")

    assert Bench().run(sums(), listener=broken).ok


def test_context_gives_a_node_what_it_may_know() -> None:
    seen: list[Context] = []

    def look(context: Context) -> int:
        seen.append(context)
        return 1

    bench = Bench(kind("Look", look, wants_context=True))
    graph = dataclasses.replace(graph_of(k=("Look", {}), x=("Add", {"a": "k:0", "b": 2})), workflow={"version": 1})
    bench.run(graph, ["x"], services=Services(folders="F", models="M", settings="S"))
    (context,) = seen
    assert (context.folders, context.models, context.settings, context.node_id) == ("F", "M", "S", "k")
    assert context.prompt["x"] == {"class_type": "Add", "inputs": {"a": ["k", 0], "b": 2}}
    assert context.workflow == {"version": 1}
    assert not context.cancelled


def test_context_outside_a_run() -> None:
    token, events = CancelToken(), []
    context = lone_context(listener=events.append, cancel=token)
    context.progress(1, 2)
    assert events == [NodeProgress("", 1, 2)]
    token.cancel()
    with pytest.raises(Cancelled):
        context.check_cancelled()
    with pytest.raises(Cancelled):
        context.progress(2, 2)


def test_nodes_cannot_change_the_graph() -> None:
    def spoil(*, items: list[int]) -> int:
        items.append(1)
        return len(items)

    bench = Bench(kind("Spoil", spoil, {"items": "*"}))
    graph = graph_of(s=("Spoil", {"items": [5]}))
    assert bench.run(graph, ["s"]).values["s"] == (2,)
    assert graph.nodes["s"].inputs["items"] == [5]
    with pytest.raises(TypeError):
        graph.nodes["s"].inputs["items"] = 3  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.nodes["s"].type = "Other"  # type: ignore[misc]


def test_file_that_changes_under_its_name_is_read_again() -> None:
    choices = FolderChoices("input")
    files = {"a": "1"}
    reads: list[str] = []

    def identity(folder: str, name: str) -> str:
        if name not in files:
            raise PathError(f"there is no {name}")
        return files[name]

    def read(*, name: str) -> str:
        reads.append(name)
        return files[name]

    bench = Bench(
        kind("Read", read, [Parameter("name", "COMBO", choices=choices)], ("STRING",)),
        kind("Name", lambda: "a", outputs=("STRING",)),
    )
    typed, linked = graph_of(r=("Read", {"name": "a"})), graph_of(k=("Name", {}), r=("Read", {"name": "k:0"}))
    services = Services(file_identity=identity)
    for graph in (typed, linked, typed, linked):
        assert bench.run(graph, ["r"], services=services).values["r"] == ("1",)
    assert reads == ["a"]
    files["a"] = "2"
    for graph in (linked, typed):
        assert bench.run(graph, ["r"], services=services).values["r"] == ("2",)
    assert reads == ["a", "a"]
    del files["a"]
    for graph in (typed, linked):
        error = bench.run(graph, ["r"], services=services).nodes["r"].error
        assert isinstance(error, PathError)
        assert error.problem.node_id == "r"


def test_values_are_let_go_when_nothing_needs_them() -> None:
    alive: list[weakref.ref[Big]] = []
    most = 0

    def make(*, a: Any) -> Big:
        nonlocal most
        made = Big()
        alive.append(weakref.ref(made))
        most = max(most, sum(one() is not None for one in alive))
        return made

    bench = Bench(kind("Make", make, {"a": "*"}), max_size=0)
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"b0": ("Make", {"a": 0})}
    nodes |= {f"b{i}": ("Make", {"a": f"b{i - 1}:0"}) for i in range(1, 20)}
    assert bench.run(graph_of(**nodes), ["b19"]).ok
    assert most <= 2


def test_a_cache_that_keeps_nothing_still_computes_each_node_once() -> None:
    bench = Bench(max_size=0)
    graph = graph_of(
        n=("Number", {"value": 1}), x=("Add", {"a": "n:0", "b": "n:0"}), y=("Add", {"a": "x:0", "b": "n:0"})
    )
    assert bench.run(graph, ["y"]).values["y"] == (3,)
    assert bench.calls == ["number 1", "add 1 1", "add 2 1"]
