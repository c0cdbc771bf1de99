"""Catalogue, Jobs API, users and their files, operations, the description of the API."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from PIL import Image
from server_client import Caller, prompt, simple

from engine.server.app import all_routes


def test_node_types_are_described_and_follow_the_files(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        whole = await caller.get("/object_info")
        number = whole["Number"]
        assert number["input"] == {"required": {"value": ["INT", {"min": 0, "max": 1_000_000}]}}
        assert number["input_order"] == {"required": ["value"]} and number["output"] == ["INT"]
        assert number["output_is_list"] == [False] and number["output_node"] is False
        assert whole["Load"]["input"]["required"]["file"] == [[]]
        (base / "input" / "new.txt").write_text("x")
        assert (await caller.get("/api/object_info/Load"))["Load"]["input"]["required"]["file"] == [["new.txt"]]
        assert await caller.get("/object_info/NoSuch") == {}

    serve(journey)


def test_models_and_the_machine(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        (base / "models" / "loras" / "deep").mkdir(parents=True)
        header = json.dumps({"__metadata__": {"made": "by hand"}}).encode()
        (base / "models" / "loras" / "deep" / "l.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        assert "loras" in await caller.get("/models") and "input" not in await caller.get("/models")
        assert await caller.get("/models/loras") == ["deep/l.safetensors"]
        for key in ("input", "output", "user", "custom_nodes", "none"):
            await caller.get(f"/models/{key}", 404)
        facts = (await caller.get("/experiment/models/loras"))[0]
        assert facts["name"] == "deep/l.safetensors" and facts["size"] == len(header) + 8 and facts["pathIndex"] == 0
        assert facts["preview"] is False
        url = "/experiment/models/preview/loras/0/deep/l.safetensors"
        assert (await caller.raw("GET", url))[0] == 404
        Image.new("RGB", (9, 5), (1, 2, 3)).save(base / "models" / "loras" / "deep" / "l.preview.png")
        assert (await caller.get("/experiment/models/loras"))[0]["preview"] is True
        status, headers, data = await caller.raw("GET", url)
        assert status == 200 and headers["Content-Type"] == "image/webp" and data[8:12] == b"WEBP"
        assert (await caller.raw("GET", "/experiment/models/preview/input/0/x"))[0] == 404
        found = await caller.get("/view_metadata/loras", filename="deep/l.safetensors")
        assert found == {"made": "by hand"}
        await caller.get("/view_metadata/loras", 404, filename="../x.safetensors")
        stats = await caller.get("/system_stats")
        assert stats["system"]["ram_total"] > stats["system"]["ram_free"] > 0 and stats["system"]["pytorch_version"]
        assert {"name", "type", "index", "vram_total", "vram_free"} <= set(stats["devices"][0])
        assert await caller.get("/embeddings") == [] and await caller.get("/extensions") == []
        assert "Safelight" in await caller.get("/")

    serve(journey)


def test_jobs_in_one_form_whatever_became_of_them(serve: Any) -> None:
    wait = prompt(a=("Steps", {"value": 1, "steps": 2000, "pause": 0.01}))

    async def journey(caller: Caller) -> None:
        workflow = {"extra_pnginfo": {"workflow": {"id": "w1"}}, "workflow_name": "apples"}
        done = await caller.queue(prompt(a=("SaveText", {"value": 1})), extra_data=workflow)
        failed = await caller.queue(prompt(f=("Fail", {"value": 1})))
        await caller.idle()
        running = await caller.queue(wait)
        waiting = await caller.queue(simple(2))
        listed = await caller.get("/api/jobs")
        assert listed["pagination"] == {"offset": 0, "limit": 1000, "total": 4, "has_more": False}
        by_id = {job["id"]: job for job in listed["jobs"]}
        assert [job["id"] for job in listed["jobs"]] == [waiting, running, failed, done]
        assert by_id[done]["status"] == "completed" and by_id[done]["workflow_id"] == "w1"
        preview = by_id[done]["preview_output"]
        assert by_id[done]["outputs_count"] == 1 and preview["nodeId"] == "a" and preview["type"] == "output"
        assert by_id[failed]["status"] == "failed"
        assert by_id[failed]["execution_error"]["exception_message"] == "no good: 1"
        assert by_id[waiting]["status"] == "pending" and by_id[waiting]["execution_start_time"] is None
        assert by_id[done]["name"] == "apples" and by_id[failed]["name"] is None
        assert by_id[done]["execution_end_time"] >= by_id[done]["execution_start_time"] >= by_id[done]["create_time"]
        only = await caller.get("/api/jobs", status="failed,completed", sort_order="asc", limit=1)
        assert [job["id"] for job in only["jobs"]] == [done] and only["pagination"]["has_more"] is True
        slowest = await caller.get("/api/jobs", sort_by="execution_duration", status="completed,failed")
        assert len(slowest["jobs"]) == 2
        for query in ({"status": "odd"}, {"sort_by": "odd"}, {"limit": "0"}, {"limit": "x"}, {"offset": "-1"}):
            await caller.get("/api/jobs", 400, **query)
        whole = await caller.get(f"/api/jobs/{done}")
        assert whole["workflow"]["prompt"]["a"]["class_type"] == "SaveText" and whole["output_states"] == {"a": "done"}
        await caller.get("/api/jobs/none", 404)
        assert await caller.post("/api/jobs/cancel", {"job_ids": [waiting, "none"]}) == {"cancelled": [waiting]}
        assert await caller.post(f"/api/jobs/{running}/cancel") == {"cancelled": True}
        await caller.idle()
        assert await caller.post(f"/api/jobs/{running}/cancel") == {"cancelled": False}
        assert {job["id"] for job in (await caller.get("/api/jobs", status="cancelled"))["jobs"]} == {waiting, running}
        await caller.post("/api/jobs/none/cancel", status=404)
        again = await caller.post(f"/api/jobs/{failed}/retry")
        assert again["prompt_id"] != failed
        await caller.idle()
        assert (await caller.get(f"/api/jobs/{again['prompt_id']}"))["status"] == "failed"

    serve(journey)


def test_settings_and_files_of_the_user(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        assert await caller.get("/users") == {"storage": "server", "migrated": True}
        assert await caller.get("/settings") == {}
        await caller.post("/settings", {"a": 1, "b": {"c": 2}})
        await caller.post("/settings/d.e", True)
        assert await caller.get("/settings") == {"a": 1, "b": {"c": 2}, "d.e": True}
        assert await caller.get("/settings/b") == {"c": 2} and await caller.get("/settings/none") is None
        url = "/userdata/workflows%2Fmy%20flow.json"
        assert json.loads((await caller.raw("POST", url, data=b"{}"))[2]) == "workflows/my flow.json"
        assert (await caller.raw("POST", url + "?overwrite=false", data=b"[]"))[0] == 409
        assert (await caller.raw("GET", url))[2] == b"{}"
        status, _, text = await caller.raw("POST", url + "?full_info=true", data=b"[1]")
        assert status == 200 and json.loads(text)["size"] == 3
        assert await caller.get("/userdata", dir="workflows") == ["my flow.json"]
        listed = await caller.get("/userdata", dir=".", recurse="true", split="true")
        assert ["workflows/my flow.json", "workflows", "my flow.json"] in listed
        full = await caller.get("/userdata", dir="workflows", full_info="true")
        assert full[0]["path"] == "my flow.json" and full[0]["modified"] > 1e12
        await caller.get("/userdata", 404, dir="none")
        await caller.get("/userdata", 400)
        second = await caller.get("/v2/userdata", path="workflows")
        assert second[0]["type"] == "file" and second[0]["path"] == "workflows/my flow.json"
        moved = "/move/workflows%2Fother.json"
        assert (await caller.raw("POST", url + moved))[0] == 200
        assert (await caller.raw("GET", url))[0] == 404
        assert (await caller.raw("POST", url, data=b"2"))[0] == 200
        assert (await caller.raw("POST", url + moved + "?overwrite=false"))[0] == 409
        assert (await caller.raw("DELETE", url))[0] == 204 and (await caller.raw("DELETE", url))[0] == 404
        for name in ("..%2Fqueue%2Fjobs.sqlite3", "%2Fetc%2Fpasswd", "..%2F..%2Fx", "a%00b", "..%2Fusers.json"):
            assert (await caller.raw("GET", f"/userdata/{name}"))[0] in (400, 403, 404), name
            assert (await caller.raw("POST", f"/userdata/{name}", data=b"x"))[0] in (400, 403, 404), name
            assert (await caller.raw("DELETE", f"/userdata/{name}"))[0] in (400, 403, 404), name
        await caller.raw("POST", "/userdata/x.html", data=b"<script>")
        assert (await caller.raw("GET", "/userdata/x.html"))[1]["Content-Disposition"].startswith("attachment;")
        assert (base / "user" / "default" / "workflows" / "other.json").is_file()

    serve(journey)


def test_several_users_have_folders_of_their_own(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        first, second = await caller.post("/users", {"username": "Ann"}), await caller.post("/users", {"username": "B"})
        await caller.post("/users", {"username": "Ann"}, 400)
        assert set((await caller.get("/users"))["users"].values()) == {"Ann", "B"}
        assert (await caller.raw("GET", "/settings"))[0] == 401
        for user, value in ((first, 1), (second, 2)):
            headers = {"comfy-user": user}
            assert (await caller.raw("POST", "/settings/v", json=value, headers=headers))[0] == 200
        assert (await caller.raw("GET", "/settings/v", headers={"comfy-user": first}))[2] == b"1"
        assert (await caller.raw("GET", "/settings/v", headers={"comfy-user": "../default"}))[0] == 401

    serve(journey, multi_user=True)


def test_a_full_queue_says_when_to_come_again(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        await caller.post("/queue", {"pause": True})
        for n in range(3):
            await caller.queue(simple(n))
        status, headers, text = await caller.raw("POST", "/prompt", json={"prompt": simple(9)})
        assert status == 429 and int(headers["Retry-After"]) > 0 and b"queue_full" in text
        await caller.post("/queue", {"pause": False})
        await caller.idle()
        await caller.queue(simple(9))

    serve(journey, max_pending=3)


def test_a_client_that_does_not_read_is_let_go_of_and_others_hear_all(serve: Any) -> None:
    async def journey(caller: Any) -> None:
        big = prompt(s=("Show", {"value": "x" * 200_000}))
        async with caller.listen("deaf", watch="*"), caller.listen("good", watch="*") as good:
            ids = [await caller.queue(big, client=None, prompt_id=f"job{n}") for n in range(60)]
            for id in ids:
                await good.until("executing", node=None, prompt_id=id)
            assert caller.state.hub.let_go == 1 and len(caller.state.hub.clients) == 1
            assert all(client.waiting_bytes <= 1 << 20 for client in caller.state.hub.clients)

    serve(journey, socket_bytes=1 << 20)


def test_the_server_says_how_it_is(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        await caller.queue(simple())
        await caller.idle()
        well = await caller.get("/healthz")
        assert well["status"] == "ok" and well["queue_remaining"] == 0
        text = await caller.get("/metrics")
        assert 'safelight_jobs_ended_total{state="completed"} 1' in text
        for line in text.splitlines():
            assert re.fullmatch(r"# (HELP|TYPE) safelight_\w+ .+|safelight_\w+(\{\w+=\"\w+\"\})? [\d.]+", line), line

    serve(journey)


def test_every_route_is_described_and_has_its_twin(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        document = await caller.get("/openapi.json")
        assert document["openapi"] == "3.1.0"
        listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
        assert listed == {(route.method, route.template) for route in all_routes()}
        operations = [one for item in document["paths"].values() for one in item.values()]
        assert all(one["summary"] and one["description"] and one["responses"] for one in operations)
        names = [one["operationId"] for one in operations]
        assert len(names) == len(set(names))
        assert "/prompt" in await caller.get("/docs/api")
        for path in ("/queue", "/history", "/prompt", "/users", "/settings", "/i18n", "/workflow_templates"):
            assert await caller.get(path) == await caller.get(f"/api{path}")

    serve(journey)


def test_a_fault_of_the_server_is_a_number_in_the_log(serve: Any, caplog: Any) -> None:
    async def journey(caller: Any) -> None:
        def broken() -> None:
            raise RuntimeError("a secret of /the/server")

        caller.state.catalogue.object_info = broken
        status, _, text = await caller.raw("GET", "/object_info")
        number = json.loads(text)["error"]["extra_info"]["id"]
        assert status == 500 and b"secret" not in text and number in caplog.text

    serve(journey)


def test_many_jobs_go_through_quickly(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        await caller.queue(simple())
        await caller.idle()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(caller.queue(simple(n)) for n in range(200)))
        await caller.idle()
        rate = 200 / (loop.time() - began)
        assert rate > 20, f"{rate:.0f} jobs a second"

    serve(journey)
