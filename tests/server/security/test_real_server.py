"""The server's own routes behind the guard: S01, S03 to S08, S12, S14, S18 to S21, S32, S37, S42, S48, S49, S58 to S60.

Skipped as long as there is no `engine.server.app`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import os
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from PIL import Image
from security_app import Server
from test_s14_to_s21_paths import HOSTILE, snapshot
from test_s29_to_s38_pictures_and_bodies import FORMS

from engine.server.security import ROUTE_ROLES, Guard, Policy, Role, make_policy, routes_without_role, token_file
from engine.server.security.headers import SECURITY_HEADERS
from engine.server.security.roles import least_role, route_path
from engine.server.security.tokens import add_token
from engine.settings import Settings

pytest.importorskip("engine.server.app", reason="the server's routes are not here yet")
server_running = pytest.importorskip("engine.server.running")
server_options = pytest.importorskip("engine.server.options")

JSON = {"Content-Type": "application/json"}
SECRET = b"SECRET-CONTENT"


@contextlib.contextmanager
def real_server(base: Path, policy: Policy, *, has_tokens: bool = False) -> Iterator[Server]:
    """Run the server's app with the guard in a thread of its own. No worker is started until a job is queued."""
    for name in ("input", "output", "temp", "user", "models", "custom_nodes"):
        (base / name).mkdir(exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stop: Any = None

    async def start() -> tuple[Server, asyncio.Event, asyncio.Task[None]]:
        ready: asyncio.Future[Server] = loop.create_future()
        done = asyncio.Event()
        task = asyncio.ensure_future(keep(ready, done))
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        return ready.result(), done, task

    async def keep(ready: asyncio.Future[Server], done: asyncio.Event) -> None:
        guard = Guard(make_policy(policy, has_tokens=has_tokens))
        options = dataclasses.replace(server_options.ServerOptions(), port=0)
        parts = server_running.Parts(eager=False, warm=False)
        settings = Settings(base, device="cpu")
        async with server_running.running(settings, options, guard.middlewares, parts) as (state, app):
            guard.attach(app)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ready.set_result(Server(runner.addresses[0][1], state, guard, app, loop))
            await done.wait()
            await state.desk.close(0)
            await state.hub.close()
            await runner.cleanup()

    server, stop, task = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield server
    finally:

        async def end() -> None:
            stop.set()
            await task

        asyncio.run_coroutine_threadsafe(end(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("real")
    (base / "secret.png").write_bytes(SECRET)
    (base / "custom_nodes/pack").mkdir(parents=True)
    (base / "custom_nodes/pack/__init__.py").write_bytes(SECRET)
    add_token(token_file(base / "user"), "somebody", Role.ADMIN)
    return base


@pytest.fixture(scope="module")
def real(place: Path) -> Iterator[Server]:
    with real_server(place, Policy()) as found:
        yield found


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with real_server(tmp_path_factory.mktemp("shut"), Policy(token_required=True)) as found:
        yield found


def routes(app: web.Application) -> list[tuple[str, str]]:
    found = {(route.method, route_path(route.resource)) for route in app.router.routes()}
    return sorted(found)


def queued(server: Server) -> int:
    answer = server.request("GET", "/queue").json
    return len(answer["queue_running"]) + len(answer["queue_pending"])


def test_s01_every_route_has_a_role(real: Server) -> None:
    assert list(routes_without_role(real.app)) == []
    assert len(routes(real.app)) > 80


def test_s01_no_token_no_answer(shut: Server) -> None:
    asked = 0
    for method, path in routes(shut.app):
        if least_role(method, path) is Role.PUBLIC:
            continue
        asked += 1
        answer = shut.request(method, path.replace("{}", "x"), JSON if method != "GET" else {})
        assert answer.status == 401, (method, path)
    assert asked > 80
    assert shut.handshake().status == 401


def test_s03_to_s06_on_every_route(real: Server) -> None:
    lies = (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{real.port}", "Origin": f"http://evil.example:{real.port}"},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    )
    for method, path in routes(real.app):
        for lie in lies:
            assert real.request(method, path.replace("{}", "x"), {**JSON, **lie}).status == 403, (method, path, lie)
    for lie in lies:
        assert real.handshake(headers=lie).status == 403
    assert real.handshake(headers={"Origin": f"http://{real.own}"}).status == 101


def test_s07_forms_change_nothing(real: Server) -> None:
    kinds = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain")
    for method, path in routes(real.app):
        if method in ("GET", "HEAD"):
            continue
        for kind in kinds:
            for browser in ({"User-Agent": "Mozilla/5.0"}, {"Referer": "http://evil.example/"}):
                answer = real.request(
                    method, path.replace("{}", "x"), {**browser, "Content-Type": kind}, b'{"prompt":{}}'
                )
                assert answer.status in (403, 415), (method, path, kind)
    assert queued(real) == 0


def test_s08_nothing_changes_by_looking(real: Server) -> None:
    listed = routes(real.app)
    looking = [re.sub(r"\{\}", "[^/]+", path) for method, path in listed if method == "GET"]
    for path in sorted({path for method, path in listed if method not in ("GET", "HEAD", "OPTIONS")}):
        shown = path.replace("{}", "x")
        if any(re.fullmatch(pattern, shown) for pattern in looking):
            continue  # /queue is read by GET and changed by POST; names with slashes match `/userdata/{file}`
        for method in ("GET", "HEAD"):
            assert real.request(method, shown).status in (404, 405), (method, path)


def test_s12_the_headers_are_everywhere(real: Server) -> None:
    for path in ("/", "/queue", "/object_info", "/nowhere", "/prompt", "/view?filename=x", "/login", "/healthz"):
        answer = real.request("GET", path)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name.lower()] == value, (path, name)
    page = real.request("GET", "/").body.decode()
    assert "<style" not in page and " style=" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')


@pytest.mark.parametrize("name", HOSTILE)
def test_s14_names_in_requests(real: Server, place: Path, name: str) -> None:
    before = snapshot(place)
    text = name.encode("utf-8", "surrogatepass")
    quoted = urllib.parse.quote(text, safe="")
    gets = [
        f"/view?type={kind}&filename={quoted}" for kind in ("input", "output", "temp", "user", "custom_nodes", quoted)
    ]
    gets += [f"/view?filename=x.png&subfolder={quoted}", f"/userdata/{quoted}", f"/view_metadata/vae?filename={quoted}"]
    gets += [f"/userdata?dir={quoted}", f"/v2/userdata?path={quoted}", f"/settings/{quoted}", f"/models/{quoted}"]
    gets += [
        f"/view_metadata/{quoted}?filename=x",
        f"/internal/files/{quoted}",
        f"/workflow_templates/{quoted}/{quoted}",
    ]
    gets += [
        f"/experiment/models/{quoted}",
        f"/userdata/{quoted}?full_info=true",
        f"/userdata?dir={quoted}&recurse=true",
    ]
    for path in gets:
        answer = real.request("GET", path)
        assert answer.status < 500, path
        assert SECRET not in answer.body and b"secret.png" not in answer.body.replace(text, b""), path
        assert b"sl_" not in answer.body and b"digest" not in answer.body, path
        assert str(place).encode() not in answer.body, path
    posts = [
        f"/userdata/{quoted}",
        f"/userdata/x.txt/move/{quoted}",
        f"/userdata/{quoted}/move/y.txt",
        f"/settings/{quoted}",
    ]
    for path in posts:
        assert real.request("POST", path, JSON, b'"x"').status < 500, path
    assert real.request("DELETE", f"/userdata/{quoted}").status < 500
    for field in ("image", "subfolder", "type"):
        assert real.request("POST", "/upload/image", FORM, form(text, field)).status < 500
    created = {Path(path) for path, _ in snapshot(place) - before}
    allowed = [place / "input", place / "temp", place / "output", place / "user"]
    assert all(any(path.is_relative_to(root) for root in allowed) for path in created), created
    assert not any(path.is_relative_to(place / "user/.safelight") for path in created)
    assert (place / "secret.png").read_bytes() == SECRET
    assert (place / "custom_nodes/pack/__init__.py").read_bytes() == SECRET


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize("name", HOSTILE)
def test_s19_names_to_delete_and_move(real: Server, place: Path, name: str) -> None:
    (place / "outside.txt").write_bytes(SECRET)
    before = snapshot(place)
    quoted = urllib.parse.quote(name.encode("utf-8", "surrogatepass"), safe="")
    assert real.request("DELETE", f"/userdata/{quoted}").status < 500
    for way in (f"{quoted}/move/taken.txt", f"taken.txt/move/{quoted}"):
        assert real.request("POST", f"/userdata/{way}?overwrite=true", JSON, b"").status < 500
    body = json.dumps({"delete": [name], "job_ids": [name]}).encode()
    for path in ("/history", "/queue", "/api/jobs/cancel"):
        assert real.request("POST", path, JSON, body).status < 500, path
    for path in (f"/api/jobs/{quoted}/cancel", f"/api/batches/{quoted}/cancel", f"/api/batches/{quoted}/retry"):
        assert real.request("POST", path, JSON, b"{}").status < 500, path
    gone = {Path(path) for path, _ in before - snapshot(place)}
    assert not [path for path in gone if not path.is_relative_to(place / "user")], gone
    assert (place / "outside.txt").read_bytes() == SECRET


def picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(buffer, kind)
    return buffer.getvalue()


def form(name: bytes, field: str = "image", data: bytes | None = None) -> bytes:
    clean = name.replace(b"\r", b"").replace(b"\n", b"").replace(b'"', b"")
    file_name = clean if field == "image" else b"ok.png"
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="' + file_name + b'"\r\n\r\n'
    body = head + (data if data is not None else picture()) + b"\r\n"
    if field != "image":
        body += b'--x\r\nContent-Disposition: form-data; name="' + field.encode() + b'"\r\n\r\n' + clean + b"\r\n"
    return body + b"--x--\r\n"


def test_s15_links(real: Server, place: Path) -> None:
    try:
        (place / "input/out.png").symlink_to(place / "secret.png")
        (place / "input/up").symlink_to(place, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    try:
        for path in ("filename=out.png", "filename=up/secret.png", "filename=secret.png&subfolder=up"):
            assert real.request("GET", f"/view?{path}").status in (400, 403, 404)
        assert real.request("POST", "/upload/image", FORM, form(b"up", "subfolder")).status in (400, 403, 404)
        assert not (place / "ok.png").exists()
    finally:
        (place / "input/out.png").unlink()
        (place / "input/up").unlink()


def test_s20_what_lies_outside_looks_the_same_there_or_not(real: Server) -> None:
    for there, gone in (("../secret.png", "../nothing.png"), ("/etc/passwd", "/etc/nothing"), ("../user", "../nobody")):
        answers = [real.request("GET", f"/view?type=input&filename={name}") for name in (there, gone)]
        assert answers[0].status in (403, 404)
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body)


@pytest.mark.parametrize(
    "path",
    ["/userdata/.safelight%2Ftokens.json", "/userdata/..%2F.safelight%2Ftokens.json", "/userdata?dir=.safelight",
     "/v2/userdata?path=.safelight", "/view?type=user&filename=.safelight/tokens.json", "/userdata?dir=..&recurse=true",
     "/internal/files/user"],
)  # fmt: skip
def test_s21_the_tokens_are_out_of_reach(real: Server, path: str) -> None:
    answer = real.request("GET", path)
    assert b"somebody" not in answer.body and b"tokens.json" not in answer.body
    for user in (".safelight", "../.safelight", "..", "__system"):
        answer = real.request("GET", "/userdata/tokens.json", {"comfy-user": user})
        assert b"somebody" not in answer.body


IMPOSTORS = (b"<svg onload=alert(1)/>", b"<html>", b"alert(1)", b"\x80\x04.", b"import os", b"")


def test_s32_what_is_no_picture_is_not_stored(real: Server, place: Path) -> None:
    for data in IMPOSTORS:
        answer = real.request("POST", "/upload/image", FORM, form(b"impostor.png", data=data))
        assert answer.status == 400, data
    assert not (place / "input/impostor.png").exists()


@pytest.mark.parametrize("name", FORMS)
def test_s33_hostile_forms(real: Server, name: str) -> None:
    boundary, body = FORMS[name]
    started = time.perf_counter()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = real.request("POST", "/upload/image", kind, body)
    assert 400 <= answer.status < 500
    assert time.perf_counter() - started < 2


def test_s49_what_the_camera_wrote_is_gone(real: Server, place: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif, comment=b"SECRETCOMMENT")
    answer = real.request("POST", "/upload/image", FORM, form(b"camera.jpg", data=buffer.getvalue() + b"SECRETTAIL"))
    assert answer.status == 200
    assert b"SECRET" not in (place / "input" / answer.json["name"]).read_bytes()


def test_s37_stored_files_are_never_active(real: Server, place: Path) -> None:
    for suffix in ("svg", "html", "xhtml", "xml", "js", "css", "png"):
        name = f"x.{suffix}"
        (place / "output" / name).write_bytes(IMPOSTORS[0])
        real.request(
            "POST", f"/userdata/{name}?overwrite=true", {"Content-Type": "application/octet-stream"}, IMPOSTORS[0]
        )
        for path in (f"/view?type=output&filename={name}", f"/userdata/{name}"):
            answer = real.request("GET", path)
            kind = answer.headers["content-type"]
            assert answer.status == 200, path
            assert not any(word in kind for word in ("html", "svg", "xml", "script", "css")), (path, kind)
            assert answer.headers["x-content-type-options"] == "nosniff"
        (place / "output" / name).unlink()


def test_s42_nothing_in_a_prompt_is_a_500(real: Server) -> None:
    bodies: list[Any] = [
        {},
        [],
        {"prompt": None},
        {"prompt": []},
        {"prompt": {"1": None}},
        {"prompt": {"1": {"class_type": "__class__", "inputs": {"__init__": ["1", 0]}}}},
        {"prompt": {"1": {"class_type": "LoadImage", "inputs": {"image": "../../secret.png"}}}},
        {"prompt": {"1": {"class_type": "LoadImage", "inputs": {"image": {"a": 1}}}}},
        {"prompt": {}, "extra_data": 3, "client_id": []},
        {"prompt": {"1": {}}, "number": "x", "front": {}, "partial_execution_targets": 3},
    ]
    for body in bodies:
        answer = real.post_json("/prompt", body)
        assert answer.status == 400, (body, answer.body)
        assert b"Traceback" not in answer.body and SECRET not in answer.body
    for text in (b"[" * 10**5, b'{"a": NaN}', b'{"a":1,"a":2}', b"\xff", b"{"):
        assert real.request("POST", "/prompt", JSON, text).status == 400
    assert queued(real) == 0


def test_s48_tokens_that_clients_send_along_are_not_shown(real: Server) -> None:
    key = "sk-verysecret-0123456789"
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    extra = {"auth_token_comfy_org": key, "api_key_comfy_org": key}
    answer = real.post_json("/prompt", {"prompt": prompt, "extra_data": extra})
    assert answer.status == 200
    number = answer.json["prompt_id"]
    seen = b""
    for _ in range(200):
        shown = [
            real.request("GET", path).body
            for path in ("/queue", "/history", f"/history/{number}", f"/api/jobs/{number}")
        ]
        seen += b"".join(shown)
        if number.encode() in shown[1]:
            break
        time.sleep(0.1)
    assert number.encode() in seen
    assert key.encode() not in seen


def test_s58_faults_are_numbers(real: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*arguments: object, **named: object) -> None:
        raise RuntimeError("SECRET in /home/somebody/x.py")

    monkeypatch.setattr("engine.paths.folders.Folders.resolve", fault)
    answer = real.request("GET", "/view?filename=x.png&type=input")
    assert answer.status == 500
    assert b"SECRET" not in answer.body and b"somebody" not in answer.body


def test_s59_who_never_reads_holds_nobody_up(real: Server) -> None:
    hub, text, count = real.desk.hub, "y" * 100_000, 600

    async def tell(number: int) -> None:
        hub.tell_all("test", lambda viewer: {"number": number, "text": text})

    async def read_all() -> list[int]:
        found: list[int] = []
        async with ClientSession() as session, session.ws_connect(f"http://{real.own}/ws", max_msg_size=0) as reader:
            await reader.receive()
            for number in range(count):
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(tell(number), real.loop))
                while not found or found[-1] < number:
                    message = json.loads((await reader.receive(timeout=10)).data)
                    if message["type"] == "test":
                        found.append(message["data"]["number"])
        return found

    with socket.create_connection(("127.0.0.1", real.port)) as deaf:
        lines = ["GET /ws HTTP/1.1", f"Host: {real.own}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        deaf.sendall("\r\n".join([*lines, "", ""]).encode())
        time.sleep(0.2)
        assert len(hub.clients) >= 1
        assert asyncio.run(read_all()) == list(range(count))
        waiting = [client.waiting_bytes + sum(map(len, client.newest.values())) for client in tuple(hub.clients)]
        assert sum(waiting) <= real.desk.options.socket_bytes < count * len(text)


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_s60_the_queue_is_for_its_owner(real: Server, place: Path) -> None:
    files = [path for path in (place / "user").rglob("*") if path.is_file() and "queue" in path.as_posix()]
    assert files
    for path in files:
        closed = [
            one
            for one in (path, *path.parents)
            if one.is_relative_to(place / "user") and one.stat().st_mode & 0o077 == 0
        ]
        assert closed, path


def test_json_of_problems_is_well_formed(real: Server) -> None:
    answer = real.post_json("/prompt", {"prompt": {"1": {"class_type": "Nothing", "inputs": {}}}})
    assert set(json.loads(answer.body)) >= {"error", "node_errors"}
    assert ROUTE_ROLES["POST /prompt"] is Role.RUN
