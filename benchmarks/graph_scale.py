"""Measure how the engine scales with the number of nodes, and draw it.

    python benchmarks/graph_scale.py [--sizes 1000 10000 100000] [--chart graph_scale.svg]

Two shapes: a chain (each node feeds the next) and a fan (one node feeds all others, each of them wanted). The nodes do
next to nothing, so what is measured is the engine. All work is in one thread, so seconds of processor time are
counted, which do not depend on what else the machine does:

    read      JSON text to graph
    validate  problems, then constants brought to their types
    run       keys, order, calls, with an empty cache
    rerun     the same with all results cached; keys are made anew
    again     read + validate + rerun: what pressing the button a second time costs
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from engine.execution.cache import ResultCache
from engine.execution.executor import execute
from engine.graph.api_prompt import graph_from_api
from engine.graph.declare import Int, node
from engine.graph.model import Graph
from engine.graph.registry import EMPTY_REGISTRY, Registry, declared_in
from engine.graph.validate import coerce_inputs, validate

Whole = Annotated[int, Int(0, 10**9)]


@node("Constant", category="benchmark")
def constant(*, value: Whole = 0) -> Whole:
    """Give a number."""
    return value


@node("Add", category="benchmark")
def add(*, value: Whole, amount: Whole = 1) -> Whole:
    """Add to a number."""
    return value + amount


@node("Show", category="benchmark", output_node=True)
def show(*, value: Whole, amount: Whole = 1) -> None:
    """End a chain."""


class Row(NamedTuple):
    """Seconds of each stage for one shape and size."""

    shape: str
    nodes: int
    read: float
    validate: float
    run: float
    rerun: float
    again: float


def registry() -> Registry:
    """Return the three node types of the benchmark."""
    return EMPTY_REGISTRY.with_types(declared_in(sys.modules[__name__]))


def chain(count: int) -> str:
    """Return the JSON text of a chain of ``count`` nodes."""
    nodes: dict[str, Any] = {"0": {"class_type": "Constant", "inputs": {"value": 1}}}
    for i in range(1, count - 1):
        nodes[str(i)] = {"class_type": "Add", "inputs": {"value": [str(i - 1), 0], "amount": i % 7}}
    nodes[str(count - 1)] = {"class_type": "Show", "inputs": {"value": [str(count - 2), 0]}}
    return json.dumps(nodes)


def fan(count: int) -> str:
    """Return the JSON text of one node that feeds ``count`` - 1 wanted ones."""
    nodes: dict[str, Any] = {"0": {"class_type": "Constant", "inputs": {"value": 1}}}
    for i in range(1, count):
        nodes[str(i)] = {"class_type": "Show", "inputs": {"value": ["0", 0], "amount": i}}
    return json.dumps(nodes)


def measure(shape: str, text: str, types: Registry, repeats: int) -> Row:
    """Run all stages on ``text``, each the best of ``repeats``, and check that a rerun computes nothing."""

    def read() -> Graph:
        return graph_from_api(json.loads(text))

    def check(graph: Graph) -> Graph:
        problems = validate(graph, types)
        if problems:
            raise SystemExit("\n".join(map(str, problems)))
        return coerce_inputs(graph, types)

    def rerun(graph: Graph) -> None:
        result = execute(graph, types, cache=cache)
        assert all(outcome.state == "cached" for outcome in result.nodes.values())

    cache = ResultCache(8 << 30)
    graph = check(read())
    assert execute(graph, types, cache=cache).ok
    stages: list[Callable[[], Any]] = [
        read,
        lambda: check(graph),
        lambda: execute(graph, types, cache=ResultCache(8 << 30)),
        lambda: rerun(graph),
        lambda: rerun(check(read())),
    ]
    return Row(shape, len(graph.nodes), *(min(seconds(stage) for _ in range(repeats)) for stage in stages))


def seconds(work: Callable[[], Any]) -> float:
    """Return the seconds of processor time that ``work`` takes."""
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def chart(rows: list[Row], target: Path) -> None:
    """Draw seconds over nodes, both logarithmic, with a dashed line of exact proportion."""
    from matplotlib import pyplot  # an extra of the benchmarks; the table needs nothing

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for panel, shape in zip(panels, ("chain", "fan"), strict=True):
        ours = [row for row in rows if row.shape == shape]
        sizes = [row.nodes for row in ours]
        for stage in Row._fields[2:]:
            panel.plot(sizes, [getattr(row, stage) for row in ours], marker="o", label=stage)
        panel.plot(sizes, [ours[0].run * size / sizes[0] for size in sizes], "k--", lw=0.8, label="linear")
        panel.set(title=shape, xlabel="nodes", ylabel="seconds", xscale="log", yscale="log")
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(target)


def main() -> None:
    """Measure, print a table, draw when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--chart", type=Path, help="where to draw the measurements (.svg or .png)")
    parser.add_argument("--repeats", type=int, default=3, help="how often to measure each stage; the best counts")
    options = parser.parse_args()
    types = registry()
    print(f"{'shape':6} {'nodes':>8} " + " ".join(f"{stage:>9}" for stage in Row._fields[2:]) + "  (seconds)")
    rows = []
    for shape, build in (("chain", chain), ("fan", fan)):
        for size in options.sizes:
            row = measure(shape, build(size), types, options.repeats)
            rows.append(row)
            print(f"{row.shape:6} {row.nodes:8} " + " ".join(f"{seconds:9.4f}" for seconds in row[2:]), flush=True)
    if options.chart:
        chart(rows, options.chart)


if __name__ == "__main__":
    main()
