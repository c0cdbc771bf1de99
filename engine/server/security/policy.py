"""Own what the guard is told once, at the start: where we listen, under which names, who needs a token, the limits.

Everything dangerous is refused here, before a socket is opened: a listener that others can reach without a token, or a
wildcard as the list of web pages that may ask.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from engine.errors import InputError

Scheme = Literal["http", "https"]
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
WILDCARDS = frozenset({"", "0.0.0.0", "::", "[::]", "*"})
DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])")


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one request may cost. Sizes in bytes, times in seconds.

    ``max_websockets`` counts open connections; ``failures`` wrong tokens are free for each client, then one for every
    ``failure_pause_s``. ``idle_s`` is how long a body may send nothing.
    """

    max_json_bytes: int = 64 << 20
    max_small_json_bytes: int = 1 << 20
    max_upload_bytes: int = 100 << 20
    max_parts: int = 32
    max_part_header_bytes: int = 8 << 10
    max_websockets: int = 256
    max_message_bytes: int = 64 << 10
    idle_s: float = 20.0
    decode_s: float = 30.0
    failures: int = 10
    failure_pause_s: float = 6.0
    session_s: float = 30 * 86_400.0
    max_sessions: int = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Say who may ask for what. Make one with `make_policy`, which checks it.

    ``host_names`` are the names beside the loopback ones under which we are asked, such as a reverse proxy's; each is
    ``name``, ``name:port`` or ``scheme://name[:port]``. ``cors_origins`` are the foreign web pages that may use the
    API. ``token_file`` holds the hashed tokens. With ``token_required`` only the start page is given without one.
    """

    listen: tuple[str, ...] = ("127.0.0.1",)
    scheme: Scheme = "http"
    host_names: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    token_file: Path | None = None
    token_required: bool = False
    limits: Limits = Limits()
    debug: bool = False


def make_policy(policy: Policy, *, has_tokens: bool) -> Policy:
    """Check ``policy`` and return it with its names in one spelling.

    A token becomes required when anything but this machine can reach us. Raises `InputError` when that is so and no
    token was made yet, and for names or origins that are none.
    """
    reachable = tuple(host for host in policy.listen if not is_loopback(host))
    named = tuple(name for name in policy.host_names if not is_loopback(urlsplit(_with_scheme(name)).hostname or ""))
    required = policy.token_required or bool(reachable or named)
    if (reachable or named) and not has_tokens:
        where = f"listening on {', '.join(map(repr, reachable))}" if reachable else f"the name {named[0]!r}"
        raise InputError(
            f"{where} lets others in, and there is no token yet",
            code="E-NO-TOKEN",
            expected="at least one token, so that only those who hold one get in",
            hint="make one with: main.py tokens add NAME --role admin",
        )
    return dataclasses.replace(
        policy,
        token_required=required,
        host_names=tuple(_checked_name(name) for name in policy.host_names),
        cors_origins=tuple(_checked_origin(origin) for origin in policy.cors_origins),
    )


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _with_scheme(name: str) -> str:
    return name if "://" in name else f"//{name}"


def _checked_name(name: str) -> str:
    text = name.strip().lower().rstrip("/")
    try:
        parts = urlsplit(_with_scheme(text))
        plain = parts.scheme in ("", "http", "https") and not (parts.path or parts.query or parts.fragment)
        fits = plain and parts.port != 0 and _HOST.fullmatch(re.sub(r":\d+$", "", parts.netloc)) is not None
    except ValueError:
        fits = False
    if not fits:
        raise InputError("this is no name of a host", expected="like studio.example or studio.lan:8188", got=repr(name))
    return text


def _checked_origin(origin: str) -> str:
    text = origin.strip().lower().rstrip("/")
    if text in ("*", "null") or not text.startswith(("http://", "https://")):
        raise InputError(
            "the web pages that may use the API must be named one by one",
            code="E-CORS",
            expected="an origin like https://editor.example",
            got=repr(origin),
            hint="a wildcard would let every page that you open in your browser run workflows and read your pictures",
        )
    return _checked_name(text)
