"""The editor: its page and its files, as they were built; a page of our own where they were not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from aiohttp import web

from engine.server.page import INDEX
from engine.server.state import Route

STATIC: Final = Path(__file__).parents[1] / "static"
KINDS: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
FOREVER: Final = "public, max-age=31536000, immutable"
"""Names of assets carry a hash of what is in them."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


async def get_index(request: web.Request) -> web.StreamResponse:
    """Show the editor, or where things are while it is not built."""
    index = STATIC / "index.html"
    if not index.is_file():
        return web.Response(text=INDEX, content_type="text/html", headers={"Cache-Control": "no-cache"})
    return web.FileResponse(index, headers={"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"})


async def get_asset(request: web.Request) -> web.StreamResponse:
    """Serve a file of the editor; a compressed one beside it to whoever takes that."""
    name = request.match_info["name"]
    path = STATIC / "assets" / name
    kind = KINDS.get(path.suffix)
    if kind is None or not _NAME.fullmatch(name) or not path.is_file():
        return web.Response(status=404)
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    return web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": FOREVER, "Vary": "Accept-Encoding"})


ROUTES: Final = (
    Route("GET", "/", get_index, "The editor", kind="text/html", twin=False),
    Route(
        "GET", "/assets/{name}", get_asset, "A file of the editor", kind="*/*", twin=False,
        answers={404: "no such file"},
    ),
)  # fmt: skip
