"""What a run would do, said before it, by the real server over a real worker; what it says is what then happens."""

from __future__ import annotations

import time
from typing import Any

from server_client import prompt

GRAPH = prompt(
    n=("Number", {"value": 3}),
    s=("Show", {"value": "n:0"}),
    m=("Number", {"value": 4}),
    f=("SaveText", {"value": "m:0"}),
    unused=("Number", {"value": 9}),
)


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {id: one["state"] for id, one in answer["nodes"].items()}


async def told(caller: Any, graph: dict[str, Any]) -> dict[str, str]:
    """Run and return what became of each node, from the messages."""
    async with caller.listen("f") as ears:
        job = await caller.queue(graph, "f")
        heard = await ears.until_end(job)
    cached = {node for one in heard if one["type"] == "execution_cached" for node in one["data"]["nodes"]}
    ran = {one["data"]["node"] for one in heard if one["type"] == "executing"} - {None}
    return dict.fromkeys(cached, "cached") | dict.fromkeys(ran, "runs")


def test_it_says_what_then_happens(serve: Any) -> None:
    async def journey(caller: Any) -> None:
        first = await caller.post("/forecast", {"prompt": GRAPH})
        assert states(first) == {"n": "runs", "s": "runs", "m": "runs", "f": "runs", "unused": "skipped"}
        assert first["counts"] == {"cached": 0, "runs": 4, "skipped": 1}
        assert await told(caller, GRAPH) == dict.fromkeys("nsmf", "runs")
        second = await caller.post("/forecast", {"prompt": GRAPH})
        assert second["looked_in"] == ["memory", "disk"]
        # n only feeds s, which is kept; f is never kept, and m is.
        assert states(second) == {"n": "skipped", "s": "cached", "m": "cached", "f": "runs", "unused": "skipped"}
        assert second["nodes"]["s"]["tier"] == "memory"
        changed = GRAPH | prompt(n=("Number", {"value": 5}))
        third = states(await caller.post("/forecast", {"prompt": changed}))
        assert (third["n"], third["s"], third["m"], third["f"]) == ("runs", "runs", "cached", "runs")
        assert {id: one for id, one in (await told(caller, changed)).items() if id != "m"} == {
            "n": "runs", "s": "runs", "f": "runs",
        }  # fmt: skip
        targets = {"prompt": changed, "partial_execution_targets": ["s"]}
        assert states(await caller.post("/forecast", targets))["f"] == "skipped"
        queue = await caller.get("/queue")
        assert queue == {"queue_running": [], "queue_pending": []}

    serve(journey)


def test_it_refuses_what_prompt_refuses(serve: Any) -> None:
    async def journey(caller: Any) -> None:
        for body in ({}, {"prompt": {"1": {"class_type": "Nothing", "inputs": {}}}}, []):
            answers = [await caller.raw("POST", path, json=body) for path in ("/forecast", "/prompt")]
            assert answers[0][0] == 400
            assert answers[0][2] == answers[1][2]

    serve(journey)


def test_it_does_not_wait_for_a_job_that_runs(serve: Any) -> None:
    """A node that computes in native code holds nothing up; a thousand nodes cost little."""

    async def journey(caller: Any) -> None:
        await told(caller, GRAPH)
        graph = {}
        for at in range(500):
            graph |= prompt(**{f"n{at}": ("Number", {"value": 1000 + at}), f"s{at}": ("Show", {"value": f"n{at}:0"})})
        job = await caller.queue(prompt(s=("Spin", {"seconds": 3.0})))
        while not (await caller.get("/queue"))["queue_running"]:
            pass
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            answer = await caller.post("/forecast", {"prompt": graph})
            seconds.append(time.perf_counter() - began)
        assert answer["counts"]["runs"] == 1000
        assert states(await caller.post("/forecast", {"prompt": GRAPH}))["s"] == "cached"
        assert [one[1] for one in (await caller.get("/queue"))["queue_running"]] == [job]
        assert min(seconds) < 0.5, seconds
        await caller.post("/interrupt", {})

    serve(journey)
