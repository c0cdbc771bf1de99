from __future__ import annotations

import dataclasses
import itertools
import random
from types import MappingProxyType

import pytest
from sample_nodes import graph_of, kind, registry_of

from engine.errors import GraphError
from engine.execution.order import Plan, ancestors, plan
from engine.graph.model import Graph, Link, Node

LOAD = kind("Load", lambda **_: 0, {"name": "STRING"}, ("MODEL", "CLIP", "VAE"))
PATCH = kind("Patch", lambda **_: 0, {"model": "MODEL", "clip": "CLIP"}, ("MODEL", "CLIP"))
ENCODE = kind("Encode", lambda **_: 0, {"clip": "CLIP", "text": "STRING"}, ("COND",), uses_model=("clip",))
GUIDER = kind("Guider", lambda **_: 0, {"cond": "COND", "model": "MODEL"}, ("GUIDER",))
SAMPLE = kind(
    "Sample", lambda **_: 0, {"model": "MODEL", "cond": "COND", "latent": "LATENT"}, ("LATENT",), uses_model=("model",)
)
GUIDED = kind("Guided", lambda **_: 0, {"guider": "GUIDER"}, ("LATENT",), uses_model=("guider",))
DECODE = kind("Decode", lambda **_: 0, {"vae": "VAE", "latent": "LATENT"}, ("IMAGE",), uses_model=("vae",))
EMPTY = kind("Empty", lambda: 0, {}, ("LATENT",))
READ = kind("Read", lambda **_: 0, {"name": "STRING"}, ("IMAGE",))
BLEND = kind("Blend", lambda **_: 0, {"a": "IMAGE", "b": "IMAGE"}, ("IMAGE",))
SAVE = kind("Save", lambda **_: 0, {"image": "IMAGE"}, (), output_node=True)
REGISTRY = registry_of(LOAD, PATCH, ENCODE, GUIDER, SAMPLE, GUIDED, DECODE, EMPTY, READ, BLEND, SAVE)


def outputs(graph: Graph) -> list[str]:
    return [id for id, node in graph.nodes.items() if node.type == "Save"]


def planned(graph: Graph, **rest: object) -> Plan:
    made = plan(graph, REGISTRY, outputs(graph), **rest)  # type: ignore[arg-type]
    done: set[str] = set()
    for step in made.steps:
        assert all(source in done or source in rest.get("available", ()) for source in made.sources[step])
        done.add(step)
    assert len(done) == len(made.steps)
    return made


def switches(made: Plan, slot: int) -> int:
    """Count how often the model of the heavy steps that use output ``slot`` of a loader changes."""
    used = [models[0][0] for step in made.steps if (models := made.models.get(step)) and models[0][1] == slot]
    return sum(a != b for a, b in itertools.pairwise(used))


def interleaved(count: int = 4) -> Graph:
    """Build pictures that use the checkpoints A and B in turns."""
    nodes: dict[str, tuple[str, dict[str, object]]] = {"A": ("Load", {"name": "a"}), "B": ("Load", {"name": "b"})}
    for i in range(count):
        base = "AB"[i % 2]
        nodes |= {
            f"e{i}": ("Encode", {"clip": f"{base}:1", "text": str(i)}),
            f"l{i}": ("Empty", {}),
            f"k{i}": ("Sample", {"model": f"{base}:0", "cond": f"e{i}:0", "latent": f"l{i}:0"}),
            f"d{i}": ("Decode", {"vae": f"{base}:2", "latent": f"k{i}:0"}),
            f"s{i}": ("Save", {"image": f"d{i}:0"}),
        }
    return graph_of(**nodes)  # type: ignore[arg-type]


def test_work_on_one_model_runs_together() -> None:
    made = planned(interleaved(6))
    for slot in range(3):
        assert switches(made, slot) == 1, made.steps
    assert made.models["k0"] == (("A", 0),)


def test_order_is_the_same_every_time_and_does_not_depend_on_the_order_of_inputs() -> None:
    graph = interleaved()
    turned = Graph(
        MappingProxyType(
            {
                id: dataclasses.replace(node, inputs=MappingProxyType(dict(reversed(node.inputs.items()))))
                for id, node in graph.nodes.items()
            }
        )
    )
    assert planned(graph) == planned(interleaved())
    assert planned(graph).steps == planned(turned).steps


def test_light_sources_run_late_and_what_follows_a_heavy_node_runs_early() -> None:
    steps = planned(interleaved()).steps
    for i in range(4):
        assert steps.index(f"k{i}") - steps.index(f"l{i}") == 1, "the empty latent comes right before its use"
        assert steps.index(f"s{i}") - steps.index(f"d{i}") == 1, "a picture is saved as soon as it is there"


def test_patched_and_wrapped_models_count_as_their_base() -> None:
    nodes: dict[str, tuple[str, dict[str, object]]] = {"A": ("Load", {"name": "a"}), "B": ("Load", {"name": "b"})}
    for i in range(4):
        base = "AB"[i % 2]
        nodes |= {
            f"p{i}": ("Patch", {"clip": f"{base}:1", "model": f"{base}:0"}),
            f"q{i}": ("Patch", {"clip": f"p{i}:1", "model": f"p{i}:0"}),
            f"e{i}": ("Encode", {"clip": f"q{i}:1", "text": str(i)}),
            f"g{i}": ("Guider", {"cond": f"e{i}:0", "model": f"q{i}:0"}),
            f"k{i}": ("Guided", {"guider": f"g{i}:0"}),
            f"d{i}": ("Decode", {"vae": f"{base}:2", "latent": f"k{i}:0"}),
            f"s{i}": ("Save", {"image": f"d{i}:0"}),
        }
    made = planned(graph_of(**nodes))  # type: ignore[arg-type]
    assert made.models["k3"] == (("B", 0),)
    assert [switches(made, slot) for slot in range(3)] == [1, 1, 1], made.steps


