"""Validation is linear in the size of the graph and never uses the call stack for its depth."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from graph_samples import INTERFACES, REGISTRY, api, entry, listing

from engine.graph.documents import load_document
from engine.graph.model import Graph, Link
from engine.graph.validate import coerce_inputs, validate


def graph_of(prompt: dict[str, Any]) -> Graph:
    return load_document(prompt, INTERFACES)


def long_chain(length: int) -> dict[str, Any]:
    prompt = api()
    before = "4"
    for id in range(100, 100 + length):
        prompt[str(id)] = entry("Upscale", latent=[before, 0])
        before = str(id)
    prompt["5"]["inputs"]["samples"] = [before, 0]
    return prompt


@pytest.fixture(scope="module")
def chain() -> Graph:
    return graph_of(long_chain(100_000))


def seconds_for(graph: Graph) -> float:
    started = time.process_time()
    assert validate(graph, REGISTRY, listing) == []
    coerce_inputs(graph, REGISTRY)
    return time.process_time() - started


def test_a_chain_of_100_000_nodes_takes_linear_time(chain: Graph) -> None:
    short, long = (min(seconds_for(graph) for _ in range(2)) for graph in (graph_of(long_chain(10_000)), chain))
    assert long < 30 * max(short, 0.02)


def test_a_cycle_of_100_000_nodes_is_found(chain: Graph) -> None:
    start = chain.nodes["4"]
    closed = dataclasses.replace(start, inputs={**start.inputs, "latent": Link("100099", 0)})
    found = validate(Graph({**chain.nodes, "4": closed}), REGISTRY, listing)
    assert [one.code for one in found] == ["E-CYCLE"]


def test_ten_thousand_equal_mistakes_take_linear_time() -> None:
    names = [f"model_{k:04d}_some_long_name.safetensors" for k in range(2_000)]
    prompt: dict[str, Any] = {}
    for id in range(3_000):
        prompt[f"l{id}"] = entry("Load", file="model_none.safetensors", wrong=1)
        prompt[f"d{id}"] = entry("Decode", samples=[f"u{id}", 0], vae=[f"l{id}", 2])
        prompt[f"u{id}"] = entry("Upscaler", latent=["nowhere", 0])
        prompt[f"s{id}"] = entry("Save", images=[f"d{id}", 0])
    started = time.process_time()
    assert len(validate(graph_of(prompt), REGISTRY, lambda folder: names)) == 9_000
    assert time.process_time() - started < 5
