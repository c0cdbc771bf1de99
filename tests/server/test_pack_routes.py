"""Routes that packs add: served behind the same guard, never in the place of ours, and what goes wrong stays theirs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from server_client import ROOT, Caller, ServerProcess

PACK = """
import time
from aiohttp import web
from server import PromptServer

routes = PromptServer.instance.routes

@routes.get("/stub/hello")
async def hello(request):
    return web.json_response({"name": request.query.get("name"), "header": request.headers.get("X-Mine")})

@routes.post("/stub/items/{item}")
async def item(request):
    body = await request.json() if request.content_type == "application/json" else dict(await request.post())
    PromptServer.instance.send_sync("stub.saved", {"item": request.match_info["item"], **body})
    return web.json_response({"item": request.match_info["item"], "body": body}, status=201)

@routes.get("/stub/fails")
async def fails(request):
    raise ValueError("no good in /home/somebody/secret.txt")

@routes.get("/stub/refuses")
async def refuses(request):
    raise web.HTTPNotFound(text="not here")

@routes.get("/stub/file")
async def file(request):
    return web.FileResponse(__file__)

@routes.get("/stub/slow")
async def slow(request):
    time.sleep(1.5)
    return web.Response(text="slow")

@routes.get("/stub/stream")
async def stream(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    return answer

@routes.get("/stub/nothing")
async def nothing(request):
    pass

@routes.get("/queue")
async def theirs(request):
    return web.Response(text="taken over")

@routes.post("/object_info")
async def theirs_too(request):
    return web.Response(text="taken over")

PromptServer.instance.app.router.add_get("/stub/direct", hello)
PromptServer.instance.app.add_routes([web.get("/stub/listed", hello)])

@web.middleware
async def evil(request, handler):
    return web.Response(text="taken over")

PromptServer.instance.app.middlewares.append(evil)
NODE_CLASS_MAPPINGS = {}
"""


def start(folder: Path, *flags: str) -> ServerProcess:
    pack = folder / "extra" / "custom_nodes" / "stub_pack"
    pack.mkdir(parents=True, exist_ok=True)
    (pack / "__init__.py").write_text(PACK)
    config = folder / "extra.yaml"
    config.write_text(f"testing:\n  base_path: {folder / 'extra'}\n  custom_nodes: custom_nodes\n")
    more = ["--extra-model-paths-config", str(config), "--user-directory", str(folder / "user"), *flags]
    return ServerProcess(ROOT, "--output-directory", str(folder / "output"), *more, real=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with start(tmp_path_factory.mktemp("program"), "--trust-packs", "--max-upload-size", "1") as started:
        yield started


def ask(
    server: ServerProcess, path: str, data: bytes | None = None, method: str | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(server.url + path, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


JSON = {"Content_Type": "application/json"}


def test_routes_of_packs_answer_with_their_twins(server: ServerProcess) -> None:
    for path in ("/stub/hello", "/api/stub/hello", "/stub/direct", "/stub/listed", "/api/stub/listed"):
        status, text, headers = ask(server, f"{path}?name=a%20b", X_Mine="yes")
        assert (status, json.loads(text)) == (200, {"name": "a b", "header": "yes"}), path
        assert headers["X-Content-Type-Options"] == "nosniff" and "Content-Security-Policy" in headers
    status, text, _ = ask(server, "/api/stub/items/a%2Fb", b'{"x": 1}', **JSON)
    assert (status, json.loads(text)) == (201, {"item": "a/b", "body": {"x": 1}})
    assert ask(server, "/stub/hello", b"{}", **JSON)[0] == 404  # no such route of theirs, nor of ours
    assert ask(server, "/stub/hello", method="HEAD")[0] == 200
    status, text, _ = ask(server, "/stub/file")
    assert status == 200 and "NODE_CLASS_MAPPINGS" in text
    assert ask(server, "/stub/refuses")[0] == 404


def test_what_a_route_sends_reaches_clients(server: ServerProcess) -> None:
    async def journey() -> None:
        async with aiohttp.ClientSession() as session:
            caller = Caller(session, server.url)
            async with caller.listen() as ears:
                form = aiohttp.FormData({"colour": "red"})
                form.add_field("file", b"bytes", filename="a.txt")
                async with session.post(f"{server.url}/stub/items/5", json={"colour": "blue"}) as answer:
                    assert answer.status == 201
                assert await ears.until("stub.saved") == {"item": "5", "colour": "blue"}

    asyncio.run(journey())


def test_s58_what_a_route_raises_is_told_by_number_alone(server: ServerProcess) -> None:
    status, text, _ = ask(server, "/stub/fails")
    assert status == 500 and "somebody" not in text and "Traceback" not in text and "stub_pack" not in text
    number = json.loads(text)["error"]["extra_info"]["id"]
    assert number in server.text() and "no good" in server.text()
    for path in ("/stub/stream", "/stub/nothing"):
        status, text, _ = ask(server, path)
        assert status in (500, 501) and "Traceback" not in text, path
    assert ask(server, "/stub/hello")[0] == 200


def test_s53_a_pack_takes_no_route_of_ours_and_adds_no_middleware(server: ServerProcess) -> None:
    assert "queue_running" in ask(server, "/queue")[1] and "queue_running" in ask(server, "/api/queue")[1]
    assert ask(server, "/object_info", b"{}", **JSON)[0] == 405
    assert "taken over" not in ask(server, "/prompt")[1]


def test_s03_to_s07_who_asks_a_pack_is_checked_as_everywhere(server: ServerProcess) -> None:
    item = "/stub/items/1"
    assert ask(server, "/stub/hello", Host="attacker.example")[0] == 403
    assert ask(server, "/stub/hello", Origin="https://attacker.example")[0] == 403
    assert ask(server, item, b"{}", **JSON, Origin="null")[0] == 403
    assert ask(server, "/stub/hello", Sec_Fetch_Site="cross-site")[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert ask(server, item, b"{}", Content_Type=kind, User_Agent="Mozilla/5.0")[0] == 415, kind
    own = {"Origin": server.url, "Content_Type": "multipart/form-data; boundary=x"}
    form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
    assert ask(server, item, form, **own)[0] == 201


def test_s34_a_large_body_does_not_reach_a_pack(server: ServerProcess) -> None:
    try:
        status, _, _ = ask(server, "/stub/items/1", b'{"x": "' + b"y" * (3 << 20) + b'"}', **JSON)
    except urllib.error.URLError as error:  # refused while it was being sent
        assert isinstance(error.reason, (ConnectionError, BrokenPipeError))
    else:
        assert status == 413


def test_a_route_that_blocks_holds_up_no_route_of_ours(server: ServerProcess) -> None:
    ask(server, "/stub/hello")
    blocked = threading.Thread(target=ask, args=(server, "/stub/slow"))
    blocked.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert ask(server, "/queue")[0] == 200
    assert time.monotonic() - began < 1.0 and blocked.is_alive()
    blocked.join()


def test_s01_s51_tokens_roles_and_trust_hold_for_routes_of_packs(tmp_path: Path) -> None:
    user = ["--user-directory", str(tmp_path / "user")]

    def token(name: str, role: str) -> str:
        made = subprocess.run(
            [sys.executable, "main.py", "tokens", "add", name, "--role", role, *user],
            cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return next(word for word in (made.stdout + made.stderr).split() if word.startswith("sl_"))

    looks, runs = token("looks", "view"), token("runs", "run")
    with start(tmp_path, "--trust-packs", "--require-token") as server:
        item = "/stub/items/1"
        assert ask(server, "/stub/hello")[0] == 401 and ask(server, item, b"{}", **JSON)[0] == 401
        assert ask(server, "/stub/hello", Authorization="Bearer sl_wrong")[0] == 401
        assert ask(server, "/stub/hello", Authorization=f"Bearer {looks}")[0] == 200
        assert ask(server, item, b"{}", **JSON, Authorization=f"Bearer {looks}")[0] == 403
        assert ask(server, item, b"{}", **JSON, Authorization=f"Bearer {runs}")[0] == 201
    with start(tmp_path) as server:  # the pack was not approved
        assert ask(server, "/stub/hello")[0] == 404


def test_s52_a_pack_that_ends_the_interpreter_does_not_end_the_server(tmp_path: Path) -> None:
    packs = tmp_path / "extra" / "custom_nodes"
    bodies = {
        "ends": "import os; os._exit(0)",
        "crashes": "import ctypes; ctypes.string_at(0)",
        "exits": "import sys; sys.exit(3)",
        "raises": "raise ValueError('no')",
    }
    for name, text in bodies.items():
        (packs / name).mkdir(parents=True)
        (packs / name / "__init__.py").write_text(text)
    for start_again in (False, True):
        with start(tmp_path, "--trust-packs") as server:
            status, text, _ = ask(server, "/object_info")
            assert status == 200 and "SaveImage" in text
            assert ask(server, "/stub/hello")[0] == 200, "the packs beside them load"
            log = server.text()
            assert "pack ends did not load: it ended the program that imported it (exit code 0)" in log
            assert "pack crashes did not load: it crashed the program that imported it (SIGSEGV)" in log
            assert "pack exits did not load" in log and "pack raises did not load" in log
            assert ("on trial" in log) is not start_again
            graph = {
                "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
            }
            graph["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
            _, job = server.post("/prompt", {"prompt": graph})
            server.wait_idle()
            assert server.get(f"/history/{job['prompt_id']}")[job["prompt_id"]]["status"]["status_str"] == "success"
            assert server.stop() == 0
