"""What there is: node types, model files, extensions, the machine."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from engine.errors import MediaError, PathError, SafelightError
from engine.server.header_values import FRAME_HEADERS
from engine.server.machine import devices, memory_bytes, version
from engine.server.pack_pages import file_of_pack, pages_of_packs, scripts_of_packs
from engine.server.rooms import folders_of, user_of
from engine.server.state import Route, answer_error, answer_json, answer_problem, answer_text, state_of

PREVIEW_ENDINGS: Final = (".preview.png", ".preview.webp", ".preview.jpg", ".png", ".webp", ".jpg", ".jpeg")


async def get_object_info(request: web.Request) -> web.StreamResponse:
    """Describe all node types."""
    catalogue = state_of(request).catalogue
    text = await catalogue.ask(catalogue.object_info, None, user_of(request))
    assert text is not None
    answer = answer_text(text)
    answer.enable_compression()  # the largest answer that every page waits for: a tenth of it goes over the wire
    return answer


async def get_object_info_of(request: web.Request) -> web.StreamResponse:
    """Describe one node type; an empty object where there is none of that name."""
    catalogue = state_of(request).catalogue
    text = await catalogue.ask(catalogue.object_info, request.match_info["node_class"], user_of(request))
    return answer_text(text or "{}")


async def get_system_stats(request: web.Request) -> web.StreamResponse:
    """Describe the machine."""
    state = state_of(request)
    total, free = memory_bytes()
    argv = [one for one in state.options.argv if not one.startswith("/")]
    system = {
        "os": sys.platform,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": "0.3.64",
        "safelight_version": version("safelight") or "0.1.0",
        "required_frontend_version": None,
        "installed_templates_version": None,
        "required_templates_version": None,
        "python_version": sys.version,
        "pytorch_version": version("torch"),
        "embedded_python": False,
        "argv": argv,
    }
    found = await state.catalogue.ask(devices, state.settings.device, total, free)
    return answer_json({"system": system | {"machine": platform.machine()}, "devices": found})


async def get_embeddings(request: web.Request) -> web.StreamResponse:
    """List textual inversions, without their endings."""
    catalogue = state_of(request).catalogue
    names = await catalogue.ask(catalogue.files, "embeddings")
    return answer_json([name.rpartition(".")[0] for name in names])


async def get_models(request: web.Request) -> web.StreamResponse:
    """List the kinds of model files."""
    return answer_json(list(state_of(request).folders.model_keys()))


async def get_models_in(request: web.Request) -> web.StreamResponse:
    """List the model files of a kind."""
    state = state_of(request)
    folder = _model_folder(request)
    if folder is None:
        return web.Response(status=404)
    return answer_json(list(await state.catalogue.ask(state.catalogue.files, folder)))


def _model_folder(request: web.Request) -> str | None:
    """Return the folder that a request names, if it holds models: pictures and settings are not listed here."""
    folder = request.match_info["folder"]
    try:
        directories = state_of(request).folders.directories(folder)
    except SafelightError:
        return None
    keys = state_of(request).folders
    return folder if any(keys.directories(key) == directories for key in keys.model_keys()) else None


async def get_view_metadata(request: web.Request) -> web.StreamResponse:
    """Return the metadata in a safetensors file's header."""
    state = state_of(request)
    folder, name = _model_folder(request), request.query.get("filename")
    if folder is None or not name:
        return web.Response(status=404)
    if not name.endswith(".safetensors"):
        return web.Response(status=404)

    def read() -> dict[str, str]:
        from engine.media.metadata import read_metadata

        return read_metadata(state.folders.resolve(folder, name))

    try:
        texts = await state.catalogue.ask(read)
    except MediaError as error:
        return answer_problem(error, 404)
    except SafelightError:
        return web.Response(status=404)
    return answer_json(texts) if texts else web.Response(status=404)


async def get_extensions(request: web.Request) -> web.StreamResponse:
    """List the scripts that packs with approved pages bring for the editor."""
    catalogue = state_of(request).catalogue
    return answer_json(await catalogue.ask(scripts_of_packs, catalogue.session))


async def get_extension_packs(request: web.Request) -> web.StreamResponse:
    """List the packs that bring something for the editor, and whether that was approved."""
    catalogue = state_of(request).catalogue
    return answer_json({"packs": await catalogue.ask(pages_of_packs, catalogue.session)})


