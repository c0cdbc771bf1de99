"""Serve stored files as what they are by their bytes: pictures, films, sounds in place; anything else as a download."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

DOWNLOAD = "application/octet-stream"
_HEAD_BYTES = 16
_MARKS = (
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"glTF", "model/gltf-binary"),
)
_QUOTED = re.compile(r'["\\%/]')


def file_answer(path: Path, *, name: str | None = None, download: bool = False) -> web.FileResponse:
    """Return the file as an answer. ``path`` comes from the resolver, never from a request.

    ``name`` is what the client shall call it, ``download`` never shows it in place.
    """
    with path.open("rb") as file:
        kind = content_type(file.read(_HEAD_BYTES))
    return web.FileResponse(path, headers=file_headers(name or path.name, kind, download=download))


def bytes_answer(data: bytes, name: str, *, download: bool = False) -> web.Response:
    """Return bytes made here, such as a preview, as an answer."""
    headers = file_headers(name, content_type(data[:_HEAD_BYTES]), download=download)
    return web.Response(body=data, headers=headers)


def content_type(start: bytes) -> str:
    """Return the type that the first 16 bytes prove; a download unless it is of a kind that cannot be run."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return "audio/wav"
    if start[4:8] == b"ftyp":
        return "audio/mp4" if start[8:11] == b"M4A" else "video/mp4"
    return next((kind for mark, kind in _MARKS if start.startswith(mark)), DOWNLOAD)


def file_headers(name: str, kind: str, *, download: bool = False) -> dict[str, str]:
    """Return the headers that say what a file is and is called (RFC 6266 and 8187)."""
    place = "attachment" if download or kind == DOWNLOAD else "inline"
    return {
        "Content-Type": kind,
        "Content-Disposition": f"{place}; {_file_name(name)}",
        "X-Content-Type-Options": "nosniff",
    }


def _file_name(name: str) -> str:
    """Write a file name twice: plain for old clients, percent-encoded for the others. Nothing can end the header."""
    shown = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")) or "file"
    ascii_name = unicodedata.normalize("NFKD", shown).encode("ascii", "ignore").decode("ascii")
    plain = _QUOTED.sub("_", ascii_name) or "file"
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"
