"""Choices and comments in texts."""

from __future__ import annotations

from typing import Any

import pytest

from engine.graph.documents import load_document
from engine.graph.dynamic_text import resolve_text
from engine.graph.interfaces import Interfaces
from engine.graph.registry import load_package

INTERFACES = Interfaces.from_registry(load_package("nodes"))


def last(options: list[str]) -> str:
    return options[-1]


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("a {red|blue} cat", "a blue cat"),
        ("{a|{b|c}} {d}", "c d"),
        ("{|x|}y", "y"),
        (r"\{a\|b\} (c\)", r"{a|b} (c\)"),
        ("a // or b\nc /* d\ne */ f", "a \nc  f"),
        ("a | b", "a | b"),
        ("a } {b|c", "a } {b|c"),
        ("{a|b} {c|{d|e}", "b {c|e"),
        ("trailing \\", "trailing \\"),
        ("(word:1.2), [x]", "(word:1.2), [x]"),
    ],
)
def test_what_a_text_becomes(text: str, resolved: str) -> None:
    assert resolve_text(text, last) == resolved


def test_depth_and_length_cost_no_recursion() -> None:
    assert resolve_text("{" * 50_000 + "a|b" + "}" * 50_000, last) == "b"


def workflow(text: str, seed: int) -> dict[str, Any]:
    return {
        "version": 0.4,
        "nodes": [
            {"id": 1, "type": "CLIPTextEncode", "widgets_values": [text]},
            {"id": 2, "type": "KSampler", "widgets_values": [seed, "fixed", 20, 8, "euler", "normal", 1]},
        ],
        "links": [],
    }


def text_of(text: str, seed: int) -> str:
    value = load_document(workflow(text, seed), INTERFACES).nodes["1"].inputs["text"]
    assert isinstance(value, str)
    return value


def test_an_editor_workflow_draws_from_its_seeds() -> None:
    text = "{" + "|".join(map(str, range(100))) + "}"
    drawn = [text_of(text, seed) for seed in range(20)]
    assert drawn == [text_of(text, seed) for seed in range(20)], "the same document draws the same"
    assert all(value.isdecimal() for value in drawn)
    assert len(set(drawn)) > 10, "another seed, another draw"


def test_an_api_prompt_is_left_alone() -> None:
    document = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "{a|b} // c"}}}
    assert load_document(document, INTERFACES).nodes["1"].inputs["text"] == "{a|b} // c"


def test_texts_without_choices_are_left_alone() -> None:
    document = {"nodes": [{"id": 1, "type": "PrimitiveString", "widgets_values": ["{a|b}"]}], "links": [], "version": 1}
    assert load_document(document, INTERFACES).nodes["1"].inputs["value"] == "{a|b}"
