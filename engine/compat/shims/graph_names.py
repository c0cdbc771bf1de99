"""``comfy_execution.graph``: what packs import from there."""

from __future__ import annotations

from engine.compat.live_graph import DynamicPrompt
from engine.compat.returns import ExecutionBlocker

__all__ = ["DynamicPrompt", "ExecutionBlocker", "NodeInputError", "NodeNotFoundError"]


class NodeInputError(Exception):
    """Say that an input of a node cannot be had."""


class NodeNotFoundError(Exception):
    """Say that a node is not in the graph."""
