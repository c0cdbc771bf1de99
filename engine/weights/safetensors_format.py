"""The safetensors container: a length, a JSON header, then the bytes of the tensors back to back.

Format: https://github.com/huggingface/safetensors#format. The header comes from outside, so every number in it is
checked against the file before anything is allocated or mapped by it.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeGuard

import torch
from torch import Tensor

from engine.errors import OutputError, WeightError

__all__ = ["DTYPES", "Header", "TensorEntry", "parse_header", "save_safetensors", "write_safetensors"]

MAX_HEADER_BYTES: Final = 100_000_000  # the reference implementation's limit
MAX_TENSORS: Final = 200_000  # the largest files in the field have some ten thousand
LENGTH_BYTES: Final = 8
ALIGNMENT: Final = 8
DOWNLOAD_AGAIN: Final = "download the file again, and compare its size or sha256 with what the source states"

DTYPES: Final[Mapping[str, torch.dtype]] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "C64": torch.complex64,
}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Say where a tensor lies: `start` and `nbytes` count from the beginning of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """Hold what a header says, checked: tensors in the order of their bytes, and the free text beside them."""

    entries: Mapping[str, TensorEntry]
    metadata: Mapping[str, str]


def parse_header(file: BinaryIO, size: int, name: str) -> Header:
    """Read and check the header of an open safetensors file of `size` bytes; `name` is for messages.

    Raises `WeightError` where the header is cut off, is no JSON, names an unknown dtype, or where the tensors it
    promises overlap, leave holes, or do not fit the file.
    """
    prefix = file.read(LENGTH_BYTES)
    if len(prefix) < LENGTH_BYTES:
        raise _damaged(name, "the file ends before its header", "at least 8 bytes", f"{size} bytes")
    (length,) = struct.unpack("<Q", prefix)
    if length > MAX_HEADER_BYTES:
        raise _damaged(
            name,
            "this is not a safetensors file: the header length makes no sense",
            f"at most {MAX_HEADER_BYTES} bytes",
            f"{length} bytes",
            hint="check that the file is what its name says; a web page saved under this name is a usual cause",
        )
    if length > size - LENGTH_BYTES:
        raise _damaged(
            name, "the file is truncated inside its header", f"{length} bytes of header", f"{size - LENGTH_BYTES} bytes"
        )
    text = file.read(length)
    if text.count(b'"data_offsets"') > MAX_TENSORS:  # before the parser makes a thousand bytes of each
        raise _damaged(name, "the header lists too many tensors", f"at most {MAX_TENSORS}", "more")
    document = _parse_json(text, name)
    metadata = _check_metadata(document.pop("__metadata__", None), name)
    entries = [(key, _check_entry(key, value, name)) for key, value in document.items()]
    entries.sort(key=lambda item: (item[1].start, item[1].nbytes))
    _check_coverage(entries, size - LENGTH_BYTES - length, name)
    offset = LENGTH_BYTES + length
    shifted = {key: TensorEntry(entry.dtype, entry.shape, entry.start + offset, entry.nbytes) for key, entry in entries}
    return Header(shifted, metadata)


def save_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to `path`, whole or not at all: a temporary file beside it is flushed, then renamed.

    Raises `OutputError` where the disk says no, ValueError where a dtype cannot be stored.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            write_safetensors(file, tensors, metadata)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path.name} was not saved: {reason}", got=str(path.parent), hint="free some space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_safetensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to an open file, in the order given. Raises ValueError where a dtype cannot be stored."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    document: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for key, tensor in tensors.items():
        if tensor.dtype not in names:
            raise ValueError(f"tensor {key} has dtype {tensor.dtype}, which safetensors cannot store")
        end = offset + tensor.numel() * tensor.element_size()
        document[key] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    header += b" " * (-len(header) % ALIGNMENT)
    file.write(struct.pack("<Q", len(header)))
    file.write(header)
    for tensor in tensors.values():
        _write_tensor(file, tensor)


def _write_tensor(file: BinaryIO, tensor: Tensor) -> None:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    if flat.numel():
        if flat.stride(0) != 1:  # of a single element any stride counts as contiguous, but not for `view`
            flat = flat.clone(memory_format=torch.contiguous_format)
        file.write(flat.view(torch.uint8).numpy().data)


def _parse_json(text: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise _damaged(
            name, f"the header is no valid JSON ({str(error)[:120]})", "a JSON object", "something else"
        ) from None
    if not isinstance(document, dict):
        raise _damaged(name, "the header is not a JSON object", "a JSON object", type(document).__name__)
    return document


def _without_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the name {key!r} stands there twice")
        found[key] = value
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _check_metadata(value: Any, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _damaged(name, "the header's metadata is not a table of texts", "texts", "other values")
    return value


def _check_entry(key: str, value: Any, name: str) -> TensorEntry:
    """Return the entry of one tensor with `start` still relative to the data."""
    if not isinstance(value, dict):
        raise _damaged(name, f"tensor {key!r} is not described", "dtype, shape, data_offsets", repr(value)[:80])
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _damaged(
            name,
            f"tensor {key!r} has a dtype that is not supported",
            ", ".join(DTYPES),
            repr(dtype)[:80],
            hint="use a file stored as float32, float16, bfloat16 or float8",
        )
    if not _is_counts(shape):
        raise _damaged(name, f"tensor {key!r} has an impossible shape", "whole numbers from 0", repr(shape)[:80])
    if not _is_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _damaged(name, f"tensor {key!r} has impossible offsets", "[begin, end]", repr(offsets)[:80])
    needed = math.prod(shape) * DTYPES[dtype].itemsize
    span = offsets[1] - offsets[0]
    if span != needed:
        raise _damaged(
            name, f"tensor {key!r} does not fit its place", f"{needed} bytes for {shape} {dtype}", f"{span} bytes"
        )
    return TensorEntry(DTYPES[dtype], tuple(shape), offsets[0], span)


def _is_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _check_coverage(entries: list[tuple[str, TensorEntry]], available: int, name: str) -> None:
    """Check that the tensors lie back to back and fill the file, as the format demands."""
    position = 0
    for key, entry in entries:
        if entry.start != position:
            fault = "overlaps another tensor" if entry.start < position else "leaves a hole before it"
            raise _damaged(name, f"tensor {key!r} {fault}", f"offset {position}", f"offset {entry.start}")
        position += entry.nbytes
    if position > available:
        raise _damaged(
            name,
            f"the file is truncated: its header promises {position} bytes of tensors, {available} are there",
            f"{position} bytes",
            f"{available} bytes",
        )
    if position < available:
        raise _damaged(name, "there are bytes after the last tensor", f"{position} bytes", f"{available} bytes")


def _damaged(name: str, message: str, expected: str, got: str, hint: str = DOWNLOAD_AGAIN) -> WeightError:
    return WeightError(f"{name}: {message}", expected=expected, got=got, hint=hint)
