"""The model files, by the names that this interface's clients use: file name, stem, title with hash, or hash."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from engine.errors import MediaError, SafelightError
from engine.media.metadata import read_metadata
from engine.paths import Folders
from engine.server.sdapi.prompt_text import Style
from engine.server.sdapi.refusals import refuse_field

STYLES_FILE: Final = "styles.csv"
AUTOMATIC_VAE: Final = ("Automatic", "None", "")
_BLOCK: Final = 1 << 20

Stamp = tuple[Path, int, int]


class Shelf:
    """Finds model files. May be used from any thread."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self._digests: dict[tuple[Stamp, bool], str] = {}
        self._hashing = threading.Lock()

    def files(self, folder: str) -> tuple[str, ...]:
        """List the files of a folder; none where it cannot be read."""
        try:
            return self.folders.list_files(folder)
        except SafelightError:
            return ()

    def checkpoints(self) -> list[dict[str, str | None]]:
        """List the checkpoints as ``sd-models`` shows them. Hashes are there once they are known; none is made here."""
        return [self._checkpoint(name) for name in self.files("checkpoints")]

    def _checkpoint(self, name: str) -> dict[str, str | None]:
        sha256 = self._known_digest("checkpoints", name)
        return {
            "title": self.title(name),
            "model_name": stem_of(name),
            "hash": sha256[:10] if sha256 else None,
            "sha256": sha256,
            "filename": name,
            "config": None,
        }

    def title(self, name: str) -> str:
        """Return how a checkpoint is called: its name, with its hash once that is known."""
        sha256 = self._known_digest("checkpoints", name)
        return f"{name} [{sha256[:10]}]" if sha256 else name

    def find_checkpoint(self, wanted: str, field: str) -> str:
        """Return the file of a checkpoint by any of its names; the first file for the empty name. Raises
        `FieldErrors`."""
        names = self.files("checkpoints")
        if not names:
            raise refuse_field(field, "there are no checkpoints: put one into models/checkpoints")
        if not wanted:
            return names[0]
        found = _find(names, wanted.split(" [")[0].strip())
        if found is None and (hash := wanted.strip().strip("[]").lower()):
            found = next((name for name in names if _starts(self._known_digest("checkpoints", name), hash)), None)
        if found is None:
            raise refuse_field(field, f"there is no checkpoint {wanted[:80]!r}; GET /sdapi/v1/sd-models lists them")
        return found

    def find_vae(self, wanted: str, field: str) -> str:
        """Return the file of a VAE, nothing for the checkpoint's own. Raises `FieldErrors`."""
        return "" if wanted in AUTOMATIC_VAE else self._find("vae", wanted, field, "VAE")

    def find_lora(self, wanted: str, field: str) -> str:
        """Return the file of a LoRA by its stem or the name it was trained under. Raises `FieldErrors`."""
        names = self.files("loras")
        found = _find(names, wanted)
        if found is None:
            found = next((name for name in names if self.metadata("loras", name).get("ss_output_name") == wanted), None)
        if found is None:
            raise refuse_field(field, f"there is no LoRA {wanted[:80]!r}; GET /sdapi/v1/loras lists them")
        return found

    def find_upscaler(self, wanted: str, field: str) -> str:
        """Return the file of an upscale model. Raises `FieldErrors`."""
        return self._find("upscale_models", wanted, field, "upscaler")

    def _find(self, folder: str, wanted: str, field: str, what: str) -> str:
        found = _find(self.files(folder), wanted)
        if found is None:
            raise refuse_field(field, f"there is no {what} {wanted[:80]!r}")
        return found

    def metadata(self, folder: str, name: str) -> dict[str, str]:
        """Return the texts in a file's header; none where it has none."""
        with contextlib.suppress(SafelightError, MediaError):
            if name.endswith((".safetensors", ".sft")):
                return read_metadata(self.folders.resolve(folder, name))
        return {}

    def digest(self, folder: str, name: str, *, tensors_only: bool = False) -> str:
        """Return the sha256 of a file, or of what follows its safetensors header. Read once for each file."""
        path = self.folders.resolve(folder, name)
        key = (_stamp(path), tensors_only)
        with self._hashing:
            if key not in self._digests:
                self._digests[key] = _sha256(path, tensors_only)
            return self._digests[key]

    def _known_digest(self, folder: str, name: str) -> str | None:
        with contextlib.suppress(SafelightError, OSError):
            return self._digests.get((_stamp(self.folders.resolve(folder, name)), False))
        return None

    def styles(self) -> list[Style]:
        """Read the templates in ``user/styles.csv``: columns ``name``, ``prompt``, ``negative_prompt``."""
        path = self.folders.directories("user")[0] / STYLES_FILE
        return list(_styles(path)) if path.is_file() else []


def stem_of(name: str) -> str:
    """Return the last part of a file's name without its suffix."""
    return PurePosixPath(name).stem


def _find(names: tuple[str, ...], wanted: str) -> str | None:
    """Find a file by its name, its name without suffix, or the stem of its last part."""
    wanted = wanted.replace("\\", "/")
    forms: tuple[Callable[[str], str], ...] = (
        str,
        lambda name: str(PurePosixPath(name).with_suffix("")),
        lambda name: PurePosixPath(name).name,
        stem_of,
    )
    for form in forms:
        for name in names:
            if form(name) == wanted:
                return name
    return None


def _starts(digest: str | None, hash: str) -> bool:
    return digest is not None and len(hash) >= 8 and digest.startswith(hash)


def _stamp(path: Path) -> Stamp:
    facts = path.stat()
    return path, facts.st_size, facts.st_mtime_ns


def _sha256(path: Path, tensors_only: bool) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if tensors_only and path.suffix in (".safetensors", ".sft"):
            file.seek(8 + int.from_bytes(file.read(8), "little"))
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _styles(path: Path) -> Iterator[Style]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if row.get("name"):
                yield Style(row["name"], row.get("prompt") or "", row.get("negative_prompt") or "")


def lora_entry(shelf: Shelf, name: str) -> dict[str, object]:
    """Describe a LoRA as the ``loras`` route does."""
    metadata = {key: _value(text) for key, text in shelf.metadata("loras", name).items()}
    return {
        "name": stem_of(name),
        "alias": str(metadata.get("ss_output_name") or stem_of(name)),
        "path": name,
        "metadata": metadata,
    }


def _value(text: str) -> object:
    """Return what a header's text holds: JSON where it is an object or a list, else the text."""
    if text[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    return text
