"""Own the one place where a user's string becomes a path.

A name from a workflow, a request or a command line is text. `Folders.resolve` turns it into a path only when it stays
inside one of the roots of its folder, symbolic links followed. Nothing else joins such text to a directory. Code,
settings and node packs are no roots, so no name reaches them.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.errors import InputError, PathError

WEIGHT_SUFFIXES = frozenset({".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin"})
USER_FOLDERS = ("input", "output", "temp", "user")
ALIASES: Mapping[str, str] = MappingProxyType({"clip": "text_encoders", "unet": "diffusion_models"})
MODEL_FOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "checkpoints": ("checkpoints",),
        "configs": ("configs",),
        "loras": ("loras",),
        "vae": ("vae",),
        "text_encoders": ("text_encoders", "clip"),
        "diffusion_models": ("diffusion_models", "unet"),
        "clip_vision": ("clip_vision",),
        "style_models": ("style_models",),
        "embeddings": ("embeddings",),
        "diffusers": ("diffusers",),
        "vae_approx": ("vae_approx",),
        "controlnet": ("controlnet", "t2i_adapter"),
        "gligen": ("gligen",),
        "upscale_models": ("upscale_models",),
        "hypernetworks": ("hypernetworks",),
        "photomaker": ("photomaker",),
        "classifiers": ("classifiers",),
        "model_patches": ("model_patches",),
        "audio_encoders": ("audio_encoders",),
    }
)
OTHER_SUFFIXES: Mapping[str, frozenset[str]] = MappingProxyType({"configs": frozenset({".yaml", ".yml"})})
"""Suffixes of the model folders that do not hold weights."""

SHORT_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({"embeddings": (".safetensors", ".pt", ".bin")})
"""Folders whose files may be named without these suffixes; the first that is there is meant."""

WHOLE_FILE_BYTES = 64 << 20
"""Files up to this size are identified by all their bytes, larger ones by size, time and samples."""

_RESERVED = re.compile(r"^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
_ANNOTATION = re.compile(r"^(?P<name>.*\S)\s*\[(?P<folder>input|output|temp)\]$")
_RACY_NS = 2_000_000_000
"""A folder changed this shortly before it was listed may change again without a new time stamp."""


@dataclasses.dataclass(frozen=True, slots=True)
class Folders:
    """Map folder keys to their root directories, best first. The first root is where new files go.

    ``pack_roots`` are where node packs lie; no name of a user's leads there.
    ``_listings`` only remembers what a directory scan found together with the time stamps that prove it current.
    """

    base: Path
    roots: Mapping[str, tuple[Path, ...]]
    pack_roots: tuple[Path, ...] = ()
    _listings: dict[str, _Listing] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def model_keys(self) -> tuple[str, ...]:
        """List the keys that hold models."""
        return tuple(key for key in self.roots if key not in USER_FOLDERS)

    def directories(self, key: str) -> tuple[Path, ...]:
        """Return the roots of ``key`` (aliases allowed). Raises `PathError` for an unknown key."""
        found = self.roots.get(ALIASES.get(key, key))
        if found is None:
            raise PathError(f"there is no folder called {key!r}", expected=", ".join(self.roots))
        return found

    def list_files(self, key: str) -> tuple[str, ...]:
        """List the files of ``key`` in all its sub-folders: sorted names relative to their root, with ``/``.

        Only names that `resolve` accepts are listed. Scanned again when a directory changed.
        """
        known = self._listings.get(key)
        if known is None or not known.is_current():
            known = _scan(self.directories(key), _suffixes(key))
            self._listings[key] = known
        return known.names

    def resolve(self, key: str, name: str) -> Path:
        """Return the existing file called ``name`` in ``key``; ``"a.png [output]"`` names the folder itself.

        Raises `PathError` when the name could lead outside, or when nothing is there (with the nearest names).
        """
        key, name = split_annotation(key, name)
        roots = self.directories(key)
        if key not in USER_FOLDERS and isinstance(name, str):
            name = name.replace("\\", "/")  # workflows saved on Windows name models so
        parts = check_name(name)
        if key == "user" and parts[0].startswith("."):
            raise _refused(name, "what begins with a dot is the engine's own")
        for ending in ("", *SHORT_NAMES.get(key, ())):
            for root in roots:
                found = _inside(root, (*parts[:-1], parts[-1] + ending))
                if found is not None and (found.is_file() if key in SHORT_NAMES else found.exists()):
                    return found
        near = difflib.get_close_matches(name, self.list_files(key), n=3, cutoff=0.4)
        raise PathError(
            f"there is no {name!r} in {key}",
            expected=f"one of the files in {key}",
            got=repr(name),
            hint=f"did you mean {', '.join(near)}?" if near else _where_to_put(self.base, roots),
        )

    def identity(self, key: str, name: str) -> str:
        """Return text that changes when the file's content does; part of the key of every result made from it.

        Raises `PathError` like `resolve`.
        """
        return file_identity(self.resolve(key, name))


@dataclasses.dataclass(frozen=True, slots=True)
class _Listing:
    names: tuple[str, ...]
    stamps: tuple[tuple[str, int], ...]
    scanned_ns: int

    def is_current(self) -> bool:
        newest = max((stamp for _, stamp in self.stamps), default=0)
        if newest > self.scanned_ns - _RACY_NS:
            return False
        return all(_modified_ns(path) == stamp for path, stamp in self.stamps)


def make_folders(
    base: Path,
    *,
    user_folders: Mapping[str, Path | None] | None = None,
    extra_model_paths: Sequence[Path] = (),
) -> Folders:
    """Lay out the folders under ``base``; ``user_folders`` moves input, output, temp or user elsewhere.

    ``base/extra_model_paths.yaml`` is read when it exists, then the files of ``extra_model_paths``.
    Raises `InputError` when one of them cannot be read.
    """
    roots = {key: [base / "models" / name for name in names] for key, names in MODEL_FOLDERS.items()}
    packs = [base / "custom_nodes"]
    standard = base / "extra_model_paths.yaml"
    for config in [*([standard] if standard.is_file() else []), *extra_model_paths]:
        _add_extra_paths(roots, packs, config)
    for key in USER_FOLDERS:
        roots[key] = [(user_folders or {}).get(key) or base / key]
    unique = {key: tuple(dict.fromkeys(paths)) for key, paths in roots.items()}
    return Folders(base, MappingProxyType(unique), tuple(dict.fromkeys(packs)))


def split_annotation(key: str, name: str) -> tuple[str, str]:
    """Split ``"a.png [output]"`` into folder and name; only for the user's own folders."""
    if key in USER_FOLDERS and isinstance(name, str):
        found = _ANNOTATION.match(name)
        if found:
            return found["folder"], found["name"]
    return ALIASES.get(key, key), name


