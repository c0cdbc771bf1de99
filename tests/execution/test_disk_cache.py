from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sample_nodes import Bench, graph_of, kind

from engine.execution.cache import Result
from engine.execution.disk_cache import RECENT, DiskCache
from engine.execution.tiered_cache import TieredCache
from engine.graph.node_types import SavedFile

BUDGET = 64 << 20
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")


@pytest.fixture
def open_disk(tmp_path: Path) -> Iterator[Callable[..., DiskCache]]:
    """Open the same directory again and again, as restarts do."""
    opened: list[DiskCache] = []

    def open_one(budget: int = BUDGET, **rest: Any) -> DiskCache:
        opened.append(DiskCache(tmp_path / "cache", budget, **rest))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def made(number: int, floats: int = 20_000) -> torch.Tensor:
    return torch.full((floats,), float(number))


def result_of(*values: Any, seconds: float = 1.0, **facts: Any) -> Result:
    return Result(values, "origin", seconds=seconds, **facts)


def store(disk: DiskCache, result: Result, *keys: str, label: str = "Node") -> None:
    disk.put(result, keys, label, 1000)
    disk.flush()


def files_of(disk: DiskCache) -> list[Path]:
    return sorted((disk.directory / "blobs").rglob("*.safetensors"))


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a process of its own; return that process's id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 (the parent sees the exit code)
            os._exit(1)
        os._exit(0)
    return child


def test_results_survive_a_restart(open_disk: Callable[..., DiskCache]) -> None:
    first = open_disk()
    ui = {"images": [{"filename": "a.png"}]}
    store(first, result_of(made(1), {"a": [1, 2.5]}, ui=ui), "derivation", "origin")
    store(first, result_of("small"), "small")
    first.close()
    second = open_disk()
    for key in ("derivation", "origin"):
        found = second.find(key)
        assert found is not None
        assert torch.equal(found.values[0], made(1))
        assert (found.values[1], found.ui, found.seconds, found.origin) == ({"a": [1, 2.5]}, ui, 1.0, "origin")
    assert second.find("small").values == ("small",)  # type: ignore[union-attr]
    assert second.find("other") is None
    assert second.facts().hits == 3


def test_a_restored_result_is_known_by_the_same_tokens(open_disk: Callable[..., DiskCache]) -> None:
    kept = result_of(made(1), np.arange(3), object)
    disk = open_disk()
    store(disk, result_of(made(1), np.arange(3)), "a")
    found = disk.find("a")
    assert found is not None
    assert [found.token(0), found.token(1)] == [kept.token(0), kept.token(1)]


def test_code_that_changed_finds_nothing_of_the_old(open_disk: Callable[..., DiskCache]) -> None:
    store(open_disk(scope="old:"), result_of(1), "a")
    assert open_disk(scope="new:").find("a") is None
    assert open_disk(scope="old:").find("a") is not None


def test_what_is_quick_to_make_is_not_stored_but_the_last_few_small_ones(open_disk: Callable[..., DiskCache]) -> None:
    disk = open_disk()
    for number in range(RECENT + 20):
        disk.put(result_of(number, seconds=1e-5), [f"k{number}"], "", 1000)
    disk.put(result_of(made(1), seconds=0.5), ["large"], "", 100_000_000)
    disk.flush()
    assert disk.facts().stored == RECENT
    assert disk.find("large") is None, "remaking takes less than writing and reading"
    assert disk.find("k5") is None
    assert disk.find(f"k{RECENT + 19}") is not None


def test_small_results_are_stored_in_a_quiet_moment(open_disk: Callable[..., DiskCache]) -> None:
    before = threading.enumerate()
    disk = open_disk()
    disk.put(result_of(1, seconds=1e-5), ["a"], "", 1000)
    deadline = time.monotonic() + 10
    while disk.facts().stored == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert disk.find("a") is not None
    (thread,) = [one for one in threading.enumerate() if one not in before]
    disk.close()
    assert not thread.is_alive()


def test_what_cannot_be_stored_is_counted_and_nothing_else_happens(open_disk: Callable[..., DiskCache]) -> None:
    disk = open_disk()
    store(disk, result_of(object()), "a")
    store(disk, result_of(1), "b")
    assert (disk.facts().not_storable, disk.facts().stored, disk.problem) == (1, 1, None)


