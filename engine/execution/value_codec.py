"""Write values down as plain JSON and named arrays of bytes, and read them back. Nothing here runs code it reads.

Plain data stand for themselves; everything else is a JSON list that begins with a tag, so a stored value can be read
by eye and in any language. Bulk (tensors, arrays, pictures, long bytes) is handed to an `Arrays` that keeps it beside
the JSON. Frozen dataclasses and enum members are written by name, and only those that our own packages define at the
top level of a module are written or read: a file can name one of our records, never a function or a foreign class.

What cannot be written exactly raises `NotStorable`. A value read back has the same content key as the one written.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import importlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, Protocol

from engine.graph.node_types import Many

MAX_DEPTH = 64
MAX_ITEMS = 200_000
INLINE_BYTES = 256
OWN_MODULE = re.compile(r"(engine|nodes)(\.[A-Za-z_][A-Za-z0-9_]*)+")
OWN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_INT = 1 << 64


class NotStorable(Exception):
    """Say that a value cannot be written so that it comes back the same."""


class Unreadable(Exception):
    """Say that what is stored is damaged, or was written by code that is gone."""


class Outdated(Exception):
    """Say that a stored value is whole but speaks of something that is not there now, such as a file."""


class Arrays(Protocol):
    """Keeps bulk beside the JSON: bytes, tensors, arrays, pictures."""

    def add(self, value: Any) -> list[Any] | None:
        """Keep ``value`` and return the JSON that finds it again, or None for what is no bulk."""
        ...

    def add_bytes(self, value: bytes) -> int:
        """Keep bytes and return their number."""
        ...


class StoredArrays(Protocol):
    """Gives back what an `Arrays` kept."""

    def get(self, record: list[Any]) -> Any:
        """Return the value that ``record`` finds. Raises `Unreadable` when it finds none."""
        ...

    def get_bytes(self, number: int) -> bytes:
        """Return bytes by their number. Raises `Unreadable`."""
        ...


def encode(value: Any, arrays: Arrays) -> Any:
    """Return ``value`` as plain JSON, its bulk handed to ``arrays``. Raises `NotStorable`."""
    return _Encoder(arrays).encode(value, 0)


def decode(stored: Any, arrays: StoredArrays) -> Any:
    """Return the value that `encode` wrote. Raises `Unreadable` or `Outdated`."""
    try:
        return _decode(stored, arrays)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


class _Encoder:
    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._items = 0

    def encode(self, value: Any, depth: int) -> Any:
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise NotStorable("the value is too deep, has too many parts, or holds itself")
        kind = type(value)
        if value is None or kind is bool or (kind is str and value.isascii()):
            return value
        if kind is str:
            return _text(value)
        if kind is int:
            return value if -_LARGEST_INT < value < _LARGEST_INT else ["i", f"{value:x}"]
        if kind is float:
            return value if math.isfinite(value) else ["f", repr(value)]
        if kind in _SEQUENCES:
            return [_SEQUENCES[kind], *self._each(value, depth)]
        if kind in _MAPPINGS:
            return [
                _MAPPINGS[kind],
                *([self.encode(k, depth + 1), self.encode(v, depth + 1)] for k, v in value.items()),
            ]
        if kind in (bytes, bytearray):
            return self._bytes("b" if kind is bytes else "ba", bytes(value))
        return self._object(value, kind, depth)

    def _object(self, value: Any, kind: type, depth: int) -> Any:
        if isinstance(value, type):
            raise NotStorable(f"a class ({value.__qualname__})")
        if isinstance(value, enum.Enum):
            _check_own(kind)
            return ["e", kind.__module__, kind.__qualname__, value.name]
        if isinstance(value, PurePath):
            return ["p", str(value)]
        if dataclasses.is_dataclass(value):
            _check_record(kind)
            fields = {
                f.name: self.encode(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value) if f.init
            }
            return ["D", kind.__module__, kind.__qualname__, fields]
        kept = self._arrays.add(value)
        if kept is None:
            raise NotStorable(f"a value of type {kind.__module__}.{kind.__qualname__}")
        return kept

    def _each(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.encode(value, depth + 1) for value in values]

    def _bytes(self, tag: str, data: bytes) -> list[Any]:
        if len(data) <= INLINE_BYTES:
            return [tag, base64.b64encode(data).decode("ascii")]
        return [tag, self._arrays.add_bytes(data)]


def _text(value: str) -> Any:
    """Return text as it is, or its bytes where it holds halves of characters: JSON would join them."""
    try:
        value.encode("utf-8")
        return value
    except UnicodeEncodeError:
        return ["u", value.encode("utf-8", "surrogatepass").hex()]


def _decode(stored: Any, arrays: StoredArrays) -> Any:
    if not isinstance(stored, list):
        if isinstance(stored, dict):
            raise Unreadable("a table where a value should be")
        return stored
    tag, rest = stored[0], stored[1:]
    make = _MAKERS.get(tag)
    if make is not None:
        return make(rest, arrays)
    return arrays.get(stored)


def _decode_pairs(rest: list[Any], arrays: StoredArrays) -> dict[Any, Any]:
    return {_decode(key, arrays): _decode(value, arrays) for key, value in rest}


def _decode_bytes(rest: list[Any], arrays: StoredArrays) -> bytes:
    (data,) = rest
    return base64.b64decode(data, validate=True) if isinstance(data, str) else arrays.get_bytes(data)


def _decode_enum(rest: list[Any], arrays: StoredArrays) -> enum.Enum:
    module, name, member = rest
    kind = _own_class(module, name)
    if not issubclass(kind, enum.Enum):
        raise Unreadable(f"{module}.{name} is no enumeration")
    return kind[member]


def _decode_record(rest: list[Any], arrays: StoredArrays) -> Any:
    module, name, fields = rest
    kind = _own_class(module, name)
    try:
        _check_record(kind)
    except NotStorable as error:
        raise Unreadable(str(error)) from error
    record = kind(**{field: _decode(value, arrays) for field, value in fields.items()})
    check = CHECKS.get(f"{module}.{name}")
    if check is not None:
        check(record)
    return record


def _own_class(module: str, name: str) -> type:
    """Return the class of one of our own modules. Raises `Unreadable` for any other name."""
    if not OWN_MODULE.fullmatch(module) or not OWN_NAME.fullmatch(name):
        raise Unreadable(f"{module}.{name} is not a record of ours")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise Unreadable(f"the module {module} is gone") from error
    if not isinstance(found, type) or found.__module__ != module or found.__qualname__ != name:
        raise Unreadable(f"{module}.{name} is not a record of ours")
    return found


def _check_own(kind: type) -> None:
    """Refuse a class that could not be found again by name in our own packages."""
    if not OWN_MODULE.fullmatch(kind.__module__) or not OWN_NAME.fullmatch(kind.__qualname__):
        raise NotStorable(f"a value of type {kind.__module__}.{kind.__qualname__}")


def _check_record(kind: type) -> None:
    _check_own(kind)
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise NotStorable(f"{kind.__module__}.{kind.__qualname__} is no frozen dataclass")


def check_file(record: Any) -> None:
    """Raise `Outdated` when the file of a `engine.weights.recipe.FileRef` is gone or has another size."""
    try:
        size = record.path.stat().st_size
    except OSError as error:
        raise Outdated(f"{record.name} is gone") from error
    if record.nbytes and record.nbytes != size:
        raise Outdated(f"{record.name} has changed")


CHECKS: Mapping[str, Callable[[Any], None]] = MappingProxyType({"engine.weights.recipe.FileRef": check_file})
"""What must hold of a record that was read before it is handed out, by the record's qualified name."""

