"""JSON is read strictly and within bounds; every refusal says what was found."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DocumentError
from engine.graph import strict_json
from engine.graph.documents import parse_text


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_not_finite_are_refused_by_name(token: str) -> None:
    with pytest.raises(DocumentError, match="finite") as caught:
        parse_text(f'{{"a": [1, {token}]}}', "flow.json")
    assert token in str(caught.value) and "flow.json" in str(caught.value)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(DocumentError, match="too long"):
        parse_text("1" * 10_000, "flow.json")


def test_pictures_of_other_engines_may_hold_nan_where_it_means_nothing() -> None:
    assert parse_text('{"is_changed": [NaN, 1e999, 2.5]}', "x", nan_as_null=True) == {"is_changed": [None, None, 2.5]}


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused_without_recursion(opening: str, closing: str) -> None:
    with pytest.raises(DocumentError, match="nested too deep"):
        parse_text(opening * 100_000 + "1" + closing * 100_000, "flow.json")
    with pytest.raises(DocumentError):
        parse_text(opening * 100_000, "flow.json")


def test_the_depth_limit_is_exact() -> None:
    deepest = "[" * strict_json.MAX_DEPTH + "]" * strict_json.MAX_DEPTH
    assert isinstance(parse_text(deepest, "flow.json"), list)
    with pytest.raises(DocumentError, match="nested too deep"):
        parse_text(f"[[{deepest}]]", "flow.json")


def test_a_key_twice_is_refused_by_name() -> None:
    with pytest.raises(DocumentError, match="'seed' twice"):
        parse_text('{"3": {"inputs": {"seed": 1, "seed": 2}}}', "flow.json")


@pytest.mark.parametrize("text", ["", "  ", "{", "{'a': 1}", "[1,]", "nothing", '{"a": 1} x', '"\n"'])
def test_text_that_is_not_json_says_where(text: str) -> None:
    with pytest.raises(DocumentError, match=r"line \d+, column \d+"):
        parse_text(text, "flow.json")


def test_bytes_must_be_utf8() -> None:
    assert parse_text(b'\xef\xbb\xbf{"a": "\xc3\xa9"}', "flow.json") == {"a": "é"}
    with pytest.raises(DocumentError, match="not UTF-8"):
        parse_text(b'{"a": "\xe9"}', "flow.json")


def test_half_a_surrogate_pair_is_refused_and_a_whole_one_read() -> None:
    assert parse_text(r'"\ud83d\ude00"', "flow.json") == "😀"
    for text in (r'{"a": ["\ud83d"]}', r'{"\udc00": 1}', r'"\ud83d"'):
        with pytest.raises(DocumentError, match="surrogate"):
            parse_text(text, "flow.json")


def test_too_large_text_is_refused_before_it_is_read() -> None:
    started = time.monotonic()
    with pytest.raises(DocumentError, match="too large"):
        parse_text(b" " * (strict_json.MAX_BYTES + 1), "flow.json")
    assert time.monotonic() - started < 5


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MAX_VALUES", 10)
    with pytest.raises(DocumentError, match="too many values"):
        parse_text(json.dumps(list(range(20))), "flow.json")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert parse_text(json.dumps(value), "x") == value


@given(st.text(max_size=60) | st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_anything_else_is_a_document_error(text: str | bytes) -> None:
    try:
        parse_text(text, "x")
    except DocumentError:
        return
    json.loads(text)
