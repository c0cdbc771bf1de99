"""What packs tell clients themselves: they hand it to the server object that they know, here it becomes events.

Nothing is imported for it where no packs were loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.jobs.records import plain

PACKS_ARE_HERE: Final = "engine.compat.host"
"""The module that is there once packs were loaded."""
TEXT: Final = 3
PICTURES: Final = (1, 2)
MAX_TEXT: Final = 100_000

Emit = Callable[[Mapping[str, Any], Any], None]
"""Takes an event, and the picture that belongs to it, or None."""


def listen_to_packs(emit: Emit) -> None:
    """Have what packs send handed to ``emit`` from now on: ``message``, ``text`` and ``picture`` events."""
    if PACKS_ARE_HERE not in sys.modules:
        return
    from engine.compat.shims.server import PromptServer

    PromptServer.instance.deliver = lambda event, data, sid: _deliver(emit, event, data, sid)


def _deliver(emit: Emit, event: Any, data: Any, sid: Any) -> None:
    to = sid if isinstance(sid, str) else None
    if event == TEXT and isinstance(data, Mapping):
        text = str(data.get("text", ""))[:MAX_TEXT]
        emit({"event": "text", "node_id": str(data.get("node")), "text": text, "sid": to}, None)
    elif event in PICTURES and isinstance(data, (tuple, list)) and len(data) > 1:
        emit({"event": "picture"}, data[1])
    elif isinstance(event, str) and not isinstance(data, (bytes, bytearray, memoryview)):
        emit({"event": "message", "type": event, "data": plain(data), "sid": to}, None)
