"""Group nodes, the older form of subgraphs."""

from __future__ import annotations

from typing import Any

import pytest
from graph_samples import INTERFACES, Drawing, inputs_of

from engine.errors import GraphError
from engine.graph.documents import load_document
from engine.graph.model import Graph


def slots(*names: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "type": type, "link": None} for name, type in names]


def group(**more: Any) -> dict[str, Any]:
    """Load 0 (its clip also shows outside) -> Encode 1 -> Sample 2, whose latent comes from outside."""
    return {
        "nodes": [
            {
                "type": "Load",
                "index": 0,
                "inputs": [],
                "outputs": [{"type": "MODEL"}, {"type": "CLIP"}, {"type": "VAE"}],
                "widgets_values": ["a.safetensors"],
            },
            {
                "type": "Encode",
                "index": 1,
                "inputs": slots(("clip", "CLIP")),
                "outputs": [{"type": "CONDITIONING"}],
                "widgets_values": ["inside"],
            },
            {
                "type": "Sample",
                "index": 2,
                "title": "Pass",
                "inputs": slots(("model", "MODEL"), ("positive", "CONDITIONING"), ("latent", "LATENT")),
                "outputs": [{"type": "LATENT"}],
                "widgets_values": [1, "fixed", 20, 7, "euler"],
            },
        ],
        "links": [[0, 0, 2, 0, 5, "MODEL"], [0, 1, 1, 0, 5, "CLIP"], [1, 0, 2, 1, 6, "CONDITIONING"]],
        "external": [[0, 1, "CLIP"]],
        **more,
    }


def convert(drawn: Drawing, **groups: Any) -> Graph:
    return load_document(drawn.document(extra={"groupNodes": groups}), INTERFACES)


def outer(type: str, values: list[Any] | None = None, latent: str = "latent") -> Drawing:
    drawn = Drawing()
    drawn.add(5, "Empty", [512, 512])
    drawn.add(28, type, values)
    drawn.nodes[-1]["inputs"] = slots((latent, "LATENT"))
    drawn.add(7, "Decode")
    drawn.add(8, "Encode", ["outside"])
    drawn.wire(5, 0, 28, latent)
    drawn.wire(28, 2, 7, "samples")
    drawn.wire(28, 1, 7, "vae")
    drawn.wire(28, 0, 8, "clip")
    return drawn


@pytest.mark.parametrize("type", ["workflow>Flow", "workflow/Flow"])
def test_a_group_becomes_what_is_inside(type: str) -> None:
    graph = convert(outer(type), Flow=group())
    assert list(graph.nodes) == ["5", "7", "8", "28:0", "28:1", "28:2"]
    assert inputs_of(graph, "28:1") == {"text": "inside", "clip": ["28:0", 1]}
    sample = inputs_of(graph, "28:2")
    assert sample["model"] == ["28:0", 0] and sample["positive"] == ["28:1", 0] and sample["latent"] == ["5", 0]
    assert inputs_of(graph, "7") == {"samples": ["28:2", 0], "vae": ["28:0", 2]}
    assert inputs_of(graph, "8") == {"text": "outside", "clip": ["28:0", 1]}
    assert graph.nodes["28:2"].title == "Pass"


def test_the_values_of_the_group_run_through_its_nodes() -> None:
    values = ["b.safetensors", "set outside", 9, "randomize", 30, 6.5, "heun"]
    graph = convert(outer("workflow>Flow", values), Flow=group())
    assert inputs_of(graph, "28:0") == {"file": "b.safetensors"}
    assert inputs_of(graph, "28:1")["text"] == "set outside"
    sample = inputs_of(graph, "28:2")
    assert (sample["seed"], sample["steps"], sample["cfg"], sample["sampler"]) == (9, 30, 6.5, "heun")


def test_values_that_do_not_come_out_even_are_not_taken() -> None:
    graph = convert(outer("workflow>Flow", ["b.safetensors", *range(20)]), Flow=group())
    assert inputs_of(graph, "28:0") == {"file": "a.safetensors"}
    assert inputs_of(graph, "28:1")["text"] == "inside"


def test_renamed_inputs_and_hidden_outputs() -> None:
    config = {"2": {"input": {"latent": {"name": "start"}}}, "0": {"output": {"1": {"visible": False}}}}
    drawn = outer("workflow>Flow", latent="start")
    drawn.links = [link for link in drawn.links if link[3] not in (7, 8)]
    drawn.wire(28, 1, 7, "samples")
    drawn.wire(28, 0, 7, "vae")
    graph = convert(drawn, Flow=group(config=config))
    assert inputs_of(graph, "28:2")["latent"] == ["5", 0]
    assert inputs_of(graph, "7") == {"samples": ["28:2", 0], "vae": ["28:0", 2]}


def test_inputs_of_equal_name_carry_the_title() -> None:
    two = {
        "nodes": [
            {"type": "Upscale", "inputs": slots(("latent", "LATENT")), "outputs": [{"type": "LATENT"}]},
            {
                "type": "Upscale",
                "title": "Second",
                "inputs": slots(("latent", "LATENT")),
                "outputs": [{"type": "LATENT"}],
            },
            {
                "type": "Upscale",
                "title": "Second",
                "inputs": slots(("latent", "LATENT")),
                "outputs": [{"type": "LATENT"}],
            },
        ],
        "links": [],
    }
    drawn = Drawing()
    names = ["latent", "Second latent", "Second latent 1"]
    for id in range(3):
        drawn.add(id, "Empty", [64, 64])
    drawn.add(9, "workflow>Three")
    drawn.nodes[-1]["inputs"] = slots(*((name, "LATENT") for name in names))
    for id, name in enumerate(names):
        drawn.wire(id, 0, 9, name)
    graph = convert(drawn, Three=two)
    assert [inputs_of(graph, f"9:{id}")["latent"] for id in range(3)] == [["0", 0], ["1", 0], ["2", 0]]


def test_a_group_that_contains_itself_is_named() -> None:
    with pytest.raises(GraphError, match='"Flow" -> "Flow"'):
        convert(outer("workflow>Flow"), Flow={"nodes": [{"type": "workflow>Flow"}], "links": []})


def test_a_group_without_a_definition_stays_an_unknown_node() -> None:
    graph = convert(outer("workflow>Lost"))
    assert graph.nodes["28"].type == "workflow>Lost"


@pytest.mark.parametrize("definition", [None, [], {}, {"nodes": 5}])
def test_a_damaged_definition_is_a_problem(definition: Any) -> None:
    with pytest.raises(GraphError, match="'Flow' has no list of nodes"):
        convert(outer("workflow>Flow"), Flow=definition)


def test_odd_entries_are_read() -> None:
    odd = {"nodes": [None, {"type": 5}], "links": [None, [0], [None, 0, 1, 0], ["x", 0, 1, 0]], "external": [None, 3]}
    assert "28:0" in convert(outer("workflow>Flow"), Flow=odd).nodes
