"""The owner of weights: shares, keeps, drops, and builds everything once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.memory.devices import DeviceInfo, DtypeName
from engine.memory.residency import Residency
from engine.weights.recipe import FileRef, ModelRecipe

CPU = DeviceInfo("cpu", "cpu", 1 << 30)
MODULE_BYTES = 1000 * 4


class Builder:
    """Builds modules of 4,000 bytes and counts them."""

    def __init__(self, delay: float = 0.0) -> None:
        self.built: list[str] = []
        self.dtypes: list[torch.dtype] = []
        self.delay = delay

    def __call__(self, recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> nn.Module:
        self.built.append(recipe.file.name)
        self.dtypes.append(dtype)
        time.sleep(self.delay)
        if recipe.file.name == "broken":
            raise OSError("gone")
        return nn.Linear(1000, 1, bias=False)


def owner(builder: Builder, budget_bytes: int | None = None, dtype: DtypeName = "auto") -> Residency:
    return Residency(builder, lambda *_: MODULE_BYTES, CPU, dtype=dtype, budget_bytes=budget_bytes)


def recipe(name: str) -> ModelRecipe:
    return ModelRecipe(FileRef(Path(name), name, f"id-{name}"), "sd1", "text")


def test_a_module_is_built_once_and_shared() -> None:
    builder = Builder()
    models = owner(builder)
    plain = recipe("a")
    with models.use(plain) as first, models.use(plain.with_option("last_layer", -2)) as second:
        assert first is second
    with models.use(plain) as third:
        assert third is first
    assert builder.built == ["a"]
    assert models.resident_bytes == MODULE_BYTES


def test_least_recently_used_goes_first() -> None:
    builder = Builder()
    models = owner(builder, budget_bytes=2 * MODULE_BYTES)
    for name in ("a", "b", "a", "c", "a", "b"):
        with models.use(recipe(name)):
            pass
    assert builder.built == ["a", "b", "c", "b"]  # c pushed b out, not a
    assert models.resident_bytes == 2 * MODULE_BYTES


def test_what_is_in_use_stays() -> None:
    builder = Builder()
    models = owner(builder, budget_bytes=MODULE_BYTES)
    with models.use(recipe("a")) as a:
        with models.use(recipe("b")):
            assert models.resident_bytes == 2 * MODULE_BYTES
        with models.use(recipe("a")) as again:
            assert again is a
    assert builder.built == ["a", "b"]
    assert models.resident_bytes <= MODULE_BYTES


def test_room_is_made_before_a_module_is_built() -> None:
    """At no time is more held than the budget, not even while something is loading."""
    held: list[int] = []
    builder = Builder()

    def build(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> nn.Module:
        held.append(models.resident_bytes)
        return builder(recipe, device, dtype)

    models = Residency(build, lambda *_: MODULE_BYTES, CPU, budget_bytes=2 * MODULE_BYTES)
    for name in "abc":
        with models.use(recipe(name)):
            pass
    assert held == [0, MODULE_BYTES, MODULE_BYTES]


def test_larger_than_the_budget_still_runs() -> None:
    models = owner(Builder(), budget_bytes=10)
    with models.use(recipe("a")):
        assert models.resident_bytes == MODULE_BYTES
    assert models.resident_bytes == 0


def test_failures_come_through_and_leave_nothing() -> None:
    builder = Builder()
    models = owner(builder)
    for _ in range(2):  # the second try is a try, not a deadlock
        with pytest.raises(OSError, match="gone"), models.use(recipe("broken")):
            pass
    with pytest.raises(ValueError, match="in use"), models.use(recipe("a")):
        raise ValueError("in use")
    models.drop_unused()
    assert models.resident_bytes == 0
    assert builder.built == ["broken", "broken", "a"]


def test_threads_build_once() -> None:
    builder = Builder(delay=0.05)
    models = owner(builder)
    seen: list[nn.Module] = []

    def work() -> None:
        with models.use(recipe("a")) as module:
            seen.append(module)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builder.built == ["a"]
    assert len({id(module) for module in seen}) == 1


def test_threads_and_a_tight_budget() -> None:
    models = owner(Builder(), budget_bytes=2 * MODULE_BYTES)

    def work(number: int) -> int:
        for index in range(100):
            with models.use(recipe("abcd"[(index * number) % 4])) as module:
                module(torch.ones(1, 1000))
        return number

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(work, range(1, 6))) == [1, 2, 3, 4, 5]
    assert models.resident_bytes <= 2 * MODULE_BYTES


def test_dtype_is_passed_on() -> None:
    builder = Builder()
    with owner(builder, dtype="bfloat16").use(recipe("a")):
        pass
    with owner(builder, dtype="float16").use(recipe("a")):
        pass
    assert builder.dtypes == [torch.bfloat16, torch.float32]
