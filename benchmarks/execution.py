"""Measure what the executor costs: nodes that do next to nothing, in every shape that makes it work.

    python benchmarks/execution.py [--nodes 10000] [--repeats 5]

    chain     each node feeds the next                fan      one node feeds all others, each of them wanted
    lattice   100 columns, each node takes two of     nested   a chain inside 50 subgraphs, one in the other
              the row above                           expand   nodes that put two others in their place
    lazy      a chain of choices that ask for one     loop     one node, round after round
              of two inputs                           async    coroutines that do not wait for anything

`run` is with an empty cache, `rerun` with all results in memory, `restart` in a process of its own with all results on
disk, from the first lookup to the last. Processor time for the first two, the best of `--repeats`; the clock for the
last.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Annotated, Any

from engine.execution.cache import ResultCache
from engine.execution.context import Context
from engine.execution.disk_cache import DiskCache
from engine.execution.executor import execute
from engine.execution.tiered_cache import TieredCache
from engine.graph.declare import Anything, Boolean, Int, Lazy, LoopHandle, Socket, node
from engine.graph.documents import load_document
from engine.graph.interfaces import Interfaces
from engine.graph.model import Graph, Link
from engine.graph.node_types import LoopEnd, LoopStart, NodeResult
from engine.graph.registry import EMPTY_REGISTRY, Registry, declared_in
from engine.graph.validate import coerce_inputs, validate

Whole = Annotated[int, Int(-(10**12), 10**12)]
Choice = Annotated[Any, Socket("*"), Lazy()]


@node("Constant", category="benchmark")
def constant(*, value: Whole = 0) -> Whole:
    """Give a number."""
    return value


@node("Add", category="benchmark")
def add(*, value: Whole, amount: Whole = 1) -> Whole:
    """Add to a number."""
    return (value + amount) % 10**9


@node("Show", category="benchmark", output_node=True)
def show(*, value: Whole, amount: Whole = 1) -> None:
    """End a chain."""


@node("Wait", category="benchmark")
async def wait(*, value: Whole, amount: Whole = 1) -> Whole:
    """Add to a number, as a coroutine."""
    return value + amount


def _needs(context: Context, inputs: Mapping[str, Any]) -> list[str]:
    return ["a" if inputs["first"] else "b"]


@node("Choose", category="benchmark", needs=_needs)
def choose(*, first: Annotated[bool, Boolean()] = True, a: Choice, b: Choice) -> Anything:
    """Hand on one of two inputs."""
    return a if first else b


@node("Expand", category="benchmark")
def expand(context: Context, *, value: Whole, amount: Whole = 1) -> Whole:
    """Put two additions in its place."""
    first, second = f"{context.node_id}.1", f"{context.node_id}.2"
    made = {
        first: {"class_type": "Add", "inputs": {"value": value, "amount": amount}},
        second: {"class_type": "Add", "inputs": {"value": [first, 0], "amount": 1}},
    }
    return NodeResult((Link(second, 0),), expand=made)


@node("Rounds", category="benchmark", outputs=["loop", "index"], loop=LoopStart())
def rounds(*, count: Whole = 1) -> Generator[tuple[LoopHandle, Whole], Mapping[str, Any], Mapping[str, Any]]:
    """Begin a loop."""
    for index in range(count):
        yield (None, index)
    return {}


@node("RoundsEnd", category="benchmark", loop=LoopEnd("loop", carry=("value",)))
def rounds_end(*, loop: LoopHandle, value: Whole = 0) -> Whole:
    """End a loop."""
    return value


def registry() -> Registry:
    """Return the node types of the benchmark."""
    return EMPTY_REGISTRY.with_types(declared_in(sys.modules[__name__]))


def _prompt(nodes: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {id: {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}


def chain(count: int, kind: str = "Add") -> dict[str, Any]:
    """Return a chain of ``count`` nodes of one kind."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"0": ("Constant", {"value": 1})}
    for i in range(1, count - 1):
        nodes[str(i)] = (kind, {"value": [str(i - 1), 0], "amount": i % 7})
    nodes[str(count - 1)] = ("Show", {"value": [str(count - 2), 0]})
    return _prompt(nodes)


def fan(count: int) -> dict[str, Any]:
    """Return one node that feeds ``count`` - 1 wanted ones."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"0": ("Constant", {"value": 1})}
    nodes |= {str(i): ("Show", {"value": ["0", 0], "amount": i}) for i in range(1, count)}
    return _prompt(nodes)


def lattice(count: int, columns: int = 100) -> dict[str, Any]:
    """Return rows of nodes that each take two neighbours of the row above."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {str(i): ("Constant", {"value": i}) for i in range(columns)}
    for i in range(columns, count):
        above = i - columns
        right = above + 1 if (above + 1) % columns else above
        kind = "Add" if i + columns < count else "Show"
        nodes[str(i)] = (kind, {"value": [str(above), 0], "amount": [str(right), 0]})
    return _prompt(nodes)


