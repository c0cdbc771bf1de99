"""Subgraphs are put in place of their instances, with ids ``instance:inner``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graph_samples import INTERFACES, Drawing, inputs_of

from engine.errors import GraphError
from engine.graph import subgraphs
from engine.graph.documents import load_document
from engine.graph.model import Graph


def convert(drawn: Drawing, *definitions: dict[str, Any]) -> Graph:
    return load_document(drawn.document(definitions={"subgraphs": list(definitions)}), INTERFACES)


def upscaler(**more: Any) -> dict[str, Any]:
    """latent, width -> Upscale 1 -> latent; an Empty 2 whose width comes from outside, beside it."""
    inner = Drawing(objects=True)
    inner.add(1, "Upscale")
    inner.add(2, "Empty", [64, 128])
    inner.wire(-10, 0, 1, "latent")
    inner.wire(-10, 1, 2, "width")
    inner.leave(1, 0, 0)
    inner.leave(2, 0, 1)
    return inner.subgraph("up", ["latent", "width"], ["big", "empty"], **more)


def outer(**instance: Any) -> Drawing:
    drawn = Drawing()
    drawn.add(5, "Empty", [512, 512])
    drawn.add(
        6,
        "up",
        inputs=[],
        **instance,
    )
    drawn.nodes[-1]["inputs"] = [{"name": "latent", "type": "LATENT", "link": None}]
    drawn.nodes[-1]["outputs"] = [{"name": "big", "type": "LATENT"}, {"name": "empty", "type": "LATENT"}]
    drawn.add(7, "Upscale")
    drawn.wire(5, 0, 6, "latent")
    drawn.wire(6, 0, 7, "latent")
    return drawn


def test_an_instance_becomes_what_is_inside() -> None:
    graph = convert(outer(), upscaler())
    assert list(graph.nodes) == ["5", "7", "6:1", "6:2"]
    assert inputs_of(graph, "6:1") == {"latent": ["5", 0]}
    assert inputs_of(graph, "6:2") == {"width": 64, "height": 128}
    assert inputs_of(graph, "7") == {"latent": ["6:1", 0]}


def test_two_instances_share_a_definition() -> None:
    drawn = outer()
    drawn.add(8, "up", [32])
    drawn.nodes[-1]["inputs"] = [{"name": "latent", "type": "LATENT", "link": None}]
    drawn.wire(6, 0, 8, "latent")
    drawn.wire(8, 1, 7, "latent")
    graph = convert(drawn, upscaler())
    assert inputs_of(graph, "8:1") == {"latent": ["6:1", 0]}
    assert inputs_of(graph, "8:2")["width"] == 32
    assert inputs_of(graph, "6:2")["width"] == 64
    assert inputs_of(graph, "7") == {"latent": ["8:2", 0]}


def test_a_wire_into_a_widget_inside() -> None:
    drawn = outer()
    drawn.nodes.append({"id": 9, "type": "Flags", "widgets_values": [True, ""], "outputs": [{"type": "INT"}]})
    drawn.wire(9, 0, 6, "width", "INT")
    assert inputs_of(convert(drawn, upscaler()), "6:2") == {"width": ["9", 0], "height": 128}


def test_a_primitive_outside_sets_the_widget_inside() -> None:
    drawn = outer()
    drawn.add(9, "PrimitiveNode", [48, "fixed"])
    drawn.wire(9, 0, 6, "width", "INT")
    assert inputs_of(convert(drawn, upscaler()), "6:2") == {"width": 48, "height": 128}


@pytest.mark.parametrize("mode", [2, 4])
def test_a_dead_end_outside_leaves_the_value_inside(mode: int) -> None:
    drawn = outer()
    drawn.nodes.append({"id": 9, "type": "Flags", "mode": mode, "outputs": [{"name": "n", "type": "INT"}]})
    drawn.wire(9, 0, 6, "width", "INT")
    expected = {"height": 128} if mode == 2 else {"width": 64, "height": 128}
    assert inputs_of(convert(drawn, upscaler()), "6:2") == expected


PROXIES = [["-1", "width"], ["2", "height"]]


@pytest.mark.parametrize(
    "values, proxies, expected",
    [
        ([32], None, (32, 128)),
        ([], None, (64, 128)),
        ([None], None, (64, 128)),
        ([32, 96], PROXIES, (32, 96)),
        ([None, 96], PROXIES, (64, 96)),
        ([], PROXIES, (64, 128)),
        ([32, 96], json.dumps(PROXIES), (32, 96)),
        ([96, 32], [["2", "height"], ["-1", "width"]], (32, 96)),
        (
            [96, None, 32],
            [["2", "height"], ["1", "$$preview"], ["2", "control_after_generate"], ["-1", "width"]],
            (32, 96),
        ),
        ([96, "fixed", 32], [["2", "height"], ["2", "control_after_generate"], ["-1", "width"]], (32, 96)),
        ([32, 96], [["2", "height"]], (32, 96)),
        ({"width": 32, "height": 96}, PROXIES, (32, 96)),
        ([96], [["2", "height", "2"]], (64, 96)),
        ([96], "{broken", (96, 128)),
    ],
    ids=["inputs", "empty", "null", "proxies", "null proxy", "no values", "text", "order", "preview", "control",
         "inputs then proxies", "by name", "triple", "broken"],
)  # fmt: skip
def test_values_set_on_the_instance(values: Any, proxies: Any, expected: tuple[int, int]) -> None:
    drawn = outer(widgets_values=values, properties={"proxyWidgets": proxies} if proxies is not None else {})
    graph = convert(drawn, upscaler())
    assert tuple(inputs_of(graph, "6:2").values()) == expected


def test_as_many_values_as_inputs_belong_to_the_inputs() -> None:
    drawn = outer(widgets_values=[32], properties={"proxyWidgets": PROXIES})
    assert inputs_of(convert(drawn, upscaler()), "6:2") == {"width": 32, "height": 128}


def test_an_output_that_passes_an_input_straight_through() -> None:
    inner = Drawing(objects=True)
    inner.leave(-10, 0)
    drawn = outer()
    drawn.nodes[1]["type"] = "through"
    graph = convert(drawn, inner.subgraph("through", ["latent"], ["big"]))
    assert inputs_of(graph, "7") == {"latent": ["5", 0]}
    assert list(graph.nodes) == ["5", "7"]


def test_an_output_that_nothing_feeds() -> None:
    drawn = outer()
    drawn.nodes[1]["type"] = "empty"
    assert inputs_of(convert(drawn, Drawing().subgraph("empty", ["latent"], ["big"])), "7") == {}


def test_a_bypassed_instance_passes_its_input_on() -> None:
    graph = convert(outer(mode=4), upscaler())
    assert list(graph.nodes) == ["5", "7"]
    assert inputs_of(graph, "7") == {"latent": ["5", 0]}


def test_a_muted_instance_feeds_nothing() -> None:
    graph = convert(outer(mode=2), upscaler())
    assert list(graph.nodes) == ["5", "7"]
    assert inputs_of(graph, "7") == {}


@pytest.mark.parametrize("mode, expected", [(4, {"latent": ["5", 0]}), (2, {})])
def test_modes_inside(mode: int, expected: dict[str, Any]) -> None:
    definition = upscaler()
    definition["nodes"][0]["mode"] = mode
    graph = convert(outer(), definition)
    assert list(graph.nodes) == ["5", "7", "6:2"]
    assert inputs_of(graph, "7") == expected


def test_virtual_nodes_inside() -> None:
    inner = Drawing(objects=True)
    inner.add(1, "Reroute")
    inner.add(2, "Upscale")
    inner.add(3, "PrimitiveNode", [48, "randomize"])
    inner.add(4, "Empty", [1, 2])
    inner.add(5, "Note", ["x"])
    inner.wire(-10, 0, 1, "")
    inner.wire(1, 0, 2, "latent")
    inner.wire(3, 0, 4, "width")
    inner.wire(3, 0, 4, "height")
    inner.leave(2, 0)
    definition = inner.subgraph("up", ["latent"], ["big"])
    graph = convert(outer(), definition)
    assert inputs_of(graph, "6:2") == {"latent": ["5", 0]}
    assert inputs_of(graph, "6:4") == {"width": 48, "height": 48}
    shown = outer(widgets_values=[80], properties={"proxyWidgets": [["3", "value"]]})
    assert inputs_of(convert(shown, definition), "6:4") == {"width": 80, "height": 80}


def nested(depth: int, *, inside: bool = False) -> list[dict[str, Any]]:
    """``depth`` subgraphs within each other around the upscaler, each passing latent and width on.

    ``inside`` puts every definition into the one around it.
    """
    definitions = [upscaler()]
    for level in range(depth):
        inner = Drawing(objects=True)
        inner.add(1, definitions[-1]["id"], [])
        inner.nodes[0]["inputs"] = [{"name": "latent", "type": "LATENT", "link": None}]
        inner.nodes[0]["outputs"] = [{"name": "big", "type": "LATENT"}, {"name": "empty", "type": "LATENT"}]
        inner.wire(-10, 0, 1, "latent")
        inner.wire(-10, 1, 1, "width", "INT")
        inner.leave(1, 0, 0)
        inner.leave(1, 1, 1)
        made = inner.subgraph(f"level{level}", ["latent", "width"], ["big", "empty"])
        if inside:
            made["definitions"] = {"subgraphs": [definitions.pop()]}
        definitions.append(made)
    return definitions


@pytest.mark.parametrize("inside", [False, True], ids=["beside", "inside"])
def test_three_levels_with_a_value_from_the_outside(inside: bool) -> None:
    drawn = outer(widgets_values=[24])
    drawn.nodes[1]["type"] = "level1"
    graph = convert(drawn, *nested(2, inside=inside))
    assert list(graph.nodes) == ["5", "7", "6:1:1:1", "6:1:1:2"]
    assert inputs_of(graph, "6:1:1:1") == {"latent": ["5", 0]}
    assert inputs_of(graph, "6:1:1:2") == {"width": 24, "height": 128}
    assert inputs_of(graph, "7") == {"latent": ["6:1:1:1", 0]}


def test_a_widget_shown_through_two_levels() -> None:
    definitions = nested(1)
    definitions[1]["nodes"][0].update({"properties": {"proxyWidgets": [["2", "height"]]}, "widgets_values": [100]})
    drawn = outer(widgets_values=[200], properties={"proxyWidgets": [["1", "height"]]})
    drawn.nodes[1]["type"] = "level0"
    assert inputs_of(convert(drawn, *definitions), "6:1:2")["height"] == 200
    drawn.nodes[1]["widgets_values"] = [None]
    assert inputs_of(convert(drawn, *definitions), "6:1:2")["height"] == 100


def test_a_thousand_levels() -> None:
    drawn = outer(widgets_values=[24])
    drawn.nodes[1]["type"] = "level999"
    graph = convert(drawn, *nested(1_000))
    deepest = "6:" + "1:" * 1_000
    assert inputs_of(graph, deepest + "1") == {"latent": ["5", 0]}
    assert inputs_of(graph, deepest + "2")["width"] == 24
    assert inputs_of(graph, "7") == {"latent": [deepest + "1", 0]}


def test_a_subgraph_that_contains_itself_is_named() -> None:
    one, two = Drawing(), Drawing()
    one.add(1, "two")
    two.add(3, "one")
    drawn = outer()
    drawn.nodes[1]["type"] = "one"
    with pytest.raises(GraphError, match='"First" -> "Second" -> "First"') as caught:
        convert(drawn, one.subgraph("one", [], [], name="First"), two.subgraph("two", [], [], name="Second"))
    assert caught.value.problems[0].code == "E-SUBGRAPH-CYCLE"
    alone = Drawing()
    alone.add(1, "one")
    with pytest.raises(GraphError, match='"one" -> "one"'):
        convert(drawn, alone.subgraph("one", [], []))


def test_unfolding_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subgraphs, "MAX_NODES", 2_000)
    definitions = [upscaler()]
    for level in range(40):  # 2 ** 40 nodes
        inner = Drawing()
        inner.add(1, definitions[-1]["id"])
        inner.add(2, definitions[-1]["id"])
        definitions.append(inner.subgraph(f"double{level}", [], []))
    drawn = outer()
    drawn.nodes[1]["type"] = "double39"
    with pytest.raises(GraphError, match="too many nodes"):
        convert(drawn, *definitions)


def test_a_definition_without_an_id_is_a_problem() -> None:
    with pytest.raises(GraphError, match="no id"):
        convert(outer(), upscaler(), {"name": "lost", "nodes": []})
    with pytest.raises(GraphError, match="no id"):
        load_document(outer().document(definitions={"subgraphs": ["x"]}), INTERFACES)


@pytest.mark.parametrize("definitions", [None, [], {"subgraphs": None}, {"subgraphs": {"up": upscaler()}}])
def test_odd_definitions_are_read(definitions: Any) -> None:
    graph = load_document(outer().document(definitions=definitions), INTERFACES)
    assert "7" in graph.nodes
