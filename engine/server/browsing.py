"""The files below the input, output and temporary folders, for whoever chooses one: by folder, or by words in names."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from engine.errors import PathError
from engine.paths import Folders

KINDS: Final = {
    "image": frozenset({".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".avif"}),
    "video": frozenset({".mp4", ".webm", ".mov", ".mkv", ".m4v"}),
    "audio": frozenset({".mp3", ".flac", ".wav", ".ogg", ".opus", ".m4a"}),
}
MAX_DEPTH: Final = 12
MAX_LOOKED_AT: Final = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A file: its path below the folder, what kind of file its name says it is, its size and when it was written."""

    path: str
    kind: str
    size: int
    modified: float

    def as_json(self, folder: str) -> dict[str, Any]:
        """Return the file as the API shows it."""
        pure = PurePosixPath(self.path)
        below = "" if pure.parent == PurePosixPath(".") else pure.parent.as_posix()
        return {
            "filename": pure.name, "subfolder": below, "type": folder, "kind": self.kind, "size": self.size,
            "modified": int(self.modified * 1000),
        }  # fmt: skip


def kind_of(name: str) -> str:
    """Say what a file's name promises: image, video, audio or other."""
    suffix = PurePosixPath(name).suffix.lower()
    return next((kind for kind, suffixes in KINDS.items() if suffix in suffixes), "other")


def browse(
    folders: Folders, folder: str, subfolder: str, words: Sequence[str], kind: str
) -> tuple[list[str], list[Found]]:
    """Return the folders right below ``subfolder`` and its files, the newest first; with ``words`` no folders, and the
    files at any depth whose paths have them all. ``kind`` "" is every kind.

    Raises `PathError` for a folder that is not there or leads outside.
    """
    root = folders.directories(folder)[0]
    start = root if subfolder == "" else folders.resolve(folder, subfolder)
    if not start.is_dir() or not start.is_relative_to(root):
        if subfolder == "":
            return [], []
        raise PathError("there is no such folder", got=repr(subfolder))
    prefix = f"{subfolder}/" if subfolder else ""
    wanted = [word.lower() for word in words]
    names: list[str] = []
    found: list[Found] = []
    for path, entry in _walk(start, MAX_DEPTH if wanted else 0):
        if entry.is_dir(follow_symlinks=False):
            names.append(path)
            continue
        whole, what = prefix + path, kind_of(path)
        if (kind and what != kind) or not all(word in whole.lower() for word in wanted):
            continue
        stat = entry.stat(follow_symlinks=False)
        found.append(Found(whole, what, stat.st_size, stat.st_mtime))
    found.sort(key=lambda one: (one.modified, one.path), reverse=True)
    return ([] if wanted else sorted(names, key=str.lower)), found


def _walk(root: Path, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what lies below ``root`` to ``depth`` folders down. Links and hidden names are left out."""
    pending = [("", 0)]
    looked_at = 0
    while pending:
        below, level = pending.pop()
        try:
            with os.scandir(root / below) as entries:
                for entry in entries:
                    looked_at += 1
                    if looked_at > MAX_LOOKED_AT:
                        return
                    if entry.name.startswith(".") or entry.is_symlink():
                        continue
                    path = f"{below}/{entry.name}" if below else entry.name
                    yield path, entry
                    if level < depth and entry.is_dir(follow_symlinks=False):
                        pending.append((path, level + 1))
        except OSError:  # a folder that went while it was looked at
            continue
