"""Binding the addresses; apart from the rest because nothing else needs to be loaded for it."""

from __future__ import annotations

import logging
import socket
import sys
from typing import Final

from engine.errors import InputError
from engine.server.options import ServerOptions

BACKLOG: Final = 512

_log = logging.getLogger("safelight.server")


def listen(options: ServerOptions) -> list[socket.socket]:
    """Bind the addresses, so that clients wait for an answer instead of being refused while the rest is loaded.

    Raises `InputError` when an address cannot be used.
    """
    sockets: list[socket.socket] = []
    port = options.port
    for address in options.listen:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            one = socket.socket(family, socket.SOCK_STREAM)
            if sys.platform != "win32":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
            one.listen(BACKLOG)
        except OSError as error:
            if family == socket.AF_INET6 and sockets:
                _log.info("%s is not listened at: %s", address, error.strerror)
                continue
            raise InputError(
                f"the server cannot listen at {address}, port {options.port}: {error.strerror or error}",
                hint="another server may run there; choose another --port",
            ) from error
        port = one.getsockname()[1]  # port 0 is any; all addresses share it
        sockets.append(one)
    return sockets
