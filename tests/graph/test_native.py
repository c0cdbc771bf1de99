"""Documents in the editor's native form become the graphs that they show."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from typing import Any

import pytest
from graph_samples import INTERFACES, inputs_of

from engine.errors import DocumentError, GraphError
from engine.graph.documents import graph_from_metadata, load_document, looks_like_editor


def slots(ins: list[tuple[str, str]], outs: list[str]) -> dict[str, Any]:
    return {
        "in": [{"name": name, "type": kind} for name, kind in ins],
        "out": [{"name": kind, "type": kind} for kind in outs],
    }


def document() -> dict[str, Any]:
    big = {
        "name": "Big",
        "inputs": [{"name": "latent", "type": "LATENT"}, {"name": "width", "type": "INT"}],
        "outputs": [{"name": "out", "type": "LATENT"}, {"name": "empty", "type": "LATENT"}],
        "nodes": {
            "1": {
                "type": "Upscale",
                "inputs": {"latent": ["-10", "latent"]},
                "slots": slots([("latent", "LATENT")], ["LATENT"]),
            },
            "2": {
                "type": "Empty",
                "inputs": {"width": ["-10", "width"], "height": 96},
                "kept": {"width": 64},
                "slots": {
                    "in": [{"name": "width", "type": "INT", "widget": "width"}],
                    "out": [{"name": "LATENT", "type": "LATENT"}],
                },
            },
        },
        "exits": [["1", "LATENT"], ["2", 0]],
    }
    return {
        "safelight": 1,
        "nodes": {
            "1": {"type": "Empty", "inputs": {"width": 512, "height": 256}, "slots": slots([], ["LATENT"])},
            "2": {
                "type": "up",
                "inputs": {"latent": ["1", "LATENT"], "width": 32},
                "slots": slots([("latent", "LATENT"), ("width", "INT")], ["LATENT", "LATENT"]),
            },
            "3": {
                "type": "Upscale",
                "mode": "bypass",
                "inputs": {"latent": ["2", 1]},
                "slots": slots([("latent", "LATENT")], ["LATENT"]),
            },
            "4": {
                "type": "Upscale",
                "inputs": {"latent": ["3", "LATENT"]},
                "slots": slots([("latent", "LATENT")], ["LATENT"]),
            },
            "5": {
                "type": "Upscale",
                "mode": "mute",
                "inputs": {"latent": ["2", 0]},
                "slots": slots([("latent", "LATENT")], ["LATENT"]),
            },
        },
        "definitions": {"up": big},
        "view": {"nodes": {"4": {"x": 0, "y": 0, "title": "Twice"}}},
    }


def test_subgraphs_bypass_and_mute_mean_what_they_mean_elsewhere() -> None:
    graph = load_document(document(), INTERFACES)
    assert list(graph.nodes) == ["1", "4", "2:1", "2:2"]
    assert inputs_of(graph, "2:1") == {"latent": ["1", 0]}
    assert inputs_of(graph, "2:2") == {"width": 32, "height": 96}
    assert inputs_of(graph, "4") == {"latent": ["2:2", 0]}
    assert graph.nodes["4"].title == "Twice"
    assert graph.workflow == document()


def test_lists_are_values_and_what_is_kept_gives_way_to_a_wire() -> None:
    data = document()
    data["nodes"]["1"]["inputs"]["tags"] = {"__value__": ["a", 0]}
    data["definitions"]["up"]["nodes"]["2"]["inputs"]["height"] = ["-10", "nowhere"]
    graph = load_document(data, INTERFACES)
    assert inputs_of(graph, "1")["tags"] == {"__value__": ["a", 0]}
    assert inputs_of(graph, "2:2") == {"width": 32, "height": 512}


def test_it_is_read_wherever_an_editor_workflow_is() -> None:
    plain = load_document(document(), INTERFACES).nodes
    assert looks_like_editor(document())
    assert not looks_like_editor({"safelight": {"class_type": "A"}, "nodes": {"class_type": "B"}})
    for around in ({"prompt": document()}, {"workflow": document()}):
        assert load_document(around, INTERFACES).nodes == plain
    assert graph_from_metadata({"workflow": json.dumps(document())}, INTERFACES).nodes == plain


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(DocumentError, match="version 2"):
        load_document({**document(), "safelight": 2}, INTERFACES)


def test_a_node_without_a_type_is_named() -> None:
    data = document()
    data["nodes"]["9"] = {"inputs": {}}
    with pytest.raises(GraphError, match="9"):
        load_document(data, INTERFACES)


def test_a_subgraph_that_contains_itself_is_refused() -> None:
    data = document()
    data["definitions"]["up"]["nodes"]["7"] = {"type": "up", "inputs": {}}
    with pytest.raises(GraphError, match="contains itself"):
        load_document(data, INTERFACES)


@pytest.mark.parametrize("seed", range(150))
def test_damaged_documents_are_read_or_refused(seed: int) -> None:
    draw = random.Random(seed)
    data = document()
    for _ in range(draw.randint(1, 4)):
        place: Any = data
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else list(range(len(place))))
            if not isinstance(place[key], (dict, list)) or not place[key] or draw.random() < 0.3:
                break
            place = place[key]
        if key != "safelight":
            place[key] = copy.deepcopy(draw.choice([None, 3, "x", [], {}, True, [1, 2], ["-10", 0], ["4", -1], 1e300]))
    with contextlib.suppress(DocumentError, GraphError):
        load_document(data, INTERFACES)
