"""Pictures and other files: what nodes saved, what clients upload.

What a file is served as is decided by its bytes (`engine.server.security.serving`); whatever a browser might run is
only ever a download.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from aiohttp import web

from engine.errors import MediaError, OutputError, PathError, SafelightError
from engine.media.images import SUFFIXES
from engine.media.metadata import read_metadata
from engine.media.serving import CHANNELS, PREVIEW_FORMATS, channel_of, preview_of, with_mask
from engine.media.uploads import clean_picture
from engine.paths import Folders, new_path, replace_file, split_annotation
from engine.server.rooms import folders_of
from engine.server.security import Limits, bytes_answer, file_answer, read_form
from engine.server.state import Route, answer_json, answer_problem, bad_request, state_of

OTHER_UPLOADS: Final = frozenset(
    {".mp4", ".webm", ".mov", ".mkv", ".mp3", ".flac", ".wav", ".ogg", ".opus", ".m4a", ".glb", ".obj", ".stl"}
    | {".latent", ".safetensors", ".json", ".txt", ".csv"}
)
FOLDERS: Final = ("input", "output", "temp")
MOST_NAMES: Final = 10_000
MAX_TEXT: Final = 1 << 16


async def get_view(request: web.Request) -> web.StreamResponse:
    """Serve a file of the input, output or temporary folder."""
    query = request.query
    name = query.get("filename")
    if not name:
        return web.Response(status=400)
    folder, name = split_annotation("output", name)
    folder = query.get("type", folder)
    subfolder = query.get("subfolder", "").strip("/")
    if folder not in FOLDERS:
        return web.Response(status=400)
    try:
        path = await asyncio.to_thread(
            folders_of(request).resolve, folder, f"{subfolder}/{name}" if subfolder else name
        )
        if not path.is_file():
            return web.Response(status=404)
        made = await asyncio.to_thread(_converted, path, query)
    except PathError as error:
        refused = "refused" in error.problem.message
        return web.Response(status=403 if refused else 404)
    except MediaError as error:
        return answer_problem(error)
    if made is not None:
        return bytes_answer(made, path.name)
    return await asyncio.to_thread(file_answer, path)


def _converted(path: Path, query: Mapping[str, str]) -> bytes | None:
    """Return what a picture is made into for ``preview=webp;90`` or ``channel=a``; None to serve it as it is."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    if "preview" in query:
        format, _, quality = query["preview"].partition(";")
        format = format if format in PREVIEW_FORMATS else "webp"
        number = int(quality) if quality.isdecimal() and len(quality) < 4 else 90
        return preview_of(path, format, min(max(number, 1), 100))
    channel = query.get("channel", "")
    if channel in CHANNELS and channel != "rgba":
        return channel_of(path, channel)
    return None


# -- uploads


async def post_upload_image(request: web.Request) -> web.StreamResponse:
    """Take a picture (or a sound, a film, a model of a thing) into the input folder."""
    return await _upload(request, lambda folders, fields, data: data)


async def post_upload_mask(request: web.Request) -> web.StreamResponse:
    """Put the alpha of what is uploaded into a copy of a picture that is there, with its recipe."""
    return await _upload(request, _masked)


Making = Callable[[Folders, Mapping[str, str], bytes], bytes]


async def _upload(request: web.Request, make: Making) -> web.StreamResponse:
    state = state_of(request)
    fields, name, data = await _read(request, state.options.max_upload_bytes)
    if name is None or not data:
        raise bad_request("no file was sent", 'the form needs a file in the field "image"')
    folder = fields.get("type", "input")
    if folder not in FOLDERS:
        raise bad_request("there is no such folder for uploads", "type is one of input, output, temp")
    try:
        made = await asyncio.to_thread(_store, folders_of(request), folder, fields, name, data, make)
    except (PathError, MediaError) as error:
        return answer_problem(error)
    except OutputError as error:
        return answer_problem(error, 507)
    return answer_json({"name": made.name, "subfolder": fields.get("subfolder", "").strip("/"), "type": folder})


