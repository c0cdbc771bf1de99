"""Batches: one request, many jobs, that are listed, cancelled and tried again as one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from server_client import Caller, prompt, simple

from engine.errors import InputError
from engine.server.batches import MAX_JOBS, read_batch


def two(value: int = 1) -> dict[str, Any]:
    return prompt(n=("Number", {"value": value}), m=("Number", {"value": 0}), s=("Show", {"value": "n:0"}))


def test_zip_pairs_and_product_combines_with_the_last_input_fastest() -> None:
    assert read_batch({"zip": {"a.x": [1, 2], "b.y": [3, 4]}}) == ({"a.x": 1, "b.y": 3}, {"a.x": 2, "b.y": 4})
    rows = read_batch({"product": {"a.x": [1, 2], "b.y": [3, 4, 5]}})
    assert [tuple(row.values()) for row in rows] == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"zip": {"a.x": [1, 2], "b.y": [3]}}, ["differ in length", "a.x: 2", "b.y: 1", "product"]),
        ({"product": {"a.x": [1] * 40, "b.y": [1] * 40}}, ["too large", str(MAX_JOBS), "1600"]),
        ({"zip": {"a.x": [0] * (MAX_JOBS + 1)}}, ["too large"]),
        ({"product": {f"a.{n}": [1] * 99 for n in range(32)}}, ["too large"]),
        ({"zip": {}}, ["does not name inputs"]),
        ({"zip": {"a.x": []}}, ["'a.x' has no list"]),
        ({"zip": {"a.x": 3}}, ["'a.x' has no list"]),
        ({"zip": {"a.x": [1]}, "product": {"a.x": [1]}}, ["no batch"]),
        ({"sum": {"a.x": [1]}}, ["no batch"]),
        ([1], ["no batch"]),
        (None, ["no batch"]),
    ],
)
def test_what_is_no_batch_is_refused_with_what_is_wrong(batch: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_batch(batch)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_batch_runs_each_job_with_its_values_and_is_counted_as_one(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        batch = {"product": {"n.value": [5, 6], "m.value": [7, 8]}}
        answer = await caller.post("/prompt", {"prompt": two(), "batch": batch, "client_id": "me", "prompt_id": "grid"})
        ids = [f"grid-{n}" for n in range(4)]
        assert answer["batch_id"] == "grid" and answer["prompt_ids"] == ids and answer["prompt_id"] == "grid-0"
        await caller.idle()
        shown = [(await caller.get(f"/history/{id}"))[id]["outputs"]["s"]["text"] for id in ids]
        assert shown == [["5"], ["5"], ["6"], ["6"]]
        entry = (await caller.get("/history/grid-3"))["grid-3"]["prompt"]
        assert entry[2]["m"]["inputs"]["value"] == 8
        assert entry[3]["batch"] == {"id": "grid", "index": 3, "size": 4, "values": {"n.value": 6, "m.value": 8}}
        one = await caller.get("/api/batches/grid")
        assert (one["status"], one["jobs_count"], one["counts"]["completed"]) == ("completed", 4, 4)
        assert [job["values"] for job in one["jobs"]][1] == {"n.value": 5, "m.value": 8}
        listed = await caller.get("/api/batches")
        assert [found["id"] for found in listed["batches"]] == ["grid"] and listed["pagination"]["total"] == 1
        assert (await caller.get("/api/jobs", batch_id="grid"))["pagination"]["total"] == 4
        again = await caller.post("/prompt", {"prompt": two(), "batch": batch, "prompt_id": "grid"})
        assert again["prompt_ids"] == ids
        assert (await caller.get("/api/jobs"))["pagination"]["total"] == 4

    serve(journey)


def test_nothing_of_a_batch_is_queued_when_something_is_wrong(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        for batch, words in (
            ({"zip": {"n.value": [1, -5]}}, ["n", "value"]),
            ({"zip": {"n.valu": [1]}}, ["valu", "value"]),
            ({"zip": {"zzz.value": [1]}}, ["zzz"]),
            ({"zip": {"n.value": [1, 2], "m.value": [1]}}, ["differ in length"]),
        ):
            answer = await caller.post("/prompt", {"prompt": two(), "batch": batch}, 400)
            text = json.dumps(answer["error"])
            assert all(word in text for word in words), text
        await caller.post("/prompt", {"prompt": two(), "batch": {"zip": {"n.value": list(range(30))}}}, 429)
        assert (await caller.get("/api/jobs"))["pagination"]["total"] == 0

    serve(journey, max_pending=20)


def test_a_batch_is_cancelled_and_tried_again_as_one(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        graph = prompt(a=("Steps", {"value": 1, "steps": 500, "pause": 0.01}))
        await caller.post("/prompt", {"prompt": graph, "prompt_id": "b", "batch": {"zip": {"a.value": [1, 2, 3]}}})
        while not (await caller.get("/queue"))["queue_running"]:
            await asyncio.sleep(0.01)
        assert (await caller.get("/api/batches/b"))["status"] in ("pending", "in_progress")
        await caller.post("/api/batches/b/retry", None, 409)
        cancelled = (await caller.post("/api/batches/b/cancel"))["cancelled"]
        assert sorted(cancelled) == ["b-0", "b-1", "b-2"]
        await caller.idle()
        found = await caller.get("/api/batches/b")
        assert found["status"] == "cancelled" and found["counts"]["cancelled"] == 3 and found["end_time"]
        again = await caller.post("/api/batches/b/retry")
        assert len(again["prompt_ids"]) == 3 and again["batch_id"] != "b"
        jobs = (await caller.get(f"/api/batches/{again['batch_id']}"))["jobs"]
        assert [job["values"] for job in jobs] == [{"a.value": 1}, {"a.value": 2}, {"a.value": 3}]
        await caller.post(f"/api/batches/{again['batch_id']}/cancel")
        for path in ("/api/batches/none/cancel", "/api/batches/none/retry"):
            await caller.post(path, None, 404)
        await caller.get("/api/batches/none", 404)

    serve(journey)


def test_a_workflow_is_called_as_a_batch(serve: Any, base: Path) -> None:
    folder = base / "user" / "default" / "workflows"

    async def journey(caller: Caller) -> None:
        folder.mkdir(parents=True)
        (folder / "show.json").write_text(json.dumps(simple(1)))
        body = {"batch": {"zip": {"n.value": [4, 5]}}}
        done = await caller.post("/workflows/show?wait=20", body)
        assert [job["outputs"]["Show"]["text"] for job in done["jobs"]] == [["4"], ["5"]]
        assert [job["values"] for job in done["jobs"]] == [{"n.value": 4}, {"n.value": 5}]
        queued = await caller.post("/workflows/show", body, 202)
        assert len(queued["prompt_ids"]) == 2
        assert (await caller.post("/workflows/show?wait=20", {"n.value": 9}))["outputs"]["Show"]["text"] == ["9"]
        wrong = await caller.post("/workflows/show", {"batch": {"zip": {"n.value": [4], "n.other": [5]}}}, 400)
        assert "other" in json.dumps(wrong)

    serve(journey)
