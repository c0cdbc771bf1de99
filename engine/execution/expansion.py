"""Nodes that put other nodes in their place while the graph runs.

The new nodes join the graph, run like all others, and are forgotten when the node that made them is finished.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import GraphError, NodeFailure, Problem
from engine.execution.cache import Shown
from engine.execution.context import Lineage
from engine.execution.loops import Loops, find_loops
from engine.execution.order import ancestors
from engine.execution.run_state import RunState
from engine.graph.api_prompt import graph_from_api
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import NodeResult
from engine.graph.registry import Registry
from engine.graph.validate import coerce_inputs


@dataclasses.dataclass(frozen=True, slots=True)
class Expansion:
    """What a node waits for after it expanded: the results of its calls, with links into the nodes that it made."""

    results: tuple[NodeResult, ...]
    added: tuple[str, ...]
    outputs: tuple[str, ...]


def expand(state: RunState, maker: str, results: Sequence[NodeResult]) -> Expansion:
    """Take the nodes that ``maker`` made into the graph and let it wait for what it needs of them.

    Raises `GraphError` for nodes that cannot run and for a circle among them, `NodeFailure` for an id that is taken.
    """
    made: dict[str, Any] = {}
    for result in results:
        if result.expand:
            _check_new(state, made, result.expand)
            made.update(result.expand)
    fresh = graph_from_api(made)
    _check_types(fresh, state.registry)
    nodes = coerce_inputs(fresh, state.registry).nodes
    shown_at = state.scope.display_id(maker) or maker
    for node_id in nodes:
        own = made[node_id].get("override_display_id")
        state.scope.lineage[node_id] = Lineage(maker, str(own) if own else shown_at)
    state.grow(nodes)
    outputs = tuple(node_id for node_id in nodes if state.node_type(node_id).output_node)
    try:
        wanted = list(dict.fromkeys([*outputs, *_sources(results)]))
        _check_links(state, nodes, wanted)
        loops = _make_keys(state, nodes, wanted, outputs)
        outputs = (*(one for one in outputs if one not in loops.inside), *loops.with_sinks)
        state.request(maker, [*(one for one in wanted if one not in loops.inside), *loops.with_sinks])
    except Exception:
        state.shrink(nodes)
        raise
    return Expansion(tuple(results), tuple(nodes), outputs)


def resolved(state: RunState, expansion: Expansion) -> list[NodeResult]:
    """Return the results of an expanded node, with values in place of links."""
    return [
        dataclasses.replace(
            result,
            values=tuple(state.source(v).values[v.slot] if type(v) is Link else v for v in result.values),
            expand=None,
        )
        for result in expansion.results
    ]


def shown_inside(state: RunState, expansion: Expansion) -> tuple[Shown, ...]:
    """Return what the output nodes of an expansion showed, in their order."""
    results = ((node_id, state.results.get(state.original(node_id))) for node_id in expansion.outputs)
    return tuple(one for node_id, result in results if result for one in state.report.shown_by(node_id, result))


def _sources(results: Sequence[NodeResult]) -> list[str]:
    return [value.node for result in results for value in result.values if type(value) is Link]


def _check_new(state: RunState, made: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    taken = next((node_id for node_id in more if node_id in state.nodes or node_id in made), None)
    if taken is not None:
        raise NodeFailure(
            f"the node made a node with the id {taken!r}, which is taken",
            expected="ids that no other node has",
            got=repr(taken),
            hint="a fault in the code of the node; a GraphBuilder makes ids that are new",
        )


def _check_types(graph: Graph, registry: Registry) -> None:
    unknown = [node for node in graph.nodes.values() if node.type not in registry.types]
    if unknown:
        raise GraphError(
            [Problem("E-UNKNOWN-NODE", f"there is no node type {one.type!r}", one.id, one.type) for one in unknown]
        )


def _check_links(state: RunState, nodes: Mapping[str, Node], wanted: Sequence[str]) -> None:
    links = [*wanted, *(v.node for node in nodes.values() for v in node.inputs.values() if type(v) is Link)]
    loose = next((node_id for node_id in links if node_id not in state.nodes), None)
    if loose is not None:
        raise NodeFailure(f"the node made a link to {loose!r}, which is no node", hint="a fault in the node's code")


def _make_keys(state: RunState, nodes: Mapping[str, Node], wanted: Sequence[str], outputs: Sequence[str]) -> Loops:
    """Make the keys of the new nodes that are wanted, and of older ones that nobody wanted before; find new loops."""
    order = ancestors(state.graph, wanted, available=state.keys)
    loops = find_loops(state.graph, state.registry, frozenset(outputs), order, among=nodes)
    if loops.by_end:
        order = ancestors(state.graph, [*wanted, *loops.by_end], available=state.keys)
    state.fingerprints.derivation_keys(state.graph, order, state.keys)
    if loops.by_end:
        state.take_loops(loops, outputs)
    return loops
