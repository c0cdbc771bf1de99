"""In the worker: tell what memory holds while a job runs, twice a second at most, and once at its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

INTERVAL_S: Final = 0.5


class Gauging:
    """Asks a session's owner of weights what it holds, when it is due."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._last = 0.0

    def look(self, session: Any, *, at_end: bool = False) -> None:
        """Tell what the session holds; nothing where no weights were ever asked for, or it was told just now."""
        now = time.monotonic()
        if not at_end and now - self._last < INTERVAL_S:
            return
        self._last = now
        models: Any = getattr(vars(session).get("services"), "models", None)
        if not hasattr(models, "gauges"):
            return
        with contextlib.suppress(RuntimeError):  # a card that is lost: its node says so
            self._send({"event": "memory", **models.gauges().to_json()})
