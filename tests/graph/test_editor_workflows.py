"""Editor workflows become what the browser would have queued: virtual nodes, modes, wires."""

from __future__ import annotations

import copy
import random
import time
from typing import Any

import pytest
from graph_samples import INTERFACES, Drawing, inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GraphError, InputError
from engine.graph.api_prompt import graph_to_api
from engine.graph.documents import load_document
from engine.graph.model import Graph


def convert(drawn: Drawing, **more: Any) -> Graph:
    return load_document(drawn.document(**more), INTERFACES)


def chain(*, objects: bool = False) -> Drawing:
    """Picture 1 -> Blend 2 (both inputs) -> Save 3."""
    drawn = Drawing(objects=objects)
    drawn.add(1, "Picture", ["cat.png", "image"])
    drawn.add(4, "Picture", ["dog.png", "image"])
    drawn.add(2, "Blend")
    drawn.add(3, "Save", ["x"])
    drawn.wire(1, 0, 2, "a")
    drawn.wire(4, 0, 2, "b")
    drawn.wire(2, 0, 3, "images")
    return drawn


@pytest.mark.parametrize("objects", [False, True], ids=["0.4", "1"])
def test_links_in_both_spellings(objects: bool) -> None:
    graph = convert(chain(objects=objects))
    assert inputs_of(graph, "2") == {"a": ["1", 0], "b": ["4", 0]}
    assert inputs_of(graph, "3") == {"prefix": "x", "images": ["2", 0]}
    assert inputs_of(graph, "1") == {"image": "cat.png"}


def test_titles_come_from_the_node_or_its_type() -> None:
    drawn = chain()
    drawn.nodes[1]["title"] = "My dog"
    graph = convert(drawn)
    assert graph.nodes["4"].title == "My dog"
    assert graph.nodes["3"].title == "Save Picture"


def test_nodes_come_in_the_order_of_exported_prompts() -> None:
    drawn = Drawing()
    for id in (10, "b", 9, 2, "a"):
        drawn.add(id, "Empty", [64, 64])
    assert list(convert(drawn).nodes) == ["2", "9", "10", "b", "a"]


def test_notes_are_left_out() -> None:
    drawn = chain()
    drawn.add(8, "Note", ["read me"])
    drawn.add(9, "MarkdownNote", ["# read me"])
    drawn.add(10, "Label (rgthree)")
    assert set(convert(drawn).nodes) == {"1", "2", "3", "4"}


def test_reroutes_are_followed() -> None:
    drawn = chain()
    drawn.add(7, "Reroute")
    drawn.add(8, "Reroute")
    drawn.wire(2, 1, 7, "")
    drawn.wire(7, 0, 8, "")
    drawn.wire(8, 0, 3, "images")
    assert inputs_of(convert(drawn), "3")["images"] == ["2", 1]


