"""Run what leads up to a workflow's outputs without writing anything: to see what a run would ask for."""

from __future__ import annotations

from engine.execution.cache import ResultCache
from engine.execution.cancel import CancelToken
from engine.execution.context import Services
from engine.execution.events import Listener
from engine.execution.executor import execute
from engine.execution.outcome import RunResult
from engine.graph.model import Graph, Link
from engine.graph.registry import Registry

__all__ = ["rehearse"]


def rehearse(
    graph: Graph,
    registry: Registry,
    services: Services,
    listener: Listener | None = None,
    cancel: CancelToken | None = None,
) -> RunResult:
    """Compute everything that feeds an output node of a validated graph, but not the output nodes, which write files.

    An output node that others are fed by, or that computes with a model, runs all the same. Nothing is kept. `services`
    say what nodes compute with. Raises as `execute` does.
    """
    wanted: dict[str, None] = {}
    for node_id, node in graph.nodes.items():
        kind = registry.types.get(node.type)
        if kind is None or not kind.output_node:
            continue
        if kind.uses_model:
            wanted[node_id] = None
        else:
            wanted |= dict.fromkeys(value.node for value in node.inputs.values() if type(value) is Link)
    if not wanted:  # output nodes that take nothing: there is nothing before them
        return RunResult((), {}, {}, 0.0)
    return execute(
        graph,
        registry,
        cache=ResultCache(0),
        outputs=list(wanted),
        services=services,
        listener=listener,
        cancel=cancel,
    )
