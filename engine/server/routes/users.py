"""Users, their settings and their files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from engine.errors import DocumentError, OutputError, PathError
from engine.graph.strict_json import parse_text
from engine.paths import replace_file
from engine.paths.private import user_folder
from engine.server.rooms import user_of, viewer_of
from engine.server.security.serving import file_answer, file_headers
from engine.server.state import Route, answer_error, answer_json, answer_problem, bad_request, read_object, state_of
from engine.server.user_files import DEFAULT_USER, UserFiles, facts
from engine.server.versions import MOST_DOCUMENT, has_versions

T = TypeVar("T")


def _files(request: web.Request) -> UserFiles:
    return state_of(request).user_files


def user_folder_of(request: web.Request) -> str:
    """Return the folder of the user that a request is of: whom the token names, or for an administrator the header.

    Raises `web.HTTPUnauthorized` for one that is not known.
    """
    files = _files(request)
    if not files.multi_user:
        return DEFAULT_USER
    asks, named = user_of(request), request.headers.get("comfy-user", "")
    if asks is not None and (viewer_of(request) is not None or named not in files.users()):
        return user_folder(asks)
    if named not in files.users():
        raise web.HTTPUnauthorized(text="there is no such user")
    return named


async def _do(work: Callable[[], T]) -> T:
    """Do what touches the disk in a thread. Raises the HTTP error that belongs to what went wrong."""
    try:
        return await asyncio.to_thread(work)
    except PathError as error:
        raise web.HTTPForbidden(text=error.problem.message) from None
    except OutputError as error:
        raise web.HTTPInsufficientStorage(text=error.problem.message) from None


async def get_users(request: web.Request) -> web.StreamResponse:
    """Say whether there are several users, and who."""
    files = _files(request)
    viewer = viewer_of(request)
    if viewer is not None:
        return answer_json({"storage": "server", "users": {user_folder(viewer): viewer}})
    if files.multi_user:
        return answer_json({"storage": "server", "users": await _do(files.users)})
    return answer_json({"storage": "server", "migrated": True})


async def post_users(request: web.Request) -> web.StreamResponse:
    """Add a user."""
    files = _files(request)
    name = (await read_object(request)).get("username")
    if not files.multi_user:
        raise bad_request("this server has one user", "start it with --multi-user")
    if not isinstance(name, str):
        raise bad_request("username is not a text")
    try:
        return answer_json(await asyncio.to_thread(files.add_user, name))
    except PathError as error:
        return answer_problem(error)


async def get_settings(request: web.Request) -> web.StreamResponse:
    """Return all settings of the user."""
    files, user = _files(request), user_folder_of(request)
    return answer_json(await _do(lambda: files.settings(user)))


async def get_setting(request: web.Request) -> web.StreamResponse:
    """Return one setting; null where it was never set."""
    files, user = _files(request), user_folder_of(request)
    return answer_json((await _do(lambda: files.settings(user))).get(request.match_info["id"]))


async def post_settings(request: web.Request) -> web.StreamResponse:
    """Change settings."""
    files, user = _files(request), user_folder_of(request)
    changes = await read_object(request)
    await _do(lambda: files.change_settings(user, changes))
    return web.Response(status=200)


async def post_setting(request: web.Request) -> web.StreamResponse:
    """Change one setting; the body is its value."""
    files, user, id = _files(request), user_folder_of(request), request.match_info["id"]
    try:
        value = parse_text(await request.read(), "the request")
    except DocumentError as error:
        raise bad_request(error.problem.message) from None
    await _do(lambda: files.change_settings(user, {id: value}))
    return web.Response(status=200)


def _asked(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


async def get_userdata(request: web.Request) -> web.StreamResponse:
    """List the user's files in a directory."""
    files, user = _files(request), user_folder_of(request)
    directory = request.query.get("dir", "")
    if not directory:
        raise bad_request("dir is missing", "name a directory; . is the whole folder")
    full, split = _asked(request, "full_info"), _asked(request, "split")

    def look() -> list[Any] | None:
        found = files.listing(user, directory, recurse=_asked(request, "recurse"))
        if found is None:
            return None
        base = files.folder(user).resolve()
        top = base if directory in (".", "/") else files.file(user, directory)
        names = [(path, path.relative_to(top).as_posix()) for path in found]
        if full:
            return [facts(path, name) for path, name in names]
        return [[name, *name.split("/")] for _, name in names] if split else [name for _, name in names]

    found = await _do(look)
    return answer_json(found) if found is not None else web.Response(status=404, text="there is no such directory")


async def get_userdata_v2(request: web.Request) -> web.StreamResponse:
    """List files and folders in a directory of the user, with their facts."""
    files, user = _files(request), user_folder_of(request)
    found = await _do(lambda: files.entries(user, request.query.get("path", "")))
    return answer_json(found) if found is not None else web.Response(status=404, text="there is no such directory")