def test_a_model_whose_work_is_complete_goes_before_one_that_must_come_back() -> None:
    graph = graph_of(
        A=("Load", {"name": "a"}),
        B=("Load", {"name": "b"}),
        l=("Empty", {}),
        first=("Sample", {"model": "B:0", "latent": "l:0"}),
        a1=("Sample", {"model": "A:0", "latent": "first:0"}),
        a2=("Sample", {"model": "A:0", "latent": "l:0"}),
        d1=("Decode", {"vae": "A:2", "latent": "a1:0"}),
        d2=("Decode", {"vae": "A:2", "latent": "a2:0"}),
        s1=("Save", {"image": "d1:0"}),
        s2=("Save", {"image": "d2:0"}),
    )
    assert switches(planned(graph), 0) == 1


def test_only_ancestors_of_the_outputs_are_planned() -> None:
    graph = interleaved()
    made = plan(graph, REGISTRY, ["s1"])
    assert set(made.steps) == {"B", "e1", "l1", "k1", "d1", "s1"}
    assert set(made.sources) == set(made.steps)


def test_available_results_are_not_planned_and_count_as_sources() -> None:
    graph = interleaved(2)
    made = planned(graph, available={"k0", "A", "B"})
    assert set(made.steps) == {"d0", "s0", "e1", "l1", "k1", "d1", "s1"}
    assert made.sources["d0"] == ("A", "k0")
    assert made.models["k1"] == (("B", 0),), "the base is found behind what is available"


def test_graph_without_models_runs_output_by_output() -> None:
    graph = graph_of(
        r1=("Read", {"name": "1"}),
        r2=("Read", {"name": "2"}),
        r3=("Read", {"name": "3"}),
        m1=("Blend", {"b": "r1:0", "a": "r2:0"}),
        s1=("Save", {"image": "m1:0"}),
        s2=("Save", {"image": "r3:0"}),
    )
    assert planned(graph).steps == ("r1", "r2", "m1", "s1", "r3", "s2")


def test_cycles_and_loose_links_are_errors_that_name_a_node() -> None:
    cyclic = graph_of(a=("Blend", {"a": "b:0"}), b=("Blend", {"a": "a:0"}), s=("Save", {"image": "a:0"}))
    with pytest.raises(GraphError) as caught:
        ancestors(cyclic, ["s"])
    assert caught.value.problems[0].code == "E-CYCLE"
    assert caught.value.problems[0].node_id in ("a", "b")
    loose = Graph(MappingProxyType({"s": Node("s", "Save", MappingProxyType({"image": Link("gone", 0)}))}))
    with pytest.raises(GraphError, match="gone"):
        plan(loose, REGISTRY, ["s"])
    itself = graph_of(a=("Blend", {"a": "a:0"}))
    with pytest.raises(GraphError):
        ancestors(itself, ["a"])


def test_random_graphs_are_ordered_completely() -> None:
    draw = random.Random(1)
    for _ in range(60):
        nodes: dict[str, tuple[str, dict[str, object]]] = {f"L{i}": ("Load", {"name": str(i)}) for i in range(3)}
        latents, images = ["l:0"], ["r:0"]
        nodes |= {"l": ("Empty", {}), "r": ("Read", {"name": "r"})}
        for i in range(draw.randrange(1, 40)):
            base, name = f"L{draw.randrange(3)}", f"n{i}"
            match draw.randrange(3):
                case 0:
                    nodes[name] = ("Sample", {"model": f"{base}:0", "latent": draw.choice(latents)})
                    latents.append(f"{name}:0")
                case 1:
                    nodes[name] = ("Decode", {"vae": f"{base}:2", "latent": draw.choice(latents)})
                    images.append(f"{name}:0")
                case 2:
                    nodes[name] = ("Blend", {"a": draw.choice(images), "b": draw.choice(images)})
                    images.append(f"{name}:0")
        nodes["s"] = ("Save", {"image": images[-1]})
        nodes["t"] = ("Save", {"image": draw.choice(images)})
        shuffled = list(nodes.items())
        draw.shuffle(shuffled)
        graph = graph_of(**dict(shuffled))  # type: ignore[arg-type]
        assert set(planned(graph).steps) == set(ancestors(graph, ["s", "t"]))


def test_graphs_without_models_take_the_order_that_they_have_beside_models() -> None:
    draw = random.Random(2)
    for _ in range(100):
        names = [f"n{i}" for i in range(draw.randrange(2, 30))]
        nodes: dict[str, tuple[str, dict[str, object]]] = {names[0]: ("Read", {"name": "r"})}
        for place, name in enumerate(names[1:], start=1):
            above = [f"{draw.choice(names[:place])}:0" for _ in range(2)]
            nodes[name] = ("Blend", {"a": above[0], "b": above[1]})
        nodes |= {f"s{i}": ("Save", {"image": f"{draw.choice(names)}:0"}) for i in range(3)}
        shuffled = list(nodes.items())
        draw.shuffle(shuffled)
        alone = graph_of(**dict(shuffled))  # type: ignore[arg-type]
        model = {"L": ("Load", {"name": "l"}), "e": ("Empty", {}), "k": ("Sample", {"model": "L:0", "latent": "e:0"})}
        beside = graph_of(**dict(shuffled), **model)  # type: ignore[arg-type]
        wanted = outputs(alone)
        steps = plan(beside, REGISTRY, [*wanted, "k"]).steps
        assert plan(alone, REGISTRY, wanted).steps == tuple(step for step in steps if step in alone.nodes)
