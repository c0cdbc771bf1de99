"""Put the security headers on every answer, whoever made it, and take active types from what is no page of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from engine.server.header_values import FRAME_HEADERS, FRAME_POLICY, SECURITY_HEADERS
from engine.server.security.origins import allow_invited
from engine.server.security.policy import Policy
from engine.server.security.roles import least_role, matched_path
from engine.server.security.tokens import Role

PASSIVE_TYPES = frozenset(
    {"application/json", "application/octet-stream", "application/openmetrics-text", "text/plain", "text/event-stream"}
    | {"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", ""}
)
PASSIVE_KINDS = ("audio/", "video/", "model/")
"""Types that a browser shows or plays but never runs."""

Signal = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def header_signal(policy: Policy, table: Mapping[str, Role]) -> Signal:
    """Return the signal handler for ``app.on_response_prepare``; it sees handshakes and errors as well."""

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        framed = response.headers.get("Content-Security-Policy") == FRAME_POLICY
        response.headers.update(SECURITY_HEADERS)
        if framed:
            response.headers.update(FRAME_HEADERS)
        path = matched_path(request.match_info)
        is_page = least_role(request.method, path, table) is Role.PUBLIC or path in PAGES
        if not is_page:
            response.headers.setdefault("Cache-Control", "no-store")
            _make_passive(response)
        allow_invited(request, response, policy)

    return add_headers


PAGES = frozenset({"/docs", "/docs/*", "/docs/api", "/extensions/*"})
"""Own pages beside the public ones."""


def _make_passive(response: web.StreamResponse) -> None:
    """Turn an answer that a browser could run into a download: the last line, should a route forget `serving`."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in PASSIVE_TYPES and not kind.startswith(PASSIVE_KINDS) and response.status not in (101, 304):
        response.headers["Content-Type"] = "application/octet-stream"
        response.headers.setdefault("Content-Disposition", "attachment")
