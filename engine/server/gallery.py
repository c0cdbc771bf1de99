"""The pictures of the output folder with what made them: searched by words, filtered, put into the trash and back.

What a picture says of itself is read once and kept while the file stays as it is, so that thousands are listed in the
time that looking at their directory takes. The trash is a folder beside the users' files: nothing that was deleted is
gone before it has lain there for `TRASH_DAYS`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from engine.errors import PathError, SafelightError
from engine.media.metadata import read_metadata
from engine.paths import Folders

SHOWN: Final = frozenset({".png", ".webp", ".jpg", ".jpeg", ".gif", ".mp4", ".webm", ".mov"})
MAX_WORDS: Final = 4096
MAX_LINE: Final = 300
MAX_DEPTH: Final = 12
TRASH_DAYS: Final = 30
_SEEDS: Final = ("seed", "noise_seed")
_MODEL: Final = re.compile(r"(ckpt|unet|diffusion_model|model)_name")
_TEXT: Final = re.compile(r"(text|prompt|positive|value|string)(_[a-z0-9]+)?")
_KEY: Final = re.compile(r"[0-9a-f]{16}")
_NUMBERED: Final = re.compile(r"_?\d{5}_?$")


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What a picture says of itself. ``words`` is all of it in lower case, for the search."""

    text: str = ""
    model: str = ""
    seed: str = ""
    words: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One picture: its path below the output folder, when it was last written (seconds), its size, its facts."""

    path: str
    modified: float
    size: int
    facts: Facts

    def as_json(self, workflow: str) -> dict[str, Any]:
        """Return the entry as the API shows it."""
        pure = PurePosixPath(self.path)
        subfolder = "" if pure.parent == PurePosixPath(".") else pure.parent.as_posix()
        return {
            "filename": pure.name, "subfolder": subfolder, "type": "output", "modified": int(self.modified * 1000),
            "size": self.size, "text": self.facts.text, "model": self.facts.model, "seed": self.facts.seed,
            "workflow": workflow,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures are asked for. Times are milliseconds since 1970; empty fields let everything through."""

    words: Sequence[str] = ()
    after: int | None = None
    before: int | None = None
    workflow: str = ""


def facts_of(texts: Mapping[str, str]) -> Facts:
    """Read the facts from a picture's metadata; what cannot be read counts as not there."""
    try:
        prompt = json.loads(texts.get("prompt", "null"))
    except (ValueError, RecursionError):
        prompt = None
    nodes = [node for node in prompt.values() if isinstance(node, dict)] if isinstance(prompt, dict) else []
    literals = [
        (name, value)
        for node in nodes
        if isinstance(node.get("inputs"), dict)
        for name, value in node["inputs"].items()
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
    ]
    text = next((v for n, v in literals if isinstance(v, str) and v.strip() and _TEXT.fullmatch(n)), "")
    model = next((v for n, v in literals if isinstance(v, str) and _MODEL.fullmatch(n)), "")
    seed = next((str(v) for n, v in literals if n in _SEEDS), "")
    words = " ".join([str(v) for n, v in literals if isinstance(v, str) or n in _SEEDS])
    words = f"{words} {texts.get('parameters', '')}"
    return Facts(text.strip()[:MAX_LINE], model[:MAX_LINE], seed[:40], words.lower()[:MAX_WORDS])


def names_of_workflows(
    since: float, owner: str | None = None
) -> Callable[[sqlite3.Connection], list[tuple[float, str, str]]]:
    """Return the operation that lists jobs that ended from ``since`` (ms) on: when, workflow, what was shown.

    Of ``owner`` alone, where one is given.
    """

    def do(db: sqlite3.Connection) -> list[tuple[float, str, str]]:
        return db.execute(
            "SELECT ended, json_extract(extra, '$.workflow_name'), shown FROM jobs"
            " WHERE state = 'completed' AND ended >= ? AND shown IS NOT NULL AND json_valid(extra)"
            " AND json_type(extra, '$.workflow_name') = 'text' AND (? IS NULL OR owner IS ?) ORDER BY ended",
            (since, owner, owner),
        ).fetchall()

    return do