async def _read(request: web.Request, most: int) -> tuple[dict[str, str], str | None, bytes]:
    """Read a form with one file: its texts, the file's name and bytes. Raises `web.HTTPBadRequest` where it is none."""
    if not request.content_type.startswith("multipart/"):
        raise bad_request("the body is not a form", "send multipart/form-data")
    with await read_form(request, Limits(max_upload_bytes=most)) as form:
        image = form.get("image")
        fields = {part.name: part.text() for part in form.parts if part is not image and part.size < MAX_TEXT}
        return fields, None if image is None else image.file_name, b"" if image is None else image.read()


def _store(folders: Folders, folder: str, fields: Mapping[str, str], name: str, data: bytes, make: Making) -> Path:
    """Put an upload in its place: the same bytes under the same name are there already, others get another name."""
    name = PurePosixPath(name.replace("\\", "/")).name  # browsers of old send whole paths
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in SUFFIXES:
        data = clean_picture(data, name=name)
    elif suffix not in OTHER_UPLOADS:
        raise MediaError(
            f"files like {name[:80]!r} are not taken",
            expected=", ".join((*SUFFIXES, *sorted(OTHER_UPLOADS))),
            hint="send a picture",
        )
    data = make(folders, fields, data)
    subfolder = fields.get("subfolder", "").strip("/")
    stem = PurePosixPath(name).stem
    overwrite = fields.get("overwrite", "").lower() in ("true", "1")
    for number in range(MOST_NAMES):
        tried = name if number == 0 else f"{stem} ({number}){PurePosixPath(name).suffix}"
        path = new_path(folders, folder, f"{subfolder}/{tried}" if subfolder else tried)
        if overwrite:
            replace_file(path, data)
            return path
        if path.is_file() and _same(path, data):
            return path
        try:
            replace_file(path, data, exclusive=True)
            return path
        except FileExistsError:
            continue
    raise PathError("there are too many files of that name", got=repr(name))


def _same(path: Path, data: bytes) -> bool:
    if path.stat().st_size != len(data):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(data).digest()


def _masked(folders: Folders, fields: Mapping[str, str], data: bytes) -> bytes:
    try:
        reference: Any = json.loads(fields.get("original_ref", ""))
    except ValueError:
        reference = None
    if not isinstance(reference, dict) or not isinstance(reference.get("filename"), str):
        raise PathError("original_ref does not name a picture", expected='{"filename", "type", "subfolder"} as JSON')
    folder, name = split_annotation("output", reference["filename"])
    folder = str(reference.get("type", folder))
    if folder not in FOLDERS:
        raise PathError("original_ref names no folder of pictures", expected=", ".join(FOLDERS), got=repr(folder))
    subfolder = str(reference.get("subfolder") or "").strip("/")
    path = folders.resolve(folder, f"{subfolder}/{name}" if subfolder else name)
    try:
        texts = read_metadata(path)
    except SafelightError:
        texts = {}
    return with_mask(path, data, texts)


FORM: Final = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {"type": "string", "format": "binary"},
        "type": {"type": "string", "enum": list(FOLDERS)},
        "subfolder": {"type": "string"},
        "overwrite": {"type": "string", "enum": ["true", "false"]},
    },
}
MASK_FORM: Final = {
    **FORM,
    "properties": {**FORM["properties"], "original_ref": {"type": "string"}},  # type: ignore[dict-item]
}

ROUTES: Final = (
    Route(
        "GET", "/view", get_view, "A file that was saved or uploaded", kind="*/*",
        query={
            "filename": "its name", "subfolder": "its folder below", "type": "output (default), input or temp",
            "preview": "webp;90 or jpeg;90: a smaller form", "channel": "rgb, a or rgba",
            "user": "with several users, for an administrator: whose file",
        },
        answers={403: "the name is refused", 404: "no such file"},
    ),
    Route("POST", "/upload/image", post_upload_image, "Upload a picture", body=FORM, multipart=True),
    Route("POST", "/upload/mask", post_upload_mask, "Upload a mask for a picture", body=MASK_FORM, multipart=True),
)  # fmt: skip
