"""IS_CHANGED, VALIDATE_INPUTS, and choices that are listed anew."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from pack_bench import Bench, node


def ran(bench: Bench, prompt: dict[str, Any]) -> list[Any]:
    bench.run(prompt, ["1"]).raise_for_failure()
    return [one for one in bench.calls if one[0] == prompt["1"]["class_type"]]


def world() -> dict[str, Any]:
    found: dict[str, Any] = sys.modules["custom_nodes.contract.hooks"].WORLD
    return found


@pytest.mark.parametrize("kind", ["TChangedConstant", "TChangedAsync"])
def test_a_node_runs_again_when_its_own_value_changes(bench: Bench, kind: str) -> None:
    prompt = {"1": node(kind, value=2)}
    assert ran(bench, prompt)
    assert not ran(bench, prompt)
    world()["changed"] += 1
    assert ran(bench, prompt)


@pytest.mark.parametrize("kind", ["TChangedNaN", "TChangedRaises"])
def test_nan_and_errors_mean_always(bench: Bench, kind: str) -> None:
    prompt = {"1": node(kind, value=2)}
    assert ran(bench, prompt)
    assert ran(bench, prompt)


def test_equal_values_of_a_node_that_always_runs_wake_nothing_below(bench: Bench) -> None:
    prompt = {"1": node("TTwo", a=["2", 0]), "2": node("TChangedNaN", value=2)}
    assert ran(bench, prompt)
    assert not ran(bench, prompt)


def test_links_arrive_as_none(bench: Bench) -> None:
    bench.run({"1": node("TChangedConstant", value=2, link=["2", 0]), "2": node("TNumber")}, ["1"])
    assert ("asked", 2, None) in bench.calls


@pytest.mark.parametrize(
    "kind, value, message",
    [
        ("TValidate", 3, None),
        ("TValidate", 50, None),  # out of range, which the node looks at itself
        ("TValidate", 13, "thirteen is not allowed"),
        ("TValidateFalse", 4, None),
        ("TValidateFalse", 5, "TValidateFalse refuses its inputs"),
        ("TValidateAll", 50, None),
        ("TValidateAsync", 40, None),
        ("TValidateAsync", 51, "too much"),
        ("TValidateRaises", 1, "the check of TValidateRaises failed: KeyError: 'oh'"),
        ("TValidateLink", 5, None),
    ],
)
def test_a_node_checks_its_own_inputs(bench: Bench, kind: str, value: Any, message: str | None) -> None:
    found = bench.problems({"1": node(kind, value=value)}, ["1"])
    assert [one.message for one in found] == ([] if message is None else [message])
    assert all(one.code == "E-CHECK" for one in found)


def test_coroutines_are_settled_where_a_loop_runs_already(bench: Bench) -> None:
    async def ask() -> list[str]:
        return [one.message for one in bench.problems({"1": node("TValidateAsync", value=51)}, ["1"])]

    assert asyncio.run(ask()) == ["too much"]

    async def compute() -> Any:
        return bench.value({"1": node("TTwo", a=["2", 0]), "2": node("TChangedAsync", value=3)})

    assert asyncio.run(compute()) == 5


def test_a_value_that_the_node_checks_is_still_converted(bench: Bench) -> None:
    assert bench.value({"1": node("TValidate", value="50")}) == 50
    assert bench.problem({"1": node("TValidate", value="many")}).code == "E-TYPE"


def test_what_the_check_does_not_name_is_checked_by_the_engine(bench: Bench) -> None:
    assert bench.problem({"1": node("TValidateLink", value=50)}).code == "E-RANGE"
    assert bench.problem({"1": node("TValidate", value=1, pick="z")}).code == "E-CHOICE"
    assert bench.problems({"1": node("TValidateAll", value=1, pick="z")}, ["1"]) == []


def test_what_a_check_is_given(bench: Bench) -> None:
    prompt = {"1": node("TValidateAll", value=1, link=["2", 0]), "2": node("TNumber")}
    bench.run(prompt, ["1"])
    assert ("validate", {"link": None, "value": 1}) in bench.calls
    bench.run({"1": node("TValidateLink", link=["2", 0]), "2": node("TNumber")}, ["1"])
    assert ("link", None) in bench.calls
    bench.run({"1": node("TValidateList", value=4)}, ["1"])
    assert ("listed", [4]) in bench.calls


@pytest.mark.parametrize("source, fits", [("TNumber", True), ("TTensor", False)])
def test_a_check_of_types(bench: Bench, source: str, fits: bool) -> None:
    """The parameter input_types turns the engine's own check of types off."""
    found = bench.problems({"1": node("TValidateTypes", value=["2", 0]), "2": node(source)}, ["1"])
    assert [one.message for one in found] == ([] if fits else ["no IMAGE here"])
    text = {"1": node("TValidateTypes", value=["2", 1]), "2": node("TTwo", a=1)}
    assert bench.problems(text, ["1"]) == []


def test_a_check_runs_only_when_nothing_else_is_wrong(bench: Bench) -> None:
    found = bench.problems({"1": node("TValidateRaises", value=1, pick="z")}, ["1"])
    assert [one.code for one in found] == ["E-CHOICE"]


def test_choices_that_cannot_be_listed_for_once_stay_as_they_were(
    bench: Bench, pack_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pack_base / "input" / "one.txt").write_text("1")
    try:
        prompt = {"1": node("TFiles", file="one.txt")}
        assert bench.problems(prompt, ["1"]) == []

        def fail() -> Any:
            raise OSError("the disk is away")

        monkeypatch.setattr(sys.modules["custom_nodes.contract.hooks"].TFiles, "INPUT_TYPES", fail)
        assert bench.problems(prompt, ["1"]) == []
    finally:
        (pack_base / "input" / "one.txt").unlink()


def test_choices_are_listed_anew_before_each_run(bench: Bench, pack_base: Path) -> None:
    folder = pack_base / "input"
    (folder / "one.txt").write_text("1")
    try:
        assert bench.value({"1": node("TFiles", file="one.txt")}) == "1"
        assert bench.problem({"1": node("TFiles", file="two.txt")}).code == "E-CHOICE"
        (folder / "two.txt").write_text("2")
        assert bench.value({"1": node("TFiles", file="two.txt")}) == "2"
        (folder / "two.txt").write_text("3")
        assert bench.value({"1": node("TFiles", file="two.txt")}) == "3"
        (folder / "two.txt").unlink()
        assert bench.problem({"1": node("TFiles", file="two.txt")}).code == "E-CHOICE"
    finally:
        for name in ("one.txt", "two.txt"):
            (folder / name).unlink(missing_ok=True)
