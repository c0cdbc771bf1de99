"""The form in which one result is stored: a JSON text, with its bulk beside it as safetensors."""

from __future__ import annotations

import hashlib
import json

from engine.execution.array_codecs import ArrayReader, ArrayWriter
from engine.execution.cache import Result
from engine.execution.kept_files import Stamps
from engine.execution.value_codec import NotStorable, Outdated, Unreadable, decode, encode
from engine.graph.model import EMPTY
from engine.graph.node_types import SavedFile


def write_result(result: Result, stamps: Stamps, arrays: ArrayWriter) -> str:
    """Return the JSON of a result, its bulk handed to ``arrays``; ``stamps`` are those of `Result.written`.

    Raises `NotStorable`.
    """
    try:
        document = {
            "values": [encode(value, arrays) for value in result.values],
            "ui": encode(result.ui, arrays) if result.ui else None,
            "origin": result.origin,
            "files": [[file.path, file.folder, file.subfolder, file.sha256] for file in result.files],
            "stamps": stamps,
            "shown": encode(result.shown, arrays) if result.shown else None,
            "seconds": result.seconds,
        }
        return json.dumps(document, separators=(",", ":"), allow_nan=False)
    except NotStorable:
        raise
    except Exception as error:  # a value that fails at being looked at, or changes meanwhile
        raise NotStorable(f"{type(error).__name__}: {error}") from error


def read_result(record: str, data: bytearray | None) -> tuple[Result, Stamps]:
    """Return the result of a JSON text and its bulk, and the stamps of the files that it wrote.

    Raises `Unreadable`, or `Outdated` when something that it names is gone.
    """
    try:
        found = json.loads(record)
        arrays = ArrayReader(data)
        values = tuple(decode(value, arrays) for value in found["values"])
        ui = decode(found["ui"], arrays) if found["ui"] else EMPTY
        files = tuple(SavedFile(*one) for one in found["files"])
        shown = decode(found["shown"], arrays) if found["shown"] else ()
        stamps = tuple((int(size), int(time)) for size, time in found["stamps"])
        return Result(values, found["origin"], ui, files, found["seconds"], shown), stamps
    except (Outdated, Unreadable):
        raise
    except Exception as error:  # whatever reading it raises, it is not there
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def checksum(record: str, blob: str | None, data: bytes | None) -> str:
    """Return the digest of a stored result: its JSON, and the digest of its file or the bytes of its small bulk."""
    hasher = hashlib.sha256(f"{len(record)}:{record}:{blob}:".encode())
    hasher.update(data or b"")
    return hasher.hexdigest()
