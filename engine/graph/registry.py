"""Node types by id. A registry never changes; adding to it makes a new one, so a failing pack leaves no trace."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType

from engine.graph.node_types import NodeType


@dataclasses.dataclass(frozen=True, slots=True)
class Registry:
    """Map node type ids to their descriptions, in order of registration."""

    types: Mapping[str, NodeType]

    def get(self, id: str) -> NodeType | None:
        """Return the type called ``id``, or None."""
        return self.types.get(id)

    def __iter__(self) -> Iterator[NodeType]:
        return iter(self.types.values())

    def __len__(self) -> int:
        return len(self.types)

    def closest(self, id: str, count: int = 3) -> list[str]:
        """Return the ids most like ``id``, best first, for an error's hint."""
        return difflib.get_close_matches(id, list(self.types), n=count, cutoff=0.5)

    def with_types(self, added: Iterable[NodeType]) -> Registry:
        """Return a registry that also holds ``added``. Raises `ValueError` when an id is taken."""
        types = dict(self.types)
        for node_type in added:
            if node_type.id in types:
                owner = types[node_type.id].module
                raise ValueError(f"node type {node_type.id!r} of {node_type.module} is already declared by {owner}")
            types[node_type.id] = node_type
        return Registry(MappingProxyType(types))


EMPTY_REGISTRY = Registry(MappingProxyType({}))


def declared_in(module: ModuleType) -> list[NodeType]:
    """List the node types declared by the functions of ``module`` itself, in order of definition."""
    found = [getattr(value, "node_type", None) for value in vars(module).values()]
    return [one for one in found if isinstance(one, NodeType) and one.module == module.__name__]


def load_package(package: str) -> Registry:
    """Import every module of ``package`` and return the registry of the nodes they declare.

    The name comes as a string because the engine may not know the packages above it.
    """
    root = importlib.import_module(package)
    registry = EMPTY_REGISTRY.with_types(declared_in(root))
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda one: one.name):
        registry = registry.with_types(declared_in(importlib.import_module(f"{package}.{info.name}")))
    return registry
