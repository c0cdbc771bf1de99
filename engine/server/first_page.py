"""Answers ``GET /`` while the server is still being loaded, which takes most of the time until it answers itself.

A thread accepts on the sockets that are bound already and looks at requests without reading them. The plain question of
a browser or a script on this machine for ``/`` gets the page; every other connection is kept as it is and handed to the
server, which sees it from its first byte. What is answered here is public, and the same as later.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.server.header_values import SECURITY_HEADERS
from engine.server.options import ServerOptions
from engine.server.page import INDEX

STATIC: Final = Path(__file__).parent / "static"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
MOST_HEAD: Final = 8192
MOST_HELD: Final = 256
SEND_S: Final = 2.0
ASKED: Final = re.compile(rb"GET / HTTP/1\.1\r\n((?:[!-9;-~]+:[^\r\n\0]*\r\n)*)\r\n\Z")
LEFT_TO_THE_SERVER: Final = frozenset({"origin", "upgrade", "content-length", "transfer-encoding", "expect"})


def may_answer(options: ServerOptions) -> bool:
    """Say whether the page may be given before the guard is there: only this machine can ask, and in the clear."""
    return not options.quick_test and options.tls_certificate is None and set(options.listen) <= LOOPBACK


class FirstPage:
    """Owns the sockets from `start` until `hand_over`."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = list(sockets)
        self._held: list[socket.socket] = []
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="first-page", daemon=True)
        ports = {one.getsockname()[1] for one in sockets}
        self._hosts = frozenset(f"{name}:{port}" for name in NAMES for port in ports)

    def start(self) -> FirstPage:
        """Begin to answer; return this."""
        for one in self._sockets:
            one.setblocking(False)
        self._thread.start()
        return self

    def hand_over(self) -> list[socket.socket]:
        """Stop; return the connections that were not answered."""
        self._wake.send(b"x")
        self._thread.join()
        self._wake.close()
        self._woken.close()
        return self._held

    def _run(self) -> None:
        asking: list[socket.socket] = []
        while True:
            ready, _, _ = select.select([self._woken, *self._sockets, *asking], [], [])
            for one in ready:
                if one is self._woken:
                    self._held += asking
                    return
                if one in asking:
                    asking.remove(one)
                    self._look(one)
                elif len(self._held) + len(asking) < MOST_HELD:
                    with contextlib.suppress(OSError):
                        accepted, _ = one.accept()
                        accepted.setblocking(False)
                        asking.append(accepted)
            if len(self._held) + len(asking) >= MOST_HELD:  # the others wait in the system's own queue
                self._held += asking
                self._woken.recv(1)
                return

    def _look(self, connection: socket.socket) -> None:
        try:
            head = connection.recv(MOST_HEAD, socket.MSG_PEEK)
        except OSError:
            connection.close()
            return
        if not is_plain(head, self._hosts):
            self._held.append(connection)
            return
        with connection, contextlib.suppress(OSError):
            connection.settimeout(SEND_S)
            connection.recv(len(head))
            connection.sendall(answer())
            connection.shutdown(socket.SHUT_WR)


def is_plain(head: bytes, hosts: frozenset[str]) -> bool:
    """Say whether ``head`` is a whole request for the page that any guard would let through."""
    found = ASKED.fullmatch(head)
    if found is None:
        return False
    lines = [line.split(":", 1) for line in found[1].decode("latin-1").split("\r\n")[:-1]]
    headers = [(name.lower(), value.strip().lower()) for name, value in lines]
    asked = [value for name, value in headers if name == "host"]
    if len(asked) != 1 or asked[0] not in hosts or any(name in LEFT_TO_THE_SERVER for name, _ in headers):
        return False
    return all(value == "document" for name, value in headers if name == "sec-fetch-dest")


def answer() -> bytes:
    """Return the answer to ``GET /``: the editor's page, or our own where it was not built."""
    index = STATIC / "index.html"
    body = index.read_bytes() if index.is_file() else INDEX.encode()
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-cache",
        "Connection": "close",
        **SECURITY_HEADERS,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body
