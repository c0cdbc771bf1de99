"""Lazy inputs, expansion and blocking, as packs use them."""

from __future__ import annotations

from typing import Any

import pytest
from pack_bench import Bench, node

from engine.execution.outcome import State


def switch(kind: str, which: Any, **more: Any) -> dict[str, Any]:
    return {
        "1": node(kind, which=which, yes=["2", 0], no=["3", 0]),
        "2": node("TNumber", value=20),
        "3": node("TNumber", value=30),
        **more,
    }


@pytest.mark.parametrize("kind", ["TSwitch", "TSwitchAsync"])
@pytest.mark.parametrize("which, value", [(True, 20), (False, 30)])
def test_only_the_wanted_branch_runs(bench: Bench, kind: str, which: bool, value: int) -> None:
    assert bench.value(switch(kind, which)) == value
    assert [one for one in bench.calls if one[0] == "TNumber"] == [("TNumber", value)]


def test_the_question_is_asked_again_until_nothing_new_is_wanted(bench: Bench) -> None:
    bench.value(switch("TSwitch", True))
    asked = [one for one in bench.calls if one[0] == "lazy"]
    assert asked[0] == ("lazy", True, None, None)
    assert all(one == ("lazy", True, 20, None) for one in asked[1:])


def test_a_failing_branch_that_nobody_wants_does_no_harm(bench: Bench) -> None:
    prompt = switch("TSwitch", True)
    prompt["3"] = node("TFail", how="raise")
    assert bench.value(prompt) == 20


def test_lazy_inputs_under_lists(bench: Bench) -> None:
    """What the calls for single items want is put together; a node that takes lists is asked once."""
    prompt = switch("TSwitch", ["4", 0], **{"4": node("TMakeList", text="1,0,1")})
    assert list(bench.value(prompt)) == [20, 30, 20]
    yes, no = bench.value(switch("TSwitchList", True))
    assert yes == [20]
    assert no in ([None], (None,))
    assert ("lazy", [True], (None,), (None,)) in bench.calls


def test_asking_for_an_input_that_is_not_there_fails(bench: Bench) -> None:
    (error,) = bench.run(switch("TLazyWrong", True), ["1"]).made.errors
    assert "nothing like it" in str(error)


def test_expansion(bench: Bench) -> None:
    prompt = {"1": node("TExpandSum", a=["2", 0], times=3), "2": node("TNumber", value=7)}
    assert bench.value(prompt) == 21
    (ids,) = [one[1] for one in bench.calls if one[0] == "ids"]
    assert ids == ["1.0.0.1", "1.0.0.2", "1.0.0.3"]


def test_expansion_of_each_item_of_a_list(bench: Bench) -> None:
    """Some calls may expand and others return plainly; ids of the calls differ."""
    prompt = {
        "1": node("TExpandSum", a=["2", 0], times=["3", 0]),
        "2": node("TMakeList", text="1,2,3"),
        "3": node("TMakeList", text="2,0,3"),
    }
    assert list(bench.value(prompt)) == [2, 2, 9]
    ids = [id for kind, *rest in bench.calls if kind == "ids" for id in rest[0]]
    assert len(ids) == len(set(ids)) == 5
    assert "1.2.0.1" in ids


def test_a_result_of_an_expansion_is_cached_as_one(bench: Bench) -> None:
    prompt = {"1": node("TExpandSum", a=["2", 0], times=3), "2": node("TNumber", value=7)}
    assert bench.value(prompt) == 21
    assert bench.value(prompt) == 21
    assert not bench.calls


def test_a_node_may_expand_into_itself(bench: Bench) -> None:
    assert bench.value({"1": node("TCountDown", left=4)}) == 10
    assert [(one[1], one[2]) for one in bench.calls] == [(4, "1"), (3, "1"), (2, "1"), (1, "1"), (0, "1")]
    assert {one[3] for one in bench.calls} == {"1"}


def test_many_rounds_of_expansion_do_not_recurse(bench: Bench) -> None:
    assert bench.value({"1": node("TCountDown", left=300)}) == 300 * 301 // 2


