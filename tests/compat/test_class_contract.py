"""The older class contract, clause by clause, run by the executor: inputs, outputs, lists, hidden inputs, returns."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pack_bench import Bench, node

from engine.errors import Cancelled, GraphError, NodeFailure
from engine.execution.outcome import State
from engine.graph.node_types import MISSING


def kinds(**changes: Any) -> dict[str, Any]:
    inputs: dict[str, Any] = {"i": 2, "f": 0.25, "s": "t", "b": False, "c": "a", "d": "y"}
    return {"1": node("TKinds", **{**inputs, **changes})}


@pytest.mark.parametrize(
    "name, given, passed",
    [
        ("i", 3, 3),
        ("i", "3", 3),
        ("i", 3.9, 3),
        ("f", "0.5", 0.5),
        ("f", 1, 1.0),
        ("s", 12, "12"),
        ("s", "text", "text"),
        ("b", True, True),
        ("b", 0, False),
        ("b", "false", False),
        ("b", "true", True),
        ("c", "c", "c"),
        ("d", "x", "x"),
        ("o", 9, 9),
        ("w", {"any": ["thing"]}, {"any": ["thing"]}),
        ("w", {"__value__": [1, 2]}, [1, 2]),
        ("w", "text", "text"),
    ],
)
def test_a_constant_arrives_as_it_is_declared(bench: Bench, name: str, given: Any, passed: Any) -> None:
    made = bench.value(kinds(**{name: given}))
    assert made[name] == passed
    assert type(made[name]) is type(passed)


@pytest.mark.parametrize(
    "name, given, code",
    [
        ("i", 10, "E-RANGE"),
        ("i", -1, "E-RANGE"),
        ("i", "many", "E-TYPE"),
        ("f", 1.5, "E-RANGE"),
        ("c", "z", "E-CHOICE"),
        ("d", "z", "E-CHOICE"),
        ("b", "perhaps", "E-TYPE"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(bench: Bench, name: str, given: Any, code: str) -> None:
    found = bench.problem(kinds(**{name: given}))
    assert (found.code, found.input) == (code, name)


def test_a_number_for_one_of_several_types_keeps_within_its_range(bench: Bench) -> None:
    assert bench.value({"1": node("TTwo", a=1.5)}) == 3.5
    found = bench.problem({"1": node("TTwo", a=-2000)})
    assert (found.code, found.input) == ("E-RANGE", "a")
    assert found.expected == "a number of at least -1000, or a link to an output of type INT,FLOAT"


def test_what_is_left_out_is_not_passed_when_it_is_optional(bench: Bench) -> None:
    assert bench.value({"1": node("TOptional")}) == ("no a", "no b")
    assert bench.value({"1": node("TOptional", a=1, b=["2", 0]), "2": node("TNumber", value=4)}) == (1, 4)


def test_a_required_input_with_a_default_may_be_left_out(bench: Bench) -> None:
    assert bench.value({"1": node("TNumber")}) == 5
    assert bench.problem({"1": node("TComboOut")}).code == "E-MISSING-INPUT"


def test_constants_that_are_not_declared_are_dropped(bench: Bench) -> None:
    assert bench.value({"1": node("TNumber", value=1, junk=5, speed="fast")}) == 1
    made = bench.value({"1": node("TVariadic", a=["2", 0], junk=5), "2": node("TNumber", value=1)})
    assert made == {"a": 1}


def test_links_that_are_not_declared_reach_a_function_with_kwargs(bench: Bench) -> None:
    prompt = {"1": node("TVariadic", a=["2", 0], b=["3", 0]), "2": node("TNumber"), "3": node("TNumber", value=8)}
    assert bench.value(prompt) == {"a": 5, "b": 8}
    found = bench.problem({"1": node("TTwo", a=["2", 0], z=["2", 0]), "2": node("TNumber")})
    assert (found.code, found.input) == ("E-UNEXPECTED-INPUT", "z")


def test_a_section_that_has_any_name_takes_any_input(bench: Bench) -> None:
    prompt = {"1": node("TFlexible", one=1, two=["2", 0], three={"on": True}), "2": node("TNumber")}
    assert bench.value(prompt) == {"one": 1, "two": 5, "three": {"on": True}}


@pytest.mark.parametrize(
    "source, fits", [("TNumber", True), ("TMakeList", True), ("TTensor", False), ("TPass", True), ("TVariadic", True)]
)
def test_types_of_links(bench: Bench, source: str, fits: bool) -> None:
    """A union takes its members, a str that says it never differs takes and feeds everything."""
    inputs = {"TPass": {"value": ["3", 0]}, "TVariadic": {"a": ["3", 0]}, "TMakeList": {"text": "1"}}
    prompt = {
        "1": node("TTwo", a=["2", 0]),
        "2": node(source, **inputs.get(source, {})),
        "3": node("TNumber", value=3),
    }
    assert [one.code for one in bench.problems(prompt, ["1"])] == ([] if fits else ["E-LINK-TYPE"])


def test_the_description_of_a_class(bench: Bench) -> None:
    found = bench.session.registry.types["TNumber"]
    assert (found.display_name, found.category, found.description) == ("A Number", "test/basics", "Give a number.")
    assert [(one.name, one.type, one.help) for one in found.outputs] == [("number", "INT", "the number")]
    (value,) = found.inputs
    assert (value.default, value.minimum, value.maximum, value.step, value.help) == (5, 0, 100, 1, "a number")
    assert found.module == "custom_nodes.contract"
    assert not found.deprecated
    flags = bench.session.registry.types["TFlags"]
    assert flags.deprecated and flags.experimental
    assert [one.type for one in flags.outputs] == ["IMAGE"]


def test_the_options_of_inputs(bench: Bench) -> None:
    inputs = bench.session.registry.types["TKinds"].by_name
    assert inputs["s"].multiline and inputs["s"].dynamic_prompts
    assert inputs["f"].round == 0.01
    assert inputs["b"].options["label_on"] == "yes"
    assert inputs["c"].choices == ("a", "b", "c") and inputs["d"].choices == ("x", "y")
    assert inputs["o"].default is MISSING and inputs["o"].options["default"] == 3
    assert bench.session.registry.types["TOptional"].by_name["b"].force_input


def test_names_of_outputs_default_to_their_types(bench: Bench) -> None:
    types = bench.session.registry.types
    assert [one.name for one in types["TTwo"].outputs] == ["sum", "STRING"]
    assert [one.type for one in types["TComboOut"].outputs] == ["COMBO"]
    assert bench.value({"1": node("TComboOut", pick="b")}) == "b"


# Lists


def listed(text: str) -> dict[str, Any]:
    return node("TMakeList", text=text)


@pytest.mark.parametrize(
    "first, second, sums",
    [
        ("0,1,2", "0,1", [0, 2, 3]),
        ("1,2,3", "10,20,30", [11, 22, 33]),
        ("5", "1,2", [6, 7]),
        ("1,2", "7", [8, 9]),
    ],
)
def test_lists_go_side_by_side_and_the_last_item_repeats(
    bench: Bench, first: str, second: str, sums: list[int]
) -> None:
    prompt = {"1": node("TTwo", a=["2", 0], b=["3", 0]), "2": listed(first), "3": listed(second)}
    assert list(bench.value(prompt)) == sums


def test_an_empty_list_means_no_calls(bench: Bench) -> None:
    prompt = {"1": node("TTwo", a=["2", 0], b=["3", 0]), "2": listed(""), "3": listed("1,2")}
    assert list(bench.value(prompt)) == []
    assert not bench.calls


def test_a_constant_goes_with_each_item(bench: Bench) -> None:
    assert list(bench.value({"1": node("TTwo", a=["2", 0], b=5), "2": listed("1,2")})) == [6, 7]


def test_a_node_that_takes_lists_is_called_once(bench: Bench) -> None:
    prompt = {"1": node("TWhole", a=["2", 0], mode="all"), "2": listed("1,2,3")}
    result = bench.run(prompt, ["1"])
    result.raise_for_failure()
    whole, each = result.made.values["1"]
    assert whole == ([1, 2, 3], ["all"], ["1"])
    assert list(each) == [1, 2, 3, 100]


def test_outputs_of_mapped_calls_of_a_list_output_are_strung_together(bench: Bench) -> None:
    texts = {"1": node("TMakeList", text=["2", 1]), "2": node("TTwo", a=["3", 0], b=["3", 0]), "3": listed("1,2")}
    assert list(bench.value(texts)) == [1, 1, 2, 2]


def test_what_mapped_calls_show_is_put_together(bench: Bench) -> None:
    result = bench.run({"1": node("TShow", value=["2", 0]), "2": listed("4,5")})
    assert result.made.nodes["1"].ui == {"text": ["4", "5"]}
    assert bench.shown == {"1": [4, 5]}
    bench.run({"1": node("TShowList", value=["2", 0]), "2": listed("4,5")})
    assert bench.shown == {"1": [4, 5]}


# Hidden inputs and state


def test_hidden_inputs(bench: Bench) -> None:
    found = bench.value({"1": node("THidden", any=["2", 0]), "2": node("TNumber")})
    assert found["types"] == ["THidden", "TNumber"]
    assert (found["me"], found["info"], found["auth"], found["key"]) == ("1", None, None, None)
    assert found["node"]["class_type"] == "THidden"
    assert found["node"]["inputs"] == {"any": ["2", 0]}
    assert found["has"] == [True, False]
    assert (found["parent"], found["real"], found["display"]) == (None, "1", "1")
    assert found["ids"] == ["1", "2"]


def test_the_workflow_is_in_the_extra_info(bench: Bench) -> None:
    prompt = {"prompt": {"1": node("THidden", any=["2", 0]), "2": node("TNumber")}, "workflow": {"id": "w"}}
    assert bench.value(prompt)["info"] == {"workflow": {"id": "w"}}


def test_an_instance_lives_until_its_node_leaves_the_graph(bench: Bench) -> None:
    assert bench.value({"1": node("TState", tick=1)}) == 1
    assert bench.value({"1": node("TState", tick=2)}) == 2
    assert bench.value({"1": node("TState", tick=3), "2": node("TState", tick=3)}) == 3
    bench.run({"2": node("TState", tick=4)}, ["2"])
    assert bench.value({"1": node("TState", tick=5)}) == 1


def test_equal_nodes_that_are_not_idempotent_both_run(bench: Bench) -> None:
    result = bench.run({"1": node("TNotIdempotent"), "2": node("TNotIdempotent")}, ["1", "2"])
    assert [str(result.made.nodes[id].state) for id in "12"] == ["done", "done"]
    result = bench.run({"1": node("TNumber"), "2": node("TNumber")}, ["1", "2"])
    assert [str(result.made.nodes[id].state) for id in "12"] == ["done", "cached"]


def test_a_raw_link_arrives_as_a_link(bench: Bench) -> None:
    assert bench.value({"1": node("TRaw", a=["2", 0]), "2": node("TNumber")}) == ["2", 0]
    assert bench.value({"1": node("TIsLink", a=["2", 0]), "2": node("TNumber")}) is True


# What is returned


@pytest.mark.parametrize("form", ["tuple", "list", "dict", "result"])
def test_forms_of_results(bench: Bench, form: str) -> None:
    result = bench.run({"1": node("TReturns", form=form)})
    result.raise_for_failure()
    assert result.made.values["1"] == (1, 2)
    assert result.made.nodes["1"].ui == ({"note": ["n"]} if form == "dict" else {})


@pytest.mark.parametrize(
    "form, got",
    [
        ("none", "nothing (None)"),
        ("bare", "a value of type int"),
        ("text", "a value of type str"),
        ("short", "a tuple with 1"),
        ("long", "a tuple with 3"),
        ("odd dict", "a dict with 'images'"),
    ],
)
def test_what_is_no_result_fails_and_names_the_pack(bench: Bench, form: str, got: str) -> None:
    (error,) = bench.run({"1": node("TReturns", form=form)}).made.errors
    assert (error.problem.code, error.problem.node_id, error.problem.got) == ("E-NODE-RESULT", "1", got)
    assert "'contract'" in error.problem.message


def test_a_node_that_only_shows_something_blocks_who_wants_a_value(bench: Bench) -> None:
    prompt = {"1": node("TReturns", form="ui only"), "2": node("TShow", value=["1", 0])}
    result = bench.run(prompt)
    assert result.made.nodes["1"].state is State.DONE
    assert result.made.nodes["2"].state is State.BLOCKED
    assert "gave no value" in str(result.made.nodes["2"].error)


def test_failures(bench: Bench) -> None:
    prompt = {"1": node("TShow", value=["2", 0]), "2": node("TFail", how="raise"), "3": node("TShow", value=["4", 0])}
    prompt["4"] = node("TNumber")
    result = bench.run(prompt)
    assert [str(result.made.nodes[id].state) for id in "123"] == ["skipped", "failed", "done"]
    assert "on purpose" in str(result.made.nodes["2"].error)
    (error,) = bench.run({"1": node("TFail", how="exit")}, ["1"]).made.errors
    assert isinstance(error, NodeFailure)
    with pytest.raises(Cancelled):
        bench.run({"1": node("TFail", how="interrupt")}, ["1"]).raise_for_failure()


def test_tensors_need_no_gradients(bench: Bench) -> None:
    assert bench.value({"1": node("TTensor")}, slot=1) is True


def test_what_our_values_do_not_have_is_named(bench: Bench) -> None:
    prompt = {"1": node("TPatch", model=["2", 0]), "2": node("KSamplerSelect", sampler_name="euler")}
    (error,) = bench.run(prompt, ["1"]).made.errors
    assert error.problem.code == "E-NOT-OFFERED"
    assert "pack 'contract' asks a" in error.problem.message and "'clone'" in error.problem.message
    prompt["2"] = node("TNumber")
    (error,) = bench.run(prompt, ["1"]).made.errors
    assert "'int' object has no attribute 'clone'" in str(error)


# Coroutines


def test_a_coroutine_is_awaited(bench: Bench) -> None:
    assert bench.value({"1": node("TAsync", value=4)}) == 40
    assert list(bench.value({"1": node("TAsync", value=["2", 0]), "2": listed("1,2,3")})) == [10, 20, 30]


def test_coroutines_overlap(bench: Bench) -> None:
    prompt = {str(id): node("TAsync", value=id, seconds=0.3) for id in range(1, 6)}
    bench.run({"1": node("TTensor")}, ["1"])  # whatever is slow the first time
    started = time.perf_counter()
    result = bench.run(prompt, list(prompt))
    assert time.perf_counter() - started < 1.0
    assert [result.made.values[id][0] for id in prompt] == [10, 20, 30, 40, 50]
    assert [kind for kind, _ in bench.calls[:5]] == ["begin"] * 5


def test_a_failing_coroutine_fails_its_node(bench: Bench) -> None:
    result = bench.run({"1": node("TAsync", value=-1), "2": node("TAsync", value=1, seconds=0.05)}, ["1", "2"])
    assert [str(result.made.nodes[id].state) for id in "12"] == ["failed", "done"]


def test_progress_is_told(bench: Bench) -> None:
    bench.value({"1": node("TProgress", steps=3)})
    told = [(one.step, one.total) for one in bench.events if type(one).__name__ == "NodeProgress"]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_run_can_be_cancelled_where_progress_is_reported(bench: Bench) -> None:
    from engine.execution.cancel import CancelToken

    token = CancelToken()

    def stop(event: Any) -> None:
        if type(event).__name__ == "NodeProgress" and event.step == 5:
            token.cancel()

    result = bench.run({"1": node("TProgress", steps=900)}, ["1"], listener=stop, cancel=token)
    assert result.made.cancelled


def test_a_circle_is_refused_before_anything_runs(bench: Bench) -> None:
    with pytest.raises(GraphError):
        bench.run({"1": node("TTwo", a=["2", 0]), "2": node("TTwo", a=["1", 0])}, ["1"])
