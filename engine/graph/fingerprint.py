"""Keys: what makes two results the same, told without computing them.

Every value on a wire has two keys. Its *derivation key* says how it was made: node type, code version, literal
inputs, the files they name, and the derivation keys of what feeds it; it is known before anything runs. Its
*content key* says what it is: the digest of its bytes. A result is looked up by derivation first; on a miss, once
its inputs are there, by the same formula over the content keys of the inputs, so that a node which ran again and
made equal bytes wakes nothing below it. (Constructive traces with early cut-off: Mokhov, Mitchell, Peyton Jones,
"Build Systems à la Carte", 2018.)

Both formulas hash the same text, only the tokens that stand for linked inputs differ, and every token is
self-delimiting, so no two different inputs spell the same text. A value whose content cannot be told is known by
the key of the node that made it. Keys are the same in every process and on every machine.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from engine.errors import InputError, SafelightError
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import MISSING, FileSet, FolderChoices, NodeType
from engine.graph.registry import Registry

FileIdentity = Callable[[str, str], str]
"""Tell which bytes ``(folder, name)`` names, e.g. by a digest. May raise `SafelightError` or `OSError`."""

SCHEME = b"safelight-key-1"
"""Part of every hash. Raise the number when the formulas below change, so that old keys match nothing."""

DIGEST_BYTES = 20
MAX_DEPTH = 64
MAX_ITEMS = 1_000_000
INLINE_CHARACTERS = 64


class Fingerprints:
    """Makes the keys of nodes; remembers, for as long as it lives, what keys need to know of each node type.

    ``salt`` is whatever else every result depends on (device kind, number format, library versions).
    """

    def __init__(self, registry: Registry, file_identity: FileIdentity, salt: str = "") -> None:
        self._registry = registry
        self._file_identity = file_identity
        self._salt = salt
        self._kinds: dict[str, _Kind] = {}

    def derivation_keys(self, graph: Graph, order: Iterable[str]) -> dict[str, str | None]:
        """Return the derivation key of each node of ``order``, in which sources come before their users.

        The key is None where it cannot be known before running: nodes that are not cacheable and everything fed by
        them, links that pick a file by name, and files that cannot be identified.
        """
        keys: dict[str, str | None] = {}
        nodes = graph.nodes
        for node_id in order:
            node = nodes[node_id]
            keys[node_id] = self._derivation_key(node, self._kind(node.type), keys)
        return keys

    def _derivation_key(self, node: Node, kind: _Kind, keys: Mapping[str, str | None]) -> str | None:
        if not kind.cacheable:
            return None
        parts = [kind.prefix]
        inputs = node.inputs
        for name, label, default in kind.parts(inputs):
            value = inputs.get(name, MISSING)
            if type(value) is Link:
                source = keys[value.node]
                if source is None or name in kind.folders:
                    return None
                parts.append(f"{label}@{source}:{value.slot};")
                continue
            if value is MISSING:
                parts.append(default)
                continue
            try:
                parts.append(label + literal_token(value))
                if name in kind.folders:
                    parts.append(self._file_token(kind.folders[name], value))
            except (SafelightError, OSError):
                return None  # the same failure is met again, and reported, when the node's turn comes
        return digest("".join(parts))

    def trace_key(self, node: Node, values: Mapping[str, Any], tokens: Mapping[str, str]) -> str:
        """Return the content-level key of ``node``, whose inputs are there.

        ``values`` are the inputs by name, ``tokens`` the content tokens of those that come by link. Equals the
        derivation key when nothing is linked. Raises what telling the identity of a file raises.
        """
        kind = self._kind(node.type)
        parts = [kind.prefix]
        for name, label, default in kind.parts(node.inputs):
            if name not in node.inputs:
                parts.append(default)
                continue
            token = tokens.get(name)
            parts.append(label + (literal_token(values[name]) if token is None else token))
            if name in kind.folders:
                parts.append(self._file_token(kind.folders[name], values[name]))
        return digest("".join(parts))

    def _kind(self, type_id: str) -> _Kind:
        kind = self._kinds.get(type_id)
        if kind is None:
            node_type = self._registry.get(type_id)
            if node_type is None:
                raise InputError(f"there is no node type {type_id!r}", hint="validate the graph before making keys")
            kind = self._kinds[type_id] = _describe(node_type, self._salt)
        return kind

    def _set_identity(self, wanted: FileSet) -> str:
        """Identify all files of a set. Raises what identifying the last possible name of a missing one raises."""
        return "&".join(self._first_identity(wanted.folder, wanted.candidates(stem)) for stem in wanted.stems)

    def _first_identity(self, folder: str, names: Sequence[str]) -> str:
        for name in names[:-1]:
            try:
                return self._file_identity(folder, name)
            except (SafelightError, OSError):
                continue  # not there under this name
        return self._file_identity(folder, names[-1])

    def _file_token(self, choices: FolderChoices, name: Any) -> str:
        if not isinstance(name, str) or name in choices.extra:
            return "-;"
        wanted = choices.set_named(name)
        identity = self._set_identity(wanted) if wanted else self._file_identity(choices.folder, name)
        return f"{len(identity)}:{identity}"


def link_token(key: str, slot: int) -> str:
    """Return the token of output ``slot`` of a result that is known by the key of the node that made it."""
    return f"@{key}:{slot};"


def digest(text: str) -> str:
    """Hash text to 40 hexadecimal digits (BLAKE2b). Lone surrogates, which JSON may hold, are allowed."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES, person=SCHEME).hexdigest()


def literal_token(value: Any) -> str:
    """Return the content token of a constant written in a graph. Raises `InputError` when it is no plain data."""
    token = content_key(value)
    if token is None:
        raise InputError(
            f"a constant input of type {type(value).__name__} has no content key",
            expected="text, a number, a boolean, None, or lists and mappings of these",
            got=type(value).__name__,
            hint="make the value in a node and link it",
        )
    return token


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


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """What keys need to know of a node type.

    ``declared`` holds, for each input, its name, the text that introduces it, and the text of its default (which a
    node that leaves the input out is the same as having).
    """

    prefix: str
    cacheable: bool
    declared: tuple[tuple[str, str, str], ...]
    names: frozenset[str]
    folders: Mapping[str, FolderChoices]

    def parts(self, inputs: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
        """Return the declared inputs, then any other that the node has, by name."""
        if inputs.keys() <= self.names:
            return self.declared
        others = sorted(inputs.keys() - self.names)
        return [*self.declared, *((name, f"{len(name)}:{name}=", "") for name in others)]


def _describe(node_type: NodeType, salt: str) -> _Kind:
    declared = []
    for parameter in node_type.inputs:
        label = f"{len(parameter.name)}:{parameter.name}="
        default = "" if parameter.default is MISSING else label + literal_token(parameter.default)
        declared.append((parameter.name, label, default))
    head = (salt, node_type.id, node_type.version)
    return _Kind(
        prefix="".join(f"{len(part)}:{part}" for part in head),
        cacheable=node_type.cacheable,
        declared=tuple(declared),
        names=frozenset(node_type.by_name),
        folders={p.name: p.choices for p in node_type.inputs if isinstance(p.choices, FolderChoices)},
    )


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