@pytest.mark.parametrize("damage", ["cut", "longer", "flipped", "garbage", "empty", "gone"])
def test_damaged_files_are_misses_and_go(open_disk: Callable[..., DiskCache], damage: str) -> None:
    disk = open_disk()
    store(disk, result_of(made(1)), "a")
    store(disk, result_of(made(2)), "b")
    (path,) = [one for one in files_of(disk) if torch.equal(_tensor(one), made(1))]
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        changed = {"cut": data[:-7], "longer": data + b"x", "flipped": data, "garbage": os.urandom(99), "empty": b""}
        path.write_bytes(changed[damage])
    assert disk.find("a") is None
    disk.flush()
    assert disk.facts().results == 1
    assert len(files_of(disk)) == 1
    assert torch.equal(disk.find("b").values[0], made(2))  # type: ignore[union-attr]
    store(disk, result_of(made(1)), "a")
    assert torch.equal(disk.find("a").values[0], made(1))  # type: ignore[union-attr]


def _tensor(path: Path) -> torch.Tensor:
    from safetensors.torch import load_file

    return load_file(path)["0"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE results SET record = replace(record, '2.5', '3.5')",
        "UPDATE results SET record = 'no json'",
        "UPDATE results SET data = zeroblob(100)",
        "UPDATE results SET blob = '../../../etc/passwd'",
        "UPDATE keys SET result = 77",
    ],
)
def test_a_damaged_index_row_is_a_miss(open_disk: Callable[..., DiskCache], change: str) -> None:
    disk = open_disk()
    store(disk, result_of(2.5, torch.ones(3)), "a")
    disk.close()
    with sqlite3.connect(disk.directory / "index.sqlite") as connection:
        connection.execute(change)
    connection.close()
    again = open_disk()
    assert again.find("a") is None
    assert again.problem is None


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_an_index_that_is_none_is_begun_anew(open_disk: Callable[..., DiskCache], content: bytes) -> None:
    disk = open_disk()
    store(disk, result_of(made(1)), "a")
    disk.close()
    for path in disk.directory.glob("index.sqlite*"):
        path.write_bytes(content if path.name == "index.sqlite" else b"")
    again = open_disk()
    assert again.problem is None
    assert again.find("a") is None
    store(again, result_of(made(2)), "b")
    assert again.find("b") is not None
    assert len(files_of(again)) == 1, "files that the new index does not know are removed"


def test_an_index_that_is_broken_inside_is_off_for_this_process_and_anew_for_the_next(
    open_disk: Callable[..., DiskCache],
) -> None:
    disk = open_disk()
    for number in range(300):
        disk.put(result_of(number), [f"k{number}"], "Node", 1000)
    disk.close()
    path = disk.directory / "index.sqlite"
    data = bytearray(path.read_bytes())
    data[8192:] = os.urandom(len(data) - 8192)
    path.write_bytes(data)
    broken = open_disk()
    for number in range(300):
        assert broken.find(f"k{number}") is None
        broken.put(result_of(number), [f"k{number}"], "Node", 1000)
    broken.flush()
    broken.close()
    again = open_disk()
    store(again, result_of(7), "k7")
    assert again.problem is None
    assert again.find("k7") is not None


