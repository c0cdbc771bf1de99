"""Open weight files: safetensors through a memory map, pickled checkpoints through torch's restricted loader.

This is the one place that reads weights from disk. Nothing is read when a file is opened but its header; a tensor of a
safetensors file is a view into the map, so its bytes arrive when they are first touched and can be given back with
`WeightFile.release` as soon as they were converted. Pickles can carry code, so they are loaded with
``weights_only=True`` and nothing else, and only dense tensors are taken from them.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from engine.errors import WeightError
from engine.weights.declared_digests import check_digest
from engine.weights.safetensors_format import DOWNLOAD_AGAIN, Header, parse_header, save_safetensors

__all__ = ["SUFFIXES", "WeightFile", "open_weights", "save_safetensors"]

SAFETENSORS_SUFFIXES: Final = (".safetensors", ".sft")
PICKLE_SUFFIXES: Final = (".ckpt", ".pt", ".pth", ".bin")
SUFFIXES: Final = SAFETENSORS_SUFFIXES + PICKLE_SUFFIXES
"""Endings of the files that `open_weights` reads."""

ZIP_MAGIC: Final = b"PK\x03\x04"
WRAPPERS: Final = ("state_dict", "model_state_dict", "string_to_param", "params_ema", "params")
READ_IN_ORDER: Final = tuple(
    getattr(mmap, name) for name in ("MADV_HUGEPAGE", "MADV_SEQUENTIAL") if hasattr(mmap, name)
)
"""Linux then reads far ahead of what is touched and into large pieces of memory, which are mapped with a tenth of the
work, in this load and all later ones. Asked to read a range at once, it takes single pages."""
READ_AHEAD: Final = None if hasattr(mmap, "MADV_HUGEPAGE") else getattr(mmap, "MADV_WILLNEED", None)
GIVE_BACK: Final = getattr(mmap, "MADV_DONTNEED", None)


class WeightFile(Protocol):
    """Give access to the tensors of one file. Use as a context manager, or call `close`.

    Tensors handed out stay valid after `close`; they are on the CPU and must not be written to.
    """

    path: Path

    @property
    def is_mapped(self) -> bool:
        """Say whether tensors can be read any number of times, though they were released."""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Map names to shapes, in the order of their bytes in the file."""
        ...

    @property
    def dtypes(self) -> Mapping[str, torch.dtype]:
        """Map names to dtypes."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Return the free text stored beside the tensors."""
        ...

    def tensor(self, name: str) -> Tensor:
        """Return a tensor as stored, without a copy where the format allows it. Raises KeyError."""
        ...

    def prefetch(self, names: Iterable[str]) -> None:
        """Ask the system to read the bytes of `names` ahead of their use. A hint: it may do nothing."""
        ...

    def release(self, names: Iterable[str]) -> None:
        """Give the memory behind `names` back; touching those tensors again reads the disk again. A hint."""
        ...

    def close(self) -> None:
        """Let go of the file; the map lives on while a tensor of it does."""
        ...

    def __enter__(self) -> WeightFile: ...

    def __exit__(self, *exception: object) -> None: ...


