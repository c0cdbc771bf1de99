"""What packs bring for the editor: served for packs whose pages were approved, by types that are ours to decide.

Approving a pack's code lets it run in the worker; its pages are approved apart (``packs trust NAME --web``), for
exactly the same files. A page of a pack is shown in a frame: it is served with a policy that gives it an origin of its
own, no network and no way to the page around it but messages, so it has to hold its scripts and styles itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.compat.packs import Pack
from engine.compat.trust import read_approvals
from engine.paths import path_below
from engine.session import Session

KINDS: Final[Mapping[str, str]] = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".html": "text/html",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""What of a pack's folder is served, and as what."""
SCRIPTS, PAGES = (".js", ".mjs"), (".html",)


def pages_of_packs(session: Session) -> list[dict[str, Any]]:
    """Describe the packs that bring something for the editor; files only of those that were approved."""
    return [
        {
            "name": pack.name,
            "sha256": pack.digest,
            "approved": approved,
            "scripts": [_url(pack, name) for name in _files(pack, SCRIPTS)] if approved else [],
            "pages": [_url(pack, name) for name in _files(pack, PAGES)] if approved else [],
            "hint": None if approved else f"look at its files, then: main.py packs trust {pack.name} --web",
        }
        for pack, approved in _webs(session)
    ]


def scripts_of_packs(session: Session) -> list[str]:
    """List the scripts that approved packs bring, as paths to fetch them by."""
    return [url for one in pages_of_packs(session) for url in one["scripts"] if url.endswith(".js")]


def file_of_pack(session: Session, name: str, file: str) -> tuple[Path, str] | None:
    """Return a file that an approved pack brings and its type; None where there is none. Raises `PathError`."""
    pack = next((pack for pack, approved in _webs(session) if approved and pack.name == name), None)
    if pack is None or pack.web is None:
        return None
    path = path_below(pack.web, file)
    kind = KINDS.get(path.suffix.lower())
    return (path, kind) if kind is not None and path.is_file() else None


def _webs(session: Session) -> Iterator[tuple[Pack, bool]]:
    """Yield the packs that loaded and bring a folder, and whether that was approved."""
    packs = session.all_packs()
    approvals = read_approvals(session.folders.directories("user")[0])
    for pack in () if packs is None else packs.packs:
        if pack.web is not None and pack.nodes:
            yield pack, approvals.shows(pack.name, pack.digest)


def _files(pack: Pack, endings: tuple[str, ...]) -> list[str]:
    assert pack.web is not None
    found = (path for path in sorted(pack.web.rglob("*")) if path.suffix.lower() in endings)
    return [path.relative_to(pack.web).as_posix() for path in found if path.is_file() and not path.is_symlink()]


def _url(pack: Pack, name: str) -> str:
    return f"/extensions/{pack.name}/{name}"
