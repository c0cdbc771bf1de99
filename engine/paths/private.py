"""Folders of one user: whoever is kept apart from others reads and writes input, output and temp below ``users/NAME``.

A name from a workflow or a request is resolved in that user's `Folders`, so it cannot lead to another user's file; what
a job writes lies in the folder of whoever queued it. Models and the rest are everybody's.
"""

from __future__ import annotations

import hashlib
import re
import threading
from types import MappingProxyType
from typing import Final

from engine.paths.folders import Folders

USERS: Final = "users"
APART: Final = ("input", "output", "temp")
_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class PrivateFolders:
    """The folders of each user, made when first asked for. Safe to use from several threads."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._made: dict[str, Folders] = {}

    def of(self, user: str | None) -> Folders:
        """Return the folders of ``user``; those of everybody for None."""
        if user is None:
            return self._folders
        with self._lock:
            if user not in self._made:
                self._made[user] = _below(self._folders, user_folder(user))
            return self._made[user]


def user_folder(user: str) -> str:
    """Return the path that stands for a user below a folder, other than any other user's also where case is ignored."""
    name = user if _PLAIN.fullmatch(user) else ""
    if not name:
        shown = re.sub(r"[^a-z0-9_-]", "", user.lower())[:40]
        name = f"{shown}~{hashlib.sha256(user.encode()).hexdigest()[:16]}"
    return f"{USERS}/{name}"


def user_salt(salt: str, user: str | None) -> str:
    """Return the salt of the keys of a user's results, so that nobody else finds them."""
    return salt if user is None else f"{salt} user {user}"


def _below(folders: Folders, folder: str) -> Folders:
    roots = {
        key: tuple(root.joinpath(*folder.split("/")) for root in found) if key in APART else found
        for key, found in folders.roots.items()
    }
    return Folders(folders.base, MappingProxyType(roots), folders.pack_roots)
