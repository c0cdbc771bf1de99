"""What a run knows while it goes on: its nodes, their keys, what is still to do, and the results that somebody needs.

One object owns all of it. The executor takes the steps, `engine.execution.expansion` adds nodes, and
`engine.execution.looping` repeats them.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.errors import InputError
from engine.execution.agenda import Agenda
from engine.execution.cache import Result, ResultCache
from engine.execution.context import RunScope
from engine.execution.loops import NO_LOOPS, Loop, Loops, find_loops
from engine.execution.order import Plan, Planner, ancestors
from engine.execution.outcome import NodeOutcome, State
from engine.execution.report import Report
from engine.graph.fingerprint import Fingerprints, digest
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import MISSING, NodeType
from engine.graph.registry import Registry


def wanted_outputs(graph: Graph, registry: Registry, outputs: Sequence[str] | None) -> tuple[str, ...]:
    """Return the wanted outputs in the order of the document."""
    if outputs is None:
        sinks = {node_type.id for node_type in registry if node_type.output_node}
        found = tuple(node_id for node_id, node in graph.nodes.items() if node.type in sinks)
    else:
        names = frozenset(outputs)
        unknown = sorted(names - graph.nodes.keys())
        if unknown:
            raise InputError(
                "a wanted output is not in the workflow",
                expected="the id of one of its nodes",
                got=", ".join(unknown[:5]),
            )
        found = tuple(node_id for node_id in graph.nodes if node_id in names)
    if not found:
        raise InputError(
            "nothing is wanted of the workflow",
            expected="at least one output node",
            got="none",
            hint="add a node that saves or shows a result, or name the nodes to compute",
        )
    return found


class RunState:
    """Own the state of one run.

    ``nodes`` are those of the graph and those that nodes made; in ``keys`` stand their derivation keys (None where it
    cannot be known). ``results`` holds what somebody still needs.
    """

    def __init__(self, scope: RunScope, registry: Registry, cache: ResultCache) -> None:
        self.scope = scope
        self.registry = registry
        self.cache = cache
        self.nodes: dict[str, Node] = dict(scope.graph.nodes)
        scope.nodes = self.nodes
        self.graph = Graph(self.nodes)
        self.keys: dict[str, str | None] = {}
        self.loops: Loops = NO_LOOPS
        self.results: dict[str, Result] = {}
        self.tiers: dict[str, str] = {}  # where results came from that were looked up and not told of yet
        self.report = Report(scope)
        awaiting = frozenset(one.id for one in registry if one.awaits)
        self.agenda = Agenda((lambda node_id: self.nodes[node_id].type in awaiting) if awaiting else None)
        self.fingerprints = Fingerprints(registry, scope.services.file_identity, scope.services.salt)
        self._twins: dict[str, str] = {}
        self._shape: dict[str, Node] = self.nodes  # the same with each loop drawn together into its end
        self._planner = Planner(registry, self._shape, self._twins)
        self._sources: dict[str, tuple[str, ...]] = {}
        self._uses: dict[str, int] = {}
        self._lazy: dict[str, list[str]] = {}  # what a node may yet ask for, kept if others compute it
        self.keep: set[str] = set()
        self._wanted_inside: set[str] = set()

    def node_type(self, node_id: str) -> NodeType:
        """Return the type of a node."""
        return self.registry.types[self.nodes[node_id].type]

    def prepare(self, wanted: Sequence[str]) -> tuple[Plan, list[str]]:
        """Make the keys, fetch what the cache has, and order the rest; return the plan and what the cache had."""
        order = ancestors(self.graph, wanted)
        self.loops = find_loops(self.graph, self.registry, frozenset(wanted), order)
        if self.loops.by_end:
            order = ancestors(self.graph, [*wanted, *self.loops.by_end])
        self.fingerprints.derivation_keys(self.graph, order, self.keys)
        if self.loops.by_end:
            self.take_loops(self.loops, wanted)
        self.cache.start_run(self.keys.values())
        self._find_twins(order)
        targets = [output for output in wanted if output not in self.loops.inside]
        self.keep.update(map(self.original, targets))
        return self._add([*targets, *self.loops.with_sinks])

    def take_loops(self, loops: Loops, wanted: Iterable[str]) -> None:
        """Let each loop be one node to those who plan; what is inside has no key that is known before its round."""
        if self._shape is self.nodes:
            self._shape = dict(self.nodes)
            self._planner = Planner(self.registry, self._shape, self._twins)
        self.loops = Loops({**self.loops.by_end, **loops.by_end}, {**self.loops.inside, **loops.inside})
        self.report.repeated = self.loops.inside
        self._wanted_inside.update(one for one in wanted if one in loops.inside)
        for end, loop in loops.by_end.items():
            node = self.nodes[end]
            links = {str(place): Link(source, 0) for place, source in enumerate(loop.outside)}
            self._shape[end] = Node(end, node.type, links, node.title)
            if loop.parent is None:
                self.keys[end] = self.loop_key(self.keys, loop)
        for node_id in loops.inside:
            self.keys[node_id] = None

    def loop_key(self, keys: Mapping[str, str | None], loop: Loop) -> str | None:
        """Return the key of a loop together with those of its members that are wanted themselves."""
        parts = [keys[loop.end]]
        for sink in self._wanted_inside.intersection(loop.members):
            parts += [sink, keys[sink]]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return known[0] if len(known) == 1 else digest(" ".join(sorted(known)))

    def original(self, node_id: str) -> str:
        """Return the node that computes what ``node_id`` is: itself, or the first of those with an equal key."""
        return self._twins.get(node_id, node_id)

    def source(self, link: Link) -> Result:
        """Return the result that ``link`` leads to."""
        return self.results[self.original(link.node)]

    def missing(self, node_id: str) -> str | None:
        """Return a node that ``node_id`` needs and that gave no result, or None."""
        results = self.results
        for source in self._sources[node_id]:
            if source not in results:
                return source
        return None

    def request(self, user: str, targets: Sequence[str], hold: bool = True) -> None:
        """Let ``user``, whose turn it is, come up again when ``targets`` are there; with ``hold`` it needs them."""
        originals = list(dict.fromkeys(map(self.original, targets)))
        if hold:
            self.hold(user, originals)
        plan, found = self._add([one for one in originals if one not in self.results and one not in self.agenda])
        for node_id in found:
            self.found(node_id)
        self.agenda.wait(user, [*originals, *plan.steps])

    def hold(self, user: str, sources: Iterable[str]) -> None:
        """Keep the results of ``sources`` until ``user`` is finished, or lets go."""
        for source in sources:
            self._sources[user] += (source,)
            self._uses[source] = self._uses.get(source, 0) + 1

    def let_go(self, user: str, sources: Iterable[str]) -> None:
        """Undo `hold`."""
        held = list(self._sources[user])
        for source in sources:
            held.remove(source)
            self._release(source)
        self._sources[user] = tuple(held)

    def finish(self, node_id: str, outcome: NodeOutcome) -> None:
        """Take a node off the agenda, tell what became of it, and drop what nobody needs any more."""
        self.report.reached(node_id, outcome)
        self.agenda.finish(node_id)
        uses = self._uses
        for source in self._sources.pop(node_id):
            if uses[source] > 1:
                uses[source] -= 1
            else:
                self._release(source)
        if node_id in self._lazy:
            for source in self._lazy.pop(node_id):
                self._release(source)
        if not self._uses.get(node_id) and node_id not in self.keep:
            self.results.pop(node_id, None)

    def found(self, node_id: str) -> None:
        """Tell of a result that was in the cache."""
        result = self.results[node_id]
        tier = self.tiers.pop(node_id, None)
        self.report.reached(node_id, NodeOutcome(State.CACHED, 0.0, result.ui, result.files, tier=tier))
        self.report.told_again(result)

    def grow(self, added: Mapping[str, Node]) -> None:
        """Take nodes that a node made into the graph."""
        self.nodes.update(added)
        if self._shape is not self.nodes:
            self._shape.update(added)
        self._planner.grow(added)

    def shrink(self, node_ids: Iterable[str]) -> None:
        """Forget nodes that a node made, when it is finished."""
        for node_id in node_ids:
            self.nodes.pop(node_id, None)
            self._shape.pop(node_id, None)
            self.keys.pop(node_id, None)
            self.results.pop(node_id, None)
            self._uses.pop(node_id, None)
            self.scope.lineage.pop(node_id, None)
        self._planner.shrink(node_ids)

    def gather(self, node: Node, node_type: NodeType, absent: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return what a node is called with: defaults, constants, and the values of its links.

        Lazy inputs in ``absent`` are None.
        """
        inputs: dict[str, Any] = {}
        passed = self._planner.passed_over[node.type]
        declared = node_type.inputs if node_type.inputs_for is None else node_type.inputs_for(node.inputs)
        for parameter in declared:
            if parameter.default is not MISSING and parameter.name not in node.inputs:
                inputs[parameter.name] = parameter.default
        results, twins = self.results, self._twins
        for name, value in node.inputs.items():
            if type(value) is Link:
                if not passed:  # as most nodes are: every link brings its value
                    inputs[name] = results[twins.get(value.node, value.node)].values[value.slot]
                elif name in absent:
                    inputs[name] = None
                elif name in passed and node_type.by_name[name].raw_link:
                    inputs[name] = value
                else:
                    inputs[name] = self.source(value).values[value.slot]
            elif isinstance(value, (list, dict)):
                inputs[name] = copy.deepcopy(value)  # the graph stays as it is, whatever the node does
            else:
                inputs[name] = value
        return inputs

    def origin(self, node: Node, inputs: Mapping[str, Any], absent: frozenset[str] = frozenset()) -> str:
        """Return the key of what the node is about to compute, made from the content of its inputs."""
        tokens: dict[str, str] = {}
        results, twins = self.results, self._twins
        for name, value in node.inputs.items():
            if type(value) is not Link or name in absent:
                continue
            if type(inputs[name]) is Link:  # handed on as it is: known by what it leads to
                key = self.keys.get(value.node)
                if key is None:
                    return once()
                tokens[name] = f"@{key}:{value.slot};"
            else:
                tokens[name] = results[twins.get(value.node, value.node)].token(value.slot)
        return self.fingerprints.trace_key(node, inputs, tokens) or once()

    def unasked(self, node_id: str, asked: Iterable[str] = ()) -> frozenset[str]:
        """Return the names of the lazy linked inputs of a node that are not in ``asked``."""
        node = self.nodes[node_id]
        passed = self._planner.passed_over[node.type]
        if not passed:
            return passed
        by_name = self.node_type(node_id).by_name
        lazy = {name for name in passed if not by_name[name].raw_link and type(node.inputs.get(name)) is Link}
        return frozenset(lazy.difference(asked))

    def _add(self, targets: Sequence[str]) -> tuple[Plan, list[str]]:
        """Look ``targets`` and what they need up, and put the rest on the agenda."""
        there = _There(self)
        plan = self._planner.plan(targets, available=there)
        self._sources.update(plan.sources)
        uses, nodes, passed_over = self._uses, self.nodes, self._planner.passed_over
        for node_id, sources in plan.sources.items():
            for source in sources:
                uses[source] = uses.get(source, 0) + 1
            if passed_over[nodes[node_id].type]:
                self._hold_lazy(node_id)
        self.agenda.add(plan.steps, plan.sources)
        return plan, there.found

    def _hold_lazy(self, node_id: str) -> None:
        names = self.unasked(node_id)
        if names:
            inputs = self.nodes[node_id].inputs
            self._lazy[node_id] = [self.original(inputs[name].node) for name in names]
            for source in self._lazy[node_id]:
                self._uses[source] = self._uses.get(source, 0) + 1

    def _find_twins(self, order: Sequence[str]) -> None:
        """Let the first of all nodes with one key stand for the others."""
        first: dict[str, str] = {}
        for node_id in order:
            key = self.keys[node_id]
            if key is None or node_id in self.loops.by_end:
                continue
            stands = first.setdefault(key, node_id)
            if stands != node_id:
                self._twins[node_id] = stands
                self.report.standing_for.setdefault(stands, []).append(node_id)

    def _release(self, source: str) -> None:
        self._uses[source] -= 1
        if self._uses[source] == 0:
            del self._uses[source]
            if source not in self.keep:
                self.results.pop(source, None)


class _There:
    """Contain what a plan need not go beyond: what is there or on the agenda, and what the cache turns out to have.

    The cache is asked from the targets up, so what only feeds a result that it has is left alone.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self.found: list[str] = []

    def __contains__(self, node_id: object) -> bool:
        state = self._state
        if node_id in state.results or node_id in state.agenda:  # type: ignore[operator]
            return True
        key = state.keys[node_id]  # type: ignore[index]
        hit = None if key is None else state.cache.lookup(key)
        if hit is None:
            return False
        assert isinstance(node_id, str)
        state.results[node_id] = hit.result
        state.tiers[node_id] = hit.tier
        self.found.append(node_id)
        return True


def is_key(key: str) -> bool:
    """Say whether ``key`` can come up again."""
    return not key.startswith("once-")


def once() -> str:
    """Return a key that nothing else has, for results that may differ each time."""
    return f"once-{uuid.uuid4().hex}"
