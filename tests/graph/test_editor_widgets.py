"""Positional widget values get their names, whatever editors have put between them."""

from __future__ import annotations

from typing import Any

import pytest
from graph_samples import INTERFACES, SEED, Drawing, inputs_of, kind, socket

from engine.graph.documents import load_document
from engine.graph.interfaces import Interfaces
from engine.graph.node_types import Parameter
from engine.graph.registry import EMPTY_REGISTRY


def values_of(type: str, values: Any, interfaces: Interfaces = INTERFACES, slots: Any = ()) -> dict[str, Any]:
    node = {"id": 1, "type": type, "widgets_values": values, "inputs": list(slots)}
    graph = load_document({"nodes": [node], "links": [], "version": 0.4}, interfaces)
    return inputs_of(graph, "1")


def known(*inputs: Parameter, id: str = "Node") -> Interfaces:
    return Interfaces.from_registry(EMPTY_REGISTRY.with_types([kind(id, list(inputs), [])]))


FULL = {"seed": 5, "steps": 30, "cfg": 6.5, "sampler": "heun"}


@pytest.mark.parametrize(
    "values",
    [
        [5, "randomize", 30, 6.5, "heun"],
        [5, "fixed", 30, 6.5, "heun"],
        [5, True, 30, 6.5, "heun"],
        [5, False, 30, 6.5, "heun"],
        [5, 30, 6.5, "heun"],
        [5, "increment-wrap", 30, 6.5, "heun", "left", "over"],
    ],
    ids=["randomize", "fixed", "true", "false", "no control", "more"],
)
def test_what_becomes_of_the_seed_is_stepped_over(values: list[Any]) -> None:
    assert values_of("Sample", values) == FULL


def test_values_missing_at_the_end_get_their_defaults() -> None:
    assert values_of("Sample", [5, "fixed"]) == {"seed": 5, "steps": 20, "cfg": 0, "sampler": "euler"}
    assert values_of("Flags", []) == {"on": True, "name": ""}
    assert values_of("Flags", None) == {"on": True, "name": ""}


def test_a_null_stands_for_the_default() -> None:
    assert values_of("Empty", [None, 64]) == {"width": 512, "height": 64}


def test_values_by_name() -> None:
    values = {"sampler": "heun", "seed": 5, "steps": 30, "cfg": 6.5, "control_after_generate": "fixed"}
    assert values_of("Sample", values) == FULL


def test_values_by_name_keep_what_the_node_adds_itself() -> None:
    values = {"width": 64, "height": 32, "crf": 19, "videopreview": {"hidden": False}}
    assert values_of("Empty", values) == {"width": 64, "height": 32, "crf": 19}
    assert values_of("Unknown", {"a": 1, "b": {"c": 2}}) == {"a": 1, "b": {"c": 2}}


def test_a_control_that_is_no_seed_is_stepped_over() -> None:
    number = known(Parameter("value", "INT", control_after_generate=True), Parameter("name", "STRING"))
    assert values_of("Node", [5, "increment", "fixed"], number) == {"value": 5, "name": "fixed"}
    plain = known(Parameter("value", "INT"), Parameter("other", "INT"))
    assert values_of("Node", [5, "increment", 6], plain) == {"value": 5, "other": 6}
    mode = known(Parameter("value", "INT"), Parameter("mode", "COMBO", choices=("fixed", "free")))
    assert values_of("Node", [5, "fixed"], mode) == {"value": 5, "mode": "fixed"}


def test_a_seed_may_say_that_it_has_no_control() -> None:
    plain = known(Parameter("seed", "INT", options={"control_after_generate": False}), Parameter("on", "BOOLEAN"))
    assert values_of("Node", [5, False], plain) == {"seed": 5, "on": False}


def test_a_choice_with_control_has_a_filter_too() -> None:
    choice = known(
        Parameter("file", "COMBO", choices=("a", "b"), control_after_generate=True), Parameter("size", "INT")
    )
    assert values_of("Node", ["a", "increment", "^a", 7], choice) == {"file": "a", "size": 7}
    assert values_of("Node", ["a", 7], choice) == {"file": "a", "size": 7}


def test_upload_buttons_stand_after_the_required_inputs() -> None:
    optional = Parameter("channel", "STRING", required=False)
    picture = Parameter("image", "COMBO", image_upload=True)
    assert values_of("Node", ["cat.png", "image", "red"], known(picture, optional)) == {
        "image": "cat.png",
        "channel": "red",
    }
    assert values_of("Picture", ["cat.png", "image", ""]) == {"image": "cat.png"}


