"""Find out who holds a token: the tokens of the file, the one of the start, and the sessions they were exchanged for.

Hashing a token costs some 50 ms on purpose, so it runs beside the event loop, at most two at once, and its outcome is
remembered under a keyed digest for as long as the file stays as it is.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from engine.errors import InputError
from engine.server.security.policy import Limits
from engine.server.security.throttle import Throttle
from engine.server.security.tokens import Role, TokenRecord, find_record, read_tokens

logger = logging.getLogger(__name__)

MAX_REMEMBERED = 1000
MAX_TOKEN_LENGTH = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: the name of the token ("local" without one on this machine), and what it allows."""

    name: str
    role: Role


@dataclasses.dataclass(frozen=True, slots=True)
class _Session:
    identity: Identity
    token_id: str | None
    ends: float


class TooManyFailures(Exception):
    """Say that a client gave too many wrong tokens; ``wait_s`` is when it may try again."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"wait {wait_s:.0f} s")
        self.wait_s = wait_s


class Doorkeeper:
    """Check tokens and keep sessions. For one event loop; nothing of a token is kept but keyed digests."""

    def __init__(self, path: Path | None, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._limits = limits
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._records: tuple[TokenRecord, ...] = ()
        self._stamp: tuple[int, int, int] | None = None
        self._remembered: OrderedDict[bytes, str] = OrderedDict()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._startup: bytes | None = None
        self._throttle = Throttle(limits.failures, limits.failure_pause_s)
        self._hashing = asyncio.Semaphore(2)

    def make_startup_token(self) -> str:
        """Return a token that `log_in` exchanges once, for the address printed at the start."""
        token = secrets.token_urlsafe(32)
        self._startup = self._digest(token)
        return token

    async def check_token(self, token: str, client: str) -> Identity | None:
        """Return whose ``token`` it is, None when it is nobody's. Raises `TooManyFailures`."""
        record = await self._find(token, client)
        return Identity(record.name, record.role) if record else None

    async def log_in(self, token: str, client: str) -> str | None:
        """Exchange a token for a new session and return the text of its cookie; None when the token is nobody's.

        Raises `TooManyFailures`.
        """
        if self._startup is not None and hmac.compare_digest(self._digest(token), self._startup):
            self._startup = None
            return self._open_session(Identity("startup", Role.ADMIN), None)
        record = await self._find(token, client)
        return self._open_session(Identity(record.name, record.role), record.token_id) if record else None

    def log_out(self, cookie: str) -> None:
        """End the session of ``cookie``."""
        self._sessions.pop(self._digest(cookie), None)

    def check_session(self, cookie: str) -> Identity | None:
        """Return whose session ``cookie`` is; None when it ended, or its token was removed."""
        digest = self._digest(cookie)
        session = self._sessions.get(digest)
        if session is None:
            return None
        known = session.token_id is None or any(one.token_id == session.token_id for one in self._current())
        if not known or session.ends < self._clock():
            del self._sessions[digest]
            return None
        return session.identity

    async def _find(self, token: str, client: str) -> TokenRecord | None:
        records = self._current()
        digest = self._digest(token)
        known = self._remembered.get(digest)
        if known is not None:
            return next((record for record in records if record.token_id == known), None)
        if (wait := self._throttle.wait_s(client)) > 0:
            raise TooManyFailures(wait)
        self._throttle.spend(client)  # before the wait below, or a crowd of tries would all count as the first
        async with self._hashing:
            short = token if len(token) <= MAX_TOKEN_LENGTH else ""
            record = await asyncio.to_thread(find_record, records, short)
        if record is not None:
            self._throttle.forget(client)
            self._remembered[digest] = record.token_id
            while len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return record

    def _current(self) -> tuple[TokenRecord, ...]:
        """Return the records of the file, read again when it changed. A file that is gone or damaged lets nobody in."""
        try:
            status = self._path.stat() if self._path is not None else None
        except OSError:
            status = None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino) if status else None
        if stamp != self._stamp:
            try:
                self._records = read_tokens(self._path) if self._path is not None and status else ()
            except InputError as error:
                logger.error("nobody with a token gets in: %s", error.problem.message)
                self._records = ()
            self._stamp = stamp
            self._remembered.clear()
        return self._records

    def _open_session(self, identity: Identity, token_id: str | None) -> str:
        cookie = secrets.token_urlsafe(32)
        self._sessions[self._digest(cookie)] = _Session(identity, token_id, self._clock() + self._limits.session_s)
        while len(self._sessions) > self._limits.max_sessions:
            self._sessions.popitem(last=False)
        return cookie

    def _digest(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
