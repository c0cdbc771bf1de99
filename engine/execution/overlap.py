"""Nodes that wait rather than compute: their coroutines run beside the graph, on an event loop in a thread of its own.

So a download does not hold up a sampler, and a sampler does not hold up a download.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import Any

STOP_SECONDS = 1.0
"""How long cancelled coroutines may take to clean up."""


class Overlap:
    """Run awaitables until they are done; whoever started them collects what became of them.

    The thread is started by the first `start` and ended by `close`.
    """

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
        self._running: dict[Future[Any], Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Return how many were started and not collected."""
        return len(self._running)

    def start(self, ticket: Any, awaitable: Awaitable[Any]) -> None:
        """Run ``awaitable``; `collect` gives ``ticket`` back with its result."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="safelight-overlap", daemon=True)
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(_finish(awaitable), self._loop)
        self._running[future] = ticket
        future.add_done_callback(lambda done: self._done.put((ticket, done)))

    def collect(self, timeout: float | None) -> tuple[Any, Future[Any]] | None:
        """Return the ticket and the finished future of one that is done, or None after ``timeout`` seconds (0: now)."""
        if not self._running:
            return None
        try:
            ticket, done = self._done.get(timeout=timeout) if timeout else self._done.get_nowait()
        except queue.Empty:
            return None
        del self._running[done]
        return ticket, done

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        if self._loop is None or self._thread is None:
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()
        self._loop = None


async def _finish(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _cancel_all() -> None:
    ours = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in ours:
        task.cancel()
    await asyncio.gather(*ours, return_exceptions=True)