@pytest.mark.parametrize("start, end", [(3, 192), (100, 200), (1, 128)])
def test_a_loop_built_by_copies_of_its_body(bench: Bench, start: int, end: int) -> None:
    prompt = {
        "1": node("TLoopClose", flow=["2", 0], again=["4", 0], value=["3", 0]),
        "2": node("TLoopOpen", start=start),
        "3": node("TTwo", a=["2", 1], b=["2", 1]),
        "4": node("TLess", a=["3", 0], than=["5", 0]),
        "5": node("TNumber", value=100),
    }
    assert bench.value(prompt) == end
    assert bench.calls.count(("TNumber", 100)) == 1


def test_a_loop_within_an_expansion(bench: Bench) -> None:
    prompt = {
        "1": node("TUntil", flow=["2", 0], value=["3", 0], limit=5000),
        "2": node("TLoopOpen", start=["4", 0]),
        "3": node("TTwo", a=["2", 1], b=["2", 1]),
        "4": node("TNumber", value=3),
    }
    assert bench.value(prompt) == 3 * 2**11
    assert bench.calls.count(("TNumber", 3)) == 1


def test_a_loop_over_each_item_of_a_list(bench: Bench) -> None:
    """Every item of a list goes its own way through a node that expands."""
    prompt = {
        "1": node("TExpandSum", a=["2", 0], times=["3", 0]),
        "2": node("TExpandSum", a=["3", 0], times=2),
        "3": node("TMakeList", text="1,2,3"),
    }
    assert list(bench.value(prompt)) == [2, 8, 18]


def test_output_nodes_of_an_expansion_run(bench: Bench) -> None:
    assert bench.value({"1": node("TExpandShow", a=6)}) == 6
    assert bench.shown == {"1.0.0.show": [6]}


def test_an_object_can_be_handed_to_a_node_of_an_expansion(bench: Bench) -> None:
    assert bench.value({"1": node("TExpandObject", a=6)}) == {"a", 6}


def test_an_id_that_is_taken_fails(bench: Bench) -> None:
    (error,) = bench.run({"1": node("TExpandTaken")}, ["1"]).made.errors
    assert "'1'" in str(error)


def test_a_circle_made_by_an_expansion_is_blamed_on_its_maker(bench: Bench) -> None:
    result = bench.run({"1": node("TCircle"), "2": node("TShow", value=["1", 0])})
    assert result.made.nodes["1"].state is State.FAILED
    assert result.made.nodes["2"].state is State.SKIPPED


@pytest.mark.parametrize(
    "how, states",
    [
        ("pass", {"2": "done", "3": "done"}),
        ("quiet", {"2": "blocked", "3": "blocked"}),
        ("loud", {"2": "blocked", "3": "blocked"}),
        ("first slot", {"2": "blocked", "3": "done"}),
        ("dict", {"2": "blocked", "3": "blocked"}),
        ("loud result", {"2": "blocked", "3": "done"}),
    ],
)
def test_blocking(bench: Bench, how: str, states: dict[str, str]) -> None:
    prompt = {
        "1": node("TBlock", how=how),
        "2": node("TShow", value=["1", 0]),
        "3": node("TShow", value=["1", 1]),
    }
    result = bench.run(prompt)
    assert {id: str(result.made.nodes[id].state) for id in states} == states


def test_a_message_of_a_blocker_is_told_once(bench: Bench) -> None:
    prompt = {
        "1": node("TBlock", how="loud result"),
        "2": node("TPass", value=["1", 0]),
        "3": node("TShow", value=["2", 0]),
    }
    result = bench.run(prompt)
    assert [str(one.problem.message) for one in result.made.errors] == ["told"]


def test_blocking_item_by_item(bench: Bench) -> None:
    prompt = {
        "1": node("TShow", value=["2", 0]),
        "2": node("TBlock", how="odd", value=["3", 0]),
        "3": node("TMakeList", text="1,2,3,4"),
    }
    bench.run(prompt)
    assert bench.shown == {"1": [2, 4]}


def test_who_runs_is_known(bench: Bench) -> None:
    assert bench.value({"1": node("TWho", value=3)}) == ("1", 0)
    made = bench.value({"1": node("TWho", value=["2", 0]), "2": node("TMakeList", text="5,6")})
    assert list(made) == [("1", 0), ("1", 1)]
