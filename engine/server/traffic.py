"""When the server is asked: what is large is loaded while nobody waits for an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web


class Traffic:
    """Knows when the last answer began; add `noticed` to an application's ``on_response_prepare``.

    ``now`` gives seconds and ``sleep`` waits for some.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now, self._sleep = now, sleep
        self._last = now()

    async def noticed(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Remember that there is an answer now."""
        self._last = self._now()

    async def quiet(self, for_s: float, at_most_s: float) -> None:
        """Wait until nothing was answered for ``for_s`` seconds, but no longer than ``at_most_s``."""
        end = self._now() + at_most_s
        while (left := min(self._last + for_s, end) - self._now()) > 0:
            await self._sleep(left)