def lazy(count: int) -> dict[str, Any]:
    """Return a chain of choices; none is known to be needed before it is asked for."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"0": ("Constant", {"value": 1})}
    for i in range(1, count - 1):
        nodes[str(i)] = ("Choose", {"first": i % 3 > 0, "a": [str(i - 1), 0], "b": [str(i - 1), 0]})
    nodes[str(count - 1)] = ("Show", {"value": [str(count - 2), 0]})
    return _prompt(nodes)


def loop(count: int) -> dict[str, Any]:
    """Return a loop of ``count`` rounds around one node."""
    return _prompt(
        {
            "s": ("Rounds", {"count": count}),
            "x": ("Add", {"value": ["s", 1], "amount": 1}),
            "e": ("RoundsEnd", {"loop": ["s", 0], "value": ["x", 0]}),
            "o": ("Show", {"value": ["e", 0]}),
        }
    )


def nested(count: int, depth: int = 50) -> dict[str, Any]:
    """Return an editor's document: a chain in ``depth`` subgraphs, each holding a part of it and the next subgraph."""
    each = count // depth
    definitions = []
    for level in range(depth):
        inner = "" if level == depth - 1 else f"level{level + 1}"
        nodes = [_drawn(i + 1, "Add", [i % 7]) for i in range(each)]
        if inner:
            nodes.append(_drawn(each + 1, inner, []))
        last = len(nodes)
        links = [{"id": i, "origin_id": i, "origin_slot": 0, "target_id": i + 1, "target_slot": 0, "type": "INT"}
                 for i in range(1, last)]  # fmt: skip
        links.append({"id": 0, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 0, "type": "INT"})
        links.append(
            {"id": last, "origin_id": last, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "INT"}
        )
        for place, drawn in enumerate(nodes):
            drawn["inputs"][0]["link"] = place
        port = {"id": f"port{level}", "name": "value", "type": "INT"}
        definitions.append(
            {
                "id": f"level{level}", "version": 1, "name": f"level {level}", "nodes": nodes, "links": links,
                "inputs": [{**port, "linkIds": [0]}], "outputs": [{**port, "linkIds": [last]}],
                "inputNode": {"id": -10}, "outputNode": {"id": -20},
            }
        )  # fmt: skip
    top = [_drawn(1, "Constant", [1]), _drawn(2, "level0", []), _drawn(3, "Show", [1])]
    top[0]["inputs"] = []
    top[1]["inputs"][0]["link"], top[2]["inputs"][0]["link"] = 1, 2
    links = [[1, 1, 0, 2, 0, "INT"], [2, 2, 0, 3, 0, "INT"]]
    return {"version": 0.4, "nodes": top, "links": links, "definitions": {"subgraphs": definitions}}


def _drawn(id: int, kind: str, values: list[int]) -> dict[str, Any]:
    port = {"name": "value", "type": "INT", "link": None}
    return {"id": id, "type": kind, "mode": 0, "inputs": [port], "outputs": [{"name": "value", "type": "INT"}],
            "widgets_values": values}  # fmt: skip


SHAPES: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "chain": chain,
    "fan": fan,
    "lattice": lattice,
    "nested": nested,
    "lazy": lazy,
    "expand": lambda count: chain(count, "Expand"),
    "async": lambda count: chain(count, "Wait"),
    "loop": loop,
}


def graph_of(document: dict[str, Any], types: Registry) -> Graph:
    """Read and check a document."""
    graph = load_document(document, Interfaces.from_registry(types))
    problems = validate(graph, types)
    if problems:
        raise SystemExit("\n".join(map(str, problems[:5])))
    return coerce_inputs(graph, types)


def seconds(work: Callable[[], Any]) -> float:
    """Return the seconds of processor time that ``work`` takes."""
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def stored(directory: Path) -> TieredCache:
    """Return the two tiers that a session has."""
    return TieredCache(DiskCache(directory, 8 << 30, scope="benchmark:", roots={}), 8 << 30)


def restart(shape: str, count: int) -> tuple[float, int]:
    """Store a run in one process and repeat it in another; return the seconds of the second and its cached nodes."""
    with tempfile.TemporaryDirectory() as directory:
        found = 0.0, 0
        for _ in range(2):
            command = [sys.executable, __file__, "--nodes", str(count), "--stored", directory, "--shape", shape]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            found = json.loads(done.stdout)
    return found[0], found[1]


def run_stored(shape: str, count: int, directory: Path) -> None:
    """Run once over a cache on disk, and print how long it took and how many nodes did not run."""
    types = registry()
    graph = graph_of(SHAPES[shape](count), types)
    started = time.perf_counter()
    cache = stored(directory)
    result = execute(graph, types, cache=cache)
    took = time.perf_counter() - started
    cache.close()
    print(json.dumps([took, sum(outcome.state == "cached" for outcome in result.nodes.values())]))


def main() -> None:
    """Measure every shape and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stored", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shape", choices=list(SHAPES), help="only this one")
    options = parser.parse_args()
    if options.stored is not None:
        run_stored(options.shape, options.nodes, options.stored)
        return
    types = registry()
    print(f"{'shape':8} {'nodes':>7} {'run us/node':>12} {'rerun s':>9} {'restart s':>10}")
    for shape in [options.shape] if options.shape else SHAPES:
        graph = graph_of(SHAPES[shape](options.nodes), types)
        assert execute(graph, types, cache=ResultCache(8 << 30)).ok
        run = min(
            seconds(lambda g=graph: execute(g, types, cache=ResultCache(8 << 30))) for _ in range(options.repeats)
        )
        cache = ResultCache(8 << 30)
        execute(graph, types, cache=cache)
        rerun = min(seconds(lambda g=graph, c=cache: execute(g, types, cache=c)) for _ in range(options.repeats))
        again, _ = restart(shape, options.nodes)
        count = options.nodes
        print(f"{shape:8} {count:7} {run / count * 1e6:12.1f} {rerun:9.4f} {again:10.4f}", flush=True)


if __name__ == "__main__":
    main()
