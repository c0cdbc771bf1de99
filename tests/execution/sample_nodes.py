"""Small node types and graphs that the tests of the executor share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engine.execution.cache import ResultCache
from engine.execution.events import Event
from engine.execution.executor import execute
from engine.execution.outcome import RunResult
from engine.graph.model import Graph, Link, Node
from engine.graph.node_types import NodeType, Output, Parameter
from engine.graph.registry import EMPTY_REGISTRY, Registry


def kind(
    id: str,
    run: Callable[..., Any],
    inputs: Mapping[str, str] | Sequence[Parameter] = (),
    outputs: Sequence[str] = ("INT",),
    **facts: Any,
) -> NodeType:
    """Describe a node type; ``inputs`` maps names to socket types."""
    if isinstance(inputs, Mapping):
        inputs = [Parameter(name, socket) for name, socket in inputs.items()]
    facts.setdefault("version", "1")
    slots = tuple(Output(socket, socket) for socket in outputs)
    return NodeType(id, id, "test", tuple(inputs), slots, run, **facts)


def registry_of(*types: NodeType) -> Registry:
    return EMPTY_REGISTRY.with_types(types)


def graph_of(**nodes: tuple[str, dict[str, Any]]) -> Graph:
    """Build a graph; the text ``"name:slot"`` is a link when there is a node of that name."""

    def value(text: Any) -> Any:
        if isinstance(text, str) and ":" in text and text.split(":")[0] in nodes:
            source, slot = text.split(":")
            return Link(source, int(slot))
        return text

    return Graph(
        MappingProxyType(
            {
                id: Node(id, type, MappingProxyType({name: value(v) for name, v in inputs.items()}))
                for id, (type, inputs) in nodes.items()
            }
        )
    )


class Bench:
    """A registry of arithmetic nodes that write down each call, a cache, and the events of the last run."""

    def __init__(self, *more: NodeType, max_size: int = 1 << 20, add_version: str = "1") -> None:
        self.calls: list[str] = []
        self.events: list[Event] = []
        self.cache = ResultCache(max_size)
        self.registry = registry_of(*self.arithmetic(add_version), *more)

    def arithmetic(self, add_version: str) -> list[NodeType]:
        def number(*, value: int) -> int:
            self.calls.append(f"number {value}")
            return value

        def add(*, a: int, b: int = 0) -> int:
            self.calls.append(f"add {a} {b}")
            return a + b

        def parity(*, a: int) -> int:
            self.calls.append(f"parity {a}")
            return a % 2

        def fail(*, a: int) -> int:
            self.calls.append(f"fail {a}")
            raise ZeroDivisionError("no good")

        def show(*, a: Any, tag: str = "") -> None:
            self.calls.append(f"show {a}")

        def dice(*, value: int) -> int:
            self.calls.append("dice")
            return value

        ab = (Parameter("a", "INT"), Parameter("b", "INT", required=False, default=0))
        tagged = (Parameter("a", "*"), Parameter("tag", "STRING", required=False, default=""))
        return [
            kind("Number", number, {"value": "INT"}),
            kind("Add", add, ab, version=add_version),
            kind("Parity", parity, {"a": "INT"}),
            kind("Fail", fail, {"a": "INT"}),
            kind("Show", show, tagged, (), output_node=True),
            kind("Dice", dice, {"value": "INT"}, cacheable=False),
        ]

    def run(self, graph: Graph, outputs: Sequence[str] | None = None, **rest: Any) -> RunResult:
        self.calls.clear()
        self.events.clear()
        rest.setdefault("listener", self.events.append)
        return execute(graph, self.registry, cache=self.cache, outputs=outputs, **rest)

    def states(self, result: RunResult) -> dict[str, str]:
        return {id: str(outcome.state) for id, outcome in result.nodes.items()}
