"""Content keys: what a value is, told by a short text that only equal content shares.

Keys are the same in every process and on every machine.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

SCHEME = b"safelight-key-1"
"""Part of every hash. Raise the number when the formulas here or in `engine.graph.fingerprint` change."""

DIGEST_BYTES = 20
MAX_DEPTH = 64
MAX_ITEMS = 1_000_000
INLINE_CHARACTERS = 64


def content_key(value: Any) -> str | None:
    """Return a token that equal content shares and different content does not, or None when content cannot be told.

    Understands None, booleans, numbers, text, bytes, enum members, paths, lists, tuples, sets, mappings, frozen
    dataclasses (by qualified name and the fields that take part in comparison), tensors, arrays and pictures (by
    number format, shape and bytes), and every object with a ``content_key`` attribute or method that gives text.
    1, 1.0, True and "1" differ. Short scalars stand for themselves, so that they cost no hash.
    """
    kind = type(value)
    if kind is int:
        return f"i{value};" if -(1 << 64) < value < 1 << 64 else f"i{value:x}x;"
    if kind is str and len(value) <= INLINE_CHARACTERS:
        return f"s{len(value)}:{value}"
    if kind is float:
        return f"f{value!r};"
    if kind is bool:
        return "T;" if value else "F;"
    if value is None:
        return "N;"
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES, person=SCHEME)
    if not _Encoder(hasher.update).feed(value, 0):
        return None
    return f"#{hasher.hexdigest()};"


class _Encoder:
    """Feed one value, spelled unambiguously, to ``write``. Each ``feed`` says whether the content could be told."""

    __slots__ = ("items", "write")

    def __init__(self, write: Callable[[Any], object]) -> None:
        self.write = write
        self.items = 0

    def feed(self, value: Any, depth: int) -> bool:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            return False  # deep, cyclic or huge: what made it is the cheaper name
        kind = type(value)
        if kind is int or kind is float or kind is bool or value is None:
            return self._text(content_key(value) or "")
        if kind is str:
            data = value.encode("utf-8", "surrogatepass")
            return self._bytes("s", data)
        if kind in (bytes, bytearray):
            return self._bytes("b", value)
        own = getattr(value, "content_key", None) if not isinstance(value, type) else None
        if own is not None:
            return self._own(value, own)
        if kind in (list, tuple):
            return self._sequence("l" if kind is list else "t", value, depth)
        if kind in (dict, MappingProxyType):
            return self._mapping("m", value, depth)
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> bool:
        name = _qualified_name(type(value))
        if isinstance(value, type):
            return False
        if isinstance(value, enum.Enum):
            return self._tagged("e", name, value.name)
        if isinstance(value, PurePath):
            return self._tagged("p", "", value.as_posix())
        if isinstance(value, (set, frozenset)):
            return self._unordered("S", [(item,) for item in value], depth)
        if dataclasses.is_dataclass(value):
            return self._dataclass(name, value, depth)
        if isinstance(value, Mapping):
            return self._mapping(f"M{len(name)}:{name}", value, depth)
        if isinstance(value, tuple):  # named tuples, sizes
            return self._sequence(f"Q{len(name)}:{name}", value, depth)
        return self._array(value)

    def _array(self, value: Any) -> bool:
        # Looked up, never imported: a value of theirs can only be here when its library is.
        torch, numpy, pil = (sys.modules.get(name) for name in ("torch", "numpy", "PIL.Image"))
        if torch is not None and isinstance(value, torch.Tensor):
            return self._tensor(value, torch)
        if torch is not None and isinstance(value, (torch.dtype, torch.device)):
            return self._tagged("d", "torch", str(value))
        if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
            if value.dtype.hasobject:
                return False
            self._text(f"n{value.dtype.descr}{value.shape};")
            return self._bytes("", numpy.ascontiguousarray(value).reshape(-1).view(numpy.uint8).data)
        if pil is not None and isinstance(value, pil.Image):
            self._text(f"I{value.mode}{value.size}{value.getpalette() if value.mode == 'P' else ''};")
            return self._bytes("", value.tobytes())
        return False

    def _tensor(self, value: Any, torch: Any) -> bool:
        if value.layout is not torch.strided or value.is_quantized or value.device.type == "meta":
            return False
        self._text(f"x{value.dtype}{tuple(value.shape)};")
        # numpy knows no bfloat16 or float8, so every format goes through its bytes.
        plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        if plain.numel() == 1:  # a single element counts as contiguous whatever its stride, and then has no bytes' view
            plain = plain.clone(memory_format=torch.contiguous_format)
        return self._bytes("", plain.view(torch.uint8).numpy().data)

    def _own(self, value: Any, own: Any) -> bool:
        key = own() if callable(own) else own
        return self._tagged("o", _qualified_name(type(value)), key) if isinstance(key, str) else False

    def _dataclass(self, name: str, value: Any, depth: int) -> bool:
        if not value.__dataclass_params__.frozen:
            return False
        fields = [field.name for field in dataclasses.fields(value) if field.compare]
        self._text(f"D{len(name)}:{name}{len(fields)};")
        for field in fields:
            self._text(f"{len(field)}:{field}")
            if not self.feed(getattr(value, field), depth + 1):
                return False
        return True

    def _sequence(self, tag: str, value: Sequence[Any], depth: int) -> bool:
        self._text(f"{tag}{len(value)};")
        return all(self.feed(item, depth + 1) for item in value)

    def _mapping(self, tag: str, value: Mapping[Any, Any], depth: int) -> bool:
        return self._unordered(tag, list(value.items()), depth)

    def _unordered(self, tag: str, rows: list[tuple[Any, ...]], depth: int) -> bool:
        """Feed rows in an order that depends on their first members' content alone."""
        keyed: list[tuple[bytes, tuple[Any, ...]]] = []
        for row in rows:
            hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
            encoder = _Encoder(hasher.update)
            encoder.items = self.items
            if not encoder.feed(row[0], depth + 1):
                return False
            self.items = encoder.items
            keyed.append((hasher.digest(), row[1:]))
        keyed.sort(key=lambda pair: pair[0])
        self._text(f"{tag}{len(keyed)};")
        for key, rest in keyed:
            self.write(key)
            if not all(self.feed(item, depth + 1) for item in rest):
                return False
        return True

    def _tagged(self, tag: str, name: str, text: str) -> bool:
        self._text(f"{tag}{len(name)}:{name}")
        return self._bytes("", text.encode("utf-8", "surrogatepass"))

    def _bytes(self, tag: str, data: Any) -> bool:
        self._text(f"{tag}{len(data)}:")
        self.write(data)
        return True

    def _text(self, text: str) -> bool:
        self.write(text.encode("utf-8", "surrogatepass"))
        return True


def _qualified_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
