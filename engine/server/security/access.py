"""Let in who holds a token for what is asked: one middleware between the guard and the routes."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from engine.server.security.answers import refuse, refuse_for_now
from engine.server.security.doorkeeper import Doorkeeper, Identity, TooManyFailures
from engine.server.security.policy import Policy
from engine.server.security.roles import ROUTE_ROLES, least_role, matched_path
from engine.server.security.throttle import client_key
from engine.server.security.tokens import Role

logger = logging.getLogger(__name__)

COOKIE = "safelight_session"
LOCAL = Identity("local", Role.ADMIN)
NOBODY = Identity("", Role.PUBLIC)
_IDENTITY = web.RequestKey("identity", Identity)


def identity_of(request: web.Request) -> Identity:
    """Return who is asking, as the guard found out; nobody where no guard is."""
    found: Identity = request.get(_IDENTITY, NOBODY)
    return found


def owner_of(request: web.Request) -> str | None:
    """Return the name of the token that a request was made with; None where it needed none."""
    identity = identity_of(request)
    return None if identity in (LOCAL, NOBODY) else identity.name


def may(request: web.Request, role: Role) -> bool:
    """Say whether whoever asks has ``role``, for a route that the guard does not know; all may where no guard is."""
    found = request.get(_IDENTITY)
    return found is None or found.role >= role


def access_guard(policy: Policy, doorkeeper: Doorkeeper, table: Mapping[str, Role] = ROUTE_ROLES) -> Middleware:
    """Return the middleware that answers 401 without a good token, 403 when its role is too low.

    What is not there is only told to those who may look. A route that is not in ``table`` is nobody's.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        missing = request.match_info.http_exception is not None  # 404 and 405
        least = Role.VIEW if missing else least_role(request.method, matched_path(request.match_info), table)
        if least is Role.PUBLIC:
            request[_IDENTITY] = NOBODY
            return await handler(request)
        try:
            identity = await _identify(request, policy, doorkeeper)
        except TooManyFailures as error:
            return refuse_for_now(error.wait_s)
        if identity is None or identity.role is Role.PUBLIC:
            return _unknown(identity is None)
        if least is None:
            logger.error("the route %s %s has no role", request.method, matched_path(request.match_info))
            return refuse(403, "E-ROLE", "nobody may use this route")
        if identity.role < least:
            return refuse(403, "E-ROLE", f"this needs a token with the role {least.name.lower()}")
        request[_IDENTITY] = identity
        return await handler(request)

    return guard


async def _identify(request: web.Request, policy: Policy, doorkeeper: Doorkeeper) -> Identity | None:
    """Return who is asking; None for a wrong token, `NOBODY` or `LOCAL` for none. Raises `TooManyFailures`."""
    given = request.headers.getall("Authorization", [])
    if given:
        kind, _, token = given[0].strip().partition(" ")
        if len(given) != 1 or kind.lower() != "bearer":
            return None
        return await doorkeeper.check_token(token.strip(), client_key(request.remote))
    cookie = request.cookies.get(COOKIE)
    found = doorkeeper.check_session(cookie) if cookie else None
    return found or (NOBODY if policy.token_required else LOCAL)


def _unknown(wrong: bool) -> web.Response:
    message = "this token is not known here" if wrong else "this needs a token"
    hint = "log in at /login, or send the header Authorization: Bearer TOKEN (main.py tokens add NAME)"
    return refuse(401, "E-TOKEN", message, hint=hint, headers={"WWW-Authenticate": 'Bearer realm="safelight"'})
