"""Earlier versions of saved workflows: listed, read, brought back; and drafts kept without saving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiohttp import web

from engine.errors import OutputError, PathError
from engine.paths import replace_file
from engine.server.routes.users import user_folder_of
from engine.server.security.serving import file_headers
from engine.server.state import Route, answer_error, answer_json, bad_request, read_object, state_of
from engine.server.user_files import facts
from engine.server.versions import FOLDER, SUFFIX, Version, has_versions

T = TypeVar("T")
MAX_ID: Final = 18


async def _do(work: Callable[[], T]) -> T:
    """Do what touches the disk in a thread. Raises the HTTP error that belongs to what went wrong."""
    try:
        return await asyncio.to_thread(work)
    except PathError as error:
        raise web.HTTPNotFound(text=error.problem.message) from None
    except OutputError as error:
        raise web.HTTPInsufficientStorage(text=error.problem.message) from None


def _file(request: web.Request) -> str:
    file = request.match_info["file"]
    if not has_versions(file):
        raise bad_request("files of this name have no versions", f"saved workflows have: {FOLDER}NAME{SUFFIX}")
    state_of(request).user_files.file(user_folder_of(request), file)  # refuses names that lead elsewhere
    return file


def _id(request: web.Request) -> int:
    text = request.match_info["version"]
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_ID):
        raise web.HTTPNotFound(text="there is no such version")
    return int(text)


def _record(one: Version) -> dict[str, Any]:
    saved = int(one.saved * 1000)
    return {"id": one.id, "kind": one.kind, "saved": saved, "size": one.size, "digest": one.digest}


async def get_files(request: web.Request) -> web.StreamResponse:
    """List the workflows that have versions, those that were removed too."""
    versions, user = state_of(request).versions, user_folder_of(request)
    found = await _do(lambda: versions.files(user))
    return answer_json(
        {"files": [{"file": file, "versions": count, "newest": int(at * 1000)} for file, count, at in found]}
    )


async def get_versions(request: web.Request) -> web.StreamResponse:
    """List the versions of a workflow, the newest first."""
    versions, user, file = state_of(request).versions, user_folder_of(request), _file(request)
    return answer_json({"versions": [_record(one) for one in await _do(lambda: versions.listed(user, file))]})


async def get_version(request: web.Request) -> web.StreamResponse:
    """Return the document of a version."""
    versions, user, file, id = state_of(request).versions, user_folder_of(request), _file(request), _id(request)
    data = await _do(lambda: versions.read(user, file, id))
    return web.Response(body=data, headers=file_headers(file.rpartition("/")[2], "application/json"))


async def post_draft(request: web.Request) -> web.StreamResponse:
    """Keep the body as a version without saving it."""
    versions, user, file = state_of(request).versions, user_folder_of(request), _file(request)
    if not await read_object(request):
        raise bad_request("there is no document", "the body is the workflow, a JSON object")
    data = await request.read()
    return answer_json(_record(await _do(lambda: versions.keep(user, file, data, "autosave"))))


async def restore_version(request: web.Request) -> web.StreamResponse:
    """Make a version the saved workflow again; what was saved before stays as a version."""
    state, user, file, id = state_of(request), user_folder_of(request), _file(request), _id(request)
    path = state.user_files.file(user, file)

    def restore() -> dict[str, Any]:
        data = state.versions.read(user, file, id)
        state.versions.keep_found(user, file, path)
        made = state.versions.keep(user, file, data, "restore")
        replace_file(path, data)
        return {**facts(path, file), "version": _record(made)}

    return answer_json(await _do(restore))


async def delete_version(request: web.Request) -> web.StreamResponse:
    """Forget a version."""
    versions, user, file, id = state_of(request).versions, user_folder_of(request), _file(request), _id(request)
    if not await _do(lambda: versions.remove(user, file, id)):
        return answer_error(404, "E-PATH", "There is no such version")
    return web.Response(status=204)


async def delete_versions(request: web.Request) -> web.StreamResponse:
    """Forget all versions of a workflow; the saved one stays."""
    versions, user, file = state_of(request).versions, user_folder_of(request), _file(request)
    return answer_json({"removed": await _do(lambda: versions.remove(user, file, None))})


NONE: Final = {404: "no such version"}
ROUTES: Final = (
    Route("GET", "/versions", get_files, "Workflows that have versions"),
    Route("GET", "/versions/{file}", get_versions, "Versions of a workflow, the newest first"),
    Route("POST", "/versions/{file}", post_draft, "Keep a version without saving it",
          body={"type": "object", "additionalProperties": True}, answers={507: "there is no room"}),
    Route("DELETE", "/versions/{file}", delete_versions, "Forget all versions of a workflow"),
    Route("GET", "/versions/{file}/{version}", get_version, "The document of a version", answers=NONE),
    Route("POST", "/versions/{file}/{version}/restore", restore_version, "Make a version the saved workflow again",
          answers={**NONE, 507: "there is no room"}),
    Route("DELETE", "/versions/{file}/{version}", delete_version, "Forget a version",
          answers={204: "forgotten", **NONE}),
)  # fmt: skip
