"""Find out who is asking: Host against rebinding, Origin and Fetch Metadata against foreign pages, CORS for a few.

A browser tells the truth about the page that makes it ask (``Origin``, ``Sec-Fetch-Site``) and about the name under
which it found us (``Host``); a script tells nothing and is let through to the token. The checks hold for every request,
with or without a token, for WebSocket handshakes and static files too.
References: https://www.w3.org/TR/fetch-metadata/, https://fetch.spec.whatwg.org/#origin-header.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDictProxy

from engine.server.security.answers import refuse
from engine.server.security.policy import DEFAULT_PORTS, LOOPBACK_NAMES, WILDCARDS, Policy

logger = logging.getLogger(__name__)

OWN_SITES = frozenset({"same-origin", "none"})
START_PAGE = "/"
CORS_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
CORS_HEADERS = "authorization, content-type, x-requested-with, comfy-user"

Addresses = Mapping[str, frozenset[str]]


def origin_guard(policy: Policy) -> Middleware:
    """Return the middleware that refuses with 403 whoever is not asking from here, before anything else runs."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        addresses = known_addresses(policy, _local_address(request))
        problem = find_intruder(request.method, request.raw_path, request.headers, addresses, policy.cors_origins)
        if problem is not None:
            logger.warning("refused %s %s from %s: %s", request.method, request.raw_path, request.remote, problem)
            return refuse(403, "E-ORIGIN", problem, hint=_hint(problem))
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight(request, policy)
        return await handler(request)

    return guard


def find_intruder(
    method: str, target: str, headers: CIMultiDictProxy[str], addresses: Addresses, cors: tuple[str, ...]
) -> str | None:
    """Return why a request is refused, None when it may go on.

    ``target`` is the request target as sent, ``addresses`` maps every accepted Host to the origins that are ours there.
    """
    hosts = headers.getall("Host", [])
    if len(hosts) != 1 or not target.startswith("/"):  # the absolute form names a host of its own
        return "the Host header is missing, doubled or contradicted"
    own = addresses.get(hosts[0].lower())
    if own is None:
        return "the Host header does not name this server"
    origins = [origin.lower() for origin in headers.getall("Origin", [])]
    if len(origins) > 1:
        return "there is more than one Origin header"
    invited = bool(origins) and origins[0] in cors
    if origins and not invited and origins[0] not in own:
        return "the Origin header names another page"
    sites = headers.getall("Sec-Fetch-Site", [])
    if invited or all(site.strip().lower() in OWN_SITES for site in sites):
        return None
    if method == "GET" and target.split("?")[0] == START_PAGE and _is_navigation(headers):
        return None
    return "the browser says that another page is asking"


@functools.lru_cache(maxsize=64)
def known_addresses(policy: Policy, local: tuple[str, int] | None) -> Addresses:
    """Map each Host that is ours, in lower case, to the origins of our own pages under it.

    ``local`` is the address and port at which the connection came in. An address in digits cannot be rebound, so the
    one that was really reached counts as ours when we listen on all of them.
    """
    found: dict[str, set[str]] = {}
    if local is not None:
        names = {*LOOPBACK_NAMES, *(_bracketed(host) for host in policy.listen if host not in WILDCARDS)}
        if any(host in WILDCARDS for host in policy.listen):
            names.add(_bracketed(local[0]))
        for name in names:
            _add(found, policy.scheme, name, local[1])
    for given in policy.host_names:
        parts = urlsplit(given if "://" in given else f"//{given}")
        name = _bracketed(parts.hostname or "")
        if parts.scheme:
            _add(found, parts.scheme, name, parts.port or DEFAULT_PORTS[parts.scheme])
        elif parts.port:
            _add(found, policy.scheme, name, parts.port)
        else:  # asked for directly, or through a proxy that speaks TLS
            _add(found, "https", name, 443)
            if local is not None:
                _add(found, policy.scheme, name, local[1])
    return {host: frozenset(origins) for host, origins in found.items()}


def is_browser(headers: CIMultiDictProxy[str]) -> bool:
    """Say whether a request may come from a web page: it has what browsers add and scripts do not."""
    marks = ("Origin", "Cookie", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
    return any(mark in headers for mark in marks) or headers.get("User-Agent", "").startswith("Mozilla/")


def is_own_page(headers: CIMultiDictProxy[str]) -> bool:
    """Say whether a request that passed the guard proves that it was made by a page of ours or an invited one.

    An Origin can only be ours by then. A header of its own cannot be added by a form of another page.
    """
    return "Origin" in headers or "X-Requested-With" in headers or headers.get("Sec-Fetch-Site") == "same-origin"


def allow_invited(request: web.BaseRequest, response: web.StreamResponse, policy: Policy) -> None:
    """Let a page of the CORS list read the answer; cookies stay out of it."""
    if not policy.cors_origins:
        return
    response.headers.add("Vary", "Origin")
    if request.headers.get("Origin", "").lower() in policy.cors_origins:
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]


def _preflight(request: web.Request, policy: Policy) -> web.Response:
    if request.headers.get("Origin", "").lower() not in policy.cors_origins:
        return refuse(403, "E-ORIGIN", "this page is not in the list of those that may use the API")
    headers = {
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": CORS_HEADERS,
        "Access-Control-Max-Age": "600",
    }
    if "Access-Control-Request-Private-Network" in request.headers:
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=204, headers=headers)


def _add(found: dict[str, set[str]], scheme: str, name: str, port: int) -> None:
    """Add a host with its port; without it too where the port is the scheme's own, which browsers leave out."""
    if port == DEFAULT_PORTS[scheme]:
        origin = f"{scheme}://{name}"
        found.setdefault(name, set()).add(origin)
    else:
        origin = f"{scheme}://{name}:{port}"
    found.setdefault(f"{name}:{port}", set()).add(origin)


def _bracketed(host: str) -> str:
    """Return a host as it stands in a URL: lower case, IPv6 in its short form and in brackets."""
    text = host.strip("[]").lower()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped) if address.ipv4_mapped else f"[{address.compressed}]"
    return str(address)


def _local_address(request: web.Request) -> tuple[str, int] | None:
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) >= 2 else None


def _is_navigation(headers: CIMultiDictProxy[str]) -> bool:
    return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"


def _hint(problem: str) -> str | None:
    return "start the server with --host-name NAME to be asked under another name" if "Host" in problem else None
