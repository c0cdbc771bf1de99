"""The immutable graph that every document becomes and everything else reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A reference to output ``slot`` of node ``node``."""

    node: str
    slot: int


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One node: an id that is stable across saves, a type, and inputs by name (a constant or a `Link`).

    ``extra`` holds the keys of the saved entry that the engine does not interpret, so that writing the graph
    back loses nothing.
    """

    id: str
    type: str
    inputs: Mapping[str, Any]
    title: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=lambda: EMPTY)


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by id, in the order of the document. ``workflow`` is the editor's document, kept for metadata."""

    nodes: Mapping[str, Node]
    workflow: Mapping[str, Any] | None = None
