"""Decide which bodies are taken: what a page of somebody else could send without asking is not.

A form of any web page can send three types, ``application/x-www-form-urlencoded``, ``multipart/form-data`` and
``text/plain``, to any server, without a preflight. So a browser sends JSON here, or proves that the page is ours.
Scripts are held to the same types, but for the one that the protocol's own first example sends without knowing: urllib
and curl call JSON a form unless told otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from engine.server.security.answers import refuse
from engine.server.security.origins import is_browser, is_own_page
from engine.server.security.roles import matched_path

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
BODY_TYPES = ("application/json", "application/octet-stream")
MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"


class BodyKind(enum.Enum):
    """What a route takes beside JSON."""

    JSON = "json"
    FORM = "form"
    ANY = "any"


BODY_KINDS: Mapping[str, BodyKind] = MappingProxyType(
    {"/upload/image": BodyKind.FORM, "/upload/mask": BodyKind.FORM, "/userdata/{}": BodyKind.ANY}
)
"""Routes that take more than JSON; their twins under ``/api`` too."""


def content_type_guard(kinds: Mapping[str, BodyKind] = BODY_KINDS) -> Middleware:
    """Return the middleware that answers 415 to bodies of a type that the route does not take."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in METHODS_WITH_BODY and request.match_info.http_exception is None:
            path = matched_path(request.match_info)
            kind = kinds.get(path) or kinds.get(path.removeprefix("/api"), BodyKind.JSON)
            if not _is_taken(request, kind):
                shown = request.headers.get("Content-Type", "none")[:80]
                return refuse(415, "E-BODY-TYPE", f"a body of this type is not taken here: {shown}", hint=_hint(kind))
        return await handler(request)

    return guard


def body_is_taken(request: web.Request, kind: BodyKind = BodyKind.FORM) -> bool:
    """Say whether the body of a request has a type that is taken, for a route that the guard does not know."""
    return request.method not in METHODS_WITH_BODY or _is_taken(request, kind)


def _is_taken(request: web.Request, kind: BodyKind) -> bool:
    browser, ours = is_browser(request.headers), is_own_page(request.headers)
    if "Content-Type" not in request.headers:
        return not request.body_exists or not browser or (kind is BodyKind.ANY and ours)
    if len(request.headers.getall("Content-Type")) > 1:
        return False
    given = request.headers["Content-Type"].partition(";")[0].strip().lower()
    if given in BODY_TYPES:
        return True
    if kind is BodyKind.ANY:
        return ours or not browser
    if given == MULTIPART:
        return kind is BodyKind.FORM and (ours or not browser)
    return given == URLENCODED and kind is BodyKind.JSON and not browser


def _hint(kind: BodyKind) -> str:
    form = " or multipart/form-data with the header X-Requested-With" if kind is BodyKind.FORM else ""
    return f"send application/json{form}"
