"""In which order a graph runs: only what is wanted, always the same, work on one model together.

Nodes that compute with weights are *heavy*. Each works on a model, found by following its ``uses_model`` inputs up
through the nodes that only patch or wrap a model to the node that names it. Heavy nodes are taken model by model:
as long as a heavy node of the present model can run, no other model gets a turn; then a model whose remaining
work can all run is preferred, so that it need not come back. Light nodes run as late as something needs them
(sources: an image is not read long before its use) or as early as they can (what follows a heavy node: a finished
picture is saved before the next one is begun). Ties go by the order of the document.

Everything here is iterative and costs O(n log n).
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from engine.errors import GraphError, Problem
from engine.graph.model import EMPTY, Graph, Link, Node
from engine.graph.registry import Registry

Sources = Callable[[str], Sequence[str]]
"""Give the nodes that a node takes values from."""

Slot = tuple[str, int]
"""An output of a node: its id and the number of the slot."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to run, in order.

    ``sources`` lists the nodes that each step takes values from, ``models`` names for each heavy step the outputs that
    its models come from.
    """

    steps: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    models: Mapping[str, tuple[Slot, ...]]


def ancestors(
    graph: Graph,
    outputs: Iterable[str],
    *,
    available: Container[str] = frozenset(),
    sources: Sources | None = None,
) -> list[str]:
    """List ``outputs`` and all that they need, sources before their users, without ``available`` and above it.

    Output by output, depth first, the first source of a node before its second. What a node needs is given by
    ``sources`` (default: whatever a link leads to). ``available`` is asked about each node once. Raises `GraphError`
    for a cycle or a link that leads to no node.
    """
    order: list[str] = []
    finished: dict[str, bool] = {}  # False while the node's sources are being listed
    nodes = graph.nodes
    for output in outputs:
        stack = [output]
        while stack:
            node_id = stack[-1]
            state = finished.get(node_id)
            if state is not None:
                stack.pop()
                if not state:
                    finished[node_id] = True
                    order.append(node_id)
                continue
            if node_id in available:
                finished[node_id] = True
                continue
            finished[node_id] = False
            for source in reversed(sources(node_id) if sources else _linked(nodes[node_id])):
                known = finished.get(source)
                if known is None and source in nodes:
                    stack.append(source)
                elif not known:
                    raise _broken(graph, node_id, source)
    return order


def _linked(node: Node) -> list[str]:
    return [value.node for value in node.inputs.values() if type(value) is Link]


class PassedOver(dict[str, frozenset[str]]):
    """The names of the inputs of each node type whose links lead to nothing that it needs before it can run.

    Those are lazy inputs (of nodes that say what they need), and links that are handed on as they are. Filled as it is
    asked: most graphs use few of the types.
    """

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    def __missing__(self, type_id: str) -> frozenset[str]:
        kind = self._registry.types.get(type_id)
        inputs = kind.inputs if kind is not None else ()
        lazy = kind is not None and kind.needs is not None
        self[type_id] = frozenset(one.name for one in inputs if one.raw_link or (lazy and one.lazy))
        return self[type_id]


def _broken(graph: Graph, node_id: str, source: str) -> GraphError:
    if source in graph.nodes:
        code, message = "E-CYCLE", f"the node needs its own result, by way of node {source!r}"
    else:
        code, message = "E-MISSING-NODE", f"a link leads to node {source!r}, which is not in the workflow"
    node = graph.nodes[node_id]
    return GraphError([Problem(code, message, node_id, node.title or node.type, hint="validate the graph first")])


def plan(
    graph: Graph,
    registry: Registry,
    outputs: Sequence[str],
    *,
    available: Container[str] = frozenset(),
    twins: Mapping[str, str] = EMPTY,
) -> Plan:
    """Order what ``outputs`` need. Nodes in ``available`` have their results already and are not run.

    ``twins`` maps nodes to the one that computes the same and runs in their place. Raises `GraphError` for a cycle or
    a link that leads to no node.
    """
    return Planner(registry, graph.nodes, twins).plan(outputs, available)


class Planner:
    """Orders parts of one graph, again and again while it runs; the graph and the twins may grow meanwhile."""

    def __init__(self, registry: Registry, nodes: Mapping[str, Node], twins: Mapping[str, str] = EMPTY) -> None:
        self._registry = registry
        self._graph = Graph(nodes)
        self._twins = twins
        self._place = {node_id: position for position, node_id in enumerate(nodes)}
        self._next = len(self._place)
        self._carriers = {one.by_name[name].type for one in registry for name in one.uses_model}
        self.passed_over: Mapping[str, frozenset[str]] = PassedOver(registry)
        self._sources: dict[str, tuple[str, ...]] = {}

    def grow(self, added: Iterable[str]) -> None:
        """Give nodes that are new in the graph their places, after all others."""
        for node_id in added:
            self._place[node_id] = self._next = self._next + 1

    def shrink(self, gone: Iterable[str]) -> None:
        """Forget the places of nodes that are no longer in the graph."""
        for node_id in gone:
            self._place.pop(node_id, None)
            self._sources.pop(node_id, None)

    def plan(self, outputs: Sequence[str], available: Container[str] = frozenset()) -> Plan:
        """Order what ``outputs`` need, see `plan`."""
        graph, twins, place = self._graph, self._twins, self._place
        wanted = [twins.get(output, output) for output in outputs]
        needed = ancestors(graph, wanted, available=available, sources=self.sources)
        known = self._sources
        sources = {node_id: known[node_id] for node_id in needed}
        work = _heavy_work(graph, self._registry, needed, twins, self._carriers)
        steps = _Scheduler(sources, work, place).schedule(wanted) if work else needed
        return Plan(tuple(steps), sources, {node_id: one.models for node_id, one in work.items()})

    def sources(self, node_id: str) -> tuple[str, ...]:
        """Return the nodes whose values a node needs before it can run, each once, in the order of the document."""
        known = self._sources.get(node_id)
        if known is None:
            node, twins = self._graph.nodes[node_id], self._twins
            passed = self.passed_over[node.type]
            links = [v for name, v in node.inputs.items() if type(v) is Link and name not in passed]
            found = dict.fromkeys(twins.get(link.node, link.node) for link in links)
            known = tuple(found) if len(found) < 2 else tuple(sorted(found, key=self._rank))
            self._sources[node_id] = known
        return known

    def _rank(self, node_id: str) -> int:
        return self._place.get(node_id, -1)  # a loose link is found, and told of, by `ancestors`


@dataclasses.dataclass(frozen=True, slots=True)
class _Work:
    """What a heavy node computes with: the outputs that name its models, and the patched ones it is given."""

    models: tuple[Slot, ...]
    recipes: tuple[Slot, ...]


def _heavy_work(
    graph: Graph, registry: Registry, needed: Sequence[str], twins: Mapping[str, str], carriers: Container[str]
) -> dict[str, _Work]:
    nodes = graph.nodes
    kinds = {nodes[node_id].type for node_id in needed}
    heavy = {kind: names for kind in kinds if (names := registry.types[kind].uses_model)}
    roots: dict[Slot, Slot] = {}
    work: dict[str, _Work] = {}
    for node_id in needed if heavy else ():
        node = nodes[node_id]
        links = [node.inputs.get(name) for name in heavy.get(node.type, ())]
        recipes = [(twins.get(v.node, v.node), v.slot) for v in links if type(v) is Link]
        if recipes:
            models = [_root(graph, registry, recipe, carriers, roots, twins) for recipe in recipes]
            work[node_id] = _Work(tuple(models), tuple(recipes))
    return work


def _root(
    graph: Graph,
    registry: Registry,
    recipe: Slot,
    carriers: Container[str],
    roots: dict[Slot, Slot],
    twins: Mapping[str, str],
) -> Slot:
    """Follow a model up through the nodes that patch or wrap it; ``roots`` remembers what was followed before."""
    path: list[Slot] = []
    at = recipe
    while at not in roots:
        roots[at] = at
        path.append(at)
        above = _model_above(graph, registry, at, carriers)
        if above is None:
            break
        at = (twins.get(above.node, above.node), above.slot)
    root = roots[at]
    for passed in path:
        roots[passed] = root
    return root


def _model_above(graph: Graph, registry: Registry, at: Slot, carriers: Container[str]) -> Link | None:
    """Return the link that brings the model which output ``at`` hands on, or None where the model begins.

    That is the first linked input of the output's own type, else the first of any type that models travel by.
    """
    node = graph.nodes[at[0]]
    node_type = registry.types.get(node.type)
    if node_type is None or at[1] >= len(node_type.outputs):
        return None
    links = [(p.type, node.inputs.get(p.name)) for p in node_type.inputs]
    output = node_type.outputs[at[1]].type
    same = [link for kind, link in links if type(link) is Link and kind == output]
    carried = [link for kind, link in links if type(link) is Link and kind in carriers]
    return next(iter(same or carried), None)


class _Scheduler:
    """Orders one set of nodes. Lives for one call of `plan`.

    A light node is *open* when no heavy node that it needs is still to run; it may then run whenever it is wanted.
    A heavy node all of whose sources have run or are open can run next.
    """

    def __init__(
        self, sources: Mapping[str, tuple[str, ...]], work: Mapping[str, _Work], place: Mapping[str, int]
    ) -> None:
        self._sources = sources
        self._work = work
        self._place = place
        self._users: dict[str, list[str]] = {node_id: [] for node_id in sources}
        self._waiting: dict[str, int] = {}
        for node_id, ones in sources.items():
            inside = [source for source in ones if source in sources]
            self._waiting[node_id] = len(inside)
            for source in inside:
                self._users[source].append(node_id)
        self._open: set[str] = set()
        self._done: set[str] = set()
        self._steps: list[str] = []
        self._ranks: dict[tuple[Slot, ...], int] = {}
        self._left: dict[tuple[Slot, ...], int] = {}
        self._ready: dict[tuple[Slot, ...], list[tuple[int, int, str]]] = {}
        self._turns: list[tuple[bool, int, tuple[Slot, ...]]] = []

    def schedule(self, wanted: Sequence[str]) -> list[str]:
        """Return all nodes in the order to run them."""
        self._rank_models()
        self._release([node_id for node_id, count in self._waiting.items() if count == 0])
        for node_id in wanted:  # what needs no model comes first: it is quick, and so are its failures
            if node_id in self._open:
                self._run(node_id)
        while (models := self._next_models()) is not None:
            ready = self._ready[models]
            while ready:
                node_id = heapq.heappop(ready)[2]
                self._left[models] -= 1
                self._run(node_id)
                for light in self._release(self._satisfied(node_id)):
                    self._run(light)
        return self._steps

    def _rank_models(self) -> None:
        for node_id in sorted(self._work, key=self._place.__getitem__):
            work = self._work[node_id]
            for names in (work.models, work.recipes):
                self._ranks.setdefault(names, len(self._ranks))
            self._left[work.models] = self._left.get(work.models, 0) + 1
            self._ready.setdefault(work.models, [])

    def _next_models(self) -> tuple[Slot, ...] | None:
        """Return the models to work with next: first those whose remaining work can all run."""
        while self._turns:
            partial, _, models = heapq.heappop(self._turns)
            ready = len(self._ready[models])
            if ready and partial == (ready < self._left[models]):
                return models
        return None

    def _satisfied(self, node_id: str) -> list[str]:
        """Count ``node_id`` as there for its users; return those that now wait for nothing."""
        free = []
        for user in self._users[node_id]:
            self._waiting[user] -= 1
            if self._waiting[user] == 0:
                free.append(user)
        return free

    def _release(self, free: list[str]) -> list[str]:
        """Open the light nodes of ``free`` and what they open in turn, queue the heavy ones; return the light ones."""
        opened: list[str] = []
        while free:
            node_id = free.pop()
            work = self._work.get(node_id)
            if work is None:
                self._open.add(node_id)
                opened.append(node_id)
                free.extend(self._satisfied(node_id))
                continue
            ready = self._ready[work.models]
            heapq.heappush(ready, (self._ranks[work.recipes], self._place[node_id], node_id))
            partial = len(ready) < self._left[work.models]
            heapq.heappush(self._turns, (partial, self._ranks[work.models], work.models))
        return sorted(opened, key=self._place.__getitem__)

    def _run(self, node_id: str) -> None:
        """Append ``node_id`` after those of its sources, all open, that have not run yet."""
        stack = [node_id]
        while stack:
            top = stack[-1]
            if top in self._done:
                stack.pop()
                continue
            missing = [s for s in self._sources[top] if s in self._sources and s not in self._done]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self._done.add(top)
            self._steps.append(top)
