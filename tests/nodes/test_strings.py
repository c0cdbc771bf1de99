"""Text nodes: what they give, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.errors import InputError
from nodes import strings


@pytest.mark.parametrize(
    ("function", "inputs", "wanted"),
    [
        (strings.concatenate, {"string_a": "a", "string_b": "b", "delimiter": ", "}, "a, b"),
        (strings.substring, {"string": "darkroom", "start": -4, "end": 8}, "room"),
        (strings.length, {"string": "räume"}, 5),
        (strings.convert_case, {"string": "red LIGHT", "mode": "Title Case"}, "Red Light"),
        (strings.trim, {"string": "  x ", "mode": "Left"}, "x "),
        (strings.replace, {"string": "aXbX", "find": "X", "replace": ""}, "ab"),
        (strings.contains, {"string": "Apple", "substring": "aPP", "case_sensitive": False}, True),
        (strings.contains, {"string": "Apple", "substring": "aPP"}, False),
        (
            strings.compare,
            {"string_a": "Apple", "string_b": "app", "mode": "Starts With", "case_sensitive": False},
            True,
        ),
        (strings.compare, {"string_a": "Apple", "string_b": "le", "mode": "Ends With"}, True),
        (strings.compare, {"string_a": "a", "string_b": "b", "mode": "Equal"}, False),
        (strings.regex_match, {"string": "one\nTWO", "regex_pattern": "^two$", "multiline": True}, True),
        (strings.regex_match, {"string": "one", "regex_pattern": "ONE", "case_insensitive": False}, False),
        (strings.regex_extract, {"string": "a1 b2", "regex_pattern": r"([a-z])(\d)", "mode": "First Match"}, "a1"),
        (strings.regex_extract, {"string": "a1 b2", "regex_pattern": r"([a-z])(\d)", "mode": "All Matches"}, "a1\nb2"),
        (
            strings.regex_extract,
            {"string": "a1 b2", "regex_pattern": r"([a-z])(\d)", "mode": "All Groups", "group_index": 2},
            "1\n2",
        ),
        (strings.regex_extract, {"string": "a1", "regex_pattern": "z", "mode": "First Group"}, ""),
        (strings.regex_replace, {"string": "a1b2", "regex_pattern": r"(\d)", "replace": r"<\1>", "count": 1}, "a<1>b2"),
    ],
)
def test_what_they_give(function: Any, inputs: dict[str, Any], wanted: Any) -> None:
    assert function(**inputs) == wanted


def test_expressions_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        strings.regex_match(string="x", regex_pattern="(")
    with pytest.raises(InputError, match="does not fit"):
        strings.regex_replace(string="x", regex_pattern="x", replace=r"\4")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (3, "3"),
        (None, "None"),
        ({"a": [1]}, '{\n  "a": [\n    1\n  ]\n}'),
        (torch.ones(1), "tensor([1.])"),
    ],
)
def test_any_value_is_shown(value: Any, text: str) -> None:
    assert strings.preview_any(source=value).ui["text"] == (text,)
    assert len(strings.preview_any(source="x" * 30_000).ui["text"][0]) < 20_100