def test_a_database_of_another_layout_is_emptied(open_disk: Callable[..., DiskCache]) -> None:
    disk = open_disk()
    store(disk, result_of(1), "a")
    disk.close()
    with sqlite3.connect(disk.directory / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    again = open_disk()
    assert again.find("a") is None
    store(again, result_of(1), "a")
    assert again.find("a") is not None


def test_saved_files_must_be_there_with_the_same_bytes(open_disk: Callable[..., DiskCache], tmp_path: Path) -> None:
    import hashlib

    picture = tmp_path / "output" / "a.png"
    picture.parent.mkdir()
    picture.write_bytes(b"pixels")
    saved = SavedFile(str(picture), "output", "", hashlib.sha256(b"pixels").hexdigest())
    disk = open_disk(roots={"output": picture.parent})
    store(disk, result_of(seconds=0.0, files=(saved,)), "a")
    assert disk.find("a").files == (saved,)  # type: ignore[union-attr]
    os.utime(picture, (1, 1))
    assert disk.find("a") is not None, "another time, the same bytes"
    picture.write_bytes(b"pixelz")
    assert disk.find("a") is None
    picture.write_bytes(b"pixels")
    assert disk.find("a") is not None
    assert open_disk(roots={"output": tmp_path / "elsewhere"}).find("a") is None
    picture.unlink()
    assert disk.find("a") is None


def test_the_budget_holds_and_pinned_results_stay(open_disk: Callable[..., DiskCache]) -> None:
    budget = 1_000_000  # a result has 80,000 bytes
    disk = open_disk(budget)
    store(disk, result_of(made(0), seconds=0.1), "cheap")
    store(disk, result_of(made(1), seconds=50.0), "costly")
    store(disk, result_of(made(2), seconds=0.1), "pinned")
    disk.pin([id for id, one in disk.listed().items() if one.keys == ("pinned",)], True)
    for number in range(10, 40):
        store(disk, result_of(made(number), seconds=1.0), f"k{number}")
        facts = disk.facts()
        assert facts.size <= budget
        assert sum(path.stat().st_size for path in files_of(disk)) <= facts.size
    assert disk.find("cheap") is None
    assert disk.find("costly") is not None
    assert disk.find("pinned") is not None
    assert disk.find("k39") is not None
    assert len(files_of(disk)) == disk.facts().results
    store(disk, result_of(made(7, 300_000)), "too large for all of it")
    assert disk.find("k39") is not None
    disk.close()
    smaller = open_disk(300_000)
    store(smaller, result_of(1), "x")
    assert smaller.facts().size <= 300_000
    assert smaller.find("pinned") is not None
    assert len(files_of(smaller)) == smaller.facts().results - 1


def test_equal_bulk_is_stored_once_and_goes_with_its_last_result(open_disk: Callable[..., DiskCache]) -> None:
    disk = open_disk()
    store(disk, result_of(made(1)), "a")
    store(disk, result_of(made(1), "and"), "b")
    assert len(files_of(disk)) == 1
    disk.remove([id for id, one in disk.listed().items() if "a" in one.keys])
    assert torch.equal(disk.find("b").values[0], made(1))  # type: ignore[union-attr]
    store(disk, result_of(made(1), "again"), "b")
    assert torch.equal(disk.find("b").values[0], made(1))  # type: ignore[union-attr]
    disk.remove(disk.listed())
    assert files_of(disk) == []
    assert disk.facts().size == 0


def test_partial_results_are_replaced_dropped_and_survive(open_disk: Callable[..., DiskCache]) -> None:
    tiered = TieredCache(open_disk(), 1 << 20)
    assert tiered.partial("k") is None
    for step in range(3):
        tiered.keep_partial("k", {"step": step, "x": made(step)}, seconds=float(step))
    assert tiered.partial("k")["step"] == 2
    assert tiered.get("k") is None, "they are no results"
    tiered.flush()
    later = TieredCache(open_disk(), 1 << 20)
    assert later.partial("k")["step"] == 2
    assert torch.equal(later.partial("k")["x"], made(2))
    assert later.facts().disk.results == 1  # type: ignore[union-attr]
    later.drop_partial("k")
    later.flush()
    assert later.partial("k") is None
    assert TieredCache(open_disk(), 1 << 20).partial("k") is None


def test_unfinished_work_outlives_what_is_cheap(open_disk: Callable[..., DiskCache]) -> None:
    tiered = TieredCache(open_disk(400_000), 400_000)
    tiered.keep_partial("k", made(0))
    for number in range(12):
        tiered.put(result_of(made(number), seconds=0.5), f"k{number}")
    tiered.flush()
    assert torch.equal(tiered.partial("k"), made(0))
    assert torch.equal(tiered.disk.partial("k"), made(0))


def test_the_tier_of_a_hit_is_told_and_a_hit_on_disk_moves_up(open_disk: Callable[..., DiskCache]) -> None:
    first = TieredCache(open_disk(), 1 << 20)
    kept = result_of(1)
    first.put(kept, "a", label="Node")
    first.link(kept, "a", "b")  # while it waits to be stored
    first.flush()
    first.link(kept, "a", "c")
    first.flush()
    second = TieredCache(open_disk(), 1 << 20)
    for key in "abc":
        assert second.lookup(key).tier == "disk"  # type: ignore[union-attr]
        assert second.lookup(key).tier == "memory"  # type: ignore[union-attr]
    assert second.lookup("d") is None
    facts = second.facts()
    assert (facts.hits, facts.misses, facts.disk.hits) == (3, 1, 3)  # type: ignore[union-attr]
    second.flush()
    (listed,) = open_disk().listed().values()
    assert (listed.label, listed.hits, listed.keys) == ("Node", 3, ("a", "b", "c"))


def test_a_graph_is_found_after_a_restart_and_after_another(open_disk: Callable[..., DiskCache]) -> None:
    def slow(*, a: int) -> int:
        calls.append(a)
        time.sleep(0.03)
        return a * 10

    calls: list[int] = []
    graphs = {
        name: graph_of(n=("Number", {"value": name}), s=("Slow", {"a": "n:0"}), t=("Slow", {"a": "s:0"}))
        for name in (1, 2)
    }

    def run(name: int, version: str = "1") -> tuple[Any, str]:
        bench = Bench(kind("Slow", slow, {"a": "INT"}, version=version))
        cache = TieredCache(open_disk(), 1 << 20)
        bench.cache = cache
        calls.clear()
        outcome = bench.run(graphs[name], ["t"])
        cache.close()
        return outcome.values["t"], str(outcome.nodes["t"].state)

    assert run(1) == ((100,), "done")
    assert run(2) == ((200,), "done")
    assert run(1) == ((100,), "cached")
    assert calls == []
    assert run(1, version="2") == ((100,), "done")
    assert calls == [1, 10], "the code of the node changed"


def test_what_may_depend_on_more_runs_in_each_process_and_its_result_decides(
    open_disk: Callable[..., DiskCache],
) -> None:
    world = [5]
    calls: list[str] = []

    def look(*, value: int) -> int:
        calls.append("look")
        time.sleep(0.03)
        return world[0]

    def slow(*, a: int) -> int:
        calls.append(f"slow {a}")
        time.sleep(0.03)
        return a * 10

    graph = graph_of(n=("Look", {"value": 1}), s=("Slow", {"a": "n:0"}), t=("Slow", {"a": "s:0"}))

    def run(times: int = 1) -> Any:
        types = kind("Look", look, {"value": "INT"}, lasting=False), kind("Slow", slow, {"a": "INT"})
        bench = Bench(*types)
        bench.cache = cache = TieredCache(open_disk(), 1 << 20)
        calls.clear()
        for _ in range(times):
            outcome = bench.run(graph, ["t"])
        cache.close()
        return outcome.values["t"]

    assert run() == (500,) and calls == ["look", "slow 5", "slow 50"]
    assert run(times=2) == (500,) and calls == ["look"], "once in each process; what is below it comes from the disk"
    assert run() == (500,) and calls == ["look"], "finding it by content does not let it be found without looking"
    world[0] = 7
    assert run() == (700,) and calls == ["look", "slow 7", "slow 70"]


@forks
def test_kill_9_loses_nothing_that_was_finished_and_tears_nothing(open_disk: Callable[..., DiskCache]) -> None:
    rounds, per_round = 45, 1000
    random.seed(4)
    finished: set[int] = set()

    def write_on(first: int, pipe: int) -> None:
        disk = open_disk(1 << 30)
        for number in range(first, first + per_round):
            result = result_of(made(number, 10 if number % 3 else 20_000), number)
            disk.put(result, [f"k{number}"], "Node", 1000)
            if number % 2:
                disk.flush()
                os.write(pipe, number.to_bytes(4, "little"))

    for number in range(rounds):
        reading, writing = os.pipe()
        child = in_child(lambda first=number * per_round, pipe=writing: write_on(first, pipe))
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read(4 * random.randrange(6))
            time.sleep(random.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told += pipe.read()
        finished |= {int.from_bytes(told[at : at + 4], "little") for at in range(0, len(told) - 3, 4)}
    disk = open_disk(1 << 30)
    stored = {int(one.keys[0][1:]) for one in disk.listed().values()}
    assert finished <= stored
    assert finished  # how many there were depends on the machine
    for number in stored:
        found = disk.find(f"k{number}")
        assert found is not None
        assert found.values[1] == number
        assert torch.equal(found.values[0], made(number, 10 if number % 3 else 20_000))
    assert disk.facts().damaged == 0
    store(disk, result_of(1), "x")
    assert len(files_of(disk)) == sum(number % 3 == 0 for number in stored), "nothing is left that no result needs"


@forks
def test_a_forked_copy_leaves_the_cache_to_its_parent(open_disk: Callable[..., DiskCache]) -> None:
    cache = TieredCache(open_disk(), 1 << 20)
    cache.put(result_of(1), "a")
    cache.flush()

    def work() -> None:
        assert cache.disk.find("a") is None
        assert cache.get("a") is not None
        cache.put(result_of(2), "b")
        cache.link(cache.get("b"), "b", "c")  # type: ignore[arg-type]
        cache.keep_partial("d", 3)
        cache.drop_partial("d")
        cache.flush()
        cache.close()

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1]) == 0
    cache.put(result_of(2), "e")
    cache.flush()
    assert sorted(one.keys for one in open_disk().listed().values()) == [("a",), ("e",)]


