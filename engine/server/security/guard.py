"""Put the parts together: one `Guard` for an app, made before it and attached after its routes were added."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from engine.server.security.access import access_guard
from engine.server.security.answers import refuse
from engine.server.security.content_types import BODY_KINDS, BodyKind, content_type_guard
from engine.server.security.doorkeeper import Doorkeeper
from engine.server.security.failures import failure_guard
from engine.server.security.headers import header_signal
from engine.server.security.login import add_login_routes
from engine.server.security.origins import origin_guard
from engine.server.security.policy import Policy
from engine.server.security.roles import ROUTE_ROLES, routes_without_role
from engine.server.security.tokens import Role


class Guard:
    """Keep out who does not belong. ``middlewares`` go first into the app, `attach` is called before it starts.

    ``table`` says who may use each route, ``kinds`` which routes take more than JSON.
    """

    def __init__(
        self, policy: Policy, table: Mapping[str, Role] = ROUTE_ROLES, kinds: Mapping[str, BodyKind] = BODY_KINDS
    ) -> None:
        self.policy = policy
        self.doorkeeper = Doorkeeper(policy.token_file, policy.limits)
        self._table = table
        self.middlewares: tuple[Middleware, ...] = (
            failure_guard(debug=policy.debug),
            origin_guard(policy),
            access_guard(policy, self.doorkeeper, table),
            content_type_guard(kinds),
            _websocket_limit(policy.limits.max_websockets),
        )

    def attach(self, app: web.Application) -> None:
        """Add the log-in routes and the headers, and refuse to start while a route has no role."""
        add_login_routes(app, self.policy, self.doorkeeper)
        app.on_response_prepare.append(header_signal(self.policy, self._table))
        app.on_startup.append(self._check_routes)

    async def _check_routes(self, app: web.Application) -> None:
        missing = sorted(set(routes_without_role(app, self._table)))
        if missing:
            raise RuntimeError(f"these routes have no entry in ROUTE_ROLES: {', '.join(missing)}")


def _websocket_limit(most: int) -> Middleware:
    """Return the middleware that answers 503 to one WebSocket too many."""
    count = 0

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal count
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await handler(request)
        if count >= most:
            return refuse(503, "E-FULL", "too many connections are open", headers={"Retry-After": "10"})
        count += 1
        try:
            return await handler(request)
        finally:
            count -= 1

    return guard
