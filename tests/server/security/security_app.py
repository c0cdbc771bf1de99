"""An app with the protocol's kinds of route behind the guard, on a real socket, and a client that may lie about all."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from engine.errors import InputError, PathError
from engine.media.uploads import clean_picture
from engine.paths import Folders, check_name, make_folders
from engine.server.security import (
    ROUTE_ROLES,
    Guard,
    Limits,
    Policy,
    Role,
    bytes_answer,
    file_answer,
    make_policy,
    read_form,
    read_json,
)
from engine.server.security.tokens import read_tokens

HERE = {"GET /boom": Role.VIEW, "GET /broken": Role.VIEW, "GET /careless": Role.VIEW, "GET /bytes": Role.VIEW}


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    pairs: tuple[tuple[str, str], ...]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Desk:
    """What the sample routes did, for tests to look at."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.queued: list[Any] = []
        self.sockets: list[str] = []
        self.to_send: bytes = b""
        self.to_raise: BaseException = RuntimeError("nothing")


@dataclasses.dataclass
class Server:
    """A running app. ``request`` sends exactly what it is told; only Host and Content-Length come by themselves."""

    port: int
    desk: Desk
    guard: Guard
    app: web.Application
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def own(self) -> str:
        return f"127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
        names = {name.lower() for name, _ in given}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
            for name, value in given:
                if not (name.lower() == "host" and value == "\0none"):
                    connection.putheader(name, value)
            if body is not None and "content-length" not in names:
                connection.putheader("Content-Length", str(len(body)))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before all was sent
                connection.endheaders(body)
            answer = connection.getresponse()
            pairs = tuple(answer.getheaders())
            return Answer(answer.status, {n.lower(): v for n, v in pairs}, answer.read(), pairs)

    def post_json(self, path: str, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request(
            "POST", path, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode()
        )

    def handshake(self, path: str = "/ws", headers: Mapping[str, str] | None = None) -> Answer:
        wanted = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        return self.request("GET", path, {**wanted, **(headers or {})})

    def raw(self, data: bytes, *, timeout: float = 5) -> bytes:
        """Send bytes as they are and return what comes, until the first answer's headers are there."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while b"\r\n\r\n" not in received and (block := connection.recv(65536)):
                    received += block
            return received


def below(root: Path, name: str) -> Path:
    path = root.joinpath(*check_name(name)).resolve()
    if not path.is_relative_to(root.resolve()):
        raise PathError("outside")
    return path


def sample_app(guard: Guard, desk: Desk, web_folder: Path) -> web.Application:
    limits = guard.policy.limits

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>editor</title>", content_type="text/html")

    async def prompt(request: web.Request) -> web.Response:
        desk.queued.append(await read_json(request, limits))
        return web.json_response({"prompt_id": str(len(desk.queued))})

    async def shown(request: web.Request) -> web.Response:
        return web.json_response({"queued": len(desk.queued)})

    async def upload(request: web.Request) -> web.Response:
        with await read_form(request, limits) as form:
            part = form.get("image")
            if part is None or not part.file_name:
                raise InputError("the picture is missing")
            path = below(desk.folders.directories("input")[0], part.file_name)
            data = await asyncio.to_thread(clean_picture, part.read(), name=part.file_name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return web.json_response({"name": path.name})

    async def view(request: web.Request) -> web.StreamResponse:
        return file_answer(desk.folders.resolve(request.query.get("type", "input"), request.query.get("filename", "")))

    async def userdata(request: web.Request) -> web.StreamResponse:
        return file_answer(desk.folders.resolve("user", request.match_info["file"]))

    async def socket_route(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(max_msg_size=limits.max_message_bytes)
        await answer.prepare(request)
        desk.sockets.append(request.query.get("clientId", ""))
        async for message in answer:
            if message.type is WSMsgType.TEXT:
                await answer.send_str(message.data)
        return answer

    async def boom(request: web.Request) -> web.Response:
        raise desk.to_raise

    async def careless(request: web.Request) -> web.Response:
        return web.Response(body=desk.to_send, headers={"Content-Type": request.query["as"]})

    async def made(request: web.Request) -> web.Response:
        return bytes_answer(desk.to_send, request.query.get("name", "x.png"))

    app = web.Application(middlewares=guard.middlewares, client_max_size=limits.max_upload_bytes)
    app.router.add_static("/web", web_folder)
    for prefix in ("", "/api"):
        app.router.add_post(f"{prefix}/prompt", prompt)
        app.router.add_get(f"{prefix}/queue", shown)
        app.router.add_post(f"{prefix}/queue", prompt)
        app.router.add_post(f"{prefix}/free", prompt)
        app.router.add_get(f"{prefix}/history/{{id}}", shown)
        app.router.add_post(f"{prefix}/upload/image", upload)
        app.router.add_get(f"{prefix}/view", view)
        app.router.add_get(f"{prefix}/userdata/{{file:.+}}", userdata)
        app.router.add_get(f"{prefix}/ws", socket_route)
    for path, handler in (("/", page), ("/boom", boom), ("/careless", careless), ("/bytes", made)):
        app.router.add_get(path, handler)
    guard.attach(app)
    return app


@contextlib.contextmanager
def running(
    base: Path, policy: Policy | None = None, *, tls: ssl.SSLContext | None = None, limits: Limits | None = None
) -> Iterator[Server]:
    """Run the sample app in a thread of its own, on a free port of 127.0.0.1."""
    policy = policy or Policy()
    if limits is not None:
        policy = dataclasses.replace(policy, limits=limits)
    has_tokens = policy.token_file is not None and bool(read_tokens(policy.token_file))
    guard_policy = make_policy(policy, has_tokens=has_tokens)
    (base / "web").mkdir(exist_ok=True)
    (base / "web/app.js").write_text("'use strict';")
    (base / "input").mkdir(exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[web.AppRunner, int, Guard, web.Application, Desk]:
        guard = Guard(guard_policy, {**ROUTE_ROLES, **HERE})
        desk = Desk(make_folders(base))
        app = sample_app(guard, desk, base / "web")
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        return runner, runner.addresses[0][1], guard, app, desk

    runner, port, guard, app, desk = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    try:
        yield Server(port, desk, guard, app, loop)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