async def _path(request: web.Request, part: str = "file") -> Path:
    files, user, name = _files(request), user_folder_of(request), request.match_info[part]
    return await _do(lambda: files.file(user, name))


async def get_file(request: web.Request) -> web.StreamResponse:
    """Return a file of the user."""
    path = await _path(request)
    if not path.is_file():
        return web.Response(status=404)
    if path.suffix.lower() == ".json":  # settings and workflows, which no browser runs
        return web.FileResponse(path, headers=file_headers(path.name, "application/json"))
    return await asyncio.to_thread(file_answer, path)


async def post_file(request: web.Request) -> web.StreamResponse:
    """Write a file of the user."""
    path, name = await _path(request), request.match_info["file"]
    data = await request.read()
    exclusive = request.query.get("overwrite", "true").lower() in ("false", "0")
    try:
        await _do(lambda: _write(request, path, name, data, exclusive=exclusive))
    except FileExistsError:
        return answer_error(409, "file_exists", "The file is there already", "overwrite=true replaces it")
    return await _told(request, path, name)


def _write(request: web.Request, path: Path, name: str, data: bytes, *, exclusive: bool) -> None:
    """Write a file; of a workflow a version is there first. Raises `FileExistsError`."""
    if exclusive and path.exists():
        raise FileExistsError
    if has_versions(name) and len(data) <= MOST_DOCUMENT:
        versions, user = state_of(request).versions, user_folder_of(request)
        versions.keep_found(user, name, path)
        versions.keep(user, name, data, "save")
    replace_file(path, data, exclusive=exclusive)


async def _told(request: web.Request, path: Path, name: str) -> web.StreamResponse:
    full = _asked(request, "full_info")
    return answer_json(await _do(lambda: facts(path, name)) if full else name)


async def delete_file(request: web.Request) -> web.StreamResponse:
    """Remove a file of the user."""
    path = await _path(request)
    if not path.is_file():
        return web.Response(status=404)

    def remove() -> None:
        if has_versions(request.match_info["file"]):
            state_of(request).versions.keep_found(user_folder_of(request), request.match_info["file"], path)
        path.unlink()

    await _do(remove)
    return web.Response(status=204)


async def move_file(request: web.Request) -> web.StreamResponse:
    """Give a file of the user another name."""
    source, target, name = await _path(request), await _path(request, "dest"), request.match_info["dest"]
    if not source.is_file():
        return web.Response(status=404)
    if not _asked(request, "overwrite") and request.query.get("overwrite", "") != "" and target.exists():
        return answer_error(409, "file_exists", "There is a file of that name", "overwrite=true replaces it")

    def move() -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        old, versions, user = request.match_info["file"], state_of(request).versions, user_folder_of(request)
        if has_versions(name):
            versions.keep_found(user, name, target)
        if has_versions(old) and has_versions(name):
            versions.keep_found(user, old, source)
            versions.rename(user, old, name)
        source.replace(target)

    await _do(move)
    return await _told(request, target, name)


ANY_OBJECT: Final = {"type": "object", "additionalProperties": True}
FILE_QUERY: Final = {"overwrite": "false: not if it is there", "full_info": "true: answer with its facts"}

ROUTES: Final = (
    Route("GET", "/users", get_users, "Who uses the server"),
    Route(
        "POST", "/users", post_users, "Add a user", answers={400: "not with one user, or the name is taken"},
        body={"type": "object", "required": ["username"], "properties": {"username": {"type": "string"}}},
    ),
    Route("GET", "/settings", get_settings, "The user's settings"),
    Route("GET", "/settings/{id}", get_setting, "One setting"),
    Route("POST", "/settings", post_settings, "Change settings", body=ANY_OBJECT, kind=""),
    Route("POST", "/settings/{id}", post_setting, "Change one setting", body={}, kind=""),
    Route(
        "GET", "/userdata", get_userdata, "The user's files", answers={404: "no such directory"},
        query={
            "dir": "a directory", "recurse": "true: those below, too", "full_info": "true: with sizes and times",
            "split": "true: with the parts of each path",
        },
    ),
    Route(
        "GET", "/v2/userdata", get_userdata_v2, "The user's files and folders",
        query={"path": "a directory"}, answers={404: "no such directory"},
    ),
    Route(
        "GET", "/userdata/{file}", get_file, "A file of the user", kind="*/*",
        answers={404: "no such file"},
    ),
    Route("POST", "/userdata/{file}", post_file, "Write a file of the user", body={}, query=FILE_QUERY,
          answers={409: "it is there already"}),
    Route("DELETE", "/userdata/{file}", delete_file, "Remove a file of the user",
          answers={204: "removed", 404: "no such file"}),
    Route("POST", "/userdata/{file}/move/{dest}", move_file, "Rename a file of the user", query=FILE_QUERY,
          answers={404: "no such file", 409: "there is one of that name"}),
)  # fmt: skip
