"""What the routes of this interface share, and how a fault becomes an answer in its words."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from engine.errors import DocumentError
from engine.graph.strict_json import parse_text
from engine.paths import Folders
from engine.server.sdapi.generations import ClientGone, Generations
from engine.server.sdapi.options import Options, keep_options, read_options
from engine.server.sdapi.refusals import FieldErrors, Refused, answer_fields, answer_refusal, refuse_field
from engine.server.sdapi.shelf import Shelf
from engine.server.state import Handler

GONE: Final = 499
THREAD_BYTES: Final = 1 << 18
"""Longer bodies, such as those with pictures, are parsed beside the event loop."""


class Shared:
    """The model files, the settings and the requests that wait; one for each application."""

    def __init__(self, folders: Folders) -> None:
        self.shelf = Shelf(folders)
        self._shelves: dict[int, Shelf] = {id(folders): self.shelf}
        self.generations = Generations()
        self._user = folders.directories("user")[0]
        self._options: Options | None = None

    def shelf_of(self, folders: Folders) -> Shelf:
        """Return the shelf over the folders of one user (`PrivateFolders`, which keeps them)."""
        return self._shelves.setdefault(id(folders), Shelf(folders))

    @property
    def options(self) -> Options:
        """The settings, read when somebody first asks."""
        if self._options is None:
            self._options = read_options(self._user)
        return self._options

    def keep(self, options: Options) -> None:
        """Change the settings, and keep them."""
        if options != self.options:
            keep_options(self._user, options)
            self._options = options


SHARED: web.AppKey[Shared] = web.AppKey("sdapi", Shared)


def shared_of(request: web.Request) -> Shared:
    """Return what belongs to a request's application."""
    return request.config_dict[SHARED]


def in_its_words(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """Let a handler refuse with `FieldErrors` and `Refused`."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except FieldErrors as error:
            return answer_fields(error)
        except Refused as error:
            response = answer_refusal(error.status, error.detail)
            if error.status in (429, 503):
                response.headers["Retry-After"] = "2"
            return response
        except ClientGone:
            return answer_refusal(GONE, "the client went away")

    return answer


async def read_fields(request: web.Request) -> Mapping[str, Any]:
    """Return the JSON object in a body; no body is an empty one. Raises `FieldErrors`."""
    text = await request.read()
    if not text.strip():
        return {}
    try:
        large = len(text) > THREAD_BYTES
        value = await asyncio.to_thread(parse_text, text, "the request") if large else parse_text(text, "the request")
    except DocumentError as error:
        raise refuse_field("", error.problem.message) from None
    if not isinstance(value, Mapping):
        raise refuse_field("", "a JSON object is expected")
    return value


def is_gone(request: web.Request) -> Callable[[], bool]:
    """Return what says whether the client of a request has left."""
    return lambda: request.transport is None or request.transport.is_closing()
