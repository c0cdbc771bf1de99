"""In the worker: tell what memory and the cache hold while a job runs, twice a second at most, and once at its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.memory.gauges import Gauges

INTERVAL_S: Final = 0.5


class Gauging:
    """Asks a session's owner of weights and its cache what they hold, when it is due."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._last = 0.0
        self._weights: dict[str, Any] = {}

    def look(self, session: Any, *, at_end: bool = False) -> None:
        """Tell what the session holds; nothing where no weights were ever asked for, or it was told just now."""
        now = time.monotonic()
        if not at_end and now - self._last < INTERVAL_S:
            return
        self._last = now
        models: Any = getattr(vars(session).get("services"), "models", None)
        if not hasattr(models, "gauges"):
            self._weights = {}
        else:
            with contextlib.suppress(RuntimeError):  # a card that is lost: its node says so
                self._weights = models.gauges().to_json()
        if self._weights:
            self._send({"event": "memory", **self.now(session)})

    def now(self, session: Any) -> dict[str, Any]:
        """Return what the cache holds now, and of weights what `look` saw last; empty before there is anything.

        Any thread may ask; weights are only looked at between two steps of a job.
        """
        kept = _kept(session)
        return {**(self._weights or Gauges("").to_json()), **kept} if self._weights or kept else {}


def _kept(session: Any) -> dict[str, int]:
    """Return the bytes of results kept, by tier, and what bounds them; nothing where none are kept."""
    cache = vars(session).get("cache")
    if cache is None:
        return {}
    facts = cache.facts()
    disk = facts.disk
    return {
        "cache_bytes": facts.size,
        "cache_limit": facts.max_size,
        "disk_cache_bytes": 0 if disk is None else disk.size,
        "disk_cache_limit": 0 if disk is None else disk.max_size,
    }
