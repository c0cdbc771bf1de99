"""What clients keep with the server: their settings and their own files, each user's in a folder of its own.

The folder of a user is the only place that these names reach. The queue, the results and what decides about packs are
beside it, not in it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import DocumentError, PathError
from engine.graph.strict_json import parse_text
from engine.paths import path_below, replace_file

DEFAULT_USER: Final = "default"
SETTINGS_FILE: Final = "comfy.settings.json"
USERS_FILE: Final = "users.json"
MOST_FILES: Final = 50_000


class UserFiles:
    """The folders of users below one root."""

    def __init__(self, root: Path, *, multi_user: bool) -> None:
        self._root = root
        self.multi_user = multi_user

    def users(self) -> dict[str, str]:
        """Return the names of users by id; only with several users."""
        found = self._read_object(self._root / USERS_FILE)
        return {str(id): str(name) for id, name in found.items()}

    def add_user(self, name: str) -> str:
        """Add a user and return the id. Raises `PathError` when the name is empty or taken."""
        users = self.users()
        if not name.strip() or name in users.values():
            raise PathError("the user name is empty or taken", got=repr(name[:80]))
        plain = re.sub(r"[^A-Za-z0-9_-]", "", name.strip())[:40]
        id = f"{plain}_{secrets.token_hex(8)}"
        replace_file(self._root / USERS_FILE, json.dumps({**users, id: name}).encode())
        return id

    def folder(self, user: str) -> Path:
        """Return the folder of a user, known or not yet."""
        return path_below(self._root, user)

    def settings(self, user: str) -> dict[str, Any]:
        """Return the settings of a user."""
        return self._read_object(self.folder(user) / SETTINGS_FILE)

    def change_settings(self, user: str, changes: Mapping[str, Any]) -> None:
        """Put ``changes`` into the settings of a user."""
        whole = {**self.settings(user), **changes}
        replace_file(self.folder(user) / SETTINGS_FILE, json.dumps(whole, indent=4).encode())

    @staticmethod
    def _read_object(path: Path) -> dict[str, Any]:
        try:
            found = parse_text(path.read_bytes(), path.name)
        except (OSError, DocumentError):
            return {}
        return found if isinstance(found, dict) else {}

    def file(self, user: str, name: str) -> Path:
        """Return the path of a user's file, there or not. Raises `PathError` when the name could lead outside."""
        return path_below(self.folder(user), name)

    def listing(self, user: str, directory: str, *, recurse: bool) -> list[Path] | None:
        """List the files in a directory of a user; None where there is none."""
        top = self.folder(user) if directory in ("", ".", "/") else self.file(user, directory)
        if not top.is_dir():
            return None
        return sorted(_files(top, recurse=recurse))

    def entries(self, user: str, directory: str) -> list[dict[str, Any]] | None:
        """List the files and folders in a directory of a user with their facts; None where there is none."""
        base = self.folder(user)
        top = base if directory in ("", ".", "/") else self.file(user, directory)
        if not top.is_dir():
            return None
        found = []
        for path in sorted(top.iterdir()):
            if path.name.startswith(".") or path.is_symlink():
                continue
            kind = "directory" if path.is_dir() else "file"
            entry = {"name": path.name, "path": path.relative_to(base.resolve()).as_posix(), "type": kind}
            found.append(entry if kind == "directory" else facts(path, path.name) | entry)
        return found


def facts(path: Path, name: str) -> dict[str, Any]:
    """Return what clients want to know of a file; times in milliseconds."""
    stat = path.stat()
    times = {"modified": int(stat.st_mtime * 1000), "created": int(stat.st_ctime * 1000)}
    return {"path": name, "size": stat.st_size, **times}


def _files(top: Path, *, recurse: bool) -> Iterator[Path]:
    count = 0
    for directory, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")] if recurse else []
        for name in names:
            path = Path(directory, name)
            if name.startswith(".") or path.is_symlink():
                continue
            count += 1
            if count > MOST_FILES:
                return
            yield path
