"""A server in the test's own event loop, over a real socket, whose worker is a real process."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from server_client import Caller

from engine.server.options import ServerOptions
from engine.server.running import Parts, running
from engine.server.state import ServerState
from engine.settings import Settings

PARTS = Parts(session="server_nodes:make_session", warm=False)


class Served(Caller):
    """A caller that also sees the server's own state."""

    state: ServerState


@contextlib.asynccontextmanager
async def served(
    base: Path, middlewares: Any = (), parts: Parts = PARTS, given: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[Served]:
    for name in ("input", "output", "temp", "user", "models"):
        (base / name).mkdir(exist_ok=True)
    settings = Settings(base, **{"device": "cpu", **(given or {})})
    chosen = dataclasses.replace(ServerOptions(port=0), **options)
    async with running(settings, chosen, middlewares, parts) as (state, app):
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await state.desk.restore()
        state.desk.pump()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            caller = Served(session, f"http://127.0.0.1:{port}")
            caller.state = state
            yield caller
        await state.desk.close(0)
        await state.hub.close()
        await runner.cleanup()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def serve(base: Path) -> Callable[..., Any]:
    """Runs a coroutine function with a server: ``serve(journey)``; options of the server by name."""
    import asyncio

    def run(journey: Callable[[Served], Coroutine[Any, Any, None]], **options: Any) -> None:
        async def whole() -> None:
            async with served(base, **options) as caller:
                await asyncio.wait_for(journey(caller), 60)

        asyncio.run(whole())

    return run
