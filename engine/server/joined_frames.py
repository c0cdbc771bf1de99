"""Messages to one WebSocket, as many as wait in one write: a system call for each costs more than making it.

Frames are those of RFC 6455, section 5.2, as a server sends them: whole, not masked, not compressed.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from typing import Final

TEXT: Final = 0x81
BINARY: Final = 0x82
FULL: Final = 1 << 16
"""With more than so many bytes in the transport's own memory, no more are given to it."""
LOOK_S: Final = 0.01


def frames(payloads: Iterable[str | bytes]) -> bytes:
    """Return messages as bytes to write: text as text messages, bytes as binary ones."""
    parts: list[bytes] = []
    for payload in payloads:
        kind, data = (TEXT, payload.encode()) if isinstance(payload, str) else (BINARY, payload)
        size = len(data)
        if size < 126:
            head = struct.pack(">BB", kind, size)
        elif size < 1 << 16:
            head = struct.pack(">BBH", kind, 126, size)
        else:
            head = struct.pack(">BBQ", kind, 127, size)
        parts += (head, data)
    return b"".join(parts)


async def write(transport: asyncio.Transport, data: bytes) -> None:
    """Write, then wait until the other side has taken enough of it. Raises `ConnectionError` when it went away."""
    if transport.is_closing():
        raise ConnectionResetError
    transport.write(data)
    while transport.get_write_buffer_size() > FULL:
        await asyncio.sleep(LOOK_S)
        if transport.is_closing():
            raise ConnectionResetError
