"""Tell whether the files that a node wrote are still what it wrote.

A result that stands for files is only worth serving while they are there with the same bytes. Size and time are looked
at first; where the time differs, the digest decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.execution.value_codec import Outdated
from engine.graph.node_types import SavedFile

Stamp = tuple[int, int]
"""The size of a file in bytes and its time in ns; (-1, 0) for a file that was not there."""

Stamps = tuple[Stamp, ...]


def stamp_files(files: Iterable[SavedFile]) -> Stamps:
    """Return the size and time of each file."""
    return tuple(_stamp(Path(file.path)) for file in files)


def files_unchanged(files: Iterable[SavedFile], stamps: Stamps) -> bool:
    """Say whether every file is there with the bytes it had when it was stamped."""
    return all(_unchanged(file, stamp) for file, stamp in zip(files, stamps, strict=True))


def check_files(files: Iterable[SavedFile], stamps: Stamps, roots: Mapping[str, Path]) -> None:
    """Raise `Outdated` unless every file is unchanged and below the present one of ``roots`` for its folder."""
    found = tuple(files)
    for file in found:
        root = roots.get(file.folder)
        if root is not None and not Path(file.path).is_relative_to(root):
            raise Outdated(f"{file.path} is in a folder of another session")
    if not files_unchanged(found, stamps):
        raise Outdated("its files are gone or changed")


def _unchanged(file: SavedFile, stamp: Stamp) -> bool:
    path = Path(file.path)
    now = _stamp(path)
    if now[0] < 0 or now[0] != stamp[0]:
        return False
    if now == stamp:
        return True
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _stamp(path: Path) -> Stamp:
    try:
        facts = path.stat()
    except OSError:
        return -1, 0
    return facts.st_size, facts.st_mtime_ns
