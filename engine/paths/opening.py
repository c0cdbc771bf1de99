"""Open a file that a name leads to so that nobody can put a link in its place between the check and the opening."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from engine.errors import PathError
from engine.paths.folders import Folders

_WALK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_inside(folders: Folders, key: str, name: str) -> BinaryIO:
    """Open the file ``name`` of the folder ``key`` for reading. Raises `PathError` like `Folders.resolve`.

    The path that `resolve` gives has no links left in it. It is walked from its root folder by folder, each opened in
    the one before, and a link found on the way was put there since (POSIX; elsewhere what was opened is looked at
    again).
    """
    path = folders.resolve(key, name)
    try:
        descriptor = _walk(path) if os.open in os.supports_dir_fd else os.open(path, _WALK)
    except OSError:
        raise _changed(name) from None
    file = os.fdopen(descriptor, "rb")
    if os.open not in os.supports_dir_fd and folders.resolve(key, name) != path:
        file.close()
        raise _changed(name)
    return file


def read_inside(folders: Folders, key: str, name: str, most: int) -> bytes:
    """Return the bytes of the file ``name`` of the folder ``key``, at most ``most`` and one more, which says "larger".

    Raises `PathError` like `Folders.resolve`, OSError when it cannot be read.
    """
    with open_inside(folders, key, name) as file:
        return file.read(most + 1)


def _walk(path: Path) -> int:
    current = os.open(path.anchor, _WALK | os.O_DIRECTORY)
    try:
        for part in path.parts[1:-1]:
            below = os.open(part, _WALK | os.O_DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        return os.open(path.name, _WALK | os.O_NONBLOCK, dir_fd=current)
    finally:
        os.close(current)


def _changed(name: str) -> PathError:
    return PathError(f"there is no {name!r} that can be opened", expected="a file", got=repr(name[:120]))
