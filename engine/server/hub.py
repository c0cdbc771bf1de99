"""Telling clients: every WebSocket, what it wants to hear, and how much may wait for one that does not read.

A message is written as JSON once, however many clients hear it. What cannot be sent at once waits in the client's own
queue: of progress and previews only the newest, of everything else all, up to a bound. A client that lets more pile up
is let go of; it can come back and ask for what it missed by number.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import WSCloseCode, web

from engine.server.joined_frames import frames, write
from engine.server.story import Message

PREVIEW: Final = 1
TEXT: Final = 3
PREVIEW_WITH_METADATA: Final = 4
IMAGE_KINDS: Final[Mapping[str, int]] = {"JPEG": 1, "PNG": 2}
OWN_FEATURES: Final = {"supports_preview_metadata": True, "supports_event_numbers": True}
CLOSE_S: Final = 2.0
AT_ONCE: Final = 1 << 17
"""So many bytes are written together, and one message more."""
SOFT_BYTES: Final = 1 << 18
"""While no more than this waits for a client, it gets every message, progress and previews included."""


@dataclasses.dataclass(slots=True, eq=False)
class Client:
    """One WebSocket. ``watch`` is a job's id, or ``*`` for all jobs; ``numbered`` adds ``n`` to messages.

    With a ``viewer`` it hears of no jobs but that user's.
    """

    socket: web.WebSocketResponse
    id: str
    transport: asyncio.Transport | None = None
    watch: str | None = None
    numbered: bool = False
    viewer: str | None = None
    features: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    waiting: collections.deque[str | bytes] = dataclasses.field(default_factory=collections.deque)
    waiting_bytes: int = 0
    newest: dict[str, str | bytes] = dataclasses.field(default_factory=dict)
    """What replaces its predecessor while it waits: progress and previews, by kind."""
    wake: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    dropped: bool = False

    def wants(self, job: str, client: str | None, owner: str | None) -> bool:
        """Say whether it hears what happens in ``job`` of ``owner``, submitted by ``client``."""
        if self.viewer is not None and self.viewer != owner:
            return False
        return (client is not None and client == self.id) or self.watch == "*" or self.watch == job


class Hub:
    """All clients. Everything here runs in the event loop."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.clients: set[Client] = set()
        self.sent = 0
        self.let_go = 0

    def tell(self, message: Message, job: str, to: str | None, n: int | None, owner: str | None) -> str:
        """Tell a message to whoever wants to hear of ``job`` of ``owner``, or is the client ``to``; return its data as
        JSON."""
        data = json.dumps(message.data)
        plain = f'{{"type": {_quoted(message.type)}, "data": {data}}}'
        numbered = plain if n is None else f'{plain[:-1]}, "n": {n}}}'
        for client in tuple(self.clients):
            if client.wants(job, to, owner):
                text = numbered if client.numbered else plain
                self._give(client, text, None if message.kept else message.type)
        return data

    def tell_all(self, type: str, facts: Callable[[str | None], Mapping[str, Any]]) -> None:
        """Tell every client what ``facts`` gives for its viewer."""
        texts: dict[str | None, str] = {}
        for client in tuple(self.clients):
            text = texts.get(client.viewer)
            if text is None:
                text = texts[client.viewer] = json.dumps({"type": type, "data": facts(client.viewer)})
            self._give(client, text, type)

    def tell_watchers(self, type: str, data: Mapping[str, Any]) -> None:
        """Tell clients that know messages of our own and may see everything; what came before is then of no use."""
        text = json.dumps({"type": type, "data": data})
        for client in tuple(self.clients):
            if client.numbered and client.viewer is None:
                self._give(client, text, type)

    def tell_of_packs(self, type: str, data: Mapping[str, Any], to: str | None) -> None:
        """Tell what a pack says to the client ``to``; without one to all who see everything."""
        text = json.dumps({"type": type, "data": data})
        for client in tuple(self.clients):
            if client.id == to if to is not None else client.viewer is None:
                self._give(client, text, type)

    def id_is_free(self, id: str, viewer: str | None) -> bool:
        """Say whether no other user's client has ``id``."""
        return all(client.viewer == viewer for client in self.clients if client.id == id)

    def tell_one(self, client: Client, type: str, data: Mapping[str, Any], n: int | None = None) -> None:
        """Tell one client."""
        whole = {"type": type, "data": data} | ({} if n is None else {"n": n})
        self._give(client, json.dumps(whole), None)

    def tell_preview(
        self,
        facts: Mapping[str, Any],
        format: str,
        picture: bytes,
        to: str | None,
        owner: str | None,
        *,
        plain_too: bool,
    ) -> None:
        """Send a preview, with its facts to clients that understand them.

        A client that never said what it can do gets it only where ``plain_too``: some take every binary frame for a
        result, and count on there being none of previews unless somebody asked for them.
        """
        kind = IMAGE_KINDS.get(format)
        if kind is None:
            return
        plain: bytes | None = None
        rich: bytes | None = None
        for client in tuple(self.clients):
            if not client.wants(facts["prompt_id"], to, owner):
                continue
            if client.features.get("supports_preview_metadata"):
                if rich is None:
                    rich = _rich_preview(facts, format, picture)
                self._give(client, rich, "preview")
            elif plain_too or client.features:
                plain = plain or struct.pack(">II", PREVIEW, kind) + picture
                self._give(client, plain, "preview")

    def tell_text(self, node: str, text: str, job: str, to: str | None, owner: str | None) -> None:
        """Show a line of text on a node of a job of ``owner``; without a job, to the client ``to``."""
        name = node.encode()
        payload = struct.pack(">II", TEXT, len(name)) + name + text.encode()
        for client in tuple(self.clients):
            if client.wants(job, to, owner) if job else client.id == to:
                self._give(client, payload, f"text {node}")

    def _give(self, client: Client, payload: str | bytes, replaces: str | None) -> None:
        if client.dropped:
            return
        if replaces is not None and client.waiting_bytes > SOFT_BYTES:
            client.newest[replaces] = payload
        else:
            # What happened after a progress message must not be told before it.
            for one in client.newest.values():
                self._append(client, one)
            client.newest.clear()
            self._append(client, payload)
        client.wake.set()
        if client.waiting_bytes > self._most_bytes:
            client.dropped = True
            self.let_go += 1
            self.clients.discard(client)
            client.waiting.clear()
            client.newest.clear()
            client.wake.set()

    @staticmethod
    def _append(client: Client, payload: str | bytes) -> None:
        client.waiting.append(payload)
        client.waiting_bytes += len(payload)

    async def send_all(self, client: Client) -> None:
        """Send what waits for a client, for as long as it is there."""
        socket = client.socket
        try:
            while not socket.closed:
                await client.wake.wait()
                client.wake.clear()
                if client.dropped:
                    break
                while (client.waiting or client.newest) and client.transport is not None and not socket.closed:
                    await write(client.transport, frames(self._taken(client)))
        except (ConnectionError, RuntimeError):
            pass  # it went away in the middle
        finally:
            self.clients.discard(client)
            if client.dropped:
                await _close(socket, WSCloseCode.TRY_AGAIN_LATER, b"too much waits: read faster, or resume by number")

    def _taken(self, client: Client) -> list[str | bytes]:
        """Take what waits for a client, up to a good piece at once."""
        taken: list[str | bytes] = []
        size = 0
        while client.waiting and size < AT_ONCE:
            taken.append(client.waiting.popleft())
            size += len(taken[-1])
        client.waiting_bytes -= size
        if not client.waiting:
            taken += client.newest.values()
            client.newest.clear()
        self.sent += len(taken)
        return taken

    async def close(self) -> None:
        """Say goodbye to every client."""
        closing = [_close(client.socket, WSCloseCode.GOING_AWAY, b"the server stops") for client in self.clients]
        await asyncio.gather(*closing, return_exceptions=True)


@functools.lru_cache(maxsize=256)
def _quoted(type: str) -> str:
    return json.dumps(type)


async def _close(socket: web.WebSocketResponse, code: int, message: bytes) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
        await asyncio.wait_for(socket.close(code=code, message=message), CLOSE_S)


def _rich_preview(facts: Mapping[str, Any], format: str, picture: bytes) -> bytes:
    text = json.dumps({**facts, "image_type": f"image/{format.lower()}"}).encode()
    return struct.pack(">II", PREVIEW_WITH_METADATA, len(text)) + text + picture
