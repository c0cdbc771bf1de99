"""Classes with ``define_schema``, as node types."""

from __future__ import annotations

from typing import Any

from engine.compat.calling import Owner
from engine.graph.node_types import NodeType


def schema_node_type(kind: Any, owner: Owner, id: str | None = None, title: str | None = None) -> NodeType:
    raise NotImplementedError
