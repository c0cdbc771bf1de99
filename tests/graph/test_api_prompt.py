"""The API prompt is read and written without loss."""

from __future__ import annotations

from typing import Any

import pytest
from graph_samples import INTERFACES, api, entry
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GraphError
from engine.graph.api_prompt import graph_from_api, graph_to_api, is_link
from engine.graph.documents import load_document
from engine.graph.model import Graph, Link, Node

KEYS = st.text(min_size=1, max_size=8)
CONSTANTS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
    | st.fixed_dictionaries({"__value__": st.lists(st.integers() | st.text(max_size=3), max_size=3)})
    | st.dictionaries(KEYS, st.integers(), max_size=2)
)
INPUTS = st.dictionaries(KEYS, CONSTANTS | st.tuples(KEYS, st.integers(0, 9)).map(list), max_size=5)
ENTRIES = st.fixed_dictionaries(
    {"class_type": KEYS, "inputs": INPUTS},
    optional={
        "_meta": st.fixed_dictionaries({}, optional={"title": st.text() | st.integers(), "colour": KEYS}),
        "is_changed": st.lists(st.text(max_size=3), max_size=2),
        "future": st.dictionaries(KEYS, st.integers(), max_size=2),
    },
)


@given(st.dictionaries(KEYS, ENTRIES, max_size=6))
@settings(max_examples=200, deadline=None)
def test_reading_and_writing_loses_nothing(prompt: dict[str, Any]) -> None:
    graph = graph_from_api(prompt)
    written = graph_to_api(graph)
    assert written == prompt
    assert list(written) == list(prompt)
    assert [list(one["inputs"]) for one in written.values()] == [list(one["inputs"]) for one in prompt.values()]
    assert graph_to_api(graph_from_api(written)) == written


@pytest.mark.parametrize(
    "value, expected",
    [
        (["1", 0], True),
        (["1", 2.0], True),
        (["1:2:3", 1], True),
        (["1", 0.5], False),
        (["1", float("inf")], False),
        (["1", True], False),
        (["1", "0"], False),
        ([1, 0], False),
        (["1", 0, 0], False),
        (["1"], False),
        ("1", False),
        ({"__value__": ["1", 0]}, False),
    ],
)
def test_what_counts_as_a_link(value: Any, expected: bool) -> None:
    assert is_link(value) is expected


def test_titles_links_and_unknown_keys() -> None:
    graph = load_document(api(n7={**entry("Upscale", "Big", latent=["4", 0]), "is_changed": ["x"]}), INTERFACES)
    node = graph.nodes["7"]
    assert (node.id, node.type, node.title) == ("7", "Upscale", "Big")
    assert node.inputs["latent"] == Link("4", 0)
    assert node.extra["is_changed"] == ["x"]
    assert graph.nodes["1"].title is None


def test_a_wrapped_list_stays_wrapped_on_the_way_out() -> None:
    prompt = {"1": entry("Flags", weights={"__value__": ["a", 1]})}
    assert graph_to_api(load_document(prompt, INTERFACES)) == prompt


def test_every_entry_that_is_no_node_is_named() -> None:
    prompt = api(
        n7=["not", "a", "node"],  # type: ignore[arg-type]
        n8={"inputs": {}, "_meta": {"title": "Lost"}},
        n9={"class_type": 5},
        n10={"class_type": "Save", "inputs": []},
    )
    with pytest.raises(GraphError) as caught:
        load_document(prompt, INTERFACES)
    found = {one.node_id: one for one in caught.value.problems}
    assert set(found) == {"7", "8", "9", "10"}
    assert found["7"].got == "a list"
    assert found["8"].node_title == "Lost" and found["8"].code == "E-CLASS-TYPE"
    assert found["9"].got == "a number"
    assert found["10"].code == "E-INPUTS"
    assert all(one.expected for one in found.values())


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(GraphError, match="node id"):
        load_document({"": entry("Save"), "2": entry("Save")}, INTERFACES)


def test_a_list_that_reads_like_a_link_is_wrapped_when_written() -> None:
    graph = Graph({"1": Node("1", "Any", {"pair": ["2", 0], "numbers": [1, 2, 3]})})
    assert graph_to_api(graph)["1"]["inputs"] == {"pair": {"__value__": ["2", 0]}, "numbers": [1, 2, 3]}