def test_ten_thousand_reroutes_in_a_row_and_ten_thousand_readers_take_linear_time() -> None:
    drawn = Drawing()
    drawn.add(0, "Empty", [64, 64])
    nodes: list[dict[str, Any]] = drawn.nodes
    for id in range(1, 10_001):
        nodes.append({"id": id, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": id}]})
        drawn.links.append([id, id - 1, 0, id, 0, "*"])
    for reader in range(10_001, 20_001):
        nodes.append(
            {"id": reader, "type": "Upscale", "inputs": [{"name": "latent", "type": "LATENT", "link": reader}]}
        )
        drawn.links.append([reader, 10_000, 0, reader, 0, "*"])
    started = time.process_time()
    graph = convert(drawn)
    assert time.process_time() - started < 5
    assert inputs_of(graph, "20000") == {"latent": ["0", 0]}
    assert len(graph.nodes) == 10_001


def test_reroutes_that_feed_each_other_feed_nothing() -> None:
    drawn = chain()
    drawn.add(7, "Reroute")
    drawn.add(8, "Reroute")
    drawn.wire(7, 0, 8, "")
    drawn.wire(8, 0, 7, "")
    drawn.wire(8, 0, 3, "images")
    assert inputs_of(convert(drawn), "3") == {"prefix": "x"}


def test_native_reroutes_are_only_points_on_a_link() -> None:
    drawn = chain(objects=True)
    for link in drawn.links:
        link["parentId"] = 1
    graph = convert(drawn, reroutes=[{"id": 1, "pos": [0, 0], "linkIds": [1, 2, 3]}])
    assert inputs_of(graph, "2") == {"a": ["1", 0], "b": ["4", 0]}


def test_a_named_wire_is_followed() -> None:
    drawn = chain()
    drawn.nodes.append(
        {"id": 7, "type": "SetNode", "inputs": [{"name": "IMAGE", "type": "IMAGE"}], "widgets_values": ["w"]}
    )
    drawn.add(8, "GetNode", ["w"])
    drawn.add(9, "GetNode", ["nobody"])
    drawn.wire(2, 0, 7, "IMAGE")
    drawn.wire(8, 0, 3, "images")
    drawn.wire(9, 0, 2, "b")
    graph = convert(drawn)
    assert inputs_of(graph, "3")["images"] == ["2", 0]
    assert inputs_of(graph, "2") == {"a": ["1", 0]}


# --- modes ---------------------------------------------------------------------------------------------------------


def test_a_muted_node_is_left_out_and_its_readers_lose_the_input() -> None:
    drawn = chain()
    drawn.nodes[2]["mode"] = 2
    graph = convert(drawn)
    assert set(graph.nodes) == {"1", "3", "4"}
    assert inputs_of(graph, "3") == {"prefix": "x"}


def test_a_widget_fed_by_a_muted_node_goes_too() -> None:
    drawn = Drawing()
    drawn.add(1, "Flags", [True, "n"], mode=2)
    drawn.add(2, "Empty", [64, 128])
    drawn.wire(1, 0, 2, "width")
    assert inputs_of(convert(drawn), "2") == {"height": 128}


def test_bypass_takes_the_same_slot_when_the_type_fits() -> None:
    drawn = chain()
    drawn.nodes[2]["mode"] = 4
    graph = convert(drawn)
    assert "2" not in graph.nodes
    assert inputs_of(graph, "3")["images"] == ["1", 0]


def test_bypass_takes_the_first_input_of_the_type_otherwise() -> None:
    drawn = Drawing()
    drawn.add(1, "Load", ["a.safetensors"])
    drawn.add(2, "Lora", [1.0], mode=4)
    drawn.add(3, "Encode", ["text"])
    drawn.wire(1, 0, 2, "model")
    drawn.wire(1, 1, 2, "clip")
    drawn.wire(2, 1, 3, "clip")
    drawn.nodes[1]["inputs"].reverse()  # the saved slots decide, not the order of the definition
    assert inputs_of(convert(drawn), "3") == {"text": "text", "clip": ["1", 1]}


def test_bypass_without_an_input_of_the_type_feeds_nothing() -> None:
    drawn = chain()
    drawn.add(7, "ToMask", mode=4)
    drawn.add(8, "Upscale")
    drawn.add(9, "Empty", [64, 64])
    drawn.wire(2, 0, 7, "image")
    drawn.wire(7, 0, 8, "mask")
    drawn.wire(9, 0, 8, "latent")
    assert inputs_of(convert(drawn), "8") == {"latent": ["9", 0]}


def test_bypass_of_an_unwired_slot_does_not_look_further() -> None:
    drawn = Drawing()
    drawn.add(4, "Picture", ["dog.png", "image"])
    drawn.add(2, "Blend", mode=4)
    drawn.add(3, "Save", ["x"])
    drawn.wire(4, 0, 2, "b")
    drawn.wire(2, 0, 3, "images")
    assert inputs_of(convert(drawn), "3") == {"prefix": "x"}


def test_bypass_with_wildcards_keeps_the_slot_or_takes_the_first() -> None:
    drawn = Drawing()
    drawn.add(1, "Empty", [64, 64])
    drawn.add(2, "Empty", [32, 32])
    drawn.nodes.append(
        {
            "id": 3,
            "type": "Anything",
            "mode": 4,
            "inputs": [{"name": "p", "type": "*", "link": 1}, {"name": "q", "type": "*", "link": 2}],
            "outputs": [{"name": "x", "type": "*"}, {"name": "y", "type": "*"}, {"name": "z", "type": "*"}],
        }
    )
    drawn.links += [[1, 1, 0, 3, 0, "*"], [2, 2, 0, 3, 1, "*"]]
    for id, slot in ((4, 0), (5, 1), (6, 2)):
        drawn.add(id, "Upscale")
        drawn.wire(3, slot, id, "latent")
    graph = convert(drawn)
    assert [inputs_of(graph, id)["latent"] for id in ("4", "5", "6")] == [["1", 0], ["2", 0], ["1", 0]]


def test_bypassed_nodes_and_reroutes_in_a_row() -> None:
    drawn = Drawing()
    drawn.add("start", "Empty", [64, 64])
    before = "start"
    for step in range(3_000):
        if step % 2:
            drawn.add(step, "Upscale", mode=4)
            drawn.wire(before, 0, step, "latent")
        else:
            drawn.add(step, "Reroute")
            drawn.wire(before, 0, step, "")
        before = step
    drawn.add("end", "Upscale")
    drawn.wire(before, 0, "end", "latent")
    assert inputs_of(convert(drawn), "end") == {"latent": ["start", 0]}


def test_a_widget_behind_a_dead_end_keeps_its_own_value() -> None:
    drawn = Drawing()
    drawn.nodes.append({"id": 1, "type": "Number", "mode": 4, "inputs": [], "outputs": [{"name": "n", "type": "INT"}]})
    drawn.add(2, "Empty", [64, 128])
    drawn.wire(1, 0, 2, "width")
    assert inputs_of(convert(drawn), "2") == {"width": 64, "height": 128}


# --- primitives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0, 2, 4])
def test_a_primitive_writes_into_every_widget_it_is_wired_to(mode: int) -> None:
    drawn = Drawing()
    drawn.add(1, "PrimitiveNode", [768, "fixed"], mode=mode)
    drawn.add(7, "Reroute")
    drawn.wire(1, 0, 7, "")
    drawn.add(2, "Empty", [64, 64])
    drawn.wire(1, 0, 2, "width")
    drawn.wire(7, 0, 2, "height")
    drawn.add(3, "Sample", [1, "randomize", 20, 7, "euler"])
    drawn.wire(1, 0, 3, "seed")
    graph = convert(drawn)
    assert "1" not in graph.nodes
    assert inputs_of(graph, "2") == {"width": 768, "height": 768}
    assert inputs_of(graph, "3")["seed"] == 768


def test_a_primitive_behind_a_bypassed_node_does_not_reach_through() -> None:
    drawn = Drawing()
    drawn.add(1, "PrimitiveNode", [768, "fixed"])
    drawn.nodes.append(
        {"id": 5, "type": "Number", "mode": 4, "inputs": [{"name": "n", "type": "INT", "widget": {"name": "n"}}],
         "outputs": [{"name": "n", "type": "INT"}]}
    )  # fmt: skip
    drawn.add(2, "Empty", [64, 64])
    drawn.add(6, "Empty", [32, 32])
    drawn.wire(1, 0, 5, "n", "INT")
    drawn.wire(5, 0, 2, "width")
    drawn.wire(5, 0, 6, "width")
    graph = convert(drawn)
    assert inputs_of(graph, "2")["width"] == 64
    assert inputs_of(graph, "6")["width"] == 32


def test_a_primitive_that_holds_a_list_is_wrapped() -> None:
    drawn = Drawing()
    drawn.add(1, "PrimitiveNode", [["a", 1]])
    drawn.add(2, "Flags", [True, "n"])
    drawn.wire(1, 0, 2, "weights")
    assert inputs_of(convert(drawn), "2")["weights"] == {"__value__": ["a", 1]}


# --- what cannot be read -------------------------------------------------------------------------------------------


def test_everything_that_cannot_be_read_is_listed() -> None:
    drawn = chain()
    drawn.nodes += ["text", {"id": 20}, {"type": "Save"}, {"id": 1, "type": "Save"}, {"id": True, "type": "Save"}]
    drawn.links += [[1, 2], "x", {"id": 3}, None]
    with pytest.raises(GraphError) as caught:
        convert(drawn)
    codes = sorted(one.code for one in caught.value.problems)
    assert codes == [
        "E-CLASS-TYPE",
        "E-LINK",
        "E-LINK",
        "E-LINK",
        "E-NODE-ENTRY",
        "E-NODE-ID",
        "E-NODE-ID",
        "E-NODE-ID",
    ]


@pytest.mark.parametrize(
    "node",
    [
        {"id": 1, "type": "Save", "inputs": "x", "outputs": 5, "widgets_values": "x", "properties": [], "mode": "y"},
        {"id": 1, "type": "Save", "inputs": [None, {"name": 5, "link": {}}], "outputs": [None, {"type": 5}]},
        {"id": 1, "type": "Save", "inputs": [{"name": "images", "link": 99}], "title": 7},
        {"id": 1.0, "type": "Save", "inputs": [{"name": "images", "type": ["a", "b"], "widget": 5}]},
    ],
)
def test_odd_but_harmless_entries_are_read(node: dict[str, Any]) -> None:
    graph = load_document({"nodes": [node], "links": [], "version": 0.4}, INTERFACES)
    assert list(graph.nodes) == ["1"]
    assert "images" not in graph.nodes["1"].inputs


def test_links_to_nodes_that_are_not_there_are_dropped() -> None:
    drawn = chain()
    drawn.nodes = [one for one in drawn.nodes if one["id"] != 2]
    assert inputs_of(convert(drawn), "3") == {"prefix": "x"}


JUNK: list[Any] = [
    None, True, -1, 0, 1, 10**30, 0.5, "", "x", "5", [], {}, [[]], {"id": 1}, [1, 2], "-10", -20, "up", "workflow>G", 2,
    4, "PrimitiveNode", "Reroute", "GetNode", "SetNode", "Sample", {"name": "seed"}, [1, 1, 0, 2, 0, "*"],
]  # fmt: skip


def rich() -> dict[str, Any]:
    """A document with something of everything, to be damaged."""
    inner = Drawing(objects=True)
    inner.add(1, "Upscale")
    inner.add(2, "Empty", [64, 128])
    inner.wire(-10, 0, 1, "latent")
    inner.wire(-10, 1, 2, "width")
    inner.leave(1, 0)
    drawn = chain()
    drawn.add(5, "PrimitiveNode", [768, "fixed"])
    drawn.add(6, "up", [32], properties={"proxyWidgets": [["-1", "width"], ["2", "height"]]})
    drawn.add(7, "Sample", [1, "fixed", 20, 7, "euler"], mode=4)
    drawn.add(8, "Reroute")
    drawn.add(9, "workflow>G", [1, 2])
    drawn.wire(5, 0, 6, "width")
    drawn.wire(6, 0, 7, "latent")
    drawn.wire(7, 0, 8, "")
    drawn.wire(8, 0, 9, "latent")
    group = {
        "nodes": [{"type": "Upscale", "inputs": [{"name": "latent"}], "outputs": [{"type": "LATENT"}]}],
        "links": [],
    }
    definitions = {"subgraphs": [inner.subgraph("up", ["latent", "width"], ["big"])]}
    return copy.deepcopy(drawn.document(definitions=definitions, extra={"groupNodes": {"G": group}}))


@given(st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_damaged_documents_give_problems_and_never_another_error(seed: int) -> None:
    draw = random.Random(seed)
    document = rich()
    for _ in range(draw.randrange(1, 5)):
        place: Any = document
        while isinstance(place, (dict, list)) and place:
            key = draw.choice(list(place)) if isinstance(place, dict) else draw.randrange(len(place))
            if draw.random() < 0.25 or not isinstance(place[key], (dict, list)):
                place[key] = draw.choice(JUNK)
                break
            place = place[key]
    try:
        graph = load_document(document, INTERFACES)
    except InputError as error:
        assert error.problems
        return
    graph_to_api(graph)