def check_name(name: str) -> tuple[str, ...]:
    """Split a relative name into its parts. Raises `PathError` for whatever could mean another place on any system.

    Refused: nothing at all, NUL and control characters, absolute paths, drives, streams, backslashes, ``..``, parts
    that end in a dot or a space, names that Windows keeps for devices, and overlong names.
    """
    if not isinstance(name, str):
        raise _refused(name, "it is not text")
    text = unicodedata.normalize("NFC", name)
    if not text or len(text) > 1024:
        raise _refused(name, "it is empty or too long")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise _refused(name, "it holds control characters")
    if text[0] in "/~" or ":" in text or "\\" in text:
        raise _refused(name, "it is not a relative name with / between folders")
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    for part in parts:
        if part == ".." or part[-1] in ". ":
            raise _refused(name, f"the part {part!r} is not the name of a file or folder")
        if _RESERVED.match(part):
            raise _refused(name, f"{part!r} is the name of a device")
        if len(os.fsencode(part)) > 255:
            raise _refused(name, "a part is longer than 255 bytes")
    if not parts:
        raise _refused(name, "it names no file")
    return parts


def file_identity(path: Path) -> str:
    """Return a digest of the file's bytes; of its size, time and samples when it is larger than 64 MiB."""
    stat = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if stat.st_size <= WHOLE_FILE_BYTES:
            while block := file.read(1 << 20):
                digest.update(block)
            return f"sha256:{digest.hexdigest()}"
        digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
        for position in (0, stat.st_size // 2, stat.st_size - (1 << 20)):
            file.seek(position)
            digest.update(file.read(1 << 20))
    return f"sampled:{digest.hexdigest()}"


def _refused(name: Any, why: str) -> PathError:
    shown = repr(name)
    shown = shown if len(shown) <= 120 else shown[:117] + "…'"
    return PathError(
        f"the file name is refused: {why}",
        expected="a relative name inside its folder",
        got=shown,
        hint="put the file into the folder (or add its folder to extra_model_paths.yaml) and use its name there",
    )


def _inside(root: Path, parts: tuple[str, ...]) -> Path | None:
    """Join and follow links; None when the result is not below ``root``."""
    top = root.resolve()
    try:
        path = top.joinpath(*parts).resolve()
    except (OSError, RuntimeError):  # a loop of links
        return None
    return path if path.is_relative_to(top) and path != top else None


def _where_to_put(base: Path, roots: tuple[Path, ...]) -> str:
    root = roots[0]
    shown = root.relative_to(base) if root.is_relative_to(base) else root
    return f"put the file into {shown.as_posix()}"


def _suffixes(key: str) -> frozenset[str] | None:
    key = ALIASES.get(key, key)
    return None if key in USER_FOLDERS else OTHER_SUFFIXES.get(key, WEIGHT_SUFFIXES)


def _modified_ns(directory: str) -> int:
    try:
        return Path(directory).stat().st_mtime_ns
    except OSError:
        return 0


def _scan(roots: Sequence[Path], suffixes: frozenset[str] | None) -> _Listing:
    started = time.time_ns()
    names: dict[str, None] = {}
    stamps: list[tuple[str, int]] = []
    for root in roots:
        top = root.resolve()
        stamps.append((str(top), _modified_ns(str(top))))
        for entry, relative in _entries(top, stamps):
            if suffixes is not None and Path(entry.name).suffix.lower() not in suffixes:
                continue
            if entry.is_symlink() and _inside(top, tuple(relative.split("/"))) is None:
                continue
            names[relative] = None
    return _Listing(tuple(sorted(names, key=lambda name: (name.lower(), name))), tuple(stamps), started)


def _entries(top: Path, stamps: list[tuple[str, int]]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Walk the files below ``top`` without following linked folders or entering hidden ones."""
    pending = [(str(top), "")]
    while pending:
        directory, prefix = pending.pop()
        try:
            with os.scandir(directory) as found:
                entries = list(found)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                stamps.append((entry.path, _modified_ns(entry.path)))
                pending.append((entry.path, f"{prefix}{entry.name}/"))
            elif _is_file(entry):
                yield entry, prefix + entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of links
        return False


def _add_extra_paths(roots: dict[str, list[Path]], packs: list[Path], config: Path) -> None:
    """Add the folders of an ``extra_model_paths.yaml``: sections with base_path, is_default, and paths by key."""
    import yaml

    try:
        document = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"the file {config.name} cannot be read: {error}", hint="see docs for its form") from error
    if document is None:
        return
    if not isinstance(document, dict):
        raise InputError(f"the file {config.name} is not a mapping of sections", got=type(document).__name__)
    for section, content in document.items():
        if content is None:
            continue
        if not isinstance(content, dict):
            raise InputError(f"section {section!r} of {config.name} is not a mapping", got=type(content).__name__)
        content = dict(content)
        base = _expand(str(content.pop("base_path", "") or "."), config.absolute().parent)
        first = bool(content.pop("is_default", False))
        for key, text in content.items():
            key = ALIASES.get(str(key), str(key))
            if key in USER_FOLDERS:
                continue
            added = [_expand(line.strip(), base) for line in str(text or "").splitlines() if line.strip()]
            if key == "custom_nodes":
                packs[:] = [*added, *packs] if first else [*packs, *added]
                continue
            known = roots.setdefault(key, [])
            roots[key] = [*added, *known] if first else [*known, *added]


def _expand(text: str, base: Path) -> Path:
    return Path(os.path.normpath(base / Path(os.path.expandvars(text)).expanduser()))
