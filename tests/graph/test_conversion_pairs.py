"""Editor workflows of the ecosystem, each with the API prompt that its browser makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.graph.api_prompt import graph_from_api, graph_to_api
from engine.graph.documents import load_document
from engine.graph.interfaces import NO_INTERFACES, Interfaces

PAIRS = sorted((Path(__file__).parents[3] / "shared" / "reference" / "conversion").glob("*.json"))


@pytest.fixture(scope="module")
def interfaces(reference: Path) -> Interfaces:
    return NO_INTERFACES.with_file((reference / "node_interfaces.jsonl").read_bytes())


def without_meta(prompt: dict[str, Any]) -> dict[str, Any]:
    return {id: {key: one[key] for key in one if key != "_meta"} for id, one in prompt.items()}


def test_the_pairs_are_there(reference: Path) -> None:
    assert len(PAIRS) == len(list((reference / "conversion").glob("*.json"))) > 0


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_a_workflow_becomes_the_prompt_that_the_browser_makes(path: Path, interfaces: Interfaces) -> None:
    pair = json.loads(path.read_text(encoding="utf-8"))
    made = graph_to_api(load_document(pair["workflow"], interfaces))
    assert without_meta(made) == without_meta(pair["api"])
    assert list(made) == list(pair["api"])
    assert [list(one["inputs"]) for one in made.values()] == [list(one["inputs"]) for one in pair["api"].values()]


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_titles_are_those_of_the_browser(path: Path, interfaces: Interfaces) -> None:
    pair = json.loads(path.read_text(encoding="utf-8"))
    made = graph_to_api(load_document(pair["workflow"], interfaces))
    for id, expected in pair["api"].items():
        known = interfaces.get(expected["class_type"])
        if known is not None and known.display_name == known.id:
            continue  # the browser has names of its own for types that declare none
        assert made[id]["_meta"] == expected["_meta"]


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_the_prompts_go_through_unchanged(path: Path) -> None:
    prompt = json.loads(path.read_text(encoding="utf-8"))["api"]
    assert graph_to_api(graph_from_api(prompt)) == prompt
