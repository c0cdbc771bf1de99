"""One input is set by the node's id, its title, or its type."""

from __future__ import annotations

from typing import Any

import pytest
from graph_samples import INTERFACES, REGISTRY, api, entry, kind, listing

from engine.errors import InputError
from engine.graph.assign import set_value
from engine.graph.documents import load_document
from engine.graph.model import Graph
from engine.graph.node_types import Parameter


def graph_of(**changes: dict[str, Any]) -> Graph:
    return load_document(api(**changes), INTERFACES)


@pytest.mark.parametrize(
    "target, value, expected",
    [
        ("4.steps", "30", 30),
        ("4.steps", 30, 30),
        ("4.cfg", "6.5", 6.5),
        ("4.sampler", "heun", "heun"),
        ("First pass.seed", "18446744073709551615", 2**64 - 1),
        ("Sample.steps", "5", 5),
        ("Positive.text", "a dog, 4.5 years old", "a dog, 4.5 years old"),
        ("2.text", "", ""),
    ],
)
def test_setting_a_value(target: str, value: Any, expected: Any) -> None:
    before = graph_of()
    after = set_value(before, target, value, REGISTRY)
    changed = {
        (id, name): value
        for id, node in after.nodes.items()
        for name, value in node.inputs.items()
        if before.nodes[id].inputs.get(name) != value
    }
    assert list(changed.values()) == [expected]
    assert type(next(iter(changed.values()))) is type(expected)
    assert list(after.nodes) == list(before.nodes)


def test_an_input_that_was_not_given_and_one_that_was_linked() -> None:
    graph = graph_of(n3=entry("Empty"), n7=entry("Flags"))
    assert set_value(graph, "3.width", "64", REGISTRY).nodes["3"].inputs["width"] == 64
    prompt = api()
    prompt["3"]["inputs"]["width"] = ["7", 0]
    linked = load_document(prompt, INTERFACES)
    assert set_value(linked, "3.width", "64", REGISTRY).nodes["3"].inputs["width"] == 64


def test_titles_and_inputs_with_dots() -> None:
    registry = REGISTRY.with_types([kind("Merge", [Parameter("blocks.0.", "FLOAT"), Parameter("out", "FLOAT")], [])])
    graph = graph_of(n7=entry("Merge", "SD 1.5 merge v0.2"), n8=entry("Empty", "4"))
    after = set_value(graph, "SD 1.5 merge v0.2.blocks.0.", "0.5", registry)
    assert after.nodes["7"].inputs["blocks.0."] == 0.5
    assert set_value(graph, "SD 1.5 merge v0.2.out", 1, registry).nodes["7"].inputs["out"] == 1.0
    assert set_value(graph, "7.blocks.0.", "0.5", registry).nodes["7"].inputs["blocks.0."] == 0.5
    assert set_value(graph, "4.steps", "7", registry).nodes["4"].inputs["steps"] == 7  # ids come before titles


def test_ids_of_nodes_inside_subgraphs() -> None:
    graph = load_document({"6:1:2": entry("Empty")}, INTERFACES)
    assert set_value(graph, "6:1:2.width", "64", REGISTRY).nodes["6:1:2"].inputs["width"] == 64


@pytest.mark.parametrize(
    "target, value, code, said",
    [
        ("steps", 1, "E-SET-TARGET", "NODE.INPUT"),
        ("", 1, "E-SET-TARGET", "NODE.INPUT"),
        ("9.steps", 1, "E-SET-NODE", "no node is called '9'"),
        ("Positiv.text", "x", "E-SET-NODE", "'Positive'"),
        ("4.step", 1, "E-SET-INPUT", "'steps'"),
        ("4.", 1, "E-SET-INPUT", "no input ''"),
        ("4.steps", "many", "E-TYPE", 'node 4 "First pass", input "steps"'),
        ("4.steps", "500", "E-RANGE", "100"),
        ("4.sampler", "eular", "E-CHOICE", "'euler'"),
        ("4.model", "x", "E-NEEDS-LINK", "MODEL"),
        ("1.file", "zzz", "E-FILE", "checkpoints"),
        ("7.x", "1", "E-UNKNOWN-NODE", "node pack"),
    ],
)
def test_a_target_or_value_that_does_not_fit(target: str, value: Any, code: str, said: str) -> None:
    graph = graph_of(n7=entry("Foreign", x=1))
    with pytest.raises(InputError) as caught:
        set_value(graph, target, value, REGISTRY, listing)
    assert caught.value.problem.code == code
    assert said in str(caught.value)


def test_a_title_borne_twice_lists_the_ids() -> None:
    graph = graph_of(n7=entry("Encode", "Positive", text=""), n8=entry("Empty", "Positive"))
    with pytest.raises(InputError) as caught:
        set_value(graph, "Positive.text", "x", REGISTRY)
    assert caught.value.problem.code == "E-SET-AMBIGUOUS"
    assert "2.text, 7.text" in str(caught.value)
    assert set_value(graph, "Positive.width", "64", REGISTRY).nodes["8"].inputs["width"] == 64
