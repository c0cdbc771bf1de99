"""The gallery of the output folder: lists with search and filters, thumbnails, the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from engine.errors import MediaError, PathError
from engine.media.serving import thumbnail_of
from engine.server.gallery import Gallery, Wanted, names_of_workflows
from engine.server.state import (
    Route,
    ServerState,
    answer_json,
    answer_problem,
    bad_request,
    read_object,
    state_of,
    whole_number,
)

GALLERY: Final = web.AppKey("gallery", Gallery)
FOLDERS: Final = ("input", "output", "temp")
MOST: Final = 1000
SIZES: Final = (64, 1024)
FOREVER: Final = "private, max-age=31536000, immutable"


def _gallery(request: web.Request) -> Gallery:
    return request.config_dict[GALLERY]


async def get_gallery(request: web.Request) -> web.StreamResponse:
    """List pictures of the output folder with the facts that they carry, the newest first."""
    query = request.query
    offset, limit = whole_number(request, "offset", 0) or 0, whole_number(request, "limit", 200) or 200
    if offset < 0 or limit < 1:
        raise bad_request("limit or offset is too small")
    after, before = whole_number(request, "after"), whole_number(request, "before")
    wanted = Wanted(query.get("q", "").split()[:20], after, before, query.get("workflow", ""))
    gallery = _gallery(request)
    gallery.learn(await state_of(request).store.read(names_of_workflows(gallery.told_until)))
    found, counts = await asyncio.to_thread(gallery.find, wanted)
    pictures = [one.as_json(gallery.workflow_of(one)) for one in found[offset : offset + min(limit, MOST)]]
    return answer_json({"pictures": pictures, "total": len(found), "offset": offset, "workflows": counts})


async def get_thumbnail(request: web.Request) -> web.StreamResponse:
    """Return a small WebP of a picture. With ``v`` (its time, say) the answer may be kept for ever."""
    query = request.query
    size = whole_number(request, "size", 256) or 256
    folder = query.get("type", "output")
    if folder not in FOLDERS or not SIZES[0] <= size <= SIZES[1]:
        raise bad_request("type or size is not possible", f"type: {', '.join(FOLDERS)}; size: {SIZES[0]} to {SIZES[1]}")
    name = _name_in(query)
    try:
        data = await asyncio.to_thread(_thumbnail, state_of(request), folder, name, size)
    except PathError:
        return web.Response(status=404)
    except MediaError as error:
        return answer_problem(error)
    kept = FOREVER if query.get("v") else "no-cache"
    return web.Response(
        body=data, headers={"Content-Type": "image/webp", "Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    )


def _thumbnail(state: ServerState, folder: str, name: str, size: int) -> bytes:
    path = state.folders.resolve(folder, name)
    if not path.is_file():
        raise PathError("this is no file", got=name)
    return thumbnail_of(path, size)


def _name_in(facts: Mapping[str, Any]) -> str:
    """Return the path below its folder that ``filename`` and ``subfolder`` name. Raises `web.HTTPBadRequest`."""
    name, subfolder = facts.get("filename"), facts.get("subfolder") or ""
    if not isinstance(name, str) or name == "" or not isinstance(subfolder, str):
        raise bad_request("no file is named", "give filename, and subfolder where it lies in one")
    subfolder = subfolder.strip("/")
    return f"{subfolder}/{name}" if subfolder else name


async def post_delete(request: web.Request) -> web.StreamResponse:
    """Move pictures of the output folder into the trash; the answer's ``trash`` brings them back."""
    files = (await read_object(request)).get("files")
    if not isinstance(files, list) or not files or not all(isinstance(one, dict) for one in files):
        raise bad_request("files is not a list of files", '[{"filename", "subfolder"}]')
    names = [_name_in(one) for one in files]
    try:
        key, moved = await asyncio.to_thread(_gallery(request).discard, names)
    except PathError as error:
        return answer_problem(error)
    return answer_json({"trash": key, "deleted": moved})


async def post_restore(request: web.Request) -> web.StreamResponse:
    """Bring back what was put into the trash together."""
    key = (await read_object(request)).get("trash")
    if not isinstance(key, str):
        raise bad_request("trash is not said", "give what the deletion answered")
    try:
        back = await asyncio.to_thread(_gallery(request).restore, key)
    except PathError as error:
        return answer_problem(error)
    return answer_json({"restored": back})


FILE: Final = {
    "type": "object", "required": ["filename"],
    "properties": {"filename": {"type": "string"}, "subfolder": {"type": "string"}},
}  # fmt: skip
ROUTES: Final = (
    Route(
        "GET", "/gallery", get_gallery, "Pictures of the output folder, searched and filtered",
        query={
            "q": "words that the prompt, model, seed or name must have", "after": "written at or after, in ms",
            "before": "written before, in ms", "workflow": "made by it", "offset": "how many to leave out",
            "limit": "how many at most (200, up to 1000)",
        },
    ),
    Route(
        "GET", "/gallery/thumbnail", get_thumbnail, "A small form of a picture", kind="image/webp",
        query={
            "filename": "its name", "subfolder": "its folder below", "type": "output (default), input or temp",
            "size": "longest side, 64 to 1024 (256)", "v": "anything: an address that has it may be kept for ever",
        },
        answers={404: "no such file"},
    ),
    Route(
        "POST", "/gallery/delete", post_delete, "Move pictures into the trash",
        body={"type": "object", "required": ["files"], "properties": {"files": {"type": "array", "items": FILE}}},
    ),
    Route(
        "POST", "/gallery/restore", post_restore, "Bring pictures back from the trash",
        body={"type": "object", "required": ["trash"], "properties": {"trash": {"type": "string"}}},
    ),
)  # fmt: skip
