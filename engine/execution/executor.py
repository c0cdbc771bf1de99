"""Run a graph: look up, call, keep, report.

    keys of all that is wanted -> what the cache has -> a plan of the rest -> one step after the other

A failure stops only what needs the failed node. Being cancelled stops the rest; what was made stays in the cache.
"""

from __future__ import annotations

import copy
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engine.errors import Cancelled, InputError, NodeFailure, SafelightError
from engine.execution.cache import Result, ResultCache
from engine.execution.cancel import CancelToken
from engine.execution.context import Context, RunScope, Services
from engine.execution.events import (
    Listener,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
    tell,
)
from engine.execution.failures import failure_of
from engine.execution.order import Plan, ancestors, plan
from engine.execution.outcome import NodeOutcome, RunResult, State
from engine.graph.fingerprint import Fingerprints
from engine.graph.model import EMPTY, Graph, Link, Node
from engine.graph.node_types import MISSING, NodeResult, NodeType
from engine.graph.registry import Registry

_log = logging.getLogger("safelight.execution")


def execute(
    graph: Graph,
    registry: Registry,
    *,
    cache: ResultCache,
    outputs: Sequence[str] | None = None,
    services: Services | None = None,
    listener: Listener | None = None,
    cancel: CancelToken | None = None,
) -> RunResult:
    """Compute what ``outputs`` name (default: every output node) of a validated graph with coerced constants.

    Nothing that a node does makes this raise: every wanted output ends as done, cached, failed, skipped or
    cancelled in the result. A KeyboardInterrupt counts as being cancelled. Raises `InputError` when no output or
    an unknown one is wanted, `GraphError` for a graph with a cycle or a loose link.
    """
    scope = RunScope(graph, services or Services(), listener, cancel or CancelToken())
    return _Run(scope, registry, cache, _wanted(graph, registry, outputs)).run()


def _wanted(graph: Graph, registry: Registry, outputs: Sequence[str] | None) -> tuple[str, ...]:
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


