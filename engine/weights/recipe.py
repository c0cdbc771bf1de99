"""What a model on a wire is: a small frozen description of weights that somebody may want, never the weights.

A recipe says which file (by content), which part of it and with which options. It costs nothing to copy, compare or
cache; `engine.memory.residency` turns it into a module when a node computes with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Final, Literal

from engine.errors import WeightError

__all__ = ["FileRef", "ModelRecipe", "Option", "Part", "Patch", "file_ref"]

Part = Literal["diffusion", "text", "vae", "control", "upscale"]
Option = str | int | float | bool

HEAD_BYTES: Final = 1 << 20
SAMPLE_BYTES: Final = 1 << 12
SAMPLES: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class FileRef:
    """Name a weight file: where it is, how the user calls it, and what is in it.

    `identity` is the key that `file_ref` makes; `nbytes` is the size, 0 where nobody looked.
    """

    path: Path
    name: str
    identity: str
    nbytes: int = 0


def file_ref(path: Path, name: str | None = None) -> FileRef:
    """Describe a file by a key of its content that costs a millisecond rather than a read of gigabytes.

    The key is a BLAKE2b over size, modification time (ns), the first MiB (which holds a safetensors header: every name,
    shape and offset) and 64 evenly spaced samples of 4 KiB, the last of them at the end. Two different downloads differ
    in the header or in nearly every sample; a file rewritten in place changes its modification time. What could slip
    through is a file edited between the samples with its old time put back, which is nobody's accident. A copied or
    touched file gets a new key and is merely computed again. Raises `WeightError` where it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=20)
    try:
        facts = path.stat()
        digest.update(f"{facts.st_size}:{facts.st_mtime_ns}:".encode())
        with path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
            last = max(facts.st_size - SAMPLE_BYTES, 0)
            for index in range(1, SAMPLES + 1):
                file.seek(last * index // SAMPLES)
                digest.update(file.read(SAMPLE_BYTES))
    except OSError as error:
        raise WeightError(
            f"{name or path.name} cannot be opened: {error.strerror or error}",
            expected="a readable file",
            got=str(path),
            hint="check that it is there and that you may read it",
        ) from error
    return FileRef(path, name or path.name, digest.hexdigest(), facts.st_size)


@dataclasses.dataclass(frozen=True, slots=True)
class Patch:
    """Say that the adapters of a file (such as a LoRA) are added to the weights, and how strongly; 1 is as trained."""

    file: FileRef
    strength: float


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRecipe:
    """Describe one part of a checkpoint, as the MODEL, CLIP and VAE values of a workflow do.

    `family` names an entry of `engine.families`. `options` change how the part is used, not its weights (such as
    ``("last_layer", -2)`` of a text encoder), so recipes that differ only there share one module. `patches` are added
    to the weights, in this order; recipes that differ only there share the tensors that none of them changes.
    `more_files` hold the rest of a part that is kept in several files, such as two text encoders.
    """

    file: FileRef
    family: str
    part: Part
    options: tuple[tuple[str, Option], ...] = ()
    patches: tuple[Patch, ...] = ()
    more_files: tuple[FileRef, ...] = ()

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Return all the files that the weights come from."""
        return (self.file, *self.more_files)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all the files together; 0 where nobody looked."""
        return sum(file.nbytes for file in self.files)

    @property
    def weights_key(self) -> str:
        """Return the key of the weights: equal for recipes that can share a module."""
        patches = "".join(f"+{patch.file.identity}*{float(patch.strength)!r}" for patch in self.patches)
        files = "&".join(file.identity for file in self.files)
        return f"{files}/{self.family}/{self.part}{patches}"

    @property
    def unpatched(self) -> ModelRecipe:
        """Return the recipe of the weights as the file has them."""
        return dataclasses.replace(self, patches=())

    @property
    def content_key(self) -> str:
        """Return the key of everything that decides what a node computes with this recipe."""
        options = ",".join(f"{name}={value!r}" for name, value in sorted(self.options))
        return f"{self.weights_key}?{options}" if options else self.weights_key

    def option(self, name: str, default: Option) -> Option:
        """Return an option, or `default` where the recipe does not set it."""
        return dict(self.options).get(name, default)

    def with_option(self, name: str, value: Option) -> ModelRecipe:
        """Return a copy with one option set."""
        return dataclasses.replace(self, options=tuple(sorted({**dict(self.options), name: value}.items())))

    def with_patch(self, patch: Patch) -> ModelRecipe:
        """Return a copy with one more patch."""
        return dataclasses.replace(self, patches=(*self.patches, patch))
