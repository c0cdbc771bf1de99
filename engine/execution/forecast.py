"""Say what a run would do without running it: which nodes the cache has, which would be called, which are not needed.

The keys, the look-up and the order are those of the executor itself (`RunState.prepare`); only the cache is replaced by
one that knows where results are and does not read them. A node that would be called may yet turn out to have its
result, when what it is given proves to be what it was given before: such a run does less than is said here, never more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from engine.execution.cache import Hit, Result, ResultCache, Tier
from engine.execution.cancel import CancelToken
from engine.execution.context import RunScope, Services
from engine.execution.run_state import RunState, wanted_outputs
from engine.graph.model import Graph
from engine.graph.registry import Registry

Standing = Literal["cached", "runs", "skipped"]
Ask = Callable[[Sequence[str]], Mapping[str, Tier]]
"""Say which of some keys have a result, and in which tier."""

_SOMETHING = Result((), "")


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What would become of one node. ``tier`` says where a cached result is; ``lazy``: it runs if it is asked for."""

    state: Standing
    tier: Tier | None = None
    lazy: bool = False


class KnownResults(ResultCache):
    """Stands in the place of a cache whose results are not here: asks once for all keys of a run."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(0)
        self._ask = ask
        self._tiers: Mapping[str, Tier] = {}

    def start_run(self, keys: Iterable[str | None]) -> None:
        """Ask where the results of ``keys`` are."""
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        self._tiers = self._ask(wanted) if wanted else {}

    def lookup(self, key: str) -> Hit | None:
        """Return where the result of ``key`` is, in the form of a hit without values."""
        tier = self._tiers.get(key)
        return None if tier is None else Hit(_SOMETHING, tier)


def forecast(
    graph: Graph, registry: Registry, services: Services, ask: Ask, outputs: Sequence[str] | None = None
) -> dict[str, Expected]:
    """Return what would become of each node when ``outputs`` are computed (default: every output node).

    ``graph`` is validated and has coerced constants. Raises what `execute` raises before it calls anything.
    """
    wanted = wanted_outputs(graph, registry, outputs)
    scope = RunScope(graph, services, None, CancelToken())
    state = RunState(scope, registry, KnownResults(ask))
    plan, _ = state.prepare(wanted)
    steps = frozenset(plan.steps)
    made = {node: _expected(state, state.original(node), steps) for node in graph.nodes}
    for inside, end in _ends(state).items():
        made[inside] = made[end]
    called = [node for node, one in made.items() if one.state == "runs"]
    for node in _only_lazy(state, called):
        if made[node].state == "skipped":
            made[node] = Expected("skipped", lazy=True)
    return made


def _expected(state: RunState, node: str, steps: Collection[str]) -> Expected:
    if node in state.tiers:
        return Expected("cached", "memory" if state.tiers[node] == "memory" else "disk")
    return Expected("runs" if node in steps else "skipped")


def _ends(state: RunState) -> dict[str, str]:
    """Return the end of the outermost loop that each node inside a loop belongs to."""
    found: dict[str, str] = {}
    for node, end in state.loops.inside.items():
        outer = state.loops.by_end[end]
        while outer.parent is not None:
            outer = state.loops.by_end[outer.parent]
        found[node] = outer.end
    return found


def _only_lazy(state: RunState, called: Iterable[str]) -> set[str]:
    """Return the nodes that lazy inputs of ``called`` may ask for, and all that feeds these."""
    pending = [state.nodes[node].inputs[name].node for node in called for name in state.unasked(node)]
    met: set[str] = set()
    while pending:
        node = pending.pop()
        if node not in met and node in state.nodes:
            met.add(node)
            pending += [value.node for value in state.nodes[node].inputs.values() if hasattr(value, "slot")]
    return met
