"""Where new files go that a client names itself: uploads, its settings, its workflows.

`new_path` is `Folders.resolve` for what is not there yet: the same rules for the name, the same containment, links
followed. `replace_file` writes whole files or none.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from engine.errors import PathError
from engine.paths.folders import Folders, check_name
from engine.paths.writing import output_error


def new_path(folders: Folders, key: str, name: str) -> Path:
    """Return the path for ``name`` in the first root of ``key``, whether or not something is there.

    Raises `PathError` when the name could lead outside.
    """
    return path_below(folders.directories(key)[0], name)


def path_below(root: Path, name: str) -> Path:
    """Return the path of ``name`` below ``root``. Raises `PathError` when it could lead outside."""
    parts = check_name(name)
    top = root.resolve()
    try:
        path = top.joinpath(*parts).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise PathError(f"the file name leads nowhere: {name[:80]!r}") from error
    if path == top or not path.is_relative_to(top):
        raise PathError("the file name leads outside its folder", got=repr(name[:80]))
    return path


def replace_file(path: Path, data: bytes, *, exclusive: bool = False) -> None:
    """Write ``data`` as the whole of ``path``: readers see the old bytes or the new ones.

    With ``exclusive`` raises `FileExistsError` when something is there. Raises `OutputError` when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if exclusive and os.name != "nt":
                os.link(temporary, path)  # fails when the name is taken
            elif exclusive:
                temporary.rename(path)
            else:
                temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
