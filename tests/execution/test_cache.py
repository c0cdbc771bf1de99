from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.execution.cache import KEY_OVERHEAD, RESULT_OVERHEAD, Result, ResultCache, size_bytes
from engine.graph.hot_records import hot_record
from engine.graph.node_types import SavedFile


def result_of(*values: Any, **facts: Any) -> Result:
    return Result(values, "origin", **facts)


def block(count: int) -> Result:
    return result_of(np.zeros(count, "uint8"))


ONE_K = 1000 + 64 + RESULT_OVERHEAD + KEY_OVERHEAD


def test_bound_holds_and_the_least_recently_used_go_first() -> None:
    cache = ResultCache(3 * ONE_K)
    for name in "abc":
        cache.put(block(1000), name)
    assert cache.get("a") is not None
    cache.put(block(1000), "d")
    assert [name for name in "abcd" if cache.get(name) is not None] == ["a", "c", "d"]
    facts = cache.facts()
    assert facts.size <= facts.max_size
    assert (facts.results, facts.evictions) == (3, 1)


def test_accounting_returns_to_zero() -> None:
    cache = ResultCache(1 << 20)
    for i in range(50):
        kept = block(i)
        cache.put(kept, f"a{i}", f"b{i % 7}", None)
        cache.link(kept, f"a{i}", f"c{i}")
    cache.put(block(5), "a1", "a2", "b3")
    cache.resize(0)
    assert cache.facts().size == 0
    assert cache.facts().results == 0
    cache.resize(1 << 20)
    cache.put(block(1), "x")
    cache.clear()
    assert cache.facts().size == 0


def test_what_is_larger_than_the_cache_is_not_kept_and_pushes_nothing_out() -> None:
    cache = ResultCache(2 * ONE_K)
    cache.put(block(1000), "a")
    cache.put(block(100_000), "b")
    assert cache.get("a") is not None
    assert cache.get("b") is None


def test_a_larger_result_does_not_leave_the_old_one_under_its_key() -> None:
    cache = ResultCache(2 * ONE_K)
    cache.put(block(1000), "a")
    cache.put(block(100_000), "a")
    assert cache.get("a") is None


def test_several_keys_lead_to_one_result_and_go_with_it() -> None:
    cache = ResultCache(ONE_K + 3 * KEY_OVERHEAD)
    kept = block(1000)
    cache.put(kept, "a", "b", None)
    cache.link(kept, "a", "c")
    cache.link(kept, "nothing", "d")
    assert [cache.get(key) for key in "abcd"] == [kept, kept, kept, None]
    cache.put(block(1000), "e")
    assert [cache.get(key) for key in "abc"] == [None] * 3


def test_keys_without_end_do_not_grow_past_the_bound() -> None:
    cache = ResultCache(ONE_K + 10 * KEY_OVERHEAD)
    kept = block(1000)
    cache.put(kept, "a")
    for i in range(100):
        cache.link(kept, "a", f"k{i}")
    assert cache.facts().size <= cache.facts().max_size


def test_result_whose_files_are_gone_is_a_miss(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"x")
    cache = ResultCache()
    cache.put(result_of(files=(SavedFile(str(picture), "output", "", "0"),)), "a", "b")
    assert cache.get("a") is not None
    picture.unlink()
    assert cache.get("a") is None
    picture.write_bytes(b"x")
    assert cache.get("b") is None, "it left with all its keys"


def test_what_a_result_holds_cannot_be_changed() -> None:
    """The record itself is frozen to the type checker, which is told so; what it holds is frozen for everybody."""
    told = hot_record.__dataclass_transform__  # type: ignore[attr-defined]
    assert {**told, **told["kwargs"]}["frozen_default"]  # Python 3.11 keeps it among the others
    made = Result((1,), "key")
    assert type(made.values) is tuple
    with pytest.raises(TypeError):
        made.ui["text"] = "other"  # type: ignore[index]


def test_tokens_fall_back_to_what_made_the_value() -> None:
    made = Result((1, object()), "key")
    assert made.token(0) == Result((1,), "other").token(0)
    assert made.token(1) == Result((0, object()), "key").token(1)
    assert made.token(1) != Result((0, object()), "other").token(1)


