"""S50: with several users nothing of one's queue, history, files, previews and events reaches another."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from server_client import Caller, ServerProcess, prompt

from engine.paths.private import user_folder
from engine.server.security import Role, token_file
from engine.server.security.tokens import add_token

SLOW = prompt(s=("Steps", {"value": 1, "steps": 40, "pause": 0.05}))
TOKENS: dict[str, str] = {}


def saved(value: int, **more: Any) -> dict[str, Any]:
    return prompt(n=("Number", {"value": value}), f=("SaveText", {"value": "n:0", **more}))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    base = tmp_path_factory.mktemp("apart")
    for name, role in (("ann", Role.RUN), ("Bob", Role.RUN), ("root", Role.ADMIN)):
        TOKENS[name] = add_token(token_file(base / "user"), name, role)
    with ServerProcess(base, "--multi-user") as server:
        yield server
        assert server.faults() == []


@contextlib.asynccontextmanager
async def users(server: ServerProcess) -> AsyncIterator[tuple[Caller, Caller, Caller]]:
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for name in ("ann", "Bob", "root"):
            headers = {"Authorization": f"Bearer {TOKENS[name]}"}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
            made.append(Caller(session, server.url))
        yield made[0], made[1], made[2]


def together(server: ServerProcess, journey: Any) -> None:
    async def whole() -> None:
        async with users(server) as (ann, bob, root):
            for one in (ann, bob):
                await one.post("/queue", {"clear": True})
                await one.post("/interrupt", {})
            await root.idle()
            await asyncio.wait_for(journey(ann, bob, root), 60)

    asyncio.run(whole())


def test_s50_nobody_gets_in_without_a_token(shared: ServerProcess) -> None:
    async def look() -> None:
        async with aiohttp.ClientSession() as session, session.get(shared.url + "/queue") as answer:
            assert answer.status == 401

    asyncio.run(look())


def test_s50_queue_and_history(shared: ServerProcess) -> None:
    async def journey(ann: Caller, bob: Caller, root: Caller) -> None:
        first = await ann.queue(SLOW, "c")
        waits = await ann.queue(saved(1), "c")
        mine = await bob.queue(saved(2), "c")
        for caller, running, pending, count in (
            (ann, [first], [waits], 2),
            (bob, [], [mine], 1),
            (root, [first], [waits, mine], 3),
        ):
            queue = await caller.get("/queue")
            assert [one[1] for one in queue["queue_running"]] == running
            assert {one[1] for one in queue["queue_pending"]} == set(pending)
            assert (await caller.get("/prompt"))["exec_info"]["queue_remaining"] == count
            jobs = [one["id"] for one in (await caller.get("/api/jobs", status="pending,in_progress"))["jobs"]]
            assert set(jobs) == {*running, *pending}
        for method, path, body in (
            ("GET", f"/api/jobs/{first}", None),
            ("GET", f"/api/jobs/{first}/thumbnail", None),
            ("POST", f"/api/jobs/{first}/cancel", None),
            ("POST", f"/api/jobs/{first}/retry", None),
            ("POST", f"/api/jobs/{waits}/priority", {"front": True}),
        ):
            assert (await bob.raw(method, path, **({} if body is None else {"json": body})))[0] == 404, path
        await bob.post("/interrupt", {})
        await bob.post("/interrupt", {"prompt_id": first})
        await bob.post("/queue", {"delete": [waits]})
        assert (await bob.post("/api/jobs/cancel", {"job_ids": [first, waits]}))["cancelled"] == []
        await bob.post("/queue", {"pause": True}, 403)
        await bob.post("/queue", {"clear": True})
        queue = await ann.get("/queue")
        assert [one[1] for one in (*queue["queue_running"], *queue["queue_pending"])] == [first, waits]
        taken = await bob.post("/prompt", {"prompt": saved(3), "prompt_id": first}, 400)
        assert taken["error"]["type"] == "E-ID-TAKEN"
        await ann.post("/interrupt", {})
        await root.idle()
        assert set(await bob.get("/history")) & {first, waits} == set()
        assert await bob.get(f"/history/{waits}") == {}
        await bob.post("/history", {"delete": [waits]})
        await bob.post("/history", {"clear": True})
        assert list(await ann.get(f"/history/{waits}")) == [waits]
        assert list(await root.get(f"/history/{waits}")) == [waits]

    together(shared, journey)


def test_s50_events_and_previews(shared: ServerProcess) -> None:
    async def journey(ann: Caller, bob: Caller, root: Caller) -> None:
        features = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
        async with (
            ann.listen("same") as hers,
            bob.listen("same", watch="*", since="0") as his,
            root.listen("all", watch="*") as all_,
        ):
            for ears in (hers, his, all_):
                await ears.socket.send_json(features)
                await ears.until("feature_flags")
            job = await ann.queue(SLOW | saved(7), "same")
            watched = bob.session.ws_connect(f"{bob.url}/ws", params={"watch": job, "since": "0"})
            async with watched as socket:
                await hers.until_end(job)
                await all_.until_end(job)
                assert hers.frames and all_.frames
                own = await bob.queue(saved(8), "same")
                await his.until_end(own)
                assert not his.frames
                told = json.dumps(his.heard)
                assert job not in told and own in told
                assert own not in json.dumps(hers.heard)
                while (message := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
                    assert job not in message.data
                    if json.loads(message.data) == {"type": "status", "data": {"status": await _rest(bob)}}:
                        break
        assert (await bob.get("/events", since=0, job=job))["events"] == []
        assert job not in json.dumps(await bob.get("/events", since=0, limit=10000))
        assert job in json.dumps(await ann.get("/events", since=0, limit=10000))
        async with bob.listen("late", watch=job, since="0") as late:
            own = await bob.queue(saved(9), "late")
            await late.until("status", status={"exec_info": {"queue_remaining": 0}})
            assert job not in json.dumps(late.heard)

    async def _rest(caller: Caller) -> Any:
        return await caller.get("/prompt")

    together(shared, journey)


def test_s50_files(shared: ServerProcess, tmp_path: Path) -> None:
    async def journey(ann: Caller, bob: Caller, root: Caller) -> None:
        form = aiohttp.FormData()
        form.add_field("image", b"hers", filename="own.txt")
        async with ann.session.post(ann.url + "/upload/image", data=form) as answer:
            assert answer.status == 200, await answer.text()
        assert (await ann.raw("GET", "/view?filename=own.txt&type=input"))[2] == b"hers"
        folder = user_folder("ann")
        for name in (
            "own.txt",
            f"../ann/own.txt&subfolder={folder}",
            f"own.txt&subfolder={folder}",
            "own.txt&user=ann",
        ):
            status = (await bob.raw("GET", f"/view?type=input&filename={name}"))[0]
            assert status in (403, 404), name
        assert (await root.raw("GET", "/view?filename=own.txt&type=input&user=ann"))[2] == b"hers"
        assert await ann.get("/internal/files/input") == ["own.txt"]
        assert await bob.get("/internal/files/input") == []
        choices = [(await one.get("/object_info/Load"))["Load"]["input"]["required"]["file"][0] for one in (ann, bob)]
        assert choices[0] == ["own.txt"] and "own.txt" not in choices[1]
        reads = prompt(l=("Load", {"file": "own.txt"}), s=("Show", {"value": "l:0"}))
        job = await ann.queue(reads)
        await ann.idle()
        assert (await ann.get(f"/history/{job}"))[job]["outputs"]["s"]["text"] == ["hers"]
        assert "value_not_in_list" in json.dumps(await bob.post("/prompt", {"prompt": reads}, 400))

        jobs = [await one.queue(saved(5)) for one in (ann, bob)]
        await root.idle()
        for caller, job in zip((ann, bob), jobs, strict=True):
            (item,) = (await caller.get(f"/history/{job}"))[job]["outputs"]["f"]["files"]
            status, _, data = await caller.raw("GET", "/view", params=item)
            assert (status, data) == (200, b"5")
        written = sorted(shared.base.glob("output/users/*/*"))
        assert {one.parent.name for one in written} == {user_folder("ann")[6:], user_folder("Bob")[6:]}

    together(shared, journey)


def test_s50_a_cached_result_is_the_users_own(shared: ServerProcess) -> None:
    async def journey(ann: Caller, bob: Caller, root: Caller) -> None:
        graph = prompt(n=("Number", {"value": 4711}), s=("Show", {"value": "n:0"}))
        found = []
        for caller in (ann, ann, bob):
            async with caller.listen("c") as ears:
                job = await caller.queue(graph, "c")
                await ears.until_end(job)
                (cached,) = [one["data"]["nodes"] for one in ears.heard if one["type"] == "execution_cached"]
                found.append("s" in cached)
        assert found == [False, True, False]

    together(shared, journey)


def test_s50_batches_settings_and_saved_files(shared: ServerProcess) -> None:
    async def journey(ann: Caller, bob: Caller, root: Caller) -> None:
        body = {"prompt": saved(1), "prompt_id": "lot", "batch": {"zip": {"n.value": [1, 2]}}}
        await ann.post("/prompt", body)
        await root.idle()
        assert [one["id"] for one in (await ann.get("/api/batches"))["batches"]] == ["lot"]
        assert (await bob.get("/api/batches"))["batches"] == []
        assert (await bob.raw("GET", "/api/batches/lot"))[0] == 404
        assert (await bob.raw("POST", "/api/batches/lot/retry", json={"all": True}))[0] == 404
        await bob.post("/prompt", body, 400)
        again = await root.post("/api/batches/lot/retry", {"all": True})
        await root.idle()
        assert {one["owner"] for one in (await root.get("/api/jobs", batch_id=again["batch_id"]))["jobs"]} == {"ann"}
        await ann.post("/settings", {"color": "red"})
        await ann.raw("POST", "/userdata/workflows%2Fmine.json", data=json.dumps(saved(1)))
        assert await ann.get("/settings/color") == "red"
        headers = {"comfy-user": user_folder("ann")}
        assert (await bob.raw("GET", "/settings/color", headers=headers))[2] == b"null"
        assert (await bob.raw("GET", "/userdata/workflows%2Fmine.json", headers=headers))[0] == 404
        assert "mine" in (await ann.get("/workflows"))["workflows"]
        assert "mine" not in (await bob.get("/workflows"))["workflows"]
        assert (await bob.get("/users"))["users"] == {user_folder("Bob"): "Bob"}

    together(shared, journey)
