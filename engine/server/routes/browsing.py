"""Choosing a file of the server: what lies in its input, output and temporary folders."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from engine.errors import PathError
from engine.server.browsing import KINDS, browse
from engine.server.rooms import folders_of
from engine.server.routes.gallery import FOLDERS
from engine.server.state import Route, answer_json, bad_request, whole_number

MOST: Final = 1000


async def get_files(request: web.Request) -> web.StreamResponse:
    """List the folders and files of a folder, the newest first, or search below it."""
    query = request.query
    folder, kind = query.get("type", "input"), query.get("kind", "")
    if folder not in FOLDERS or kind not in ("", "other", *KINDS):
        raise bad_request(
            "type or kind is not possible", f"type: {', '.join(FOLDERS)}; kind: {', '.join(KINDS)}, other"
        )
    offset, limit = whole_number(request, "offset", 0) or 0, whole_number(request, "limit", 200) or 200
    if offset < 0 or limit < 1:
        raise bad_request("limit or offset is too small")
    words = query.get("q", "").split()[:20]
    subfolder = query.get("subfolder", "").strip("/")
    try:
        names, found = await asyncio.to_thread(browse, folders_of(request), folder, subfolder, words, kind)
    except PathError as error:
        return web.Response(status=403 if "refused" in error.problem.message else 404)
    files = [one.as_json(folder) for one in found[offset : offset + min(limit, MOST)]]
    return answer_json({"folders": names, "files": files, "total": len(found), "offset": offset})


ROUTES: Final = (
    Route(
        "GET", "/files", get_files, "Files of the input, output and temporary folder, to choose from",
        query={
            "type": "input (default), output or temp", "subfolder": "the folder below it",
            "q": "words that paths below have", "kind": "image, video, audio or other",
            "offset": "how many to leave out", "limit": "how many at most (200, up to 1000)",
        },
        answers={403: "the folder leads outside", 404: "no such folder"},
    ),
)  # fmt: skip