def open_weights(path: Path) -> WeightFile:
    """Open a weight file and check its header; no tensor is read from a safetensors file.

    A digest that is declared beside it (`engine.weights.declared_digests`) is compared first.

    Raises `WeightError` where the file is damaged, cut short, holds code, or is of another kind than its ending says.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        check_digest(path)
    if suffix in SAFETENSORS_SUFFIXES:
        return MappedFile(path)
    if suffix in PICKLE_SUFFIXES:
        return PickledFile(path)
    raise WeightError(
        f"{path.name} is not a weight file",
        expected=", ".join(SUFFIXES),
        got=suffix or "no ending",
        hint="choose a checkpoint in one of these formats",
    )


class MappedFile:
    """A safetensors file behind a private memory map (copy on write: the file itself can never be changed by it)."""

    is_mapped = True

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                size = path.stat().st_size
                if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
                    raise _wrong_kind(path, "a safetensors file", "a zip archive, as pickled checkpoints are")
                facts = os.fstat(file.fileno())
                identity = facts.st_dev, facts.st_ino, size, facts.st_mtime_ns, facts.st_ctime_ns
                self._header = _header_of(path, identity)
                self._map: mmap.mmap | None = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
            self._advise_all(*READ_IN_ORDER)
        except OSError as error:
            raise _unreadable(path, error) from error
        self._shapes = {name: entry.shape for name, entry in self._header.entries.items()}
        self._dtypes = {name: entry.dtype for name, entry in self._header.entries.items()}

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    @property
    def dtypes(self) -> Mapping[str, torch.dtype]:
        return self._dtypes

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._header.metadata

    def tensor(self, name: str) -> Tensor:
        entry = self._header.entries[name]
        source = self._open_map()
        if not entry.nbytes:
            return torch.empty(entry.shape, dtype=entry.dtype)
        if entry.start % entry.dtype.itemsize:  # legal, but no processor likes it: copy to an aligned place
            raw = torch.frombuffer(source, dtype=torch.uint8, count=entry.nbytes, offset=entry.start)
            return raw.clone().view(entry.dtype).reshape(entry.shape)
        count = entry.nbytes // entry.dtype.itemsize
        flat = torch.frombuffer(source, dtype=entry.dtype, count=count, offset=entry.start)
        return flat.reshape(entry.shape)

    def prefetch(self, names: Iterable[str]) -> None:
        self._advise(READ_AHEAD, names)

    def release(self, names: Iterable[str]) -> None:
        self._advise(GIVE_BACK, names)

    def close(self) -> None:
        if self._map is not None and READ_IN_ORDER:  # what is read in order is what the system drops first
            self._advise_all(mmap.MADV_NORMAL)
        self._map = None  # not closed by hand: tensors may still look into it

    def __enter__(self) -> MappedFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open_map(self) -> mmap.mmap:
        if self._map is None:
            raise ValueError(f"{self.path.name} was closed")
        return self._map

    def _advise_all(self, *advices: int) -> None:
        source = self._open_map()
        for advice in advices:
            with contextlib.suppress(OSError):  # a hint that the system does not take
                source.madvise(advice)

    def _advise(self, advice: int | None, names: Iterable[str]) -> None:
        """Pass `advice` for the pages of `names`. Neighbours on a shared page lose nothing: it is read again."""
        source = self._open_map()
        if advice is None or not hasattr(source, "madvise"):
            return
        for start, end in _page_runs((self._header.entries[name] for name in names), len(source)):
            with contextlib.suppress(OSError):  # a hint that the file system does not take
                source.madvise(advice, start, end - start)


@functools.lru_cache(maxsize=8)
def _header_of(path: Path, identity: tuple[int, ...]) -> Header:
    """Read the header of a file. Building the parts of a checkpoint opens it again and again, so it is kept.

    `identity` is what tells this file from one that takes its place. What is kept is frozen. Raises `WeightError`.
    """
    with path.open("rb") as file:
        return parse_header(file, identity[2], path.name)


def _page_runs(entries: Iterable[Any], size: int) -> list[tuple[int, int]]:
    """Return the page ranges that hold `entries`, neighbours merged."""
    runs: list[tuple[int, int]] = []
    for entry in sorted(entries, key=lambda entry: int(entry.start)):
        start = entry.start // mmap.PAGESIZE * mmap.PAGESIZE
        end = min(-(-(entry.start + entry.nbytes) // mmap.PAGESIZE) * mmap.PAGESIZE, size)
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
    return runs


class PickledFile:
    """A checkpoint pickled by torch.save. Its tensors are listed when it is opened; the zip form is memory-mapped."""

    is_mapped = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors, self.metadata = _dense_tensors(_load_pickle(path), path)
        self._shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    @property
    def dtypes(self) -> Mapping[str, torch.dtype]:
        return {name: tensor.dtype for name, tensor in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]

    def prefetch(self, names: Iterable[str]) -> None:
        """Do nothing: torch owns the map."""

    def release(self, names: Iterable[str]) -> None:
        """Forget the tensors; what nobody else holds is freed."""
        for name in names:
            self._tensors.pop(name, None)

    def close(self) -> None:
        self._tensors = {}

    def __enter__(self) -> PickledFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _load_pickle(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            magic = file.read(len(ZIP_MAGIC))
    except OSError as error:
        raise _unreadable(path, error) from error
    is_zip = magic == ZIP_MAGIC
    if is_zip:
        _check_archive(path)
    elif magic[:1] != b"\x80":
        raise _wrong_kind(path, "a pickled checkpoint", "something else, perhaps a safetensors file under this name")
    try:
        with warnings.catch_warnings():  # torch warns of the pickle protocol; the outcome below says it better
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals([nn.ParameterDict]):  # how the first embeddings were saved
                return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise _unsafe(path, str(error)) from None
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, OSError) as error:
        raise WeightError(
            f"{path.name} cannot be read: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}",
            expected="a checkpoint written by torch.save",
            got="a damaged or cut file",
            hint=DOWNLOAD_AGAIN,
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse archives that unpack to more than they are: torch.save stores tensors, it does not compress them."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [info.filename for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightError(
            f"{path.name} is cut short or damaged: {error}",
            expected="a whole zip archive",
            got=f"{path.stat().st_size} bytes",
            hint=DOWNLOAD_AGAIN,
        ) from error
    if compressed:
        raise WeightError(
            f"{path.name} holds compressed entries, which torch.save never writes",
            expected="stored entries",
            got=", ".join(compressed[:3]),
            hint="use a safetensors file of the same model",
        )


def _unsafe(path: Path, text: str) -> WeightError:
    found = re.search(r"GLOBAL\s+([\w.]+)", text)
    what = f"the global {found[1]}" if found else "an instruction that tensors do not need"
    return WeightError(
        f"{path.name} is refused: it asks to run {what} while loading",
        code="E-WEIGHT-CODE",
        expected="tensors only",
        got=found[1] if found else "code",
        hint="use a safetensors file of the same model; a checkpoint that carries code can do anything on your machine",
    )


def _dense_tensors(loaded: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take the tensors of a loaded checkpoint, and its plain numbers and texts as metadata."""
    if not isinstance(loaded, Mapping):
        raise _wrong_kind(path, "a table of tensors", type(loaded).__name__)
    metadata = {str(key): str(value) for key, value in loaded.items() if isinstance(value, str | int | float)}
    for wrapper in WRAPPERS:
        inside = loaded.get(wrapper)
        if isinstance(inside, nn.ParameterDict):
            inside = vars(inside).get("_parameters")
        if isinstance(inside, Mapping):
            loaded = inside
            break
    tensors: dict[str, Tensor] = {}
    for key, value in loaded.items():
        if not isinstance(value, Tensor) or not isinstance(key, str):
            continue
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise WeightError(
                f"{path.name}: tensor {key!r} is not a plain dense tensor",
                expected="dense tensors",
                got=f"{value.layout}, quantized {value.is_quantized}, {value.device.type}",
                hint="use a safetensors file of the same model",
            )
        tensors[key] = value.detach()
    if not tensors:
        raise _wrong_kind(path, "a table of tensors", "a file without any")
    return tensors, metadata


def _wrong_kind(path: Path, expected: str, got: str) -> WeightError:
    return WeightError(
        f"{path.name} is not what its name says",
        expected=expected,
        got=got,
        hint="give the file the ending of its real format, or download it again",
    )


def _unreadable(path: Path, error: OSError | ValueError) -> WeightError:
    return WeightError(
        f"{path.name} cannot be opened: {getattr(error, 'strerror', None) or error}",
        expected="a readable file",
        got=str(path),
        hint="check that it is there and that you may read it",
    )
