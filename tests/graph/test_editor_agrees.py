"""The browser's editor and the engine mean the same by a workflow.

Both sides are held to files in `web/tests/document/fixtures`: `examples.json` holds the node types of the example
workflows as `/object_info` describes them and the prompts that the engine makes of them, for the editor's tests;
`native/` holds the examples as the editor saves them. `python tests/graph/test_editor_agrees.py` writes the former
anew, the editor's tests (`npx vitest run -u`) the latter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.graph.api_prompt import graph_to_api
from engine.graph.documents import load_document, looks_like_editor
from engine.graph.interfaces import Interfaces
from engine.graph.registry import load_package
from engine.server.object_info import describe

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "web" / "tests" / "document" / "fixtures"
EXAMPLES = {
    path.stem: data
    for path in sorted((ROOT / "workflows").glob("*.json"))
    if looks_like_editor(data := json.loads(path.read_text(encoding="utf-8")))
}


def interfaces() -> Interfaces:
    return Interfaces.from_registry(load_package("nodes"))


def used_types() -> set[str]:
    bodies = [*EXAMPLES.values()]
    for data in EXAMPLES.values():
        bodies += data.get("definitions", {}).get("subgraphs", [])
    return {node["type"] for body in bodies for node in body["nodes"]}


def fixture() -> dict[str, Any]:
    known = interfaces()
    types = {id: known.types[id] for id in sorted(used_types()) if id in known.types}
    return {
        "specs": {id: describe(node_type, lambda folder: []) for id, node_type in types.items()},
        "prompts": {name: graph_to_api(load_document(data, known)) for name, data in EXAMPLES.items()},
    }


def text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_what_the_editor_is_held_to_is_up_to_date() -> None:
    assert (FIXTURES / "examples.json").read_text(encoding="utf-8") == text(fixture())


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_editor_saves_runs_as_the_example_does(name: str) -> None:
    known = interfaces()
    document = json.loads((FIXTURES / "native" / f"{name}.json").read_text(encoding="utf-8"))
    graph = load_document(document, known)
    assert graph_to_api(graph) == graph_to_api(load_document(EXAMPLES[name], known))
    assert graph.workflow == document


if __name__ == "__main__":
    (FIXTURES / "examples.json").write_text(text(fixture()), encoding="utf-8")