class _Run:
    """One run: what has been made so far and what became of each node."""

    def __init__(self, scope: RunScope, registry: Registry, cache: ResultCache, wanted: tuple[str, ...]) -> None:
        self._scope = scope
        self._nodes = scope.graph.nodes
        self._registry = registry
        self._cache = cache
        self._wanted = wanted
        self._listener = scope.listener
        self._keys = Fingerprints(registry, scope.services.file_identity, scope.services.salt)
        self._derivations: dict[str, str | None] = {}
        self._twins: dict[str, str] = {}
        self._standing_for: dict[str, list[str]] = {}
        self._results: dict[str, Result] = {}
        self._outcomes: dict[str, NodeOutcome] = {}

    def run(self) -> RunResult:
        """Run to the end, whatever happens on the way."""
        started = time.perf_counter()
        steps: tuple[str, ...] = ()
        try:
            ordered = self._prepare()
            steps = ordered.steps
            tell(self._listener, RunStarted(self._wanted, steps))
            for node_id in list(self._results):
                self._reached(node_id, State.CACHED)
            self._take_steps(ordered)
        except (Cancelled, KeyboardInterrupt):
            self._scope.cancel.cancel()
            for node_id in (*steps, *self._wanted):
                if node_id not in self._outcomes:
                    self._reached(node_id, State.CANCELLED)
        return self._finish(started)

    def _prepare(self) -> Plan:
        """Make the keys, fetch what the cache has, and order the rest."""
        graph = self._scope.graph
        order = ancestors(graph, self._wanted)
        self._derivations = self._keys.derivation_keys(graph, order)
        self._find_twins(order)
        self._look_up_wanted()
        return plan(graph, self._registry, self._wanted, available=self._results, twins=self._twins)

    def _find_twins(self, order: Sequence[str]) -> None:
        """Let the first of all nodes with one key stand for the others."""
        first: dict[str, str] = {}
        for node_id in order:
            key = self._derivations[node_id]
            if key is not None:
                stands = first.setdefault(key, node_id)
                if stands != node_id:
                    self._twins[node_id] = stands
                    self._standing_for.setdefault(stands, []).append(node_id)

    def _look_up_wanted(self) -> None:
        """Fetch the results that are there, from the wanted outputs up; what only feeds those is left alone."""
        met: set[str] = set()
        pending = list(self._wanted)
        while pending:
            node_id = pending.pop()
            node_id = self._twins.get(node_id, node_id)
            if node_id in met:
                continue
            met.add(node_id)
            key = self._derivations[node_id]
            result = None if key is None else self._cache.get(key)
            if result is not None:
                self._results[node_id] = result
                continue
            pending.extend(v.node for v in self._nodes[node_id].inputs.values() if type(v) is Link)

    def _take_steps(self, steps: Plan) -> None:
        uses = dict(steps.consumers)
        keep = {self._twins.get(output, output) for output in self._wanted}
        for node_id in steps.steps:
            self._scope.cancel.check()
            sources = steps.sources[node_id]
            blamed = next((s for s in sources if s not in self._results), None)
            if blamed is None:
                self._step(node_id)
            else:
                self._reached(node_id, State.SKIPPED, because=self._outcomes[blamed].because or blamed)
            for source in sources:
                uses[source] -= 1
                if uses[source] == 0 and source not in keep:
                    self._results.pop(source, None)

    def _step(self, node_id: str) -> None:
        """Look one node up by what its inputs are, else call it. Its failure is recorded, never raised."""
        node = self._nodes[node_id]
        inputs: dict[str, Any] = {}
        started = time.perf_counter()
        try:
            node_type = self._registry.types[node.type]
            self._gather(node, node_type, inputs)
            origin = self._origin(node, node_type, inputs)
            if node_type.cacheable and self._cached_by_content(node_id, origin):
                return
            tell(self._listener, NodeStarted(node_id))
            made = _call(node_type, Context(node_id, node.title, self._scope), inputs)
            seconds = time.perf_counter() - started
            result = Result(made.values, origin, made.ui, made.files, seconds)
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 (whatever a node raises is that node's failure)
            _log.info("node %s (%s) failed", node_id, node.type, exc_info=error)
            failure = failure_of(error, node, inputs)
            inputs.clear()  # the error keeps this frame alive, and must not keep the inputs alive with it
            self._reached(node_id, State.FAILED, seconds=time.perf_counter() - started, error=failure)
            return
        self._results[node_id] = result
        if node_type.cacheable:
            self._cache.put(result, self._derivations[node_id], origin)
        self._reached(node_id, State.DONE, seconds=seconds)

    def _gather(self, node: Node, node_type: NodeType, inputs: dict[str, Any]) -> None:
        """Fill ``inputs`` with what the node is called with: defaults, constants, and the values of its links."""
        for parameter in node_type.inputs:
            if parameter.default is not MISSING and parameter.name not in node.inputs:
                inputs[parameter.name] = parameter.default
        for name, value in node.inputs.items():
            if type(value) is Link:
                inputs[name] = self._source(value).values[value.slot]
            elif isinstance(value, (list, dict)):
                inputs[name] = copy.deepcopy(value)  # the graph stays as it is, whatever the node does
            else:
                inputs[name] = value

    def _source(self, link: Link) -> Result:
        return self._results[self._twins.get(link.node, link.node)]

    def _origin(self, node: Node, node_type: NodeType, inputs: Mapping[str, Any]) -> str:
        """Return the key of what the node is about to compute, made from the content of its inputs."""
        if not node_type.cacheable:
            return f"once-{uuid.uuid4().hex}"  # its results may differ each time, so nothing else is named like them
        links = ((name, value) for name, value in node.inputs.items() if type(value) is Link)
        tokens = {name: self._source(link).token(link.slot) for name, link in links}
        return self._keys.trace_key(node, inputs, tokens)

    def _cached_by_content(self, node_id: str, origin: str) -> bool:
        derivation = self._derivations[node_id]
        if origin == derivation:
            return False  # looked up before the run
        result = self._cache.get(origin)
        if result is None:
            return False
        if derivation is not None:
            self._cache.link(result, origin, derivation)
        self._results[node_id] = result
        self._reached(node_id, State.CACHED)
        return True

    def _reached(
        self,
        node_id: str,
        state: State,
        *,
        seconds: float = 0.0,
        error: SafelightError | None = None,
        because: str | None = None,
    ) -> None:
        """Record and report the final state of a node, and of the nodes it stands for."""
        result = self._results.get(node_id)
        ui, files = (result.ui, result.files) if result is not None else (EMPTY, ())
        self._record(node_id, NodeOutcome(state, seconds, ui, files, error, because))
        twins = self._standing_for.get(node_id)
        if twins:
            # A twin did not run itself: it shares the result, or is held up by the one that failed for both.
            state = {State.DONE: State.CACHED, State.FAILED: State.SKIPPED}.get(state, state)
            outcome = NodeOutcome(state, 0.0, ui, files, None, because if error is None else node_id)
            for twin in twins:
                self._record(twin, outcome)

    def _record(self, node_id: str, outcome: NodeOutcome) -> None:
        self._outcomes[node_id] = outcome
        if self._listener is None:
            return
        match outcome.state:
            case State.DONE:
                tell(self._listener, NodeFinished(node_id, outcome.seconds, outcome.ui, outcome.files))
            case State.CACHED:
                tell(self._listener, NodeCached(node_id, outcome.ui, outcome.files))
            case State.FAILED if outcome.error is not None:
                tell(self._listener, NodeFailed(node_id, outcome.error.problem))
            case State.SKIPPED if outcome.because is not None:
                tell(self._listener, NodeSkipped(node_id, outcome.because))

    def _finish(self, started: float) -> RunResult:
        seconds = time.perf_counter() - started
        values = {}
        for output in self._wanted:
            result = self._results.get(self._twins.get(output, output))
            if result is not None:
                values[output] = result.values
        self._results.clear()  # see `_step`: an error in the result keeps this run alive
        states = {output: str(self._outcomes[output].state) for output in self._wanted}
        tell(self._listener, RunFinished(MappingProxyType(states), seconds))
        return RunResult(self._wanted, MappingProxyType(self._outcomes), MappingProxyType(values), seconds)


def _call(node_type: NodeType, context: Context, inputs: Mapping[str, Any]) -> NodeResult:
    """Call a node and bring what it returns into one form.

    A node with one output returns that value itself, also when it is a tuple; one with several returns a tuple.
    """
    run = node_type.run
    if run is None:
        raise NodeFailure(
            f"node type {node_type.id!r} only describes a node, there is no code to run",
            hint="resolve such nodes when the document is read, or install the pack that has the code",
        )
    made = run(context, **inputs) if node_type.wants_context else run(**inputs)
    count = len(node_type.outputs)
    if isinstance(made, NodeResult):
        result = made
    elif count == 1 and made is not None:
        return NodeResult((made,))
    elif made is None:
        result = NodeResult()
    elif isinstance(made, (tuple, list)):
        result = NodeResult(tuple(made))
    else:
        raise _wrong_count(node_type, f"one value of type {type(made).__name__}")
    if len(result.values) != count:
        raise _wrong_count(node_type, f"{len(result.values)} values" if made is not None else "None")
    return result


def _wrong_count(node_type: NodeType, got: str) -> NodeFailure:
    names = ", ".join(output.name for output in node_type.outputs)
    expected = f"{len(node_type.outputs)} ({names})" if names else "no values"
    return NodeFailure(
        f"node type {node_type.id!r} returned something else than its outputs",
        expected=expected,
        got=got,
        hint=f"this is a fault in the code of the node ({node_type.module or 'unknown module'})",
    )
