"""Telling the ends of jobs to addresses that their requests named.

What is due stands in the database, so it is told after a restart too: tried a few times, with growing pauses, then
given up. Targets on private addresses are refused unless the operator allows their host; that is checked on the address
that the connection is made to (`engine.server.security.outgoing`). An address may hold a secret, so the log names its
host alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from engine.errors import InputError
from engine.server import webhook_rows as rows
from engine.server.store import Store
from engine.server.webhook_rows import EVENTS, Delivery, Webhook

if TYPE_CHECKING:
    from engine.server.security.outgoing import OutgoingRules

DELAYS_S: Final = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""The pauses between tries; after the last one a delivery is given up."""
ANSWER_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 << 10
MAX_URL: Final = 2000
MAX_SECRET: Final = 1000
AT_ONCE: Final = 8
LONGEST_SLEEP_S: Final = 3600.0

_log = logging.getLogger("safelight.server")


class Webhooks:
    """Owns the deliveries. Everything here runs in the event loop."""

    def __init__(self, store: Store, hosts: tuple[str, ...]) -> None:
        """``hosts`` are those, as ``name`` or ``name:port``, that may be on private addresses."""
        self._store = store
        self._hosts = frozenset(host.lower() for host in hosts)
        self._wake = asyncio.Event()
        self.delays_s = DELAYS_S
        self.delivered = 0
        self.given_up = 0

    def wake(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    def read(self, value: Any) -> Webhook | None:
        """Return the webhook that a request names. Raises `InputError` for what is none or may not be asked."""
        if value is None:
            return None
        if not isinstance(value, Mapping) or not value.keys() <= {"url", "events", "secret"}:
            raise _error("this is no webhook", '{"url": "https://…", "events": […], "secret": "…"}')
        url, events, secret = value.get("url"), value.get("events", list(EVENTS)), value.get("secret")
        if not isinstance(url, str) or not 0 < len(url) <= MAX_URL:
            raise _error("a webhook needs an address", f"a url of at most {MAX_URL} characters")
        if not isinstance(events, list) or not events or not all(one in EVENTS for one in events):
            raise _error("a webhook cannot be told of these events", f"some of {', '.join(EVENTS)}", repr(events)[:200])
        if secret is not None and not (isinstance(secret, str) and 0 < len(secret) <= MAX_SECRET):
            raise _error("the secret of a webhook is no text", f"1 to {MAX_SECRET} characters")
        from engine.server.security.outgoing import check_url

        check_url(url, self._rules(url))
        return Webhook(url, tuple(dict.fromkeys(events)), secret)

    def _rules(self, url: str) -> OutgoingRules:
        from engine.server.security.outgoing import OutgoingRules, host_and_port, is_public

        allowed = bool(self._hosts & host_and_port(url))
        return OutgoingRules(
            any_host=True,
            schemes=frozenset({"http", "https"}),
            max_bytes=MAX_ANSWER_BYTES,
            total_s=ANSWER_S,
            is_allowed=lambda address: allowed or is_public(address),
        )

    async def run(self) -> None:
        """Deliver what is due, for as long as nobody cancels this."""
        while True:
            self._wake.clear()
            try:
                pause = await self._round()
            except Exception:  # noqa: BLE001 (the database may be busy or the disk full; nothing is lost by waiting)
                _log.exception("webhooks could not be delivered")
                pause = self.delays_s[0]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def _round(self) -> float:
        """Deliver what is due now; return the seconds until more may be."""
        now = time.time() * 1000
        found, later = await self._store.keep(rows.due(now, AT_ONCE))
        await asyncio.gather(*(self._deliver(one) for one in found))
        if len(found) == AT_ONCE:
            return 0.0
        return LONGEST_SLEEP_S if later is None else min(max((later - now) / 1000, 0.01), LONGEST_SLEEP_S)

    async def _deliver(self, one: Delivery) -> None:
        why = await self._try(one)
        host = urlsplit(one.url).hostname
        if why is None:
            self.delivered += 1
            await self._store.keep(rows.done(one.number))
        elif one.attempt >= len(self.delays_s):
            self.given_up += 1
            _log.warning("job %s: its webhook at %s is given up: %s", one.job, host, why)
            await self._store.keep(rows.done(one.number))
        else:
            delay = self.delays_s[one.attempt]
            _log.info("job %s: its webhook at %s is tried again in %g s: %s", one.job, host, delay, why)
            await self._store.keep(rows.put_off(one.number, (time.time() + delay) * 1000))
            self._wake.set()  # so that the pause is reckoned anew

    async def _try(self, one: Delivery) -> str | None:
        """Post once; return why it failed, or None."""
        from engine.server.security.outgoing import OutgoingRefused, fetch

        body = one.payload.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Safelight",
            "X-Safelight-Delivery": f"{one.job}/{one.number}",
            "X-Safelight-Attempt": str(one.attempt + 1),
        }
        if one.secret is not None:
            headers["X-Safelight-Signature"] = signature(one.secret, body)
        try:
            answer = await fetch(one.url, self._rules(one.url), method="POST", body=body, headers=headers)
        except OutgoingRefused as error:
            return error.problem.message
        return None if 200 <= answer.status < 300 else f"status {answer.status}"


def signature(secret: str, body: bytes) -> str:
    """Return what signs ``body``: ``sha256=`` and the HMAC-SHA256 (RFC 2104) in hexadecimal digits."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _error(message: str, expected: str, got: str | None = None) -> InputError:
    return InputError(message, code="E-WEBHOOK", expected=expected, got=got)


WEBHOOK_SCHEMA: Final = {
    "type": "object",
    "required": ["url"],
    "additionalProperties": False,
    "properties": {
        "url": {"type": "string", "description": "http or https, on a public address unless the operator allows it"},
        "events": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(EVENTS)}},
        "secret": {"type": "string", "description": "signs each message: X-Safelight-Signature: sha256=HMAC"},
    },
}
