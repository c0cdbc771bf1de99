"""What existing clients rely on: queueing, the messages on the way, the history at the end, errors, stopping."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest
from server_client import Caller, prompt, simple


def test_a_client_queues_hears_and_finds_the_history(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            answer = await caller.post("/prompt", {"prompt": simple(7), "client_id": "me"})
            assert answer["node_errors"] == {} and answer["number"] == 1
            id = answer["prompt_id"]
            told = await ears.until_end(id)
            kept = [one for one in told if one["type"] != "progress_state"]
            assert [one["type"] for one in kept] == [
                "execution_start", "execution_cached", "executing", "executing", "executed", "execution_success",
                "executing",
            ]  # fmt: skip
            assert [one["data"]["node"] for one in kept if one["type"] == "executing"] == ["n", "s", None]
            shown = next(one["data"] for one in kept if one["type"] == "executed")
            assert shown == {"node": "s", "display_node": "s", "output": {"text": ["7"]}, "prompt_id": id}
            states = [one["data"]["nodes"] for one in told if one["type"] == "progress_state"]
            assert states[0]["n"]["state"] == "running" and states[-1]["s"]["state"] == "finished"
            history = await caller.get(f"/history/{id}")
            entry = history[id]
            assert entry["outputs"] == {"s": {"text": ["7"]}}
            assert entry["prompt"][1:3] == [id, simple(7)] and entry["prompt"][4] == ["s"]
            assert entry["prompt"][3]["client_id"] == "me"
            assert entry["status"]["status_str"] == "success" and entry["status"]["completed"] is True
            assert [one[0] for one in entry["status"]["messages"]] == [
                "execution_start", "execution_cached", "execution_success",
            ]  # fmt: skip
            assert entry["meta"]["s"]["real_node_id"] == "s"
            assert await caller.get("/api/history") == await caller.get("/history") == history
            assert await caller.get("/history/none") == {}

    serve(journey)


def test_what_is_cached_is_told_with_all_that_feeds_it(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            await ears.until_end(await caller.queue(simple()))
            again = await caller.queue(simple())
            told = await ears.until_end(again)
            cached = [one["data"]["nodes"] for one in told if one["type"] == "execution_cached"]
            assert [sorted(nodes) for nodes in cached] == [["n", "s"]]
            assert not [one for one in told if one["type"] == "executing" and one["data"]["node"]]
            assert (await caller.get(f"/history/{again}"))[again]["outputs"] == {"s": {"text": ["1"]}}

    serve(journey)


def test_progress_and_previews_come_in_the_form_that_a_client_understands(serve: Any) -> None:
    graph = prompt(a=("Steps", {"value": 1, "steps": 3, "pause": 0.12}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as old, caller.listen() as new, caller.listen("other") as stranger:
            await new.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            flags = await new.until("feature_flags")
            assert flags["supports_preview_metadata"] is True and flags["max_upload_size"] == 100 << 20
            id = await caller.queue(graph)
            for ears in (old, new):
                told = await ears.until_end(id)
                steps = [one["data"] for one in told if one["type"] == "progress"]
                assert [(one["value"], one["max"], one["node"]) for one in steps] == [(n, 3, "a") for n in (1, 2, 3)]
            assert old.frames and new.frames
            for frame in old.frames:
                assert struct.unpack(">II", frame[:8]) == (1, 1) and frame[8:10] == b"\xff\xd8"
            for frame in new.frames:
                kind, length = struct.unpack(">II", frame[:8])
                facts = json.loads(frame[8 : 8 + length])
                assert kind == 4 and facts["node_id"] == "a" and facts["prompt_id"] == id
                assert facts["image_type"] == "image/jpeg" and frame[8 + length :][:2] == b"\xff\xd8"
            await stranger.until("status", status={"exec_info": {"queue_remaining": 0}})
            assert set(stranger.types()) == {"status"} and not stranger.frames

    serve(journey, preview_method="auto")


def test_a_client_that_said_nothing_of_previews_gets_them_only_when_it_asks(serve: Any) -> None:
    """Some clients take every binary frame for a result: `comfy-api-simplified` saves the first preview."""
    graph = prompt(a=("Steps", {"value": 1, "steps": 3, "pause": 0.12}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as old, caller.listen() as new:
            await new.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": False}})
            await new.until("feature_flags")
            counts = []
            for asked in ({}, {"preview_method": "default"}, {"preview_method": "auto"}, {"preview_method": "none"}):
                id = await caller.queue(graph, extra_data=asked)
                for ears in (old, new):
                    await ears.until_end(id)
                counts.append((bool(old.frames), bool(new.frames)))
                old.frames.clear()
                new.frames.clear()
            assert counts == [(False, True), (False, True), (True, True), (False, False)]

    serve(journey)


def test_an_error_names_the_node_and_the_rest_is_still_computed(serve: Any) -> None:
    graph = simple(3) | prompt(f=("Fail", {"value": 9}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            id = await caller.queue(graph)
            told = await ears.until_end(id)
            ends = [one for one in told if one["type"] in ("execution_success", "execution_error")]
            assert len(ends) == 1
            error = ends[0]["data"]
            assert error["node_id"] == "f" and error["node_type"] == "Fail"
            assert error["exception_type"] == "ValueError" and error["exception_message"] == "no good: 9"
            assert error["current_inputs"] == {"value": [9]} and isinstance(error["traceback"], list)
            assert set(error["executed"]) == {"n", "s"} and "current_outputs" in error
            entry = (await caller.get(f"/history/{id}"))[id]
            assert entry["outputs"] == {"s": {"text": ["3"]}} and entry["status"]["status_str"] == "error"
            assert entry["status"]["messages"][-1][0] == "execution_error"
            assert "/" not in json.dumps(error).replace("\\/", ""), "a path of the server"

    serve(journey)


def test_what_cannot_be_run_is_refused_in_the_known_form(serve: Any) -> None:
    bad = prompt(
        n=("Number", {"value": -5}), m=("Number", {}), f=("Load", {"file": "none.txt"}),
        a=("Show", {"value": "n:0"}), b=("Show", {"value": "m:0"}), c=("Show", {"value": "f:0"}),
        d=("Show", {"value": "gone:0"}), e=("Show", {"value": "n:4"}),
    )  # fmt: skip

    async def journey(caller: Caller) -> None:
        answer = await caller.post("/prompt", {"prompt": bad}, 400)
        assert answer["error"]["type"] == "prompt_outputs_failed_validation"
        errors = answer["node_errors"]
        assert {id: [one["type"] for one in entry["errors"]] for id, entry in errors.items()} == {
            "n": ["value_smaller_than_min"], "m": ["required_input_missing"], "f": ["value_not_in_list"],
            "d": ["bad_linked_input"], "e": ["bad_linked_input"],
        }  # fmt: skip
        assert errors["n"]["dependent_outputs"] == ["a", "e"] and errors["n"]["class_type"] == "Number"
        first = errors["n"]["errors"][0]
        assert set(first) == {"type", "message", "details", "extra_info"}
        assert first["extra_info"]["input_name"] == "value" and first["extra_info"]["received_value"] == -5
        for body, kind in (
            ({}, "no_prompt"),
            ({"prompt": {}}, "no_prompt"),
            ({"prompt": {"1": {"inputs": {}}}}, "missing_node_type"),
            ({"prompt": prompt(x=("NoSuchNode", {}))}, "missing_node_type"),
            ({"prompt": simple() | {"x": {"class_type": "NoSuchNode", "inputs": {}}}}, "missing_node_type"),
            ({"prompt": prompt(n=("Number", {"value": 1}))}, "prompt_no_outputs"),
            ({"prompt": {"1": 5}}, "invalid_prompt"),
            ({"prompt": simple(), "partial_execution_targets": ["n"]}, "prompt_no_outputs"),
        ):
            refused = await caller.post("/prompt", body, 400)
            assert refused["error"]["type"] == kind, body
            assert refused["error"]["message"] and "extra_info" in refused["error"]
        for text in (b"", b"[]", b"{", b'{"prompt": {"a": NaN}}', b"[" * 100_000, b"\xff\xfe"):
            status, _, made = await caller.raw("POST", "/prompt", data=text)
            assert status == 400 and json.loads(made)["error"]["type"] in ("no_prompt", "invalid_prompt")
        cycle = prompt(a=("Steps", {"value": "b:0"}), b=("Steps", {"value": "a:0"}))
        refused = await caller.post("/prompt", {"prompt": cycle}, 400)
        assert [one["type"] for one in refused["node_errors"]["a"]["errors"]] == ["dependency_cycle"]
        assert (await caller.get("/queue")) == {"queue_running": [], "queue_pending": []}

    serve(journey)


def test_valid_outputs_run_when_others_cannot(serve: Any) -> None:
    graph = simple(2) | prompt(bad=("Show", {"value": "gone:0"}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            answer = await caller.post("/prompt", {"prompt": graph, "client_id": "me"})
            assert list(answer["node_errors"]) == ["bad"]
            told = await ears.until_end(answer["prompt_id"])
            assert told[-2]["type"] == "execution_success"
            two = prompt(a=("Show", {"value": 1}), b=("Show", {"value": 2}))
            id = await caller.queue(two, partial_execution_targets=["b"])
            await ears.until_end(id)
            entry = (await caller.get(f"/history/{id}"))[id]
            assert list(entry["outputs"]) == ["b"] and entry["prompt"][4] == ["b"]

    serve(journey)


def test_an_editors_workflow_is_converted(serve: Any) -> None:
    workflow = {
        "id": "4b2c", "version": 0.4, "last_node_id": 2, "last_link_id": 1,
        "nodes": [
            {"id": 1, "type": "Number", "mode": 0, "inputs": [], "widgets_values": [5], "pos": [0, 0],
             "outputs": [{"name": "INT", "type": "INT", "links": [1]}]},
            {"id": 2, "type": "Show", "mode": 0, "pos": [0, 0], "outputs": [],
             "inputs": [{"name": "value", "type": "*", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }  # fmt: skip

    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            id = await caller.queue(workflow)
            await ears.until_end(id)
            entry = (await caller.get(f"/history/{id}"))[id]
            assert entry["outputs"] == {"2": {"text": ["5"]}}
            assert entry["prompt"][2]["1"]["class_type"] == "Number"
            assert entry["prompt"][3]["extra_pnginfo"]["workflow"]["id"] == "4b2c"

    serve(journey)


def test_the_queue_is_ordered_listed_and_changed(serve: Any) -> None:
    wait = prompt(a=("Steps", {"value": 1, "steps": 2000, "pause": 0.01}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            first = await caller.queue(wait)
            await ears.until("executing", prompt_id=first)
            later = [await caller.queue(simple(n)) for n in (1, 2, 3)]
            front = await caller.queue(simple(4), front=True)
            placed = await caller.queue(simple(5), number=2.5)
            queue = await caller.get("/queue")
            assert [item[1] for item in queue["queue_running"]] == [first]
            assert [item[1] for item in queue["queue_pending"]] == [front, later[0], placed, *later[1:]]
            assert queue["queue_pending"][2][0] == 2.5 and queue["queue_pending"][1][4] == ["s"]
            assert (await caller.get("/prompt"))["exec_info"]["queue_remaining"] == 6
            moved = await caller.post(f"/api/jobs/{later[2]}/priority", {"number": 2.25})
            assert moved == {"id": later[2], "priority": 2.25}
            assert [item[1] for item in (await caller.get("/queue"))["queue_pending"]][2] == later[2]
            await caller.post(f"/api/jobs/{later[2]}/priority", {"number": 90})
            await caller.post(f"/api/jobs/{later[2]}/priority", {}, 400)
            await caller.post(f"/api/jobs/{first}/priority", {"front": True}, 409)
            await caller.post("/queue", {"delete": [later[1]]})
            await caller.post("/interrupt", {"prompt_id": later[0]})  # it does not run: nothing happens
            assert len((await caller.get("/queue"))["queue_running"]) == 1
            await caller.post("/interrupt", {})
            stopped = await ears.until("execution_interrupted")
            assert stopped["prompt_id"] == first and stopped["node_id"] == "a" and stopped["node_type"] == "Steps"
            await caller.idle()
            order = [one["data"]["prompt_id"] for one in ears.heard if one["type"] == "execution_start"]
            while len(order) < 5:
                message = await ears.next()
                assert message is not None
                order += [message["data"]["prompt_id"]] if message["type"] == "execution_start" else []
            assert order == [first, front, later[0], placed, later[2]]
            entry = (await caller.get(f"/history/{first}"))[first]
            assert entry["status"]["status_str"] == "error" and entry["status"]["completed"] is False
            assert entry["status"]["messages"][-1][0] == "execution_interrupted"
            listed = await caller.get("/history", max_items=2)
            assert list(listed) == [placed, later[2]] or len(listed) == 2
            await caller.post("/history", {"delete": [first]})
            assert first not in await caller.get("/history")
            await caller.post("/history", {"clear": True})
            assert await caller.get("/history") == {}

    serve(journey)


def test_clearing_the_queue_leaves_the_running_job(serve: Any) -> None:
    wait = prompt(a=("Steps", {"value": 1, "steps": 2000, "pause": 0.01}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            first = await caller.queue(wait)
            await ears.until("executing", prompt_id=first)
            for n in range(3):
                await caller.queue(simple(n))
            await caller.post("/queue", {"clear": True})
            queue = await caller.get("/queue")
            assert len(queue["queue_running"]) == 1 and queue["queue_pending"] == []
            await caller.post("/interrupt")
            await ears.until_end(first)

    serve(journey)


def test_a_node_that_never_looks_is_ended_and_the_next_job_runs(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            stuck = await caller.queue(prompt(a=("Spin", {"seconds": 60.0})))
            await ears.until("executing", prompt_id=stuck)
            after = await caller.queue(simple(8))
            await caller.post("/interrupt", {"prompt_id": stuck})
            told = await ears.until_end(stuck)
            assert told[-2]["type"] == "execution_interrupted" and told[-2]["data"]["node_id"] == "a"
            await ears.until_end(after)
            assert (await caller.get(f"/history/{after}"))[after]["outputs"] == {"s": {"text": ["8"]}}

    serve(journey)


def test_a_second_submission_under_the_same_id_is_the_same_job(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        body = {"prompt": simple(1), "prompt_id": "mine"}
        first, second = await caller.post("/prompt", body), await caller.post("/prompt", body)
        assert first == second and first["prompt_id"] == "mine"
        await caller.idle()
        assert list(await caller.get("/history")) == ["mine"]

    serve(journey)


def test_secrets_of_paid_services_are_not_kept(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        extra = {"auth_token_comfy_org": "hush", "api_key_comfy_org": "hush", "other": 1}
        id = await caller.queue(simple(), extra_data=extra)
        await caller.idle()
        text = json.dumps(await caller.get(f"/history/{id}"))
        assert "hush" not in text and '"other": 1' in text

    serve(journey)


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/interrupt", "/free"])
def test_bad_bodies_are_refused_and_change_nothing(serve: Any, path: str) -> None:
    async def journey(caller: Caller) -> None:
        for body in (b"[1]", b'"x"', b"{", b'{"delete": 5, "prompt_id": 7, "prompt": 3}'):
            status, _, text = await caller.raw("POST", path, data=body)
            assert status == 400 or (path == "/free" and status == 200), (body, status, text)
        assert (await caller.raw("DELETE", path))[0] == 405

    serve(journey)


def test_a_client_that_comes_in_the_middle_hears_where_things_are(serve: Any) -> None:
    wait = prompt(a=("Steps", {"value": 1, "steps": 2000, "pause": 0.01}))

    async def journey(caller: Caller) -> None:
        async with caller.listen() as ears:
            id = await caller.queue(wait)
            await ears.until("executing", prompt_id=id)
        async with caller.listen() as again:
            where = await asyncio.wait_for(again.until("executing"), 5)
            assert where["node"] == "a" and where["prompt_id"] == id
            await caller.post("/interrupt")
            await again.until_end(id)

    serve(journey)