async def get_extension(request: web.Request) -> web.StreamResponse:
    """Serve a file that a pack with approved pages brings for the editor."""
    catalogue = state_of(request).catalogue
    pack, file = request.match_info["pack"], request.match_info["file"]
    try:
        found = await catalogue.ask(file_of_pack, catalogue.session, pack, file)
    except PathError:
        found = None
    if found is None:
        return web.Response(status=404)
    path, kind = found
    headers = {"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return web.FileResponse(path, headers={**headers, **(FRAME_HEADERS if kind == "text/html" else {})})


async def get_experiment_models(request: web.Request) -> web.StreamResponse:
    """List the kinds of model files with their folders."""
    folders = state_of(request).folders
    return answer_json([{"name": key, "folders": [key]} for key in folders.model_keys() if key != "configs"])


async def get_experiment_models_in(request: web.Request) -> web.StreamResponse:
    """List the model files of a kind with sizes and times."""
    state = state_of(request)
    folder = _model_folder(request)
    if folder is None:
        return web.Response(status=404)

    def look() -> list[dict[str, Any]]:
        roots = [root.resolve() for root in state.folders.directories(folder)]
        found = []
        for name in state.catalogue.files(folder):
            path = state.folders.resolve(folder, name)
            stat = path.stat()
            index = next((at for at, root in enumerate(roots) if path.is_relative_to(root)), 0)
            entry = {"name": name, "pathIndex": index, "modified": stat.st_mtime, "created": stat.st_ctime}
            found.append(entry | {"size": stat.st_size, "preview": _picture_beside(path) is not None})
        return found

    return answer_json(await state.catalogue.ask(look))


async def get_model_preview(request: web.Request) -> web.StreamResponse:
    """Return the picture that lies beside a model file, as WebP."""
    state = state_of(request)
    folder, name = _model_folder(request), request.match_info["filename"]
    if folder is None:
        return web.Response(status=404)

    def look() -> bytes | None:
        from engine.media.serving import preview_of

        found = _picture_beside(state.folders.resolve(folder, name))
        return None if found is None else preview_of(found, "webp", 90)

    try:
        data = await asyncio.to_thread(look)
    except (PathError, MediaError):
        data = None
    return web.Response(status=404) if data is None else web.Response(body=data, content_type="image/webp")


def _picture_beside(path: Path) -> Path | None:
    """Return the picture that lies beside a model file, if there is one."""
    beside = (path.with_name(path.stem + ending) for ending in PREVIEW_ENDINGS)
    return next((one for one in beside if one.is_file() and not one.is_symlink()), None)


async def get_nothing(request: web.Request) -> web.StreamResponse:
    """Answer with an empty object: no pack brings any."""
    return answer_json({})


async def get_internal_folders(request: web.Request) -> web.StreamResponse:
    """List the kinds of model files; the folders themselves are nobody's business."""
    return answer_json({key: [] for key in state_of(request).folders.model_keys()})


async def get_internal_files(request: web.Request) -> web.StreamResponse:
    """List the files of a folder, the newest first."""
    state = state_of(request)
    kind = request.match_info["directory_type"]
    if kind not in ("input", "output", "temp"):
        return answer_error(400, "invalid_request", "Invalid directory type", "one of input, output, temp")

    folders = folders_of(request)

    def look() -> list[str]:
        dated = []
        for name in folders.list_files(kind):
            try:
                dated.append((folders.resolve(kind, name).stat().st_mtime, name))
            except (OSError, SafelightError):
                continue
        return [name for _, name in sorted(dated, reverse=True)]

    return answer_json(await state.catalogue.ask(look))


async def get_logs(request: web.Request) -> web.StreamResponse:
    """Return what nodes printed last, as one text."""
    entries = state_of(request).console.entries()
    return web.Response(
        text=json.dumps("".join(f"{one['t']} - {one['m']}" for one in entries)), content_type="application/json"
    )


async def get_raw_logs(request: web.Request) -> web.StreamResponse:
    """Return what nodes printed last, line by line."""
    return answer_json({"entries": state_of(request).console.entries(), "size": {"cols": 120, "rows": 40}})


async def patch_logs(request: web.Request) -> web.StreamResponse:
    """Accept a subscription; lines are told to every client that asks for them by its features."""
    return web.Response(status=200)


ROUTES: Final = (
    Route("GET", "/object_info", get_object_info, "All node types"),
    Route("GET", "/object_info/{node_class}", get_object_info_of, "One node type"),
    Route("GET", "/system_stats", get_system_stats, "The machine"),
    Route("GET", "/embeddings", get_embeddings, "Textual inversions"),
    Route("GET", "/models", get_models, "Kinds of model files"),
    Route("GET", "/models/{folder}", get_models_in, "Model files of a kind", answers={404: "no such kind"}),
    Route(
        "GET", "/view_metadata/{folder}", get_view_metadata, "Metadata of a model file",
        query={"filename": "a safetensors file of the folder"}, answers={404: "no such file, or nothing in it"},
    ),
    Route("GET", "/extensions", get_extensions, "Scripts for the editor"),
    Route("GET", "/extensions/packs", get_extension_packs, "Packs that bring something for the editor"),
    Route(
        "GET", "/extensions/{pack}/{file:.+}", get_extension, "A pack's file for the editor",
        kind="*/*", answers={404: "no such file"},
    ),
    Route("GET", "/experiment/models", get_experiment_models, "Kinds of model files with their folders"),
    Route("GET", "/experiment/models/{folder}", get_experiment_models_in, "Model files with sizes and times",
          answers={404: "no such kind"}),
    Route(
        "GET", "/experiment/models/preview/{folder}/{path_index}/{filename:.+}", get_model_preview,
        "The picture beside a model file", kind="image/webp", answers={404: "there is none"},
    ),
    Route("GET", "/i18n", get_nothing, "Translations that packs bring"),
    Route("GET", "/global_subgraphs", get_nothing, "Subgraphs that packs bring"),
    Route("GET", "/node_replacements", get_nothing, "Node types that took the place of others"),
    Route("GET", "/internal/folder_paths", get_internal_folders, "Kinds of model files"),
    Route("GET", "/internal/files/{directory_type}", get_internal_files, "Files of a folder, the newest first"),
    Route("GET", "/internal/logs", get_logs, "What nodes printed last"),
    Route("GET", "/internal/logs/raw", get_raw_logs, "What nodes printed last, line by line"),
    Route(
        "PATCH", "/internal/logs/subscribe", patch_logs, "Ask for lines as they are printed", kind="",
        body={"type": "object", "properties": {"clientId": {"type": "string"}, "enabled": {"type": "boolean"}}},
    ),
)  # fmt: skip
