"""Routes that node packs add (``PromptServer.instance.routes``), and what packs tell clients from them.

The server's process imports packs to know their nodes, so it has the functions of their routes. They are called here,
on an event loop in a thread of their own: one that blocks holds up other packs' routes and nothing else. A request gets
there when it passed the guard as any other, fits no route of ours, and its body was read whole within the limit. Nodes
run in the worker, whose copy of the pack has variables of its own; docs/nodes.md says what that means.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.hdrs import METH_GET, METH_HEAD, METH_OPTIONS

from engine.jobs.pack_messages import TEXT
from engine.jobs.records import plain
from engine.server.catalogue import Catalogue
from engine.server.hub import Hub
from engine.server.rooms import viewer_of
from engine.server.security import Role, body_is_taken, may
from engine.server.state import Handler, answer_error

PREFIX: Final = "/api"
SHIM: Final = "engine.compat.shims.server"
ANSWER_S: Final = 300.0
READING: Final = frozenset({METH_GET, METH_HEAD, METH_OPTIONS})
UNSUPPORTED: Final = "a route of a pack must return a whole answer: streams and WebSockets are not offered"

_log = logging.getLogger("safelight.packs")


class PackRoutes:
    """Finds and calls the routes of packs. Used in the server's event loop, but for `_collect`."""

    def __init__(self, catalogue: Catalogue, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self._catalogue = catalogue
        self._hub = hub
        self._loop = loop
        self._router: web.UrlDispatcher | None = None
        self._count = 0
        self._theirs: asyncio.AbstractEventLoop | None = None

    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer with a pack's route where no route of ours has the path, whatever the method."""
        missing = request.match_info.http_exception
        if missing is None or missing.status != 404 or not self._catalogue.has_packs():
            return await handler(request)
        if self._router is None:
            self._router = await self._catalogue.ask(self._collect)
        found = await self._find(request, self._router) if self._count else None
        return await handler(request) if found is None else await self._answer(request, found)

    def _collect(self) -> web.UrlDispatcher:
        """Put the routes of all packs together; of equal ones the first counts. Reads the node types first."""
        _ = self._catalogue.session.registry
        router = web.UrlDispatcher()
        shim = sys.modules.get(SHIM)
        if shim is None:
            return router
        server = shim.PromptServer.instance
        server.deliver = self._deliver
        for method, path, handler in _listed([*server.routes, *server.app.added]):
            try:
                if method == METH_GET:
                    router.add_get(path, handler)  # which answers HEAD as well
                else:
                    router.add_route(method, path, handler)
                self._count += 1
            except (ValueError, TypeError, RuntimeError, AssertionError) as error:
                _log.error("the route %s %s of a pack is left out: %s", method, path, error)
        return router

    async def _find(self, request: web.Request, router: web.UrlDispatcher) -> web.UrlMappingMatchInfo | None:
        """Return the route that fits the path, or the path without ``/api``."""
        paths = [request.rel_url.raw_path]
        if paths[0].startswith(f"{PREFIX}/"):
            paths.append(paths[0].removeprefix(PREFIX))
        for path in paths:
            url = request.rel_url.with_path(path, encoded=True)
            match = await router.resolve(request if path == paths[0] else request.clone(rel_url=url))
            if isinstance(match, web.UrlMappingMatchInfo) and match.http_exception is None:
                return match
        return None

    async def _answer(self, request: web.Request, match: web.UrlMappingMatchInfo) -> web.StreamResponse:
        if not may(request, Role.VIEW if request.method in READING else Role.RUN):
            return answer_error(403, "E-ROLE", "this needs a token with the role run")
        if viewer_of(request) is not None:
            return answer_error(403, "E-ROLE", "with several users, routes of packs need a token with the role admin")
        if not body_is_taken(request):
            return answer_error(415, "E-BODY-TYPE", "a body of this type is not taken here")
        if request.headers.get("Upgrade"):
            return answer_error(501, "E-PACK-ROUTE", "The route of a pack cannot be asked so", UNSUPPORTED)
        body = await request.read()  # within the limit, else 413
        theirs = self._their_loop()
        future = asyncio.run_coroutine_threadsafe(_call(request, match, body, theirs), theirs)
        try:
            made = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
        except TimeoutError:
            return answer_error(504, "E-PACK-ROUTE", "The route of a pack did not answer", f"within {ANSWER_S:g} s")
        if not isinstance(made, (web.Response, web.FileResponse)) or made.prepared:
            _log.error("the route %s of a pack returned %s: %s", request.path, type(made).__name__, UNSUPPORTED)
            return answer_error(501, "E-PACK-ROUTE", "The route of a pack has no whole answer", UNSUPPORTED)
        return made

    def _their_loop(self) -> asyncio.AbstractEventLoop:
        if self._theirs is None:
            self._theirs = asyncio.new_event_loop()
            threading.Thread(target=self._theirs.run_forever, name="pack-routes", daemon=True).start()
            sys.modules[SHIM].PromptServer.instance.loop = self._theirs
        return self._theirs

    def _deliver(self, event: Any, data: Any, sid: Any) -> None:
        """Tell clients what a pack says; called in any thread."""
        to = sid if isinstance(sid, str) else None
        if event == TEXT and isinstance(data, Mapping):
            node, text = str(data.get("node")), str(data.get("text", ""))
            self._loop.call_soon_threadsafe(self._hub.tell_text, node, text, "", to, None)
        elif isinstance(event, str) and not isinstance(data, (bytes, bytearray, memoryview)):
            told = plain(data)
            json.dumps(told)  # what cannot be written is the pack's own error, where it said it
            self._loop.call_soon_threadsafe(self._hub.tell_of_packs, event, told, to)

    def close(self) -> None:
        """Let go of the thread; what a route still does there is not waited for."""
        if self._theirs is not None:
            self._theirs.call_soon_threadsafe(self._theirs.stop)
        shim = sys.modules.get(SHIM)
        if shim is not None and shim.PromptServer.instance.deliver == self._deliver:
            shim.PromptServer.instance.deliver = lambda event, data, sid: None


def _listed(added: Iterable[Any]) -> Iterable[tuple[str, str, Callable[..., Any]]]:
    """Yield method, path and function of what packs added; folders of files are not served so."""
    for one in added:
        method, path, handler = (getattr(one, name, None) for name in ("method", "path", "handler"))
        if isinstance(method, str) and isinstance(path, str) and callable(handler):
            yield method, path, _coroutine(handler)
        else:
            _log.warning("a pack adds %.100r to the server, which is not offered; files belong in WEB_DIRECTORY", one)


def _coroutine(handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def call(request: web.Request) -> Any:
        made = handler(request)
        return await made if inspect.isawaitable(made) else made

    return call


class _NoWriter(AbstractStreamWriter):
    """Stands in the place of the connection, which only the server's own thread may write to."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(UNSUPPORTED)

    async def _refuse_later(self, *_: Any, **__: Any) -> Any:
        self._refuse()

    write = write_eof = drain = write_headers = _refuse_later
    enable_compression = enable_chunking = _refuse


async def _call(
    request: web.Request, match: web.UrlMappingMatchInfo, body: bytes, theirs: asyncio.AbstractEventLoop
) -> Any:
    """Call a pack's function with a request of its own, whose body is there already."""
    payload = StreamReader(request.protocol, 1 << 16, loop=theirs)
    payload.feed_data(body)
    payload.feed_eof()
    asked = web.Request(
        request._message,
        payload,
        request.protocol,
        _NoWriter(),
        request.task,
        theirs,
        client_max_size=request.app._client_max_size,
    )
    asked._match_info = match
    match.add_app(request.app)
    return await match.handler(asked)
