"""``comfy_execution.graph_utils``: building the nodes that a node expands into."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

from engine.compat.calling import current_call
from engine.compat.returns import ExecutionBlocker
from engine.graph.api_prompt import is_link as _is_link

__all__ = ["ExecutionBlocker", "GraphBuilder", "Node", "add_graph_prefix", "is_link"]

MAX_ROOT = 120


def is_link(obj: Any) -> bool:
    """Say whether ``obj`` is a link, ``["node id", slot]``."""
    return _is_link(obj)


class GraphBuilder:
    """Collects new nodes. Their ids begin with ``<node>.<call index>.<graph index>.``, so that no two are equal."""

    # Set by packs that build graphs outside a call; a call knows its own prefix.
    _default_root = ""
    _default_call_index = 0
    _default_graph_index = 0

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = GraphBuilder.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, Node] = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root: str, call_index: int, graph_index: int = 0) -> None:
        """Choose the prefix of graphs that are built outside the call of a node."""
        cls._default_root, cls._default_call_index, cls._default_graph_index = prefix_root, call_index, graph_index

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """Return a prefix that no other graph of this call has."""
        call = current_call()
        if call is not None:
            root = _short(call.node_id) if root is None else root
            call_index = call.index if call_index is None else call_index
            graph_index = next(call.graphs) if graph_index is None else graph_index
        if graph_index is None:
            graph_index = cls._default_graph_index
            GraphBuilder._default_graph_index += 1
        root = cls._default_root if root is None else root
        call_index = cls._default_call_index if call_index is None else call_index
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> Node:
        """Add a node with inputs (constants, or links made by `Node.out`); one with the same ``id`` is returned."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        id = self.prefix + id
        if id in self.nodes:
            return self.nodes[id]
        node = Node(id, class_type, kwargs)
        self.nodes[id] = node
        return node

    def lookup_node(self, id: str) -> Node | None:
        """Return the node that was added under ``id`` (without the prefix), or None."""
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> dict[str, dict[str, Any]]:
        """Return the nodes as an API prompt."""
        return {id: node.serialize() for id, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Put ``new_value`` in place of every link to an output; None takes those inputs away."""
        node_id = node_id if node_id in self.nodes else self.prefix + node_id
        for node in self.nodes.values():
            hit = [name for name, value in node.inputs.items() if is_link(value) and value == [node_id, index]]
            for name in hit:
                node.set_input(name, new_value)

    def remove_node(self, id: str) -> None:
        """Take a node out."""
        del self.nodes[id if id in self.nodes else self.prefix + id]


class Node:
    """A node that is being built."""

    def __init__(self, id: str, class_type: str, inputs: Mapping[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = dict(inputs)
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """Return a link to output ``index``."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None takes it away."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        """Return an input, or None."""
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show the progress of this node on another."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """Return the node's entry in an API prompt."""
        entry: dict[str, Any] = {"class_type": self.class_type, "inputs": dict(self.inputs)}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


def _short(node_id: str) -> str:
    """Return an id, or a digest of a long one in its place: ids of nodes that expand again and again grow each time."""
    if len(node_id) <= MAX_ROOT:
        return node_id
    return f"{node_id.partition('.')[0]}.{hashlib.blake2b(node_id.encode(), digest_size=12).hexdigest()}"


def add_graph_prefix(graph: Mapping[str, Any], outputs: tuple[Any, ...], prefix: str) -> tuple[Any, Any]:
    """Return ``graph`` and ``outputs`` with ``prefix`` before every id of a node of the graph."""

    def renamed(value: Any) -> Any:
        return [prefix + value[0], value[1]] if is_link(value) and value[0] in graph else value

    made: dict[str, Any] = {}
    for id, entry in graph.items():
        entry = copy.copy(entry)
        entry["inputs"] = {name: renamed(value) for name, value in entry.get("inputs", {}).items()}
        made[prefix + id] = entry
    return made, tuple(renamed(value) for value in outputs)
