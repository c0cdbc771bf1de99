"""``comfy_execution.utils``: which node runs now."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.compat.calling import current_call

__all__ = ["CurrentNodeContext", "ExecutionContext", "get_executing_context"]


class ExecutionContext(NamedTuple):
    """Say which prompt and node run, and for which item of a list."""

    prompt_id: str
    node_id: str
    list_index: int | None


def get_executing_context() -> ExecutionContext | None:
    """Return what runs in this thread or task, or None outside any node."""
    call = current_call()
    if call is None:
        return None
    return ExecutionContext(str(getattr(call.context, "prompt_id", "") or ""), call.node_id, call.index)


class CurrentNodeContext:
    """A context manager that packs may enter by themselves; the node that runs is known without it."""

    def __init__(self, prompt_id: str, node_id: str, list_index: int | None = None) -> None:
        self.context = ExecutionContext(prompt_id, node_id, list_index)

    def __enter__(self) -> ExecutionContext:
        return self.context

    def __exit__(self, *exception: Any) -> None:
        return None
