"""The application: routes and middlewares put together, with the state that handlers share.

Whoever adds a check for all requests adds a middleware to `make_app`; whoever adds a route adds it to a table in
`engine.server.routes`. The description of the API is made from the same tables.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from engine.errors import SafelightError
from engine.server.pack_routes import PackRoutes
from engine.server.routes import (
    batches,
    browsing,
    catalogue,
    editor,
    files,
    forecasting,
    gallery,
    jobs,
    live,
    operations,
    queueing,
    tokens,
    users,
    versions,
    workflows,
)
from engine.server.sdapi import facts_routes, making_routes
from engine.server.sdapi.shared import SHARED, Shared
from engine.server.security.failures import answer_for
from engine.server.state import STATE, Handler, Route, ServerState, answer_error

Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

TABLES: Final = (
    queueing.ROUTES,
    forecasting.ROUTES,
    live.ROUTES,
    jobs.ROUTES,
    batches.ROUTES,
    catalogue.ROUTES,
    files.ROUTES,
    browsing.ROUTES,
    gallery.ROUTES,
    users.ROUTES,
    versions.ROUTES,
    operations.ROUTES,
    workflows.ROUTES,
    editor.ROUTES,
    tokens.ROUTES,
    making_routes.ROUTES,
    facts_routes.ROUTES,
)
PREFIX: Final = "/api"

_log = logging.getLogger("safelight.server")


def all_routes() -> tuple[Route, ...]:
    """List every route, without the twins below ``/api``."""
    return tuple(route for table in TABLES for route in table)


def make_app(state: ServerState, middlewares: Sequence[Middleware] = ()) -> web.Application:
    """Return the application; ``middlewares`` see each request before anything else does, in their order."""
    packs = PackRoutes(state.catalogue, state.hub, asyncio.get_running_loop())
    checks: list[Any] = [web.middleware(one) for one in (*middlewares, say_what_failed)]
    checks.append(web.middleware(functools.partial(PackRoutes.middleware, packs)))
    app = web.Application(
        middlewares=checks,
        client_max_size=state.options.max_upload_bytes,
    )
    app[STATE] = state
    app.on_cleanup.append(_closing(packs))
    app[SHARED] = Shared(state.folders)
    app[gallery.GALLERIES] = {}
    for route in all_routes():
        app.router.add_route(route.method, route.path, route.handler)
        if route.twin and not route.path.startswith(f"{PREFIX}/"):
            app.router.add_route(route.method, PREFIX + route.path, route.handler)
    return app


def _closing(packs: PackRoutes) -> Callable[[web.Application], Awaitable[None]]:
    async def close(app: web.Application) -> None:
        packs.close()

    return close


async def say_what_failed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raised into an answer: ours say what is wrong, faults have a number that the log knows."""
    try:
        return _in_one_form(await handler(request))
    except web.HTTPException:
        raise
    except SafelightError as error:
        return answer_for(error)
    except (ConnectionError, TimeoutError):
        raise
    except Exception:  # noqa: BLE001 (whatever it is: nothing of it reaches the client)
        number = uuid.uuid4().hex[:12]
        _log.exception("request %s %s failed (%s)", request.method, request.path.replace("\n", " "), number)
        return answer_error(500, "internal_error", "The server failed", f"the log has it under {number}", id=number)


def _in_one_form(answer: web.StreamResponse) -> web.StreamResponse:
    """Return ``answer``; one that says no without JSON says it in the form of all others."""
    if answer.status < 400 or not isinstance(answer, web.Response) or answer.content_type == "application/json":
        return answer
    return answer_error(answer.status, f"E-HTTP-{answer.status}", answer.text or HTTPStatus(answer.status).phrase)
