"""A queue that survives: killed at any moment, every job that was accepted has its files once, and one end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from server_client import Caller, ServerProcess, prompt, simple

JOBS_AT_ONCE = 3


def saving(value: int, pause: float = 0.03) -> dict[str, Any]:
    return prompt(
        n=("Number", {"value": value}),
        a=("SaveText", {"value": "n:0", "pause": pause}),
        b=("SaveText", {"value": "n:0", "pause": pause}),
    )


def seconds_of_a_job(base: Path) -> float:
    """Return how long the first job of a server takes on this machine, as busy as it is."""
    with ServerProcess(base) as server:
        began = time.monotonic()
        server.post("/prompt", {"prompt": saving(0)})
        server.wait_idle()
        return time.monotonic() - began


def kill_again_and_again(base: Path, points: int, seed: int) -> None:
    """Start, queue, kill, so many times; then let all end and count what is there."""
    dice = random.Random(seed)
    accepted: dict[str, int] = {}
    value = 0
    # Long enough that jobs end now and then: one that ran whenever the server ended is given up after a while.
    longest = max(0.9, 1.5 * seconds_of_a_job(base))
    for _ in range(points):
        with ServerProcess(base) as server:
            timer = threading.Timer(dice.uniform(0.0, longest), server.kill)
            timer.start()
            with contextlib.suppress(OSError, ValueError):
                for _ in range(JOBS_AT_ONCE):
                    value += 1
                    status, answer = server.post("/prompt", {"prompt": saving(value)})
                    assert status == 200
                    accepted[answer["prompt_id"]] = value
            timer.join()
    with ServerProcess(base) as server:
        server.wait_idle(max(120, points))
        history = server.get("/history")
        assert server.stop() == 0
    texts = Counter(int(file.read_text()) for file in (base / "output").glob("*.txt"))
    assert accepted, "the server was always killed before it took anything in"
    for id, number in accepted.items():
        assert history[id]["status"]["status_str"] == "success", (id, history[id]["status"])
        files = [one["filename"] for node in "ab" for one in history[id]["outputs"][node]["files"]]
        assert [(base / "output" / name).read_text() for name in files] == [str(number)] * 2
    assert all(count == 2 for count in texts.values()), f"not two files each: {texts}"
    assert len(history) >= len(accepted)
    assert not list((base / "user" / "queue").glob("*.writes"))


def test_killed_at_any_moment_nothing_is_lost_or_done_twice(base: Path) -> None:
    kill_again_and_again(base, 8, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_two_hundred_moments_nothing_is_lost_or_done_twice(base: Path) -> None:
    kill_again_and_again(base, 200, seed=2)


def test_queue_history_and_numbers_survive_a_restart(base: Path) -> None:
    with ServerProcess(base) as server:
        _, done = server.post("/prompt", {"prompt": simple(5)})
        server.wait_idle()
        events = server.get("/events?since=0")
        server.post("/queue", {"pause": True})
        waiting = [server.post("/prompt", {"prompt": simple(n), "front": n == 3})[1] for n in (1, 2, 3)]
        assert server.stop() == 0
    with ServerProcess(base) as server:
        server.wait_idle()
        history = server.get("/history")
        assert history[done["prompt_id"]]["outputs"] == {"s": {"text": ["5"]}}
        later = server.get(f"/events?since={events['last']}")["events"]
        starts = [one["job"] for one in later if one["type"] == "execution_start"]
        assert starts == [waiting[2]["prompt_id"], waiting[0]["prompt_id"], waiting[1]["prompt_id"]]
        numbers = [one["n"] for one in server.get("/events?since=0")["events"]]
        assert numbers == sorted(set(numbers))
        _, next = server.post("/prompt", {"prompt": simple(9)})
        assert next["number"] > max(one["number"] for one in waiting)


def test_a_job_that_runs_is_left_to_the_next_start_when_the_server_stops(base: Path) -> None:
    with ServerProcess(base) as server:
        _, job = server.post("/prompt", {"prompt": prompt(a=("Steps", {"value": 3, "steps": 260, "pause": 0.01}))})
        while not server.get("/queue")["queue_running"]:
            time.sleep(0.01)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 6
    with ServerProcess(base) as server:
        server.wait_idle()
        assert server.get(f"/history/{job['prompt_id']}")[job["prompt_id"]]["status"]["status_str"] == "success"


def test_a_second_server_on_the_same_directory_leaves_the_queue_alone(base: Path) -> None:
    with ServerProcess(base) as first:
        first.post("/prompt", {"prompt": simple(1)})
        first.wait_idle()
        with ServerProcess(base) as second:
            assert second.get("/history") == {} and "are not kept" in second.text()
            second.post("/prompt", {"prompt": simple(2)})
            second.wait_idle()
            assert len(second.get("/history")) == 1
        assert len(first.get("/history")) == 1


def test_viewers_resume_from_a_number(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        for n in range(3):
            await caller.queue(simple(n))
        await caller.idle()
        whole = (await caller.get("/api/events", since=0))["events"]
        assert [one["n"] for one in whole] == list(range(1, len(whole) + 1))
        for since in (0, 3, len(whole) - 1):
            async with caller.listen(since=str(since)) as ears:
                for _ in range(len(whole) - since):
                    await ears.next()
                assert [one["n"] for one in ears.heard[1:]] == [one["n"] for one in whole[since:]]
                assert [one["data"] for one in ears.heard[1:]] == [one["data"] for one in whole[since:]]
        async with caller.listen("stranger", since="0") as ears:
            again = await caller.queue(simple(9))
            async with caller.listen("viewer", watch=again, since="0") as viewer:
                await viewer.until_end(again)
                assert {one["data"]["prompt_id"] for one in viewer.heard if "prompt_id" in one["data"]} == {again}
            assert set(ears.types()) <= {"status"}
        page = await caller.get("/events", since=2, limit=4)
        assert [one["n"] for one in page["events"]] == [3, 4, 5, 6] and page["last"] == 6

    serve(journey)


def test_nothing_is_missed_by_a_viewer_that_comes_while_much_happens(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        async def look(at: int) -> list[int]:
            await asyncio.sleep(at * 0.03)
            async with caller.listen("viewer", watch="*", since="0") as ears:
                while True:
                    message = await ears.next()
                    assert message is not None
                    if message["type"] == "executing" and message["data"] == {"node": None, "prompt_id": "last"}:
                        return [one["n"] for one in ears.heard if "n" in one]

        watching = [asyncio.create_task(look(at)) for at in range(10)]
        for n in range(60):
            await caller.queue(simple(n), prompt_id="last" if n == 59 else f"job{n}")
        for numbers in await asyncio.gather(*watching):
            assert numbers == list(range(1, len(numbers) + 1))

    serve(journey)