def test_refresh_buttons_of_remote_choices() -> None:
    remote = {"remote": {"route": "/files", "refresh_button": True}}
    choice = known(Parameter("image", "COMBO", options=remote, image_upload=True))
    assert values_of("Node", ["a.png", False, "refresh", "image"], choice) == {"image": "a.png", "refresh": "refresh"}


def test_inputs_without_a_widget_take_no_place() -> None:
    slots = [{"name": "size", "type": "INT", "link": None}]
    assert values_of("Flags", [False, "n"], slots=slots) == {"on": False, "name": "n"}


def test_a_widget_made_an_input_keeps_its_place() -> None:
    slots = [{"name": "steps", "type": "INT", "link": None, "widget": {"name": "steps"}}]
    assert values_of("Sample", [5, "fixed", 30, 6.5, "heun"], slots=slots) == FULL


def test_editor_widgets_are_told_from_sockets_of_the_same_type() -> None:
    scene = known(Parameter("file", "STRING"), Parameter("scene", "LOAD_3D"), Parameter("width", "INT"))
    assert values_of("Node", ["a", "view", 64], scene) == {"file": "a", "scene": "view", "width": 64}
    slots = [{"name": "scene", "type": "LOAD_3D", "link": None}]
    assert values_of("Node", ["a", 64], scene, slots) == {"file": "a", "width": 64}


def test_lists_are_wrapped() -> None:
    assert values_of("Node", [["a", "b"]], known(Parameter("tags", "COMBO"))) == {"tags": {"__value__": ["a", "b"]}}


def test_a_type_that_changed_since_is_read_by_the_names_in_the_file() -> None:
    slots = [
        {"name": name, "type": type, "widget": {"name": name}} for name, type in (("steps", "INT"), ("cfg", "FLOAT"))
    ]
    now = known(Parameter("added", "INT", default=3), Parameter("steps", "INT"), Parameter("cfg", "FLOAT"))
    assert values_of("Node", [30, 6.5], now, slots) == {"steps": 30, "cfg": 6.5}


def test_a_type_that_is_not_known_is_read_by_the_names_in_the_file() -> None:
    slots = [
        {"name": "model", "type": "MODEL", "link": None},
        {"name": "seed", "type": "INT", "link": None, "widget": {"name": "seed"}},
        {"name": "text", "type": "STRING", "link": None, "widget": {"name": "text"}},
        {"name": "upload", "type": "IMAGEUPLOAD", "link": None, "widget": {"name": "upload"}},
    ]
    assert values_of("Unknown", [5, "randomize", "hello", "image"], slots=slots) == {"seed": 5, "text": "hello"}
    assert values_of("Unknown", [5, "hello", "image"], slots=slots) == {"seed": 5, "text": "hello"}
    assert values_of("Unknown", [1, 2, 3, 4, 5, 6], slots=slots) == {}  # places nobody can name


def test_a_dynamic_choice_brings_the_widgets_of_its_option() -> None:
    options = {
        "options": [
            {"key": "none", "inputs": {"required": {}}},
            {"key": "resize", "inputs": {"required": {"width": ["INT", {"default": 8}], "image": ["IMAGE"]}}},
        ]
    }
    dynamic = known(Parameter("mode", "COMFY_DYNAMICCOMBO_V3", options=options), Parameter("after", "INT"))
    assert values_of("Node", ["resize", 64, 9], dynamic) == {"mode": "resize", "mode.width": 64, "after": 9}
    assert values_of("Node", ["none", 9], dynamic) == {"mode": "none", "after": 9}


def test_dotted_inputs_that_grow_are_wired_by_the_names_in_the_file() -> None:
    drawn = Drawing()
    drawn.add(1, "Empty", [64, 64])
    drawn.add(2, "Grows")
    drawn.nodes[1]["inputs"] = [{"name": f"values.{k}", "type": "LATENT", "link": None} for k in "ab"]
    drawn.wire(1, 0, 2, "values.a")
    drawn.wire(1, 0, 2, "values.b")
    grows = Interfaces.from_registry(
        EMPTY_REGISTRY.with_types([kind("Grows", [socket("values", "AUTOGROW"), SEED], [])])
    )
    graph = load_document(drawn.document(), grows)
    assert inputs_of(graph, "2") == {"seed": 0, "values.a": ["1", 0], "values.b": ["1", 0]}
