"""Networks in RAM: within the budget, read no more often than recency would, and in a run exactly as planned."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.memory.devices import DeviceInfo
from engine.memory.ram_tier import RamPlan, Use, _simulate, plan_ram
from engine.memory.residency import Residency
from engine.weights.recipe import FileRef, ModelRecipe

SIZES = {"a": 5, "b": 3, "c": 4, "d": 2}
USES = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True).map(tuple), min_size=1, max_size=14
)


@settings(max_examples=120, deadline=None)
@given(USES, st.integers(9, 16))
def test_within_the_budget_and_no_more_read_than_by_recency(uses: list[Use], limit: int) -> None:
    plan = plan_ram(uses, SIZES, limit)
    assert plan.peak_bytes <= limit and not plan.over
    assert plan.read_bytes <= _simulate(uses, SIZES, limit, False).read_bytes
    assert plan == plan_ram(uses, SIZES, limit)
    assert plan_ram(uses, SIZES, None).read_bytes == sum(SIZES[key] for key in {key for use in uses for key in use})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), st.integers(1, 3))
def test_fewest_reads_of_all_ways(order: list[str], room: int) -> None:
    """Networks of one size, one at a time: every choice of what gives way is tried."""
    uses: list[Use] = [(key,) for key in order]
    best = len(order)
    stack: list[tuple[int, frozenset[str], int]] = [(0, frozenset(), 0)]
    while stack:
        at, here, reads = stack.pop()
        if reads >= best:
            continue
        if at == len(order):
            best = reads
        elif order[at] in here:
            stack.append((at + 1, here, reads))
        elif len(here) < room:
            stack.append((at + 1, here | {order[at]}, reads + 1))
        else:
            stack += [(at + 1, here - {gone} | {order[at]}, reads + 1) for gone in here]
    assert plan_ram(uses, dict.fromkeys("abcd", 7), 7 * room).read_bytes == 7 * best


def owner_of(limit: int) -> tuple[Residency, list[str]]:
    built: list[str] = []

    def build(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> nn.Module:
        built.append(recipe.file.name)
        return nn.Linear(100 * SIZES[recipe.file.name], 1, bias=False)

    def measure(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> int:
        return 400 * SIZES[recipe.file.name]

    return Residency(build, measure, DeviceInfo("cpu", "cpu", 1 << 30), budget_bytes=400 * limit), built


def recipe(name: str) -> ModelRecipe:
    return ModelRecipe(FileRef(Path(name), name, f"id-{name}"), "sd1", "text")


def expected_of(plan: RamPlan) -> list[Use]:
    return [tuple(recipe(key).weights_key for key in use) for use in plan.uses]


@settings(max_examples=60, deadline=None)
@given(USES, st.integers(9, 16))
def test_a_run_reads_what_was_planned(uses: list[Use], limit: int) -> None:
    plan = plan_ram(uses, SIZES, limit)
    models, built = owner_of(limit)
    if plan.policy == "next use":
        models.expect(expected_of(plan))
    most = 0
    for use in uses:
        with contextlib.ExitStack() as borrowed:
            for key in use:
                borrowed.enter_context(models.use(recipe(key)))
                most = max(most, models.resident_bytes)
    assert built == [key for read in plan.reads for key in read]
    assert models.moved_bytes == 400 * plan.read_bytes
    assert most == 400 * plan.peak_bytes <= models.budget_bytes


def test_what_was_not_expected_ends_the_plan() -> None:
    models, built = owner_of(9)
    models.expect([(recipe(key).weights_key,) for key in "abab"])
    for key in "acabab":
        with models.use(recipe(key)):
            pass
    assert built[:2] == ["a", "c"] and set(built) == {"a", "b", "c"}
    assert models.resident_bytes <= models.budget_bytes


def test_more_at_once_than_the_budget_is_said() -> None:
    plan = plan_ram([("a", "b")], SIZES, 6)
    assert plan.over and plan.peak_bytes == 8
    assert not plan_ram([("a",)], SIZES, 5).over


def test_checkpoints_in_turn() -> None:
    """Three networks in turn in room for two: next use reads half of what recency does."""
    uses: list[Use] = [(key,) for key in itertools.islice(itertools.cycle("abc"), 30)]
    equal = dict.fromkeys("abc", 1)
    assert _simulate(uses, equal, 2, False).read_bytes == 30
    assert plan_ram(uses, equal, 2).read_bytes <= 17
