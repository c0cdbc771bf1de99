"""Serve stored files as what they are by their bytes: four kinds of picture in place, everything else as a download."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

DOWNLOAD = "application/octet-stream"
_HEAD_BYTES = 16
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
    """Return the type that the first 16 bytes prove; a download unless it is a picture that cannot be run."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    return DOWNLOAD


def file_headers(name: str, kind: str, *, download: bool = False) -> dict[str, str]:
    """Return Content-Type and Content-Disposition of a file (RFC 6266 and 8187)."""
    place = "attachment" if download or kind == DOWNLOAD else "inline"
    return {"Content-Type": kind, "Content-Disposition": f"{place}; {_file_name(name)}"}


def _file_name(name: str) -> str:
    """Write a file name twice: plain for old clients, percent-encoded for the others. Nothing can end the header."""
    shown = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")) or "file"
    ascii_name = unicodedata.normalize("NFKD", shown).encode("ascii", "ignore").decode("ascii")
    plain = _QUOTED.sub("_", ascii_name) or "file"
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"
