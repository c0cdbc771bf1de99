"""Versions of saved workflows over real sockets: kept by each save, listed, brought back, and there after a kill."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import random
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from server_client import ServerProcess

from engine.server.versions import MOST_VERSIONS, Version, Versions, to_forget

FILE = "workflows%2Fa.json"


def ids(answer: Any) -> list[int]:
    return [one["id"] for one in answer["versions"]]


def test_saves_drafts_restores_and_removals(serve: Any) -> None:
    async def journey(caller: Any) -> None:
        async def save(value: int) -> None:
            assert (await caller.raw("POST", f"/userdata/{FILE}", data=json.dumps({"v": value})))[0] == 200

        async def saved() -> Any:
            return json.loads((await caller.raw("GET", f"/userdata/{FILE}"))[2])

        def url(rest: str = "") -> Any:
            from yarl import URL

            return URL(f"{caller.url}/versions/{FILE}{rest}", encoded=True)

        async def listed() -> Any:
            async with caller.session.get(url()) as answer:
                return (await answer.json())["versions"]

        await save(1)
        await save(1)
        assert [one["kind"] for one in await listed()] == ["save"]
        async with caller.session.post(url(), json={"v": 2}) as answer:
            assert (await answer.json())["kind"] == "autosave"
        assert await saved() == {"v": 1}
        await save(2)  # the draft becomes the save
        await save(3)
        found = await listed()
        assert [one["kind"] for one in found] == ["save", "save", "save"]
        async with caller.session.get(url(f"/{found[-1]['id']}")) as answer:
            assert await answer.json() == {"v": 1} and answer.content_type == "application/json"
        async with caller.session.post(url(f"/{found[-1]['id']}/restore")) as answer:
            assert answer.status == 200, await answer.text()
        assert await saved() == {"v": 1}
        assert [one["kind"] for one in await listed()] == ["restore", "save", "save", "save"]
        assert (await listed())[0]["digest"] == found[-1]["digest"]
        async with caller.session.delete(url(f"/{found[1]['id']}")) as answer:
            assert answer.status == 204
        async with caller.session.get(url(f"/{found[1]['id']}")) as answer:
            assert answer.status == 404
        # Changed behind the server's back, then removed: that too can be had back.
        path = caller.state.user_files.file("default", "workflows/a.json")
        path.write_text('{"v": "by hand"}')
        async with caller.session.delete(f"{caller.url}/userdata/{FILE}") as answer:
            assert answer.status == 204
        assert [one["file"] for one in (await caller.get("/versions"))["files"]] == ["workflows/a.json"]
        newest = (await listed())[0]
        assert newest["kind"] == "found"
        async with caller.session.post(url(f"/{newest['id']}/restore")) as answer:
            assert answer.status == 200
        assert await saved() == {"v": "by hand"}
        moved = f"/userdata/{FILE}/move/workflows%2Fb.json"
        assert (await caller.raw("POST", moved))[0] == 200
        assert await listed() == []
        assert [one["file"] for one in (await caller.get("/versions"))["files"]] == ["workflows/b.json"]
        for name in ("notes.txt", "workflows%2F..%2F..%2Fx.json", "..%2Fworkflows%2Fx.json"):
            status = (await caller.raw("GET", f"/versions/{name}"))[0]
            assert 400 <= status < 500, name

    serve(journey)


def test_old_ones_are_thinned_and_the_newest_stays() -> None:
    now = 1_700_000_000.0
    ages = [at * 60.0 for at in range(3000)]
    versions = [
        Version(9999 - at, "save" if at % 7 == 0 else "autosave", now - age, str(at), 1) for at, age in enumerate(ages)
    ]
    gone = set(to_forget(versions, now))
    left = [one for one in versions if one.id not in gone]
    assert left[0] is versions[0] and len(left) <= MOST_VERSIONS
    assert [one.saved for one in left[:60]] == [now - age for age in ages[:60]]
    older = left[60:]
    assert all(before.saved - one.saved >= 59 for before, one in itertools.pairwise(older))
    steps = [int(one.saved // 600) for one in older if now - one.saved < 86_000]
    assert len(steps) == len(set(steps)) > 100
    assert sum(one.kind == "save" for one in older) > len(older) * 0.6  # a save rather than a draft


def test_the_bytes_of_a_user_are_bounded(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("engine.server.versions.MOST_BYTES", 20_000)
    with contextlib.closing(Versions(tmp_path)) as versions:
        for at in range(30):
            versions.keep("me", "workflows/a.json", random.Random(at).randbytes(2000), "save")
        versions.keep("me", "workflows/b.json", b"{}", "save")
        versions.keep("other", "workflows/a.json", b"{}", "save")
        left = versions.listed("me", "workflows/a.json")
        assert 8 <= len(left) <= 10
        assert versions.read("me", "workflows/a.json", left[0].id) == random.Random(29).randbytes(2000)
        assert [name for name, _, _ in versions.files("me")] == ["workflows/a.json", "workflows/b.json"]


def test_a_kill_leaves_a_whole_file_and_what_was_answered_is_a_version(tmp_path: Path) -> None:
    for round in range(4):
        answered: list[int] = []
        with ServerProcess(tmp_path) as server:

            def save(first: int, server: ServerProcess = server, answered: list[int] = answered) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException, urllib.error.URLError):
                    for value in range(first, first + 1000):
                        body = json.dumps({"v": value, "pad": "x" * 50_000}).encode()
                        request = urllib.request.Request(f"{server.url}/userdata/{FILE}", body)
                        with urllib.request.urlopen(request, timeout=10):
                            answered.append(value)

            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                done = [pool.submit(save, (round * 2 + at) * 10_000) for at in range(2)]
                time.sleep(0.6 + random.random() * 0.4)
                server.kill()
                concurrent.futures.wait(done)
        assert answered
        document = json.loads((tmp_path / "user/default/workflows/a.json").read_bytes())
        assert len(document["pad"]) == 50_000
        with contextlib.closing(Versions(tmp_path / "user/.safelight")) as versions:
            kept = versions.listed("default", "workflows/a.json")
            values = {json.loads(versions.read("default", "workflows/a.json", one.id))["v"] for one in kept[:60]}
        assert set(answered[-20:]) <= values
        assert document["v"] in values
