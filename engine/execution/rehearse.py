"""Run what leads up to a workflow's outputs without writing anything: to see what a run would ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from engine.execution.cache import Hit, ResultCache
from engine.execution.cancel import CancelToken
from engine.execution.context import Services
from engine.execution.events import Listener
from engine.execution.executor import execute
from engine.execution.outcome import RunResult
from engine.graph.model import Graph, Link
from engine.graph.node_types import NodeType
from engine.graph.registry import Registry

__all__ = ["rehearse"]


def rehearse(
    graph: Graph,
    registry: Registry,
    services: Services,
    listener: Listener | None = None,
    cancel: CancelToken | None = None,
    *,
    outputs: Sequence[str] | None = None,
    kept: ResultCache | None = None,
) -> RunResult:
    """Compute everything that feeds `outputs` (None: every output node) of a validated graph.

    Output nodes, which write files, do nothing, but for those that others are fed by or that compute with a model.
    Nothing is kept; results that are in `kept` are found. `services` say what nodes compute with. Raises as `execute`
    does.
    """
    types = {
        name: dataclasses.replace(one, run=_nothing) if _ends(one) else one for name, one in registry.types.items()
    }
    wanted: dict[str, None] = {}
    for node_id, node in graph.nodes.items():
        kind = types.get(node.type)
        if kind is None or not (kind.output_node if outputs is None else node_id in outputs):
            continue
        if kind.output_node and kind.outputs and not kind.uses_model:
            wanted |= dict.fromkeys(value.node for value in node.inputs.values() if type(value) is Link)
        else:
            wanted[node_id] = None
    if not wanted:
        return RunResult((), {}, {}, 0.0)
    return execute(
        graph,
        Registry(MappingProxyType(types)),
        cache=_Seen(ResultCache(0) if kept is None else kept),
        outputs=list(wanted),
        services=services,
        listener=listener,
        cancel=cancel,
    )


def _ends(kind: NodeType) -> bool:
    """Say whether a node does nothing but write or show what it is given."""
    return kind.output_node and not kind.uses_model and not kind.outputs


def _nothing(*context: Any, **inputs: Any) -> None:
    """Stand for a node that writes."""


class _Seen(ResultCache):
    """Shows what another cache keeps; keeps nothing."""

    def __init__(self, kept: ResultCache) -> None:
        super().__init__(0)
        self._kept = kept

    def lookup(self, key: str) -> Hit | None:
        """Return what is kept there."""
        return self._kept.lookup(key)
