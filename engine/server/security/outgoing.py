"""Ask another server for something, if it must be: https, named hosts, public addresses, bounded bytes and seconds.

Nothing here is used unless somebody names a host. What is checked is the address that the connection is made to, not
one that was looked up before it, and no answer sends us on to another place.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from engine.errors import InputError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class OutgoingRefused(InputError):
    """Say that a request to another server is not made, or its answer not taken."""

    code = "E-OUTGOING"


@dataclasses.dataclass(frozen=True, slots=True)
class OutgoingRules:
    """Say what may be asked: ``hosts`` as ``name`` or ``name:port``, lower case. None by default.

    ``any_host`` asks whatever is named, ``schemes`` says how. ``max_bytes`` bounds the answer, ``total_s`` the whole
    exchange. ``is_allowed`` decides about each address.
    """

    hosts: frozenset[str] = frozenset()
    any_host: bool = False
    schemes: frozenset[str] = frozenset({"https"})
    max_bytes: int = 16 << 20
    total_s: float = 30.0
    is_allowed: Callable[[Address], bool] = lambda address: is_public(address)


@dataclasses.dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its status (2xx, 4xx or 5xx), headers with lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def fetch(
    url: str,
    rules: OutgoingRules,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """Make one request. Raises `OutgoingRefused` for whatever the rules do not allow, and when it fails."""
    check_url(url, rules)
    connector = aiohttp.TCPConnector(resolver=_CheckedResolver(rules), use_dns_cache=False, ssl=tls or True)
    timeout = aiohttp.ClientTimeout(total=rules.total_s)
    session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
    try:
        async with (
            session,
            session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            if 300 <= answer.status < 400:
                raise OutgoingRefused("the other server sends us elsewhere", got=f"status {answer.status}")
            received = bytearray()
            async for block in answer.content.iter_any():
                received += block
                if len(received) > rules.max_bytes:
                    raise OutgoingRefused("the answer is too large", expected=f"at most {rules.max_bytes} bytes")
            return Fetched(answer.status, {k.lower(): v for k, v in answer.headers.items()}, bytes(received))
    except TimeoutError:
        raise OutgoingRefused("the other server is too slow", expected=f"an answer in {rules.total_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        refused = next((one for one in _causes(error) if isinstance(one, OutgoingRefused)), None)
        raise refused or OutgoingRefused("the other server cannot be asked", got=type(error).__name__) from error


def check_url(url: str, rules: OutgoingRules) -> None:
    """Raise `OutgoingRefused` unless ``url`` has an allowed scheme and host, and holds no password."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise OutgoingRefused("this is no address", got=repr(url[:80])) from None
    odd = parts.username is not None or any(ord(char) <= 32 or char == "\\" for char in url)
    if parts.scheme not in rules.schemes or odd or not host:
        schemes = " or ".join(sorted(rules.schemes))
        raise OutgoingRefused(f"only plain {schemes} addresses are asked", got=repr(url[:80]))
    if not rules.any_host and not rules.hosts & host_and_port(url):
        hint = "name the host in the settings if you trust it"
        raise OutgoingRefused("this host is not in the list of those that may be asked", got=repr(host[:80]), hint=hint)
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return
    _check_address(literal, rules)


def host_and_port(url: str) -> frozenset[str]:
    """Return how the host of ``url`` may be named in a list: ``name:port``, and ``name`` where the port is usual."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        usual = 443 if parts.scheme == "https" else 80
        port = parts.port or usual
    except ValueError:  # no address at all
        return frozenset()
    shown = f"[{host}]" if ":" in host else host
    return frozenset({f"{shown}:{port}", *({shown} if port == usual else ())})


def is_public(address: Address) -> bool:
    """Say whether an address is one of the open Internet, also where IPv6 wraps an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class _CheckedResolver(AbstractResolver):
    """Look a name up once and give the connection only addresses that are allowed: all of them, or none."""

    def __init__(self, rules: OutgoingRules) -> None:
        self._rules = rules
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.wait_for(self._inner.resolve(host, port, family), self._rules.total_s)
        for one in found:
            _check_address(ipaddress.ip_address(one["host"].partition("%")[0]), self._rules)
        return found

    async def close(self) -> None:
        await self._inner.close()


def _check_address(address: Address, rules: OutgoingRules) -> None:
    if not rules.is_allowed(address):
        raise OutgoingRefused("this address is not on the open Internet", got=str(address))


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
