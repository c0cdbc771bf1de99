"""Webhooks: the end of a job is told once, signed, tried again over a restart, and never sent inwards unasked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from server_client import Caller, ServerProcess, prompt, simple

SECRET = "a-secret-that-nobody-else-knows"


class Listener:
    """A server that keeps what is posted to it and answers with the statuses it is told, the last one for ever."""

    def __init__(self, *statuses: int, location: str | None = None) -> None:
        self.statuses = list(statuses) or [200]
        self.location = location
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self.came = asyncio.Event()

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), await request.read()))
        self.came.set()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers={"Location": self.location} if self.location else {})

    async def wait(self, count: int) -> None:
        async def enough() -> None:
            while len(self.heard) < count:
                self.came.clear()
                await self.came.wait()

        await asyncio.wait_for(enough(), 20)

    def told(self, at: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.heard[at][1])
        return found


@contextlib.asynccontextmanager
async def listening(*statuses: int, port: int = 0, **more: Any) -> AsyncIterator[Listener]:
    listener = Listener(*statuses, **more)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", listener.hear)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?key=hidden-in-the-address"
    try:
        yield listener
    finally:
        await runner.cleanup()


def allow(listener_port: int) -> dict[str, Any]:
    return {"webhook_hosts": (f"127.0.0.1:{listener_port}",)}


def rows_of(base: Path) -> int:
    with contextlib.closing(sqlite3.connect(base / "user" / "queue" / "jobs.sqlite3")) as db:
        return int(db.execute("SELECT count(*) FROM webhooks").fetchone()[0])


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_each_end_is_told_once_and_signed(serve: Any, base: Path) -> None:
    port = free_port()

    async def journey(caller: Caller) -> None:
        async with listening(200, port=port) as listener:
            hook = {"url": listener.url, "secret": SECRET}
            done = await caller.queue(simple(7), webhook=hook)
            await listener.wait(1)
            headers, body = listener.heard[0]
            expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            assert headers["X-Safelight-Signature"] == expected and headers["Content-Type"] == "application/json"
            told = listener.told()
            assert (told["event"], told["prompt_id"], told["outputs"]) == ("completed", done, {"s": {"text": ["7"]}})
            failed = await caller.queue(prompt(f=("Fail", {"value": 3})), webhook={"url": listener.url})
            await listener.wait(2)
            told, headers = listener.told(1), listener.heard[1][0]
            assert (told["event"], told["prompt_id"], told["error"]["exception_message"]) == (
                "failed", failed, "no good: 3",
            )  # fmt: skip
            assert "traceback" not in json.dumps(told) and "X-Safelight-Signature" not in headers
            await caller.post("/queue", {"pause": True})
            waits = await caller.queue(simple(8), webhook=hook)
            silent = await caller.queue(simple(9), webhook={**hook, "events": ["failed"]})
            await caller.post("/queue", {"delete": [waits, silent]})
            await listener.wait(3)
            assert (listener.told(2)["event"], listener.told(2)["prompt_id"]) == ("cancelled", waits)
            await caller.post("/queue", {"pause": False})
            batch = {"prompt": simple(1), "webhook": hook, "batch": {"zip": {"n.value": [1, 2]}}}
            answer = await caller.post("/prompt", batch)
            await listener.wait(5)
            assert {listener.told(at)["batch_id"] for at in (3, 4)} == {answer["batch_id"]}
            await asyncio.sleep(0.1)
            assert len(listener.heard) == 5 and rows_of(base) == 0

    serve(journey, **allow(port))


def test_a_listener_that_fails_is_tried_again_and_given_up(serve: Any, base: Path) -> None:
    port = free_port()

    async def journey(caller: Any) -> None:
        caller.state.webhooks.delays_s = (0.05, 0.1)
        async with listening(500, 503, 204, port=port) as listener:
            await caller.queue(simple(1), webhook={"url": listener.url})
            await listener.wait(3)
            assert [headers["X-Safelight-Attempt"] for headers, _ in listener.heard] == ["1", "2", "3"]
            assert len({headers["X-Safelight-Delivery"] for headers, _ in listener.heard}) == 1
            assert len({body for _, body in listener.heard}) == 1
        async with listening(500, port=port) as listener:
            await caller.queue(simple(2), webhook={"url": listener.url})
            await listener.wait(3)
            await asyncio.sleep(0.3)
            assert len(listener.heard) == 3 and rows_of(base) == 0
            assert (caller.state.webhooks.delivered, caller.state.webhooks.given_up) == (1, 1)

    serve(journey, **allow(port))


def test_what_is_due_is_told_after_a_kill(base: Path) -> None:
    port = free_port()
    flags = ("--allow-webhook-hosts", f"localhost:9,127.0.0.1:{port}")
    with ServerProcess(base, *flags) as server:  # nobody listens yet
        _, job = server.post("/prompt", {"prompt": simple(5), "webhook": {"url": f"http://127.0.0.1:{port}/x"}})
        server.wait_idle()
        server.kill()
    assert rows_of(base) == 1
    with contextlib.closing(sqlite3.connect(base / "user" / "queue" / "jobs.sqlite3")) as db, db:
        db.execute("UPDATE webhooks SET due = ?", (time.time() * 1000,))

    async def hear() -> None:
        async with listening(200, port=port) as listener:
            with await asyncio.to_thread(ServerProcess, base, *flags) as again:
                await listener.wait(1)
                assert listener.told()["prompt_id"] == job["prompt_id"] and listener.told()["outputs"]
                for _ in range(100):
                    if not rows_of(base):
                        break
                    await asyncio.sleep(0.05)
                assert await asyncio.to_thread(again.stop) == 0 and rows_of(base) == 0

    asyncio.run(hear())


INWARD = (
    "http://127.0.0.1/x", "http://localhost/x", "http://[::1]/x", "http://2130706433/x", "http://0x7f.1/x",
    "http://[::ffff:127.0.0.1]/x", "http://169.254.169.254/latest/meta-data", "https://10.0.0.1/x", "http://0.0.0.0/x",
)  # fmt: skip
NONE = (
    "ftp://example.org/x", "file:///etc/passwd", "gopher://example.org/", "http://user:word@example.org/", "http:///x",
    "http://exa mple.org/", "x", "", 5, None, "http://example.org:99999/", "http://example.org/" + "x" * 3000,
)  # fmt: skip


def test_s57_webhooks_are_not_sent_inwards_and_follow_nobody(serve: Any, base: Path) -> None:
    port = free_port()

    async def journey(caller: Any) -> None:
        caller.state.webhooks.delays_s = ()
        for url in NONE:
            await caller.post("/prompt", {"prompt": simple(1), "webhook": {"url": url}}, 400)
        for wrong in (
            "x", [], {}, {"url": "http://example.org/", "events": ["started"]},
            {"url": "http://example.org/", "events": []}, {"url": "http://example.org/", "secret": 5},
            {"url": "http://example.org/", "more": 1},
        ):  # fmt: skip
            await caller.post("/prompt", {"prompt": simple(1), "webhook": wrong}, 400)
        async with listening(302, port=port, location="/elsewhere") as listener:
            other = listener.url.replace("127.0.0.1", "localhost")  # the same place under a name that is not allowed
            count = 0
            for url in (*INWARD, other):
                body = {"prompt": simple(1), "webhook": {"url": url}}
                async with caller.session.post(f"{caller.url}/prompt", json=body) as answer:
                    count += answer.status == 200  # a name is only looked up when it is asked
            await caller.queue(simple(1), webhook={"url": listener.url})
            await caller.idle()
            for _ in range(200):
                if caller.state.webhooks.given_up == count + 1:
                    break
                await asyncio.sleep(0.02)
            assert caller.state.webhooks.given_up == count + 1 and caller.state.webhooks.delivered == 0
            assert len(listener.heard) == 1, "only the allowed one, and it was not followed elsewhere"

    serve(journey, **allow(port))


@pytest.mark.parametrize("listens", [True, False])
def test_s48_the_secret_and_the_address_of_a_webhook_are_told_to_nobody(base: Path, listens: bool) -> None:
    port = free_port()

    async def journey() -> None:
        async with contextlib.AsyncExitStack() as stack:
            listener = await stack.enter_async_context(listening(200, port=port)) if listens else None
            flags = ("--allow-webhook-hosts", f"127.0.0.1:{port}")
            server = stack.enter_context(await asyncio.to_thread(ServerProcess, base, *flags))
            await asyncio.to_thread(ask, server, listener)
            if listener is not None:
                await listener.wait(1)
                assert SECRET not in str(listener.heard)
            assert await asyncio.to_thread(server.stop) == 0
            log = server.text()
            assert SECRET not in log and "hidden-in-the-address" not in log
            assert listens or "is tried again" in log

    def ask(server: ServerProcess, listener: Listener | None) -> None:
        url = f"http://127.0.0.1:{port}/hook?key=hidden-in-the-address" if listener is None else listener.url
        _, job = server.post("/prompt", {"prompt": simple(5), "webhook": {"url": url, "secret": SECRET}})
        server.wait_idle()
        id = job["prompt_id"]
        for path in ("/history", f"/history/{id}", "/api/jobs", f"/api/jobs/{id}", "/events?since=0", "/internal/logs"):
            text = json.dumps(server.get(path))
            assert SECRET not in text and "hidden-in-the-address" not in text, path

    asyncio.run(journey())
