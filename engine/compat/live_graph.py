"""What packs are told beside their inputs: the hidden inputs, and the graph as it is while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DynamicPrompt:
    """The graph that runs, with the nodes that others were expanded into; given to inputs of kind DYNPROMPT.

    Reads ``context.graph_view`` of the executor where it has one, else the graph as it was submitted.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._view = getattr(context, "graph_view", None)

    @property
    def original_prompt(self) -> Mapping[str, Any]:
        """The API form of the graph as it was submitted."""
        return self.get_original_prompt()

    def get_original_prompt(self) -> Mapping[str, Any]:
        """Return the API form of the graph as it was submitted."""
        found: Mapping[str, Any] = self._context.prompt
        return found

    def get_node(self, node_id: str) -> Any:
        """Return a node's entry (``class_type``, ``inputs``). Raises `KeyError` when there is none."""
        if self._view is not None:
            return self._view.get_node(str(node_id))
        return self._context.prompt[str(node_id)]

    def has_node(self, node_id: str) -> bool:
        """Say whether there is such a node."""
        if self._view is not None:
            return bool(self._view.has_node(str(node_id)))
        return str(node_id) in self._context.prompt

    def get_parent_node_id(self, node_id: str) -> str | None:
        """Return the node that ``node_id`` was expanded from, or None."""
        found: str | None = None if self._view is None else self._view.get_parent_node_id(str(node_id))
        return found

    def get_real_node_id(self, node_id: str) -> str:
        """Return the node of the submitted graph that ``node_id`` stems from."""
        current, seen = str(node_id), set[str]()
        while current not in seen and (parent := self.get_parent_node_id(current)) is not None:
            seen.add(current)
            current = parent
        return current

    def get_display_node_id(self, node_id: str) -> str:
        """Return the node on which the editor shows the progress of ``node_id``."""
        if self._view is not None:
            return str(self._view.get_display_node_id(str(node_id)))
        return str(node_id)

    def all_node_ids(self) -> set[str]:
        """Return the ids of all nodes that there are now."""
        return set(self._context.prompt if self._view is None else self._view.all_node_ids())


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