class Gallery:
    """Owns what is known of an output folder's pictures. Its methods block: call them in a thread.

    Where each user has folders of their own, ``user`` is the path of that one's below the shared ones.
    """

    def __init__(self, folders: Folders, user: str = "") -> None:
        self._folders = folders
        self._trash = folders.directories("user")[0] / "trash" / user
        self._known: dict[str, Entry] = {}
        self._workflows: dict[str, str] = {}
        self._lock = threading.Lock()
        self.told_until = 0.0
        """Jobs that ended before this (ms since 1970) have told their workflow's name."""

    @property
    def root(self) -> Path:
        """The output folder."""
        return self._folders.directories("output")[0]

    def learn(self, rows: Sequence[tuple[float, str, str]]) -> None:
        """Take in which workflows made which files (`names_of_workflows`)."""
        for ended, name, shown in rows:
            self.told_until = max(self.told_until, ended)
            with contextlib.suppress(ValueError, AttributeError, TypeError):
                for output in json.loads(shown).values():
                    for file in output.get("images") or ():
                        if file.get("type") == "output":
                            folder = str(file.get("subfolder") or "")
                            path = f"{folder}/{file['filename']}" if folder else str(file["filename"])
                            self._workflows[path] = name[:MAX_LINE]

    def workflow_of(self, entry: Entry) -> str:
        """Return the name of the workflow that made a picture; without a job, the name that its files begin with."""
        return self._workflows.get(entry.path) or _NUMBERED.sub("", PurePosixPath(entry.path).stem)

    def entries(self) -> list[Entry]:
        """List all pictures, the newest first. Only files that changed are read."""
        with self._lock:
            found: dict[str, Entry] = {}
            for path, stat in _pictures(self.root):
                before = self._known.get(path)
                if before is None or before.modified != stat.st_mtime or before.size != stat.st_size:
                    before = Entry(path, stat.st_mtime, stat.st_size, _read(self.root / path))
                found[path] = before
            self._known = found
            return sorted(found.values(), key=lambda one: (one.modified, one.path), reverse=True)

    def find(self, wanted: Wanted) -> tuple[list[Entry], dict[str, int]]:
        """Return the pictures that are wanted, and how many there are by workflow before that is filtered."""
        words = [one.lower() for one in wanted.words]
        found: list[Entry] = []
        counts: dict[str, int] = {}
        for entry in self.entries():
            at = entry.modified * 1000
            if (wanted.after is not None and at < wanted.after) or (wanted.before is not None and at >= wanted.before):
                continue
            name = self.workflow_of(entry)
            told = f"{entry.path.lower()} {name.lower()} {entry.facts.words}"
            if not all(word in told for word in words):
                continue
            counts[name] = counts.get(name, 0) + 1
            if not wanted.workflow or wanted.workflow == name:
                found.append(entry)
        return found, counts

    def discard(self, names: Sequence[str]) -> tuple[str, list[str]]:
        """Move files into the trash; return the key to bring them back by, and those that were moved.

        Raises `PathError` for a name that leads outside; names that are not there are passed over.
        """
        self._empty_old()
        paths = [(name, self._folders.resolve("output", name)) for name in names if self._is_there(name)]
        key = secrets.token_hex(8)
        moved: list[str] = []
        for name, path in paths:
            if path.suffix.lower() not in SHOWN or not path.is_file():
                continue
            target = self._trash / key / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(path, target)
            moved.append(name)
        return key, moved

    def restore(self, key: str) -> list[str]:
        """Bring back what `discard` moved under ``key``; a file whose name was taken meanwhile stays in the trash."""
        if _KEY.fullmatch(key) is None:
            raise PathError("this is no key of the trash", got=repr(key[:40]))
        root = self._trash / key
        back: list[str] = []
        for name, _ in list(_pictures(root)):
            target = self.root / name
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(root / name, target)
            back.append(name)
        return back

    def _is_there(self, name: str) -> bool:
        try:
            return self._folders.resolve("output", name).is_file()
        except PathError as error:
            if "refused" in error.problem.message:
                raise
            return False

    def _empty_old(self) -> None:
        oldest = time.time() - TRASH_DAYS * 86400
        with contextlib.suppress(OSError):
            for folder in self._trash.iterdir():
                if _KEY.fullmatch(folder.name) and not folder.is_symlink() and folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> Facts:
    try:
        return facts_of(read_metadata(path))
    except SafelightError:
        return Facts(words="")


def _pictures(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Walk the pictures below ``root`` as path and status. Links and hidden names are left out."""
    pending = [("", 0)]
    while pending:
        below, depth = pending.pop()
        try:
            with os.scandir(root / below) as entries:
                for entry in entries:
                    path = f"{below}/{entry.name}" if below else entry.name
                    if entry.name.startswith(".") or entry.is_symlink():
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH:
                            pending.append((path, depth + 1))
                    elif PurePosixPath(entry.name).suffix.lower() in SHOWN:
                        yield path, entry.stat(follow_symlinks=False)
        except OSError:  # a folder that went while it was looked at
            continue
