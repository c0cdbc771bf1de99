"""A document's form is told by what it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graph_samples import INTERFACES, Drawing, api, entry

from engine.errors import DocumentError
from engine.graph.api_prompt import graph_to_api
from engine.graph.documents import graph_from_metadata, load_document


def drawing(*, objects: bool = False) -> dict[str, Any]:
    drawn = Drawing(objects=objects)
    drawn.add(1, "Picture", ["cat.png", "image"])
    drawn.add(2, "Save", ["from the editor"])
    drawn.wire(1, 0, 2, "images")
    return drawn.document()


def test_an_api_prompt() -> None:
    assert graph_to_api(load_document(api(), INTERFACES)) == api()


def test_a_request_with_its_workflow() -> None:
    workflow = drawing()
    request = {"prompt": api(), "client_id": "c", "extra_data": {"extra_pnginfo": {"workflow": workflow}}}
    graph = load_document(request, INTERFACES)
    assert graph_to_api(graph) == api()
    assert graph.workflow == workflow
    assert load_document({"prompt": api()}, INTERFACES).workflow is None


@pytest.mark.parametrize("objects", [False, True], ids=["0.4", "1"])
def test_editor_workflows(objects: bool) -> None:
    document = drawing(objects=objects)
    graph = load_document(document, INTERFACES)
    assert graph_to_api(graph)["2"]["inputs"] == {"prefix": "from the editor", "images": ["1", 0]}
    assert graph.workflow is document
    assert graph_to_api(load_document({"prompt": document}, INTERFACES)) == graph_to_api(graph)
    assert graph_to_api(load_document({"workflow": document}, INTERFACES)) == graph_to_api(graph)


def test_a_node_may_be_called_prompt() -> None:
    prompt = {"prompt": entry("Save"), "workflow": entry("Save")}
    assert graph_to_api(load_document(prompt, INTERFACES)) == prompt


@pytest.mark.parametrize(
    "data, said",
    [
        ([], "a list"),
        ("text", "a string"),
        (None, "null"),
        (3, "a number"),
        ({}, "empty"),
        ({"KSampler": {"input": {}, "output": []}}, "lists node types"),
        ({"a": 1, "b": {"c": 2}}, "first keys are 'a', 'b'"),
    ],
)
def test_anything_else_says_what_it_is(data: object, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        load_document(data, INTERFACES)
    problem = caught.value.problem
    assert problem.expected and "API prompt" in problem.expected and problem.hint


def test_a_picture_prefers_what_ran_and_keeps_the_workflow() -> None:
    texts = {"prompt": json.dumps(api()), "workflow": json.dumps(drawing())}
    graph = graph_from_metadata(texts, INTERFACES)
    assert graph_to_api(graph) == api()
    assert graph.workflow == drawing()


def test_a_picture_with_the_workflow_alone() -> None:
    graph = graph_from_metadata({"workflow": json.dumps(drawing())}, INTERFACES)
    assert set(graph.nodes) == {"1", "2"}


def test_a_picture_whose_prompt_is_damaged_falls_back() -> None:
    graph = graph_from_metadata({"prompt": '{"1": ', "workflow": json.dumps(drawing())}, INTERFACES)
    assert set(graph.nodes) == {"1", "2"}
    with pytest.raises(DocumentError, match="of cat"):
        graph_from_metadata({"prompt": '{"1": '}, INTERFACES, "cat.png")


def test_a_picture_may_hold_nan_where_nothing_reads_it() -> None:
    text = json.dumps(api(n6={**entry("Save", images=["5", 0]), "is_changed": [float("nan")]}))
    assert "NaN" in text
    assert graph_from_metadata({"prompt": text}, INTERFACES).nodes["6"].extra["is_changed"] == [None]


@pytest.mark.parametrize("texts", [{}, {"parameters": "a cat, Steps: 20"}, {"prompt": "[1]"}, {"Software": "x"}])
def test_a_picture_without_a_graph(texts: dict[str, str]) -> None:
    with pytest.raises(DocumentError, match="carries no workflow"):
        graph_from_metadata(texts, INTERFACES, "cat.png")
