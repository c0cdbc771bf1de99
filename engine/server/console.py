"""The last lines that nodes and packs printed, for clients that show a console."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

LINES: Final = 300
MAX_LINE: Final = 4_000


class Console:
    """Keeps lines and hands new ones to whoever subscribed. Used in the event loop."""

    def __init__(self) -> None:
        self._lines: collections.deque[dict[str, str]] = collections.deque(maxlen=LINES)
        self.listener: Callable[[dict[str, str]], None] | None = None

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in a line that a worker printed."""
        stamp = datetime.datetime.fromtimestamp(event["time"], datetime.UTC).isoformat()
        line = {"t": stamp, "m": str(event["text"])[:MAX_LINE] + "\n"}
        self._lines.append(line)
        if self.listener is not None:
            self.listener(line)

    def entries(self) -> list[dict[str, str]]:
        """List the lines, the oldest first."""
        return list(self._lines)
