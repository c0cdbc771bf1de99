"""Run a graph: look up, call, keep, report.

    keys of all that is wanted -> what the cache has -> a plan of the rest -> one step after the other

A step is a node whose sources are there. Its turn may end with a result, or with waiting: for an input that it asked
for, for the nodes that it put in its place, for the next round of its loop, or for a coroutine. A failure stops only
what needs the failed node. Being cancelled stops the rest; what was made stays in the cache.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from types import MappingProxyType
from typing import Any

from engine.errors import Cancelled, NodeFailure
from engine.execution.cache import Result, ResultCache
from engine.execution.calling import (
    NO_CALLS,
    any_links,
    await_all,
    call,
    calls_for,
    in_one_form,
    is_awaitable,
    merged,
)
from engine.execution.cancel import CancelToken
from engine.execution.context import Context, RunScope, Services
from engine.execution.events import Listener, RunFinished, RunStarted, tell
from engine.execution.expansion import expand, resolved, shown_inside
from engine.execution.failures import failure_of
from engine.execution.job import Job, make_calls
from engine.execution.lasting import Lasting
from engine.execution.looping import Rounds, begin_round, end_round, enter, gathered, loop_origin
from engine.execution.outcome import NodeOutcome, RunResult, State
from engine.execution.overlap import Overlap
from engine.execution.run_state import RunState, wanted_outputs
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import Blocked, NodeResult
from engine.graph.registry import Registry
from engine.graph.secrets import secret_values

_log = logging.getLogger("safelight.execution")

WAIT_SECONDS = 0.05
"""How often to look whether the run was cancelled while only coroutines run."""


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

    Nothing that a node does makes this raise: every wanted output ends as done, cached, failed, skipped, blocked or
    cancelled in the result. A KeyboardInterrupt counts as being cancelled. Raises `InputError` when no output or
    an unknown one is wanted, `GraphError` for a graph with a cycle, a loose link, or a loop without an end.
    """
    hidden = secret_values(graph, registry)
    scope = RunScope(graph, services or Services(), listener, cancel or CancelToken(), secrets=hidden)
    return _Run(scope, registry, cache, wanted_outputs(graph, registry, outputs)).run()