_SEQUENCES: Mapping[type, str] = MappingProxyType({list: "l", tuple: "t", set: "s", frozenset: "fs", Many: "many"})
_MAPPINGS: Mapping[type, str] = MappingProxyType({dict: "m", MappingProxyType: "mp"})

_Maker = Callable[[list[Any], StoredArrays], Any]


def _sequence(kind: Callable[[Iterable[Any]], Any]) -> _Maker:
    return lambda rest, arrays: kind([_decode(item, arrays) for item in rest])


_MAKERS: Mapping[str, _Maker] = MappingProxyType(
    {
        **{tag: _sequence(kind) for kind, tag in _SEQUENCES.items()},
        "m": _decode_pairs,
        "mp": lambda rest, arrays: MappingProxyType(_decode_pairs(rest, arrays)),
        "b": _decode_bytes,
        "ba": lambda rest, arrays: bytearray(_decode_bytes(rest, arrays)),
        "u": lambda rest, arrays: bytes.fromhex(rest[0]).decode("utf-8", "surrogatepass"),
        "i": lambda rest, arrays: int(rest[0], 16),
        "f": lambda rest, arrays: float(rest[0]),
        "p": lambda rest, arrays: Path(rest[0]),
        "e": _decode_enum,
        "D": _decode_record,
    }
)