@forks
def test_two_processes_share_a_cache(open_disk: Callable[..., DiskCache]) -> None:
    budget, count = 3_000_000, 60

    def work(seed: int) -> None:
        disk = open_disk(budget)
        order = list(range(count))
        random.Random(seed).shuffle(order)
        for number in order:
            found = disk.find(f"k{number}")
            assert found is None or torch.equal(found.values[0], made(number))
            disk.put(result_of(made(number), seconds=1 + number % 5), [f"k{number}"], "Node", 1000)
            if number % 7 == 0:
                disk.flush()
        disk.close()
        assert disk.problem is None

    children = [in_child(lambda seed=seed: work(seed)) for seed in range(3)]
    disk = open_disk(budget)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    time.sleep(0.06)
    facts = disk.facts()
    assert 20 < facts.results <= count
    assert facts.size <= budget
    for number in range(count):
        found = disk.find(f"k{number}")
        assert found is None or torch.equal(found.values[0], made(number))
    assert disk.facts().hits == facts.results
    assert disk.facts().damaged == 0
    assert len(files_of(disk)) == facts.results


def test_threads_share_a_cache(open_disk: Callable[..., DiskCache]) -> None:
    cache = TieredCache(open_disk(4_000_000), 500_000)
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for i in range(60):
                number = (i * seed) % 40
                kept = cache.get(f"k{number}")
                if kept is None:
                    cache.put(result_of(made(number)), f"k{number}", f"o{number}")
                else:
                    assert torch.equal(kept.values[0], made(number))
                    cache.link(kept, f"k{number}", f"k{number}+{seed}")
        except BaseException as fault:  # noqa: BLE001 (brought to the main thread)
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.flush()
    facts = cache.facts()
    assert not faults
    assert facts.disk is not None
    assert facts.disk.problem is None
    assert facts.disk.size <= 4_000_000