class _Run:
    """One run: takes the steps of a `RunState` until none is left."""

    def __init__(self, scope: RunScope, registry: Registry, cache: ResultCache, wanted: tuple[str, ...]) -> None:
        self._scope = scope
        self._registry = registry
        self._cache = cache
        self._wanted = wanted
        self._state = RunState(scope, registry, cache)
        self._lasting = Lasting(scope.graph, registry)
        self._overlap = Overlap()
        self._asked: dict[str, set[str]] = {}
        self._expanding: dict[str, Job] = {}
        self._looping: dict[str, Rounds] = {}
        self._guilty: dict[str, NodeFailure] = {}

    def run(self) -> RunResult:
        """Run to the end, whatever happens on the way."""
        started = time.perf_counter()
        steps: tuple[str, ...] = ()
        try:
            plan, found = self._state.prepare(self._wanted)
            steps = plan.steps
            tell(self._scope.listener, RunStarted(self._wanted, steps))
            for node_id in found:
                self._state.found(node_id)
            self._take_steps()
        except (Cancelled, KeyboardInterrupt):
            self._scope.cancel.cancel()
            for node_id in (*steps, *self._state.agenda, *self._wanted):
                if node_id not in self._state.report.outcomes:
                    self._state.report.reached(node_id, NodeOutcome(State.CANCELLED))
        finally:
            self._overlap.close()
        return self._finish(started)

    def _take_steps(self) -> None:
        agenda = self._state.agenda
        while True:
            self._scope.cancel.check()
            node_id = agenda.next()
            if len(self._overlap):
                done = self._overlap.collect(0 if node_id is not None else WAIT_SECONDS)
                if done is not None:
                    self._awaited(*done)
            elif node_id is None:
                if not len(agenda):
                    return
                self._break_circle()
            if node_id is not None:
                self._turn(node_id)

    def _turn(self, node_id: str) -> None:
        """Take a node one step on. Its failure is recorded, never raised."""
        state = self._state
        missing = state.missing(node_id)
        if missing is not None:
            because = state.report.outcomes[missing].because or missing
            guilt = self._guilty.pop(node_id, None)
            state_now = State.SKIPPED if guilt is None else State.FAILED
            self._end(node_id, NodeOutcome(state_now, error=guilt, because=because if guilt is None else None))
            return
        if node_id in self._expanding:
            job = self._expanding[node_id]
            self._attempt(job, lambda: self._expanded(job))
        elif node_id in state.loops.by_end:
            self._attempt(self._job(node_id), lambda: self._loop(node_id))
        else:
            job = self._job(node_id)
            try:  # `_attempt` written out: this is what happens ten thousand times
                self._begin(job)
            except (Cancelled, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001
                self._failed(job, error)

    def _job(self, node_id: str) -> Job:
        node = self._state.nodes[node_id]
        return Job(node, self._registry.types[node.type], {}, "", NO_CALLS, time.perf_counter())

    def _attempt(self, job: Job, work: Callable[[], None]) -> None:
        """Do ``work`` for a node; whatever it raises, but being cancelled, is that node's failure."""
        try:
            work()
        except (Cancelled, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 (also a node that exits the interpreter)
            self._failed(job, error)

    def _failed(self, job: Job, error: BaseException) -> None:
        node = job.node
        _log.info("node %s (%s) failed", node.id, node.type, exc_info=error)
        failure = failure_of(error, node, job.inputs)
        job.inputs.clear()  # the error keeps this frame alive, and must not keep the inputs alive with it
        job.calls = NO_CALLS
        seconds = time.perf_counter() - job.started
        self._end(node.id, NodeOutcome(State.FAILED, seconds, error=failure, retries=job.retries))

    def _begin(self, job: Job) -> None:
        """Look a node up by what its inputs are, else call it."""
        state, node, node_type = self._state, job.node, job.node_type
        absent = state.unasked(node.id, self._asked.get(node.id, ()))
        job.inputs.update(state.gather(node, node_type, absent))
        job.calls = calls_for(node_type, job.inputs)
        if node_type.needs is not None and self._asks_for_more(job, absent):
            return
        job.origin = state.origin(node, job.inputs, absent)
        if node_type.cacheable and self._cached_by_content(node.id, job.origin):
            return
        made = make_calls(job, self._scope, self._state.report)
        for one in made:
            if is_awaitable(one):
                self._overlap.start(job, await_all(Context(node.id, node.title, self._scope), made))
                return
        self._made(job, made)

    def _asks_for_more(self, job: Job, absent: frozenset[str]) -> bool:
        """Ask a node which of its lazy inputs it needs; if any, compute them and come back."""
        node, needs = job.node, job.node_type.needs
        assert needs is not None
        context = Context(node.id, node.title, self._scope)
        names: dict[str, None] = {}
        for arguments in job.calls.arguments:
            names.update(dict.fromkeys(needs(context, arguments) or ()))
        unknown = next((name for name in names if name not in node.inputs and name not in job.node_type.by_name), None)
        if unknown is not None:
            raise NodeFailure(
                f"the node asks for an input that it does not have: {unknown!r}",
                expected=f"one of {', '.join(node.inputs)}",
                hint="a fault in the code of the node",
            )
        more = [name for name in names if name in absent]
        if not more:
            return False
        self._asked.setdefault(node.id, set()).update(more)
        self._state.request(node.id, [node.inputs[name].node for name in more])
        return True

    def _awaited(self, job: Job, done: Future[Any]) -> None:
        """Go on with a node whose coroutines are finished."""

        def work() -> None:
            try:
                made = done.result()
            except CancelledError:
                raise Cancelled() from None
            self._made(job, made)

        self._attempt(job, work)

    def _made(self, job: Job, made: Sequence[Any]) -> None:
        results = [in_one_form(job.node_type, one) for one in made]
        if any_links(results):
            job.expansion = expand(self._state, job.node.id, results)
            self._expanding[job.node.id] = job
            return
        self._complete(job, results)

    def _expanded(self, job: Job) -> None:
        assert job.expansion is not None
        self._complete(job, resolved(self._state, job.expansion))

    def _complete(self, job: Job, results: Sequence[NodeResult]) -> None:
        """Keep the result of a node and end its turn."""
        node, node_type = job.node, job.node_type
        made = merged(node_type, results, job.calls.mapped)
        if self._scope.kept:
            job.forget_state(self._scope)
        shown = shown_inside(self._state, job.expansion) if job.expansion else ()
        seconds = time.perf_counter() - job.started
        result = Result(made.values, job.origin, made.ui, made.files, seconds, shown)
        self._state.results[node.id] = result
        if job.calls.all_blocked:
            self._end(node.id, self._blocked(node, job.calls.blocked[0]))
            return
        if node_type.cacheable and not job.retries:
            derivation, lasting = self._state.keys[node.id], self._lasting.keys(node_type, node.id, job.origin)
            sought = node.id in self._state.keep
            self._cache.put(result, derivation, job.origin, label=node_type.id, lasting=lasting, sought=sought)
        outcome = NodeOutcome(
            State.DONE, seconds, made.ui, made.files, retries=job.retries, rungs=job.rungs, usage=job.usage()
        )
        self._end(node.id, outcome)

    def _blocked(self, node: Node, blocked: Blocked | None) -> NodeOutcome:
        """Return the outcome of a node that receives nothing but what is blocked: an error where it is told why."""
        if blocked is None or blocked.message is None:
            return NodeOutcome(State.BLOCKED)
        outcomes = self._state.report.outcomes
        sources = [outcomes.get(v.node) for v in node.inputs.values() if type(v) is Link]
        above = next((one for one in sources if one is not None and one.state is State.BLOCKED), None)
        if above is not None:
            first = above.error.problem.node_id if above.error is not None else above.because
            return NodeOutcome(State.BLOCKED, because=first)
        error = NodeFailure(blocked.message, code="E-BLOCKED").at(node.id, node.title or node.type)
        return NodeOutcome(State.BLOCKED, error=error)

    def _cached_by_content(self, node_id: str, origin: str) -> bool:
        derivation = self._state.keys[node_id]
        if origin == derivation:
            return False  # looked up before the run
        hit = self._cache.lookup(origin)
        if hit is None:
            return False
        result = hit.result
        if derivation is not None:
            self._cache.link(result, origin, derivation, lasting=not self._lasting.below(node_id))
        self._state.results[node_id] = result
        self._state.report.told_again(result)
        self._end(node_id, NodeOutcome(State.CACHED, 0.0, result.ui, result.files, tier=hit.tier))
        return True

    def _loop(self, end: str) -> None:
        """Begin a loop, or go on with the round that is finished."""
        state = self._state
        rounds = self._looping.get(end)
        if rounds is None:
            loop = state.loops.by_end[end]
            origin = loop_origin(state, loop)
            if state.node_type(end).cacheable and self._cached_by_content(end, origin):
                return
            state.report.started(end)
            rounds = self._looping[end] = enter(state, loop, origin)
        else:
            end_round(state, rounds)
        if rounds.again and begin_round(state, rounds):
            return
        job = self._job(end)
        job.started, job.origin = rounds.started, rounds.origin
        job.inputs.update(gathered(state, rounds))
        node_type = job.node_type
        made = in_one_form(node_type, call(node_type, Context(end, job.node.title, self._scope), job.inputs))
        result = merged(node_type, [made], False)
        seconds = time.perf_counter() - job.started
        kept = Result(result.values, job.origin, result.ui, result.files, seconds, tuple(rounds.shown))
        state.results[end] = kept
        if node_type.cacheable:
            lasting = self._lasting.keys(node_type, end, job.origin)
            self._cache.put(kept, state.keys[end], job.origin, label=node_type.id, lasting=lasting)
        self._end(end, NodeOutcome(State.DONE, seconds, result.ui, result.files))

    def _end(self, node_id: str, outcome: NodeOutcome) -> None:
        """Finish a node, and forget what only its turns needed."""
        if self._asked:
            self._asked.pop(node_id, None)
        if self._looping:
            self._looping.pop(node_id, None)
        self._state.finish(node_id, outcome)
        job = self._expanding.pop(node_id, None) if self._expanding else None
        if job is not None and job.expansion is not None:
            self._state.shrink(job.expansion.added)

    def _break_circle(self) -> None:
        """Fail a node that waits for itself, by way of nodes that were made while running."""
        circle = self._state.agenda.stuck()
        lineage = self._scope.lineage
        maker = next((lineage[one].parent_id for one in circle if one in lineage), circle[0])
        error = NodeFailure(
            f"the nodes that it made need one another in a circle: {' -> '.join(circle[:10])}",
            code="E-CYCLE",
            hint="a fault in the code of the node",
        )
        node = self._state.nodes[maker]
        error.at(maker, node.title or node.type)
        first = next((one for one in circle if one != maker), None)
        if first is None:
            self._end(maker, NodeOutcome(State.FAILED, error=error))
            return
        self._guilty[maker] = error  # its turn comes when those that it waits for are off the agenda
        self._end(first, NodeOutcome(State.SKIPPED, because=maker))

    def _finish(self, started: float) -> RunResult:
        state, report = self._state, self._state.report
        report.settle()
        for output in self._wanted:
            if output not in report.outcomes:  # in a loop that ran no round, was cached, or failed before the first
                report.reached(output, self._as_the_loop(output))
        seconds = time.perf_counter() - started
        values = {}
        for output in self._wanted:
            result = state.results.get(state.original(output))
            if result is not None:
                values[output] = result.values
        state.results.clear()  # see `_attempt`: an error in the result keeps this run alive
        states = {output: str(report.outcomes[output].state) for output in self._wanted}
        tell(self._scope.listener, RunFinished(MappingProxyType(states), seconds))
        return RunResult(self._wanted, MappingProxyType(report.outcomes), MappingProxyType(values), seconds)

    def _as_the_loop(self, node_id: str) -> NodeOutcome:
        end: str | None = self._state.loops.inside.get(node_id)
        while end is not None:
            outcome = self._state.report.outcomes.get(end)
            if outcome is not None:
                failed = outcome.state in (State.FAILED, State.SKIPPED)
                return NodeOutcome(
                    State.SKIPPED if failed else outcome.state, because=(outcome.because or end) if failed else None
                )
            end = self._state.loops.by_end[end].parent
        return NodeOutcome(State.CANCELLED)
