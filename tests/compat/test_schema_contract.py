"""The schema style, clause by clause, run by the executor."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pack_bench import Bench, node

from engine.execution.outcome import State


def calls() -> list[Any]:
    found: list[Any] = sys.modules["custom_nodes.schemas"].CALLS
    return found


def test_the_description_of_a_schema(bench: Bench) -> None:
    found = bench.session.registry.types["SAdd"]
    assert (found.display_name, found.category, found.description) == ("Add", "test/schema", "Add two numbers.")
    assert [(one.name, one.type, one.help) for one in found.outputs] == [
        ("Sum", "INT", "a + b"),
        ("STRING", "STRING", ""),
    ]
    a, b = found.inputs
    assert (a.type, a.required, a.default, a.minimum, a.maximum, a.help) == ("INT", True, 1, 0, 10, "one")
    assert (b.required, b.options["display_name"]) == (False, "B")
    assert found.module == "custom_nodes.schemas"


@pytest.mark.parametrize(
    "inputs, made", [({"a": 3}, 103), ({"a": 3, "b": 4}, 7), ({}, 101), ({"a": "5", "b": "6"}, 11)]
)
def test_execute(bench: Bench, inputs: dict[str, Any], made: int) -> None:
    assert bench.value({"1": node("SAdd", **inputs)}) == made


def test_values_of_each_kind(bench: Bench) -> None:
    given: dict[str, Any] = {"yes": False, "f": "0.5", "s": "t", "c": "a", "m": {"__value__": ["q", "r"]}, "n": 2}
    made = bench.value({"1": node("SKinds", own=["2", 0], any=["3", 0], **given), "2": node("SOwn"), "3": node("SAdd")})
    assert made == {
        "yes": False, "f": 0.5, "s": "t", "c": "a", "m": ["q", "r"], "n": 2, "own": {"mine": 1}, "any": 101,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name, given, code",
    [("f", 2.0, "E-RANGE"), ("c", "z", "E-CHOICE"), ("m", ["z"], "E-CHOICE"), ("s", [1], "E-TYPE")],
)
def test_values_that_do_not_fit(bench: Bench, name: str, given: Any, code: str) -> None:
    inputs: dict[str, Any] = {"yes": True, "f": 0.1, "s": "", "c": "a", "m": ["p"], "n": 1, name: given}
    assert bench.problem({"1": node("SKinds", **inputs)}).code == code


def test_options_of_inputs(bench: Bench) -> None:
    inputs = bench.session.registry.types["SKinds"].by_name
    assert inputs["s"].multiline and inputs["s"].dynamic_prompts
    assert inputs["f"].options["display"] == "slider"
    assert inputs["m"].options["multiselect"] is True
    assert (inputs["n"].type, inputs["n"].default) == ("FLOAT,INT,STRING", 1.5)
    assert (inputs["own"].type, inputs["any"].type) == ("OWN_TYPE", "*")


def test_hidden_values(bench: Bench) -> None:
    assert bench.value({"1": node("SHidden")}) == ("1", 1, True)


def test_equal_nodes_that_ask_for_their_id_both_run(bench: Bench) -> None:
    result = bench.run({"1": node("SHidden"), "2": node("SHidden")}, ["1", "2"])
    assert [result.made.values[id][0][0] for id in "12"] == ["1", "2"]
    calls().clear()
    bench.run({"1": node("SNotIdempotent", a=1), "2": node("SNotIdempotent", a=1)}, ["1", "2"])
    assert len(calls()) == 2


def test_a_class_cannot_keep_state(bench: Bench) -> None:
    (error,) = bench.run({"1": node("SState")}, ["1"]).made.errors
    assert "no state" in str(error)


@pytest.mark.parametrize("form", ["output", "dict", "tuple", "ui"])
def test_forms_of_results(bench: Bench, form: str) -> None:
    result = bench.run({"1": node("SReturns", form=form)})
    result.raise_for_failure()
    assert result.made.values["1"] == (1, 2)
    shown = {"dict": {"note": ["n"]}, "ui": {"text": ("hello",)}}
    assert dict(result.made.nodes["1"].ui) == shown.get(form, {})


@pytest.mark.parametrize("form", ["blocked", "blocked values"])
def test_block_execution_blocks(bench: Bench, form: str) -> None:
    prompt = {"1": node("SReturns", form=form), "2": node("TShow", value=["1", 0])}
    result = bench.run(prompt)
    assert result.made.nodes["2"].state is State.BLOCKED
    assert "not today" in str(result.made.nodes["2"].error)
    assert not bench.shown


@pytest.mark.parametrize("form", ["short", "bare", "empty"])
def test_what_is_no_result_fails(bench: Bench, form: str) -> None:
    (error,) = bench.run({"1": node("SReturns", form=form)}, ["1"]).made.errors
    assert error.problem.code == "E-NODE-RESULT"
    assert "'schemas'" in error.problem.message


@pytest.mark.parametrize("kind, made", [("SAsync", 4), ("SProgress", 3)])
def test_progress_by_the_api(bench: Bench, kind: str, made: int) -> None:
    assert bench.value({"1": node(kind, value=3)}) == made
    told = [(one.node_id, one.step, one.total) for one in bench.events if type(one).__name__ == "NodeProgress"]
    assert told == [("1", 3, 10)]


def test_own_checks_and_fingerprints(bench: Bench) -> None:
    assert bench.problem({"1": node("SChecked", value=13)}).message == "thirteen is not allowed"
    assert bench.value({"1": node("SChecked", value=50)}) == 50
    for value, runs in ((7, 2), (8, 1)):
        calls().clear()
        for _ in range(2):
            bench.value({"1": node("SChecked", value=value)})
        assert [one[0] for one in calls()].count("SChecked") == runs
        assert ("fingerprint", value) in calls()


def test_lazy_inputs(bench: Bench) -> None:
    prompt = {"1": node("SLazy", which=True, yes=["2", 0], no=["3", 0]), "2": node("TNumber")}
    prompt["3"] = node("TFail", how="raise")
    assert bench.value(prompt) == (5, None)


def test_lists(bench: Bench) -> None:
    result = bench.run({"1": node("SList", values=["2", 0]), "2": node("TMakeList", text="1,2")}, ["1"])
    whole, each = result.made.values["1"]
    assert (whole, list(each)) == ([1, 2], [1, 2, "end"])
    assert list(bench.value({"1": node("SAdd", a=["2", 0], b=1), "2": node("TMakeList", text="1,2")})) == [2, 3]


def test_inputs_that_grow(bench: Bench) -> None:
    numbers = {str(id): node("TNumber", value=id) for id in range(2, 6)}
    links = {f"many.n{id}": [str(id + 2), 0] for id in range(3)}
    many, sides = bench.value({"1": node("SGrow", **links, **{"sides.right": ["2", 0]}), **numbers})
    assert many == {"n0": 2, "n1": 3, "n2": 4}
    assert sides == {"right": 2}


@pytest.mark.parametrize(
    "inputs, code, name",
    [
        ({}, "E-MISSING-INPUT", "many.n0"),
        ({"many.n1": ["2", 0]}, "E-MISSING-INPUT", "many.n0"),
        ({"many.n0": ["2", 0], "many.n4": ["2", 0]}, "E-UNEXPECTED-INPUT", "many.n4"),
        ({"many.n0": ["3", 0]}, "E-LINK-TYPE", "many.n0"),
    ],
)
def test_limits_of_inputs_that_grow(bench: Bench, inputs: dict[str, Any], code: str, name: str) -> None:
    prompt = {"1": node("SGrow", **inputs), "2": node("TNumber"), "3": node("TTensor")}
    found = bench.problem(prompt)
    assert (found.code, found.input) == (code, name)


@pytest.mark.parametrize(
    "inputs, made",
    [
        ({"how": "scale"}, {"how": "scale", "by": 2.0}),
        ({"how": "scale", "how.by": 3}, {"how": "scale", "by": 3.0}),
        (
            {"how": "size", "how.width": "5", "how.unit": "px"},
            {"how": "size", "width": 5, "unit": {"unit": "px"}},
        ),
        (
            {"how": "size", "how.width": 5, "how.unit": "cm", "how.unit.dpi": 300},
            {"how": "size", "width": 5, "unit": {"unit": "cm", "dpi": 300}},
        ),
        ({"how": "scale", "how.by": ["2", 0]}, {"how": "scale", "by": 0.5}),
        ({"how": "scale", "how.width": 7}, {"how": "scale", "by": 2.0}),  # left over from another choice
    ],
)
def test_choices_that_bring_inputs(bench: Bench, inputs: dict[str, Any], made: dict[str, Any]) -> None:
    assert bench.value({"1": node("SChoice", **inputs), "2": node("TPass", value=0.5)}) == (made, 1)


@pytest.mark.parametrize(
    "inputs, code, name",
    [
        ({}, "E-MISSING-INPUT", "how"),
        ({"how": "other"}, "E-CHOICE", "how"),
        ({"how": "size", "how.unit": "px"}, "E-MISSING-INPUT", "how.width"),
        ({"how": "size", "how.width": 500, "how.unit": "px"}, "E-RANGE", "how.width"),
        ({"how": "size", "how.width": 5, "how.unit": "cm"}, "E-MISSING-INPUT", "how.unit.dpi"),
    ],
)
def test_problems_of_the_inputs_of_a_choice(bench: Bench, inputs: dict[str, Any], code: str, name: str) -> None:
    found = bench.problem({"1": node("SChoice", **inputs)})
    assert (found.code, found.input) == (code, name)


def test_an_editor_workflow_with_a_choice_that_brings_inputs(bench: Bench) -> None:
    """Saved values go by position; how many there are depends on what is chosen."""
    saved = {
        "id": 1, "type": "SChoice", "pos": [0, 0], "size": [1, 1], "flags": {}, "order": 0, "mode": 0, "inputs": [],
        "outputs": [], "properties": {}, "widgets_values": ["size", 7, "cm", 300, 4],
    }  # fmt: skip
    document = {"nodes": [saved], "links": [], "version": 0.4, "last_node_id": 1, "last_link_id": 0}
    assert bench.value(document) == ({"how": "size", "width": 7, "unit": {"unit": "cm", "dpi": 300}}, 4)


def test_inputs_of_one_type(bench: Bench) -> None:
    prompt = {"1": node("SMatch", a=["2", 0], b=["3", 0]), "2": node("TNumber"), "3": node("TNumber", value=6)}
    assert bench.value(prompt) == (5, 6)
    prompt["3"] = node("TTensor")
    found = bench.problem(prompt)
    assert (found.code, found.input, found.expected, found.got) == ("E-LINK-TYPE", "b", "INT", "IMAGE")
    assert bench.value({"1": node("SMatchSome", a=["2", 0]), "2": node("TNumber")}) == 5
    assert bench.problem({"1": node("SMatchSome", a=["2", 0]), "2": node("TTensor")}).code == "E-LINK-TYPE"


def test_expansion(bench: Bench) -> None:
    assert bench.value({"1": node("SExpand", a=["2", 0]), "2": node("TNumber", value=4)}) == 14


def test_a_raw_link(bench: Bench) -> None:
    assert bench.value({"1": node("SRaw", a=["2", 0]), "2": node("TNumber")}) == ["2", 0]


def test_a_preview_is_saved(bench: Bench) -> None:
    result = bench.run({"1": node("SPreview", images=["2", 0]), "2": node("TTensor", size=8)})
    result.raise_for_failure()
    (shown,) = result.made.nodes["1"].ui["images"]
    assert shown["type"] == "temp"
    (picture,) = result.images["1"]
    assert picture.size == (8, 8)


def test_a_class_whose_schema_is_wrong_leaves_the_others(bench: Bench) -> None:
    packs = bench.session.all_packs()
    assert packs is not None
    (pack,) = [one for one in packs.packs if one.name == "schemas"]
    assert any("SDouble" in one and "not unique" in one for one in pack.problems)
    assert sys.modules["custom_nodes.schemas"].Extension.loaded