@forks
def test_a_disk_that_is_full_costs_a_warning_and_no_run(
    open_disk: Callable[..., DiskCache], capfd: pytest.CaptureFixture[str]
) -> None:
    import resource

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # what the system says then is much the same
        cache = TieredCache(open_disk(), 1 << 24)
        for number in range(6):
            cache.put(result_of(made(number)), f"k{number}")
            assert cache.get(f"k{number}") is not None
        cache.flush()
        facts = cache.facts().disk
        assert facts is not None
        assert facts.problem is not None
        assert facts.stored == 0

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1]) == 0
    assert files_of(open_disk()) == []
    assert list((open_disk().directory / "blobs").glob("*.part")) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs another user to become")
def test_a_directory_that_may_not_be_written_to_costs_a_warning_and_no_run(open_disk: Callable[..., DiskCache]) -> None:
    store(open_disk(), result_of(1), "a")

    def work() -> None:
        os.setuid(65534)
        cache = TieredCache(open_disk(), 1 << 20)
        cache.put(result_of(2), "b")
        assert cache.get("b") is not None
        cache.close()
        facts = cache.facts().disk
        assert facts is not None
        assert facts.problem is not None

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1]) == 0


def test_a_directory_that_cannot_be_made_costs_a_warning_and_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = TieredCache(DiskCache(tmp_path / "file" / "cache", BUDGET), 1 << 20)
    cache.put(result_of(1), "a")
    assert cache.get("a") is not None
    assert cache.get("b") is None
    cache.keep_partial("a", 1)
    cache.flush()
    cache.close()
    assert "turned off" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_closed_cache_still_keeps_results_in_memory(open_disk: Callable[..., DiskCache]) -> None:
    cache = TieredCache(open_disk(), 1 << 20)
    cache.close()
    cache.put(result_of(1), "a")
    cache.flush()
    cache.close()
    assert cache.get("a") is not None
