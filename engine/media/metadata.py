"""Read and write the recipe (``prompt`` and ``workflow``) inside pictures and safetensors files.

The readers walk the container by hand, bounded, without decoding a pixel: a picture dropped on the editor or given to
the command line is text with a picture around it. PNG: tEXt, zTXt and iTXt chunks, and the private ``comf`` chunk of
animated PNGs. WebP and JPEG: the EXIF directory, whose ASCII entries hold ``prompt:{…}`` and ``workflow:{…}``.
Safetensors (``.latent`` too): the ``__metadata__`` of the header.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from engine.errors import MediaError

MAX_TEXT_BYTES = 64 << 20
"""No single text, and no header, may be larger."""
MAX_CHUNKS = 100_000
_PNG = b"\x89PNG\r\n\x1a\n"
_ASCII = 2


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts inside a PNG, WebP, JPEG or safetensors file by key; empty when there are none.

    Raises `MediaError` when the file cannot be opened, is none of these, is cut short or holds too much text.
    """
    try:
        with path.open("rb") as file:
            start = file.read(12)
            file.seek(0)
            if start.startswith(_PNG):
                return _read_png(file)
            if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
                return _read_webp(file)
            if start[:3] == b"\xff\xd8\xff":
                return _read_jpeg(file)
            if start[8:9] == b"{":
                return _read_safetensors(file)
    except (OSError, struct.error, zlib.error, ValueError) as error:
        raise MediaError(f"the metadata of {path.name} cannot be read: {error}", got=path.name) from error
    raise MediaError(
        f"{path.name} is of no kind that carries a workflow",
        expected="PNG, WebP, JPEG, .latent or .safetensors",
        hint="give the picture as it was saved: messengers and web sites remove the recipe",
    )


def recipe_for(
    prompt: object, workflow: object | None, level: str, in_parts: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the texts to store at a metadata level: none, the API ``prompt`` (recipe), or also ``workflow`` (full).

    ``in_parts`` says of nodes how they were done because memory was too small, which may show in the picture.
    """
    given = {"prompt": prompt, "memory": dict(in_parts) or None, "workflow": workflow if level == "full" else None}
    if level == "none":
        return {}
    return {key: json.dumps(value, allow_nan=False) for key, value in given.items() if value is not None}


def _read_png(file: BinaryIO) -> dict[str, str]:
    texts: dict[str, str] = {}
    file.seek(len(_PNG))
    for _ in range(MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        length, kind = struct.unpack(">I4s", header)
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"comf"):
            found = _png_text(kind, _exactly(file, length))
            if found is not None and found[1]:
                texts.setdefault(*found)
            file.seek(4, 1)
        elif kind == b"IEND":
            break
        else:
            file.seek(length + 4, 1)
    return texts


def _png_text(kind: bytes, data: bytes) -> tuple[str, str] | None:
    key, separator, rest = data.partition(b"\0")
    if not separator:
        return None
    name = key.decode("latin-1")
    if kind in (b"tEXt", b"comf"):
        return name, _latin1_or_utf8(rest)
    if kind == b"zTXt":
        return name, _latin1_or_utf8(_inflate(rest[1:]))
    compressed, (_, _, text) = rest[:1] == b"\x01", _split(rest[2:])
    return name, (_inflate(text) if compressed else text).decode("utf-8", "replace")


def _split(rest: bytes) -> tuple[bytes, bytes, bytes]:
    language, _, rest = rest.partition(b"\0")
    keyword, _, text = rest.partition(b"\0")
    return language, keyword, text


def _latin1_or_utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")  # what many writers do, although the standard says latin-1
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _inflate(data: bytes) -> bytes:
    engine = zlib.decompressobj()
    text = engine.decompress(data, MAX_TEXT_BYTES)
    if engine.unconsumed_tail:
        raise ValueError(f"a text is larger than {MAX_TEXT_BYTES >> 20} MiB")
    return text


def _exactly(file: BinaryIO, length: int) -> bytes:
    if length > MAX_TEXT_BYTES:
        raise ValueError(f"a text is larger than {MAX_TEXT_BYTES >> 20} MiB")
    data = file.read(length)
    if len(data) != length:
        raise ValueError("the file is cut short")
    return data


def _read_webp(file: BinaryIO) -> dict[str, str]:
    file.seek(12)
    for _ in range(MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        kind, length = struct.unpack("<4sI", header)
        if kind == b"EXIF":
            return _exif_texts(_exactly(file, length).removeprefix(b"Exif\0\0"))
        file.seek(length + (length & 1), 1)
    return {}


def _read_jpeg(file: BinaryIO) -> dict[str, str]:
    file.seek(2)
    for _ in range(MAX_CHUNKS):
        header = file.read(4)
        if len(header) < 4 or header[0] != 0xFF or header[1] in (0xD9, 0xDA):
            break
        length = struct.unpack(">H", header[2:])[0] - 2
        data = _exactly(file, max(length, 0))
        if header[1] == 0xE1 and data.startswith(b"Exif\0\0"):
            return _exif_texts(data[6:])
    return {}


def _exif_texts(data: bytes) -> dict[str, str]:
    """Return the ``key:value`` texts of the first EXIF directory."""
    texts: dict[str, str] = {}
    for text in _ascii_entries(data):
        key, separator, value = text.partition(":")
        if separator and key.isidentifier() and value.lstrip()[:1] in ("{", "["):
            texts.setdefault(key.lower(), value)
    return texts


def _ascii_entries(data: bytes) -> Iterator[str]:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return
    offset = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack_from(order + "H", data, offset)[0]
    for index in range(count):
        _, kind, size = struct.unpack_from(order + "HHI", data, offset + 2 + 12 * index)
        if kind != _ASCII:
            continue
        at = offset + 10 + 12 * index
        if size > 4:
            at = struct.unpack_from(order + "I", data, at)[0]
        yield _latin1_or_utf8(data[at : at + size].rstrip(b"\0"))


def _read_safetensors(file: BinaryIO) -> dict[str, str]:
    length = struct.unpack("<Q", file.read(8))[0]
    header = json.loads(_exactly(file, length))
    found = header.get("__metadata__", {}) if isinstance(header, Mapping) else {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}
