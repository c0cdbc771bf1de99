"""Descriptions of node types that are not installed come from files."""

from __future__ import annotations

import json

import pytest
from graph_samples import INTERFACES

from engine.errors import DocumentError
from engine.graph.interfaces import NO_INTERFACES
from engine.graph.node_types import MISSING

SAMPLER = {
    "input": {
        "required": {
            "seed": ["INT", {"default": 3, "min": 0, "max": 9, "control_after_generate": True}],
            "mode": [["a", "b"]],
            "kind": ["COMBO", {"options": ["x"], "default": "x"}],
            "file": ["COMBO{files}"],
        },
        "optional": {"text": ["STRING", {"forceInput": True, "multiline": True}], "late": ["FLOAT"]},
    },
    "input_order": {"required": ["mode", "seed"], "optional": ["late", "text"]},
    "output": ["IMAGE", ["a", "b"]],
    "output_name": ["image"],
    "output_is_list": [False, True],
    "output_node": True,
    "display_name": "My Sampler",
}


def test_a_saved_object_info() -> None:
    for text in (json.dumps({"S": SAMPLER}), json.dumps({"S": SAMPLER}, indent=1).encode()):
        found = NO_INTERFACES.with_file(text).get("S")
        assert found is not None and found.run is None
        assert [one.name for one in found.inputs] == ["mode", "seed", "kind", "file", "late", "text"]
        seed, mode, text_input = found.by_name["seed"], found.by_name["mode"], found.by_name["text"]
        assert (seed.default, seed.minimum, seed.maximum, seed.control_after_generate) == (3, 0, 9, True)
        assert (mode.type, mode.choices, mode.required) == ("COMBO", ("a", "b"), True)
        assert found.by_name["kind"].choices == ("x",)
        assert found.by_name["file"].choices is None and found.by_name["file"].default is MISSING
        assert not text_input.required and not text_input.is_widget
        assert [(one.name, one.type, one.is_list) for one in found.outputs] == [
            ("image", "IMAGE", False),
            ("['a', 'b']", "COMBO", True),
        ]
        assert found.display_name == "My Sampler" and found.output_node


def test_lines_with_ids() -> None:
    lines = "\n".join([json.dumps({"id": "A", **SAMPLER}), "", json.dumps({"id": "B", "input": {}, "output": []})])
    found = NO_INTERFACES.with_file(lines)
    assert set(found.types) == {"A", "B"}
    assert found.get("C") is None


def test_a_file_wins_over_what_is_registered_and_leaves_the_rest() -> None:
    found = INTERFACES.with_file(json.dumps({"Save": SAMPLER}))
    assert found.get("Save") is not INTERFACES.get("Save")
    assert found.get("Load") is INTERFACES.get("Load")


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "3", '{"A": 5}', '{"A": {"input": []}}', '{"id": "A"}\n{"x": 1}', '{"id": "A"}\n[']
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        NO_INTERFACES.with_file(text, "interfaces.json")


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"input": None, "output": None, "output_name": 5},
        {"input": {"required": [1]}},
        {"input": {"required": {"a": None, "b": [], "c": "INT", "d": [5], "e": [{}, []]}}},
    ],
)
def test_odd_entries_are_read(entry: dict[str, object]) -> None:
    found = NO_INTERFACES.with_file(json.dumps({"A": entry})).get("A")
    assert found is not None
    assert [one.type for one in found.inputs] in ([], ["*", "COMBO", "INT", "*", "*"])
