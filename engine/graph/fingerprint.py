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
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.errors import InputError, SafelightError
from engine.graph.content import DIGEST_BYTES, SCHEME, content_key
from engine.graph.mentions import named_files
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import MISSING, FileSet, FolderChoices, NodeType
from engine.graph.registry import Registry

_log = logging.getLogger("safelight.graph")

FileIdentity = Callable[[str, str], str]
"""Tell which bytes ``(folder, name)`` names, e.g. by a digest. May raise `SafelightError` or `OSError`."""


class Fingerprints:
    """Makes the keys of nodes; remembers, for as long as it lives, what keys need to know of each node type.

    ``salt`` is whatever else every result depends on (device kind, number format, library versions).
    """

    def __init__(self, registry: Registry, file_identity: FileIdentity, salt: str = "") -> None:
        self._registry = registry
        self._file_identity = file_identity
        self._salt = salt
        self._kinds: dict[str, _Kind] = {}
        self._changes: dict[str, str | None] = {}

    def derivation_keys(
        self, graph: Graph, order: Iterable[str], keys: dict[str, str | None] | None = None
    ) -> dict[str, str | None]:
        """Return the derivation key of each node of ``order``, in which sources come before their users.

        With ``keys``, those of nodes that are not in the order, the new ones are added to it. A key is None where it
        cannot be known before running: nodes that are not cacheable and everything fed by them, links that pick a
        file by name or bring a text that may, and files that cannot be identified.
        """
        keys = {} if keys is None else keys
        nodes = graph.nodes
        for node_id in order:
            node = nodes[node_id]
            keys[node_id] = self._derivation_key(node, self._kind(node.type), keys)
        return keys

    def _derivation_key(self, node: Node, kind: _Kind, keys: Mapping[str, str | None]) -> str | None:
        if not kind.cacheable:
            return None
        parts = [kind.prefix]
        if kind.own is not None:
            own = self._own_token(node, kind.own)
            if own is None:
                return None
            parts.append(own)
        inputs = node.inputs
        for name, label, default in kind.parts(inputs):
            value = inputs.get(name, MISSING)
            if type(value) is Link:
                source = keys[value.node]
                if source is None or (kind.names_files and (name in kind.folders or name in kind.mentions)):
                    return None
                parts.append(f"{label}@{source}:{value.slot};")
                continue
            if value is MISSING:
                parts.append(default)
                continue
            try:
                parts.append(label + literal_token(value))
                if kind.names_files:
                    parts.append(self._file_tokens(kind, name, value))
            except (SafelightError, OSError):
                return None  # the same failure is met again, and reported, when the node's turn comes
        return digest("".join(parts))

    def trace_key(self, node: Node, values: Mapping[str, Any], tokens: Mapping[str, str]) -> str | None:
        """Return the content-level key of ``node``, or None when it is unlike any other.

        ``values`` are the inputs by name, ``tokens`` the content tokens of those that come by link; a link without one
        is a lazy input that the node did without. Equals the derivation key when nothing is linked. Raises what telling
        the identity of a file raises.
        """
        kind = self._kind(node.type)
        if not kind.cacheable:
            return None
        parts = [kind.prefix]
        if kind.own is not None:
            own = self._own_token(node, kind.own)
            if own is None:
                return None
            parts.append(own)
        for name, label, default in kind.parts(node.inputs):
            if name not in node.inputs:
                parts.append(default)
                continue
            token = tokens.get(name)
            if token is None and type(node.inputs[name]) is Link:
                continue
            parts.append(label + (literal_token(values[name]) if token is None else token))
            if kind.names_files:
                parts.append(self._file_tokens(kind, name, values[name]))
        return digest("".join(parts))

    def _own_token(self, node: Node, own: NodeType) -> str | None:
        """Spell what a node itself adds to its key: its id, its own value for change. None when unlike any other."""
        if node.id not in self._changes:
            token: str | None = f"{len(node.id)}:{node.id}" if own.per_node else ""
            if own.changed is not None:
                values = {name: None if type(value) is Link else value for name, value in node.inputs.items()}
                token = None if (change := _change_token(own, values)) is None else f"{token}{change}"
            self._changes[node.id] = token
        return self._changes[node.id]

    def _kind(self, type_id: str) -> _Kind:
        kind = self._kinds.get(type_id)
        if kind is None:
            node_type = self._registry.get(type_id)
            if node_type is None:
                raise InputError(f"there is no node type {type_id!r}", hint="validate the graph before making keys")
            kind = self._kinds[type_id] = _describe(node_type, self._salt)
        return kind

    def _file_tokens(self, kind: _Kind, name: str, value: Any) -> str:
        """Spell the content of the files that the value of input ``name`` stands for or mentions; "" for no files."""
        choices = kind.folders.get(name)
        if choices is not None:
            if not isinstance(value, str) or value in choices.extra:
                return "-;"
            wanted = choices.set_named(value)
            return self._set_token(wanted) if wanted else self._file_token(choices.folder, value)
        folder = kind.mentions.get(name)
        return "" if folder is None else "".join(self._file_token(folder, one) for one in named_files(value))

    def _set_token(self, wanted: FileSet) -> str:
        """Spell the content of a set's files. Raises what identifying the last possible name of a missing one does."""
        return "".join(self._first_token(wanted.folder, wanted.candidates(stem)) for stem in wanted.stems)

    def _first_token(self, folder: str, names: Sequence[str]) -> str:
        for name in names[:-1]:
            try:
                return self._file_token(folder, name)
            except (SafelightError, OSError):
                continue  # not there under this name
        return self._file_token(folder, names[-1])

    def _file_token(self, folder: str, name: str) -> str:
        identity = self._file_identity(folder, name)
        return f"{len(identity)}:{identity}"


def _change_token(own: NodeType, values: Mapping[str, Any]) -> str | None:
    """Spell what ``own.changed`` says; None when it fails, says NaN, or gives what has no content."""
    assert own.changed is not None
    try:
        value = own.changed(values)
    except Exception as error:  # noqa: BLE001 (a pack's code; what it cannot tell counts as changed)
        _log.info("node type %s could not say whether it changed", own.id, exc_info=error)
        return None
    if value != value:  # NaN, the contract's way to say "always run"
        return None
    return content_key(value)


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
    mentions: Mapping[str, str]
    own: NodeType | None
    names_files: bool

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
    folders = {p.name: p.choices for p in node_type.inputs if isinstance(p.choices, FolderChoices)}
    mentions = {p.name: p.mentions for p in node_type.inputs if p.mentions}
    return _Kind(
        prefix="".join(f"{len(part)}:{part}" for part in head),
        cacheable=node_type.cacheable,
        declared=tuple(declared),
        names=frozenset(node_type.by_name),
        folders=folders,
        mentions=mentions,
        names_files=bool(folders or mentions),
        own=node_type if node_type.per_node or node_type.changed is not None else None,
    )
