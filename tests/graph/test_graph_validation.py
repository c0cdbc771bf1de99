"""Validation lists everything that is wrong, names the place, and says what to do."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from graph_samples import INTERFACES, REGISTRY, api, entry, kind, listing, socket
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GraphError, Problem
from engine.graph.documents import load_document
from engine.graph.model import Graph
from engine.graph.node_types import Parameter
from engine.graph.registry import EMPTY_REGISTRY
from engine.graph.validate import coerce_inputs, needed_by, output_nodes, validate


def graph_of(prompt: dict[str, Any]) -> Graph:
    return load_document(prompt, INTERFACES)


def problems_of(prompt: dict[str, Any], **options: Any) -> list[Problem]:
    return validate(graph_of(prompt), REGISTRY, listing, **options)


def only(prompt: dict[str, Any]) -> Problem:
    found = problems_of(prompt)
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


def sample(**changes: Any) -> dict[str, Any]:
    """The prompt with inputs of its sampler (node 4) replaced; None removes one."""
    prompt = api()
    inputs = {**prompt["4"]["inputs"], **changes}
    prompt["4"]["inputs"] = {name: value for name, value in inputs.items() if value is not None}
    return prompt


def test_a_graph_in_order_has_no_problems() -> None:
    assert problems_of(api()) == []


def test_an_unknown_node_type_names_the_closest() -> None:
    found = only(api(n3=entry("Emptey")))
    assert (found.code, found.node_id) == ("E-UNKNOWN-NODE", "3")
    assert found.hint is not None and "Empty" in found.hint
    assert "node pack" in str(only(api(n3=entry("qqqqqq"))).hint)


def test_an_unknown_type_at_the_end_counts_as_an_output() -> None:
    found = problems_of({"1": entry("SaveFancy", images=["2", 0]), "2": entry("Decode")})
    assert [one.code for one in found] == ["E-UNKNOWN-NODE", "E-MISSING-INPUT", "E-MISSING-INPUT"]


def test_a_missing_input() -> None:
    found = only(sample(model=None))
    assert (found.code, found.input, found.node_title) == ("E-MISSING-INPUT", "model", "First pass")
    assert found.hint == "connect an output of type MODEL"
    assert only(sample(cfg=None)).expected == "a number between 0 and 30"


def test_a_missing_input_with_a_default_and_a_missing_optional_one_are_fine() -> None:
    assert problems_of(sample(steps=None, seed=None)) == []
    assert problems_of(api(n3=entry("Upscale", latent=["7", 0]), n7=entry("Empty"))) == []


def test_an_unexpected_input_names_the_closest() -> None:
    found = only(sample(sampler_name="euler"))
    assert (found.code, found.input) == ("E-UNEXPECTED-INPUT", "sampler_name")
    assert found.hint == "did you mean 'sampler'?"
    found = only(sample(zzz=["1", 0]))
    assert found.hint is not None and found.hint.startswith("its inputs are: model, seed")


def test_what_the_ecosystems_clients_send_along_is_ignored() -> None:
    extra = dict.fromkeys(["control_after_generate", "upload", "is_changed", "choose file to upload", "device"], "x")
    assert problems_of(sample(**extra)) == []
    linked = problems_of(sample(upload=["1", 0]))
    assert [one.code for one in linked] == ["E-UNEXPECTED-INPUT"]


@pytest.mark.parametrize(
    "name, value, code",
    [
        ("steps", "many", "E-TYPE"),
        ("steps", True, "E-TYPE"),
        ("steps", [1], "E-TYPE"),
        ("steps", {"a": 1}, "E-TYPE"),
        ("steps", float("inf"), "E-TYPE"),
        ("steps", "1e3", "E-TYPE"),
        ("cfg", "high", "E-TYPE"),
        ("cfg", False, "E-TYPE"),
        ("cfg", "nan", "E-TYPE"),
        ("cfg", float("nan"), "E-TYPE"),
        ("cfg", 10**400, "E-TYPE"),
        ("steps", 0, "E-RANGE"),
        ("steps", 101, "E-RANGE"),
        ("steps", "101", "E-RANGE"),
        ("cfg", 30.5, "E-RANGE"),
        ("cfg", -1, "E-RANGE"),
        ("seed", 2**64, "E-RANGE"),
        ("sampler", "Euler2", "E-CHOICE"),
        ("sampler", 3, "E-CHOICE"),
        ("sampler", True, "E-CHOICE"),
        ("sampler", {"a": 1}, "E-CHOICE"),
        ("model", "a.safetensors", "E-NEEDS-LINK"),
        ("model", 5, "E-NEEDS-LINK"),
    ],
)
def test_a_constant_that_does_not_fit(name: str, value: Any, code: str) -> None:
    found = only(sample(**{name: value}))
    assert (found.code, found.node_id, found.node_title, found.input) == (code, "4", "First pass", name)
    assert found.expected and found.got
    str(found)


def test_a_null_is_no_value() -> None:
    prompt = api()
    prompt["4"]["inputs"]["steps"] = None
    assert only(prompt).got == "null"
    flags = {"1": entry("Flags", on=True, name="x", size=None), "2": entry("Save", images=["1", 0])}
    assert [one.code for one in problems_of(flags)] == ["E-LINK-TYPE"]  # the null is fine, the link is not


def test_out_of_range_says_the_nearest_value() -> None:
    assert only(sample(steps=500)).hint == "the nearest allowed value is 100"
    assert only(sample(cfg=-2)).hint == "the nearest allowed value is 0"


def test_a_choice_names_the_nearest() -> None:
    found = only(sample(sampler="EULER"))
    assert found.hint == "did you mean 'euler'?"
    assert found.expected == "one of euler, heun, dpmpp_2m"


def test_a_file_that_is_not_there() -> None:
    found = only(api(n1=entry("Load", file="sub/c.safetensors")))
    assert (found.code, found.got) == ("E-FILE", "'sub/c.safetensors'")
    assert found.hint is not None and "sub/b.safetensors" in found.hint
    assert "folder checkpoints" in found.message
    empty = validate(graph_of(api()), REGISTRY, lambda folder: [])
    assert [one.hint for one in empty] == ["the folder checkpoints is empty: put the file there"]
    assert validate(graph_of(api(n1=entry("Load", file="zzz"))), REGISTRY) == []


def test_files_of_other_systems_and_other_folders() -> None:
    assert problems_of(api(n1=entry("Load", file="sub\\b.safetensors"))) == []
    picture = {"1": entry("Picture", image="made.png [output]"), "2": entry("Save", images=["1", 0])}
    assert problems_of(picture) == []
    picture["1"] = entry("Picture", image="lost.png [output]")
    assert "folder output" in only(picture).message
    picture["1"] = entry("Picture", image=7)
    assert only(picture).code == "E-TYPE"


def test_every_folder_is_listed_once() -> None:
    asked: list[str] = []

    def counting(folder: str) -> list[str]:
        asked.append(folder)
        return []

    prompt = api(**{f"n{id}": entry("Load", file=f"{id}.safetensors") for id in range(10, 40)})
    prompt["2"]["inputs"]["clip"] = ["10", 1]
    validate(graph_of(prompt), REGISTRY, counting)
    assert asked == ["checkpoints"]


def test_a_link_to_a_missing_node_or_slot() -> None:
    found = only(sample(latent=["77", 0]))
    assert (found.code, found.input) == ("E-MISSING-NODE", "latent")
    assert "'77'" in found.message
    for slot in (3, -1):
        found = only(sample(model=["1", slot]))
        assert (found.code, found.got) == ("E-MISSING-SLOT", f"output {slot}")
        assert found.expected == "one of the 3 outputs of Load, counted from 0"
    prompt = api(n7=entry("Save", images=["6", 0]))
    found = only(prompt)
    assert found.expected == "another node: Save has no outputs"


def test_a_link_of_the_wrong_type_names_both_ends() -> None:
    found = only(sample(positive=["1", 0]))
    assert (found.code, found.expected, found.got) == ("E-LINK-TYPE", "CONDITIONING", "MODEL")
    assert found.node_title == "First pass"
    assert '"MODEL" of node 1 (Load)' in found.message
    found = only(sample(model=["2", 0]))
    assert '"CONDITIONING" of node 2 "Positive"' in found.message


def test_no_output() -> None:
    prompt = api()
    del prompt["6"]
    found = only(prompt)
    assert found.code == "E-NO-OUTPUT" and found.hint == "add one of: Save"
    assert [one.code for one in validate(Graph({}), REGISTRY)] == ["E-NO-OUTPUT"]


def test_only_what_the_outputs_need_is_checked() -> None:
    broken = {"n7": entry("Sample", "Unused", steps=-5), "n8": entry("Decode", samples=["8", 0])}
    assert problems_of(api(**broken)) == []
    assert {one.node_id for one in problems_of(api(**broken), outputs=["7"])} == {"7"}
    assert problems_of(sample(steps=-5), outputs=["3"]) == []


def test_an_output_that_is_not_there() -> None:
    found = problems_of(api(), outputs=["66"])
    assert [one.code for one in found] == ["E-NO-SUCH-OUTPUT"]
    assert found[0].hint is not None and "6" in found[0].hint


def test_a_cycle_is_shown_as_its_path() -> None:
    prompt = sample(latent=["7", 0])
    prompt["7"] = entry("Upscale", "Bigger", latent=["4", 0])
    found = only(prompt)
    assert found.code == "E-CYCLE"
    way = '4 "First pass".latent -> 7 "Bigger".latent -> 4 "First pass"'
    back = '7 "Bigger".latent -> 4 "First pass".latent -> 7 "Bigger"'
    assert way in found.message or back in found.message


def test_a_node_that_feeds_itself_and_two_separate_cycles() -> None:
    prompt = sample(latent=["4", 0])
    assert '4 "First pass".latent -> 4 "First pass"' in only(prompt).message
    prompt["5"]["inputs"]["samples"] = ["9", 0]
    prompt.update({"9": entry("Upscale", latent=["10", 0]), "10": entry("Upscale", latent=["9", 0])})
    prompt["20"] = entry("Decode", samples=["4", 0], vae=["1", 2])
    prompt["21"] = entry("Save", images=["20", 0])
    assert sorted(one.code for one in problems_of(prompt)) == ["E-CYCLE", "E-CYCLE"]


def test_a_long_cycle_is_shortened() -> None:
    prompt = {str(id): entry("Upscale", latent=[str((id + 1) % 1000), 0]) for id in range(1000)}
    prompt["d"] = entry("Decode", samples=["0", 0], vae=["l", 2])
    prompt["l"] = entry("Load", file="a.safetensors")
    prompt["s"] = entry("Save", images=["d", 0])
    assert "… 991 more …" in only(prompt).message


def test_all_problems_are_listed_in_graph_order() -> None:
    prompt = sample(steps=0, cfg="x", sampler="nope", positive=["1", 0], model=["99", 0], other=1)
    prompt["1"] = entry("Load", file="zzz")
    prompt["6"]["inputs"]["prefix"] = []
    found = problems_of(prompt)
    assert [one.node_id for one in found] == ["1", "4", "4", "4", "4", "4", "4", "6"]
    error = GraphError(found)
    assert len(str(error).splitlines()) >= 8


def test_problems_of_equal_constants_name_each_node() -> None:
    prompt = {str(id): entry("Save", images=["d", 0], prefix="x") for id in range(3)}
    prompt["d"] = entry("Decode", samples=["e", 0], vae=["l", 2])
    prompt.update(
        {f"l{id}": entry("Load", file="nope") for id in range(3)}, e=entry("Empty"), l=entry("Load", file="nope")
    )
    prompt["e2"] = entry("Encode", text="", clip=["l0", 1])
    prompt["s"] = entry("Sample", model=["l1", 0], cfg=1, sampler="heun", positive=["e2", 0], latent=["e", 0])
    prompt["d"]["inputs"]["samples"] = ["s", 0]
    assert [one.node_id for one in problems_of(prompt)] == ["l0", "l1", "l"]


# --- coercion ------------------------------------------------------------------------------------------------------


def coerced(**changes: Any) -> dict[str, Any]:
    graph = graph_of(sample(**changes))
    assert validate(graph, REGISTRY, listing) == []
    return dict(coerce_inputs(graph, REGISTRY).nodes["4"].inputs)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("steps", "30", 30),
        ("steps", 30.0, 30),
        ("steps", 30.7, 30),
        ("cfg", "7.5", 7.5),
        ("cfg", 7, 7.0),
        ("sampler", {"__value__": "heun"}, "heun"),
    ],
)
def test_constants_are_converted_as_the_ecosystem_does(name: str, value: Any, expected: Any) -> None:
    made = coerced(**{name: value})[name]
    assert made == expected and type(made) is type(expected)


@pytest.mark.parametrize(
    "value, expected",
    [("true", True), ("False", False), ("0", False), (1, True), (0.0, False), (True, True), ("", False)],
)
def test_truth_is_read_as_it_is_meant(value: Any, expected: bool) -> None:
    graph = graph_of({"1": entry("Flags", on=value, name=5, weights={"__value__": [1, 2]}, extra=3)})
    assert dict(coerce_inputs(graph, REGISTRY).nodes["1"].inputs) == {"on": expected, "name": "5", "weights": [1, 2]}


def test_defaults_are_filled_in_and_what_nobody_knows_is_dropped() -> None:
    made = coerced(steps=None, upload="image")
    assert made["steps"] == 20 and "upload" not in made


def test_coercing_keeps_the_graph_it_was_given() -> None:
    graph = graph_of(sample(steps="30"))
    coerce_inputs(graph, REGISTRY)
    assert graph.nodes["4"].inputs["steps"] == "30"


def test_coercing_with_a_listing_names_files_as_they_are_listed() -> None:
    graph = graph_of(api(n1=entry("Load", file="sub\\b.safetensors")))
    assert coerce_inputs(graph, REGISTRY, listing).nodes["1"].inputs["file"] == "sub/b.safetensors"


def test_a_choice_of_several() -> None:
    several = Parameter("tags", "COMBO", choices=("a", "b", 3), options={"multiselect": True})
    one = dataclasses.replace(several, options={})
    registry = EMPTY_REGISTRY.with_types(
        [kind("Tags", [several], [], output_node=True), kind("Tag", [one], [], output_node=True)]
    )
    for type, value, codes in (
        ("Tags", ["a", "3"], []),
        ("Tags", "3", []),
        ("Tags", ["a", "x"], ["E-CHOICE"]),
        ("Tags", [["a"]], ["E-CHOICE"]),
        ("Tag", ["a"], ["E-CHOICE"]),
        ("Tag", "3", []),
    ):
        graph = load_document({"1": entry(type, tags={"__value__": value})}, INTERFACES)
        assert [one.code for one in validate(graph, registry)] == codes
    graph = load_document({"1": entry("Tags", tags={"__value__": ["a", "3"]})}, INTERFACES)
    assert coerce_inputs(graph, registry).nodes["1"].inputs["tags"] == ["a", 3]


def test_a_union_of_sockets_and_widgets_takes_both() -> None:
    registry = EMPTY_REGISTRY.with_types(
        [
            kind("Math", [socket("a", "INT,FLOAT"), socket("b", "*")], ["FLOAT"], output_node=True),
            kind("Text", [], ["STRING"]),
        ]
    )
    graph = load_document(
        {"1": entry("Math", a=3, b="x"), "2": entry("Text"), "3": entry("Math", a=["1", 0], b=["2", 0])}, INTERFACES
    )
    assert validate(graph, registry) == []
    graph = load_document({"2": entry("Text"), "3": entry("Math", a=["2", 0], b=1)}, INTERFACES)
    assert [one.code for one in validate(graph, registry)] == ["E-LINK-TYPE"]


def test_output_nodes_and_what_they_need() -> None:
    graph = graph_of(api(n9=entry("Save", images=["5", 0]), n10=entry("Empty")))
    assert output_nodes(graph, REGISTRY) == ["6", "9"]
    assert needed_by(graph, ["5"]) == {"1", "2", "3", "4", "5"}


@given(st.integers(0, 2**32))
@settings(max_examples=120, deadline=None)
def test_mutated_graphs_give_problems_and_never_another_error(seed: int) -> None:
    draw = random.Random(seed)
    prompt = api(n7=entry("Upscale", latent=["3", 0]), n8=entry("Blend", a=["5", 0], b=["5", 0]))
    junk: list[Any] = [
        None, True, -1, 10**30, 0.5, "", "euler", "__proto__", [], ["4", 0], ["9", 9], ["1", -1], {"__value__": []},
        {"__value__": ["4", 0]}, {"__class__": 1}, [[]], "../../etc/passwd", "a.safetensors",
    ]  # fmt: skip
    for _ in range(draw.randrange(1, 6)):
        target = prompt[draw.choice(list(prompt))]
        name = draw.choice([*target["inputs"], "__init__", "latent"])
        target["inputs"][name] = draw.choice(junk)
        if draw.random() < 0.2:
            target["class_type"] = draw.choice(["Save", "Load", "Nope", "__class__"])
    graph = graph_of(prompt)
    for problem in validate(graph, REGISTRY, listing):
        assert problem.code.startswith("E-") and problem.message and str(problem)
    coerce_inputs(graph, REGISTRY)
