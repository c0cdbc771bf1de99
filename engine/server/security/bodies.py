"""Read request bodies within their limits, refusing while they come and not after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from engine.errors import InputError
from engine.graph.strict_json import parse_text
from engine.server.security.policy import Limits

THREAD_BYTES = 1 << 18
"""Longer texts are parsed beside the event loop."""


class BodyTooLarge(InputError):
    """Say that a body is larger than allowed; answered with 413."""

    code = "E-TOO-LARGE"


class BodyTooSlow(InputError):
    """Say that a body stopped coming; answered with 408."""

    code = "E-TOO-SLOW"


async def read_json(request: web.Request, limits: Limits, *, small: bool = False) -> Any:
    """Read the body as strict JSON (`engine.graph.strict_json`); no body is None.

    ``small`` bounds it to 1 MiB instead of the size of a workflow. Raises `BodyTooLarge`, `BodyTooSlow` and
    `DocumentError`.
    """
    body = await read_bytes(request, limits.max_small_json_bytes if small else limits.max_json_bytes, limits)
    if not body.strip():
        return None
    if len(body) > THREAD_BYTES:
        return await asyncio.to_thread(parse_text, body, "the request")
    return parse_text(body, "the request")


async def read_bytes(request: web.Request, limit: int, limits: Limits) -> bytes:
    """Read the whole body, at most ``limit`` bytes. Raises `BodyTooLarge` and `BodyTooSlow`."""
    body = bytearray()
    async for block in blocks(request, limit, limits):
        body += block
    return bytes(body)


async def blocks(request: web.Request, limit: int, limits: Limits) -> AsyncIterator[bytes]:
    """Give the body as it comes, and fail as soon as it is, or says that it will be, longer than ``limit``."""
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit, request.content_length)
    total = 0
    while True:
        try:
            async with asyncio.timeout(limits.idle_s):
                block = await request.content.readany()
        except TimeoutError:
            raise BodyTooSlow("the body stopped coming", expected=f"something every {limits.idle_s:g} s") from None
        if not block:
            return
        total += len(block)
        if total > limit:
            raise _too_large(limit, total)
        yield block


def _too_large(limit: int, size: int) -> BodyTooLarge:
    return BodyTooLarge("the request is too large", expected=f"at most {limit} bytes", got=f"{size} bytes or more")
