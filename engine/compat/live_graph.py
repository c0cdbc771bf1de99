"""What packs are told beside their inputs: the hidden inputs, and the graph as it is while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.graph.api_prompt import graph_to_api
from engine.graph.model import Graph


class DynamicPrompt:
    """The graph that runs, with the nodes that others were expanded into; given to inputs of kind DYNPROMPT."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def original_prompt(self) -> Mapping[str, Any]:
        """The API form of the graph as it was submitted."""
        return self.get_original_prompt()

    def get_original_prompt(self) -> Mapping[str, Any]:
        """Return the API form of the graph as it was submitted."""
        found: Mapping[str, Any] = self._context.prompt
        return found

    def get_node(self, node_id: str) -> dict[str, Any]:
        """Return a node's entry (``class_type``, ``inputs``). Raises `KeyError` when there is none."""
        node = self._context.graph_view.nodes[str(node_id)]
        entry: dict[str, Any] = graph_to_api(Graph(MappingProxyType({node.id: node})))[node.id]
        return entry

    def has_node(self, node_id: str) -> bool:
        """Say whether there is such a node."""
        return str(node_id) in self._context.graph_view.nodes

    def get_parent_node_id(self, node_id: str) -> str | None:
        """Return the node that ``node_id`` was expanded from, or None."""
        line = self._context.graph_view.lineage.get(str(node_id))
        return None if line is None else str(line.parent_id)

    def get_real_node_id(self, node_id: str) -> str:
        """Return the node of the submitted graph that ``node_id`` stems from."""
        current, seen = str(node_id), set[str]()
        while current not in seen and (parent := self.get_parent_node_id(current)) is not None:
            seen.add(current)
            current = parent
        return current

    def get_display_node_id(self, node_id: str) -> str:
        """Return the node on which the editor shows the progress of ``node_id``."""
        return str(self._context.graph_view.display_id(str(node_id)) or node_id)

    def all_node_ids(self) -> set[str]:
        """Return the ids of all nodes that there are now."""
        return set(self._context.graph_view.nodes)


def hidden_value(kind: str, context: Any) -> Any:
    """Return what a hidden input of ``kind`` holds. Tokens for paid services do not exist here, so they are None."""
    if kind == "PROMPT":
        return context.prompt
    if kind == "DYNPROMPT":
        return DynamicPrompt(context)
    if kind == "UNIQUE_ID":
        return context.node_id
    if kind == "EXTRA_PNGINFO":
        given = getattr(context, "extra_pnginfo", None)
        if given is not None:
            return given
        return None if context.workflow is None else {"workflow": context.workflow}
    return None


HIDDEN_KINDS = frozenset(
    {
        "PROMPT",
        "DYNPROMPT",
        "UNIQUE_ID",
        "EXTRA_PNGINFO",
        "AUTH_TOKEN_COMFY_ORG",
        "API_KEY_COMFY_ORG",
        "COMFY_USAGE_SOURCE",
        "EXECUTION_LIST",
    }
)
"""The kinds of hidden inputs; one of another kind is never passed."""


def hidden_values(hidden: Mapping[str, str], context: Any) -> dict[str, Any]:
    """Return the hidden inputs of a node by name."""
    return {name: hidden_value(kind, context) for name, kind in hidden.items() if kind in HIDDEN_KINDS}
