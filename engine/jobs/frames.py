"""The wire between a supervisor and its worker: frames of JSON with bytes beside it, over one stream socket.

A frame is two big-endian 32-bit lengths, a JSON object in UTF-8, and bytes that the object speaks of (a preview).
Nothing is ever unpickled, so neither side can make the other run anything.

Sending never blocks the caller: what the socket does not take at once waits in memory and a thread sends it on. A
frame that the socket takes is with the system when `FrameSender.send` returns and arrives even when the sender dies
in the next instruction; that is how the last node of a crash is known.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

Frame = tuple[dict[str, Any], bytes]
"""What was received: the object and its bytes (empty when there are none)."""

_LENGTHS = struct.Struct(">II")
_to_json = json.JSONEncoder(separators=(",", ":")).encode
MAX_JSON_BYTES: Final = 512 << 20
MAX_DATA_BYTES: Final = 128 << 20
CHUNK: Final = 1 << 18
CROWDED_BYTES: Final = 1 << 20
"""With more than this waiting to be sent, what may be left out is."""
SOON_S: Final = 0.005
"""So long a frame that is to be sent soon waits for others to go with it."""


class BrokenStream(Exception):
    """Say that the other side sent something that is no frame."""


def encode_frame(message: Mapping[str, Any], data: bytes = b"") -> bytes:
    """Return the bytes of one frame. Raises `ValueError` when it is larger than a frame may be."""
    text = _to_json(message).encode()
    if len(text) > MAX_JSON_BYTES or len(data) > MAX_DATA_BYTES:
        raise ValueError(f"a frame of {len(text)} + {len(data)} bytes is too large")
    return _LENGTHS.pack(len(text), len(data)) + text + data


def read_frames(connection: socket.socket) -> Iterator[Frame]:
    """Yield what arrives until the other side is gone. Raises `BrokenStream` for what is no frame."""
    received = bytearray()
    while True:
        yield from take_frames(received)
        try:
            wait_for(connection, timeout=1.0)  # looks now and then whether the descriptor is still open here
            chunk = connection.recv(CHUNK)
        except BlockingIOError:
            continue
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno != errno.EBADF:
                return  # reset by the other side
            raise BrokenStream("the connection was closed on this side") from error
        if not chunk:
            return
        received += chunk


def wait_for(connection: socket.socket, *, writable: bool = False, timeout: float | None = None) -> None:
    """Wait until the socket, which does not block, has something to read, or takes something."""
    if hasattr(select, "poll"):  # select() knows no file descriptor above 1023
        poll = select.poll()
        poll.register(connection, select.POLLOUT if writable else select.POLLIN)
        poll.poll(None if timeout is None else timeout * 1000)
        return
    reading, writing = ([], [connection]) if writable else ([connection], [])
    select.select(reading, writing, [], timeout)


def take_frames(received: bytearray) -> Iterator[Frame]:
    """Take the whole frames off the front of ``received``. Raises `BrokenStream` for what is no frame."""
    while len(received) >= _LENGTHS.size:
        text_size, data_size = _LENGTHS.unpack_from(received)
        if text_size > MAX_JSON_BYTES or data_size > MAX_DATA_BYTES:
            raise BrokenStream(f"a frame of {text_size} + {data_size} bytes")
        end = _LENGTHS.size + text_size + data_size
        if len(received) < end:
            return
        text = bytes(received[_LENGTHS.size : _LENGTHS.size + text_size])
        data = bytes(received[_LENGTHS.size + text_size : end])
        del received[:end]
        try:
            message = json.loads(text)
        except ValueError as error:
            raise BrokenStream(f"not JSON: {error}") from error
        if not isinstance(message, dict):
            raise BrokenStream(f"not an object but {type(message).__name__}")
        yield message, data


class FrameSender:
    """Sends frames from any thread without ever waiting for the other side.

    Frames keep their order. With ``droppable``, `send` leaves the frame out while `crowded`, and counts it; with
    ``soon`` it lets the frame go with the next one, or after `SOON_S`. Only the process that made the sender can send:
    a forked copy of it does nothing.
    """

    def __init__(self, connection: socket.socket, name: str = "frames") -> None:
        connection.setblocking(False)
        self._connection = connection
        self._owner = os.getpid()
        self._pending: deque[memoryview] = deque()
        self._pending_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._soon = False  # the thread knows that something is to be sent soon
        self.left_out = 0
        threading.Thread(target=self._send_on, name=f"{name} sender", daemon=True).start()

    @property
    def crowded(self) -> bool:
        """Say whether the other side reads more slowly than this one sends."""
        return self._pending_bytes > CROWDED_BYTES

    @property
    def idle(self) -> bool:
        """Say whether everything was taken by the system."""
        return not self._pending

    def send(
        self, message: Mapping[str, Any], data: bytes = b"", *, droppable: bool = False, soon: bool = False
    ) -> None:
        """Send a frame, or keep it to be sent; does nothing once the other side is gone."""
        if os.getpid() != self._owner or self._closed:
            return
        if droppable and self.crowded:
            self.left_out += 1
            return
        self.send_encoded(encode_frame(message, data), soon=soon)

    def send_encoded(self, frame: bytes, *, soon: bool = False) -> None:
        """Send what `encode_frame` made, or keep it to be sent."""
        if os.getpid() != self._owner or self._closed:
            return
        with self._changed:
            self._pending.append(memoryview(frame))
            self._pending_bytes += len(frame)
            if not soon:
                self._flush()
            if self._pending and not (soon and self._soon):
                self._soon = soon
                self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until all is sent; say whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, timeout)

    def close(self) -> None:
        """Send nothing more; the socket itself is its owner's to close."""
        with self._changed:
            self._closed = True
            self._pending.clear()
            self._pending_bytes = 0
            self._changed.notify_all()

    def _flush(self) -> None:
        """Hand the system what it takes now. Called with the lock held."""
        try:
            while self._pending:
                if len(self._pending) > 1 and self._pending_bytes < CHUNK:
                    self._pending = deque([memoryview(b"".join(self._pending))])
                sent = self._connection.send(self._pending[0])
                self._pending_bytes -= sent
                if sent == len(self._pending[0]):
                    self._pending.popleft()
                else:
                    self._pending[0] = self._pending[0][sent:]
        except BlockingIOError:
            return
        except OSError:
            self._closed = True
            self._pending.clear()
            self._pending_bytes = 0

    def _send_on(self) -> None:
        while True:
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._pending or self._closed)
                if self._closed:
                    return
                soon, self._soon = self._soon, False
            if soon:
                time.sleep(SOON_S)
            with contextlib.suppress(OSError, ValueError):
                wait_for(self._connection, writable=True, timeout=1.0)
            with self._changed:
                self._flush()
