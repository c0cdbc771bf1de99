"""Clients in turn: nobody waits for all that another queued before, and numbers tell the order of running."""

from __future__ import annotations

import random
from typing import Any

from server_client import Caller, prompt

from engine.server.job_rows import QueuedJob
from engine.server.waiting import WaitingJobs

SLOW = prompt(s=("Spin", {"seconds": 0.6}))


def graph(value: int) -> dict[str, Any]:
    return prompt(n=("Number", {"value": value}), s=("Show", {"value": "n:0"}))


async def started(caller: Caller) -> list[str]:
    events = (await caller.get("/events", since=0))["events"]
    return [one["job"] for one in events if one["type"] == "execution_start"]


def test_clients_run_in_turn_and_the_queue_says_in_which(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        await caller.queue(SLOW, client="a", prompt_id="a0")
        for client, count in (("a", 4), ("b", 3), ("c", 1)):
            for n in range(1, count + 1):
                await caller.queue(graph(n), client=client, prompt_id=f"{client}{n}")
        waiting = (await caller.get("/queue"))["queue_pending"]
        assert [one[1] for one in waiting] == ["c1", "b1", "a1", "b2", "a2", "b3", "a3", "a4"]
        numbers = [one[0] for one in waiting]
        assert numbers == sorted(numbers) and all(isinstance(one, int) for one in numbers)
        await caller.idle()
        assert await started(caller) == ["a0", *(one[1] for one in waiting)]
        await caller.queue(graph(9), client="a", prompt_id="later")
        await caller.idle()
        assert (await caller.get("/history/later"))["later"]["prompt"][0] > max(numbers) - 1

    serve(journey)


def test_a_chosen_place_wins(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        await caller.queue(SLOW, client="a", prompt_id="a0")
        for n in (1, 2, 3):
            await caller.queue(graph(n), client="a", prompt_id=f"a{n}")
        await caller.queue(graph(4), client="b", prompt_id="b1")
        await caller.queue(graph(5), client="b", prompt_id="front", front=True)
        await caller.queue(graph(6), client="a", prompt_id="chosen", number=2)
        await caller.post("/api/jobs/a3/priority", {"number": 2.5})
        await caller.post("/queue", {"delete": ["a2"]})
        waiting = [one[1] for one in (await caller.get("/queue"))["queue_pending"]]
        assert waiting == ["front", "chosen", "b1", "a1", "a3"]
        await caller.idle()
        assert await started(caller) == ["a0", *waiting]

    serve(journey)


def test_no_client_is_behind_another_by_more_than_a_job_and_own_order_is_kept() -> None:
    dice = random.Random(4)
    for _ in range(50):
        queue, seq, run, put = WaitingJobs(), 0, list[str](), dict[str, list[str]]()
        for _ in range(200):
            client = dice.choice("abcd")
            if dice.random() < 0.6:
                seq += 1
                place = queue.place({}, client)
                job = QueuedJob(f"{client}{seq}", place.number, client, "", "", (), 0.0, seq, turn=place.turn)
                queue.put(job, shared=place.shared)
                put.setdefault(client, []).append(job.id)
            elif len(queue):
                both = {one.client for one in queue.listed()}
                one = queue.next()
                assert one is not None
                run.append(one.id)
                if len(run) > 1 and len(both) > 1 and run[-2][0] == run[-1][0]:  # twice the same, while others wait
                    assert len(run) < 3 or run[-3][0] != run[-1][0], run[-3:]
        while (one := queue.next()) is not None:
            run.append(one.id)
        for client, ids in put.items():
            assert [id for id in run if id[0] == client] == ids


def test_places_of_dropped_jobs_are_given_again_and_a_restart_keeps_the_order() -> None:
    queue = WaitingJobs()
    for seq in range(1, 101):
        place = queue.place({}, "a")
        queue.put(QueuedJob(f"a{seq}", place.number, "a", "", "", (), 0.0, seq, turn=place.turn), shared=True)
    assert queue.drop([f"a{seq}" for seq in range(3, 101)]) and queue.place({}, "a").number == 3
    assert queue.place({}, "b").number == 1
    again = WaitingJobs()
    again.restore(queue.listed(), highest=100)
    assert [one.id for one in again.listed()] == ["a1", "a2"]
    assert again.place({}, "a").number == 3 and again.place({}, "b").number == 1
    empty = WaitingJobs()
    empty.restore([], highest=100)
    assert empty.place({}, "a").number == 101 and empty.place({"front": True}, "a").number == -101
