"""Which packs the user approved: the digest of each pack's whole tree, kept in a file that only the terminal writes.

A pack is code that runs with the user's own rights, so loading one is the user's act. Any change to any of its files
(data and scripts too) takes the approval away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.errors import OutputError

FILE_NAME = ".safelight/trusted_packs.json"
"""Below the user's folder, in a part of it that no name of a workflow or a request leads to."""

IGNORED = frozenset({"__pycache__", ".git"})
"""Folders that come and go without the pack changing. Byte code in the first is never loaded."""

MAX_FILES = 100_000


def tree_digest(path: Path) -> str:
    """Hash a pack: the relative paths and bytes of all its files, in a fixed order, or one file's name and bytes.

    Links are followed, since what they lead to is what would run. Raises `OSError` when something cannot be read, or
    when there are more files than a pack can have.
    """
    whole = hashlib.sha256()
    for relative, file in sorted(tree_files(path)):
        name = relative.encode("utf-8", "surrogateescape")
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").digest()
        whole.update(len(name).to_bytes(4, "big") + name + content)
    return whole.hexdigest()


def tree_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a pack with their paths relative to it. Raises `OSError` as `tree_digest` does."""
    if path.is_file():
        yield path.name, path
        return
    count = 0
    pending, seen = [(path, "")], {os.path.realpath(path)}
    while pending:
        directory, prefix = pending.pop()
        for entry in sorted(os.scandir(directory), key=lambda one: one.name):
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if entry.name not in IGNORED and real not in seen:
                    seen.add(real)
                    pending.append((Path(entry.path), f"{prefix}{entry.name}/"))
            elif entry.is_file():
                count += 1
                if count > MAX_FILES:
                    raise OSError(f"{path.name} holds more than {MAX_FILES} files")
                yield prefix + entry.name, Path(entry.path)


@dataclasses.dataclass(frozen=True, slots=True)
class Approvals:
    """The digests that were approved, by the name of the pack; ``web`` names those whose pages were approved too."""

    file: Path
    digests: Mapping[str, str]
    web: frozenset[str] = frozenset()

    def of(self, name: str) -> str | None:
        """Return the digest that was approved for pack ``name``, or None."""
        return self.digests.get(name)

    def with_pack(self, name: str, digest: str, *, web: bool = False) -> Approvals:
        """Return these approvals and one more: of the pack's code, with ``web`` also of its pages."""
        return Approvals(
            self.file, MappingProxyType({**self.digests, name: digest}), self.web | {name} if web else self.web - {name}
        )

    def shows(self, name: str, digest: str) -> bool:
        """Say whether what pack ``name`` brings for the editor was approved, with exactly these files."""
        return name in self.web and self.digests.get(name) == digest

    def without(self, name: str) -> Approvals:
        """Return these approvals without pack ``name``."""
        return Approvals(
            self.file, MappingProxyType({k: v for k, v in self.digests.items() if k != name}), self.web - {name}
        )

    def save(self) -> None:
        """Write the file aside and rename it. Raises `OutputError` when that fails."""
        packs = {name: {"sha256": one, "web": name in self.web} for name, one in sorted(self.digests.items())}
        document = {"version": 1, "packs": packs}
        temporary = self.file.with_name(f".{secrets.token_hex(8)}.part")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("x", encoding="utf-8") as file:
                json.dump(document, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.file)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(
                f"{self.file.name} was not saved: {error.strerror or error}", got=str(self.file.parent)
            ) from error


def read_approvals(user_directory: Path) -> Approvals:
    """Read what was approved. A file that is not there or cannot be read approves nothing."""
    file = user_directory / FILE_NAME
    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
        packs = document["packs"]
        digests = {str(name): str(one["sha256"]) for name, one in packs.items()}
        web = frozenset(str(name) for name, one in packs.items() if one.get("web") is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        digests, web = {}, frozenset()
    return Approvals(file, MappingProxyType(digests), web)
