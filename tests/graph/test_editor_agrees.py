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
        "drawings": drawings(),
    }


TEXTS = [
    "a {red|green|blue} cat // or dog",
    "{a|{b|c}|d} {e} \\{f\\} g|h } {i /* {j|k} */ \n// l\nm",
    'it\'s "{1|2|3|4|5|6|7|8|9}" \\ \t\u00a0\u200b\u2028é {☃|😀|\U000e0001}',
    "".join(f"{{{number}|x{number}|y}}" for number in range(700)),
    "/* open {a|b}",
]


def drawing(text: str, seed: Any) -> dict[str, Any]:
    nodes = [
        {"id": 1, "type": "CLIPTextEncode", "widgets_values": [text]},
        {"id": 2, "type": "KSampler", "widgets_values": [seed, "fixed", 20, 7, "euler", "normal", 1]},
    ]
    return {"nodes": nodes, "links": [], "version": 0.4}


def drawings() -> list[dict[str, Any]]:
    known = interfaces()
    documents = [drawing(text, seed) for text in TEXTS for seed in (0, 1125899906842624)]
    return [{"workflow": one, "prompt": graph_to_api(load_document(one, known))} for one in documents]


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