def test_sizes() -> None:
    @dataclasses.dataclass
    class Holder:
        data: Any

    array = np.zeros(10_000, "float32")
    for value in (array, [array], (array, array), {"samples": array}, Holder(array), [Holder({"a": (array,)})]):
        assert 40_000 <= size_bytes(value) < 41_500, value
    assert size_bytes([array, array.copy()]) >= 80_000
    assert size_bytes("x" * 5000) >= 5000
    assert size_bytes(object()) < 200
    cyclic: list[Any] = [array]
    cyclic.append(cyclic)
    assert size_bytes(cyclic) < 41_000


def test_a_recipe_is_as_small_as_it_is_whatever_its_file_is() -> None:
    from engine.weights.recipe import FileRef, ModelRecipe

    recipe = ModelRecipe(FileRef(Path("model.safetensors"), "model", "x", 7 << 30), "sdxl", "diffusion")
    assert recipe.nbytes == 7 << 30
    assert size_bytes(recipe) < 2000


def test_what_is_large_and_cheap_goes_before_what_is_small_or_costly() -> None:
    cache = ResultCache(8 * ONE_K)
    cache.put(result_of(np.zeros(4000, "uint8"), seconds=0.01), "large and cheap")
    cache.put(result_of(np.zeros(4000, "uint8"), seconds=60.0), "large and costly")
    cache.put(result_of(np.zeros(10, "uint8"), seconds=0.01), "small and cheap")
    for name in "abc":
        cache.put(result_of(np.zeros(1000, "uint8"), seconds=1.0), name)
    kept = ("large and costly", "small and cheap", "a", "b", "c")
    assert [name for name in ("large and cheap", *kept) if cache.get(name)] == list(kept)


def test_what_was_costly_but_is_not_used_any_more_goes_in_the_end() -> None:
    cache = ResultCache(5 * ONE_K)
    cache.put(result_of(np.zeros(1000, "uint8"), seconds=20.0), "costly")
    for i in range(400):
        cache.put(result_of(np.zeros(1000, "uint8"), seconds=1.0), f"k{i}")
        assert cache.facts().size <= 5 * ONE_K
        if i == 20:
            assert cache.get("costly") is not None
    assert cache.get("costly") is None
    assert len(cache._heap) <= 64 + 2 * cache.facts().results


def test_evicting_costs_little_however_many_are_kept() -> None:
    """Ten times the results may cost about ten times as much to bring through; a scan would cost a hundred times."""

    def seconds(count: int) -> float:
        cache = ResultCache(count * (KEY_OVERHEAD + RESULT_OVERHEAD + 32))
        results = [result_of(i, seconds=i % 7) for i in range(count)]
        started = time.process_time()
        for round in range(3):
            for i, result in enumerate(results):
                cache.put(result, f"{round} {i}")
                cache.get(f"{round} {i // 2}")
        assert cache.facts().evictions >= 2 * count - 2
        return time.process_time() - started

    assert seconds(20_000) < 40 * max(seconds(2_000), 1e-3)


def test_no_more_results_than_asked_for_are_kept() -> None:
    cache = ResultCache(max_results=3)
    for i, name in enumerate("abc"):
        cache.put(result_of(i, seconds=9.0 - i), name)
    cache.get("a")
    cache.put(result_of(4), "d")
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]
    assert ResultCache(max_results=0).put(result_of(1), "a") is None


def test_partial_results_are_kept_apart_and_replaced() -> None:
    cache = ResultCache(1 << 20)
    cache.keep_partial("a", {"step": 1})
    cache.keep_partial("a", {"step": 2}, seconds=3.0)
    assert cache.get("a") is None
    assert cache.partial("a") == {"step": 2}
    assert cache.facts().results == 1
    cache.drop_partial("a")
    cache.drop_partial("a")
    assert cache.partial("a") is None
    assert cache.facts().size == 0


def test_sizes_of_tensors_and_pictures() -> None:
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("PIL.Image")
    assert size_bytes(torch.zeros(1000, dtype=torch.bfloat16)) == 2064
    assert size_bytes(image.new("RGB", (10, 20))) == 664


def test_threads_may_share_a_cache() -> None:
    cache = ResultCache(20 * ONE_K)
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for i in range(300):
                key = f"k{(i * seed) % 40}"
                kept = cache.get(key)
                if kept is None:
                    cache.put(block(1000), key, f"{key}-{seed}")
                else:
                    cache.link(kept, key, f"{key}+{seed}")
        except BaseException as fault:  # noqa: BLE001 (brought to the main thread)
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert cache.facts().size <= cache.facts().max_size
    cache.resize(0)
    assert cache.facts().size == 0
