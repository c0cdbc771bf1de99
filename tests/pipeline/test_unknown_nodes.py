"""Nodes of packs in plans: all their models are assumed to be needed, and what they hold is measured, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import make_base_directory, text_to_image

from engine.families.memory_plan import MemoryPlan
from engine.jobs.plans import plan_graph
from engine.memory.cards import Card
from engine.memory.phases import lay_out
from engine.memory.streaming_residency import StreamingResidency
from engine.session import Session
from engine.settings import Settings

MIB = 1 << 20
HELD = 6 * MIB
PACK = f"""
import torch

class Polish:
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"image": ("IMAGE",), "model": ("MODEL",)}}}}
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, image, model):
        own = torch.ones({HELD} // 4)
        return (image * own.mean(),)

class Sample:
    @classmethod
    def INPUT_TYPES(cls):
        text = "CONDITIONING"
        types = {{"model": "MODEL", "positive": text, "negative": text, "latent_image": "LATENT"}}
        return {{"required": {{name: (kind,) for name, kind in types.items()}}}}
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, model, positive, negative, latent_image):
        import nodes
        return nodes.common_ksampler(model, 3, 2, 4.0, "euler", "normal", positive, negative, latent_image)

class Await(Polish):
    times = 1
    async def go(self, image, model):
        import asyncio
        own = torch.ones(self.times * {HELD} // 4)
        await asyncio.sleep(0.1)  # meanwhile the other one makes its tensors, in the same thread
        again = own[:{HELD} // 4] * 2
        return (image * again.mean() / 2,)

class AwaitMore(Await):
    times = 3

NODE_CLASS_MAPPINGS = {{"Polish": Polish, "PackSample": Sample, "Await": Await, "AwaitMore": AwaitMore}}
"""


@pytest.fixture
def open_session(root: Path, tmp_path: Path) -> Callable[..., Session]:
    base = make_base_directory(tmp_path, root)
    (base / "custom_nodes").mkdir(exist_ok=True)
    (base / "custom_nodes" / "polish.py").write_text(PACK)

    def make(**more: Any) -> Session:
        return Session(
            Settings(
                base,
                output_directory=tmp_path / "out",
                cache_mode="none",
                disk_cache_bytes=1 << 30,
                cache_directory=tmp_path / "kept",
                trust_packs=True,
                **more,
            )
        )

    return make


def polished() -> dict[str, Any]:
    """Return a prompt in which a node of a pack stands between two uses of the same models."""
    prompt = text_to_image(Sampler__steps=2)
    prompt["30"] = {"class_type": "Polish", "inputs": {"image": ["8", 0], "model": ["4", 0]}}
    prompt["31"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["30", 0], "vae": ["4", 2]}}
    prompt["32"] = {"class_type": "KSampler", "inputs": {**prompt["3"]["inputs"], "latent_image": ["31", 0], "seed": 9}}
    prompt["33"] = {"class_type": "VAEDecode", "inputs": {"samples": ["32", 0], "vae": ["4", 2]}}
    prompt["9"]["inputs"]["images"] = ["33", 0]
    return prompt


CARD = Card("small", 64 * MIB, 50e9, 10e9, 1e9, context_bytes=0, kind="cpu", margin_share=0.0, margin_bytes=0)


def planned(session: Session, prompt: dict[str, Any], card: Card = CARD) -> tuple[MemoryPlan, Any]:
    made = plan_graph(session, session.load(prompt), card, 64 << 10)
    return made, {node.node_id: node for node in made.nodes}


def test_nothing_else_stays_before_it_has_been_measured(open_session: Callable[..., Session]) -> None:
    session = open_session(device="cpu")
    before, nodes = planned(session, polished())
    assert nodes["30"].basis == "unknown" and before.plan is not None
    assert nodes["30"].weight_bytes == nodes["3"].weight_bytes  # all that it was given
    number = next(at for at, phase in enumerate(before.plan.timeline.phases) if phase.name == "30")
    largest = before.plan.timeline.phases[number].largest_block
    assert before.plan.outcome.phases[number].resident_bytes <= largest
    session.run(session.load(polished())).raise_for_failure()

    after, nodes = planned(open_session(device="cpu"), polished())  # another process would know it, too
    assert nodes["30"].basis == "measured" and after.plan is not None
    assert HELD <= nodes["30"].activation_bytes < HELD + MIB
    assert after.plan.outcome.loaded_bytes < before.plan.outcome.loaded_bytes
    assert after.plan.outcome.phases[number].resident_bytes > largest
    _, tight = planned(session, polished(), Card("tight", HELD, 50e9, 10e9, 1e9, 0, "cpu", 0.0, 0))
    assert not tight["30"].fits and tight["3"].fits


def test_nodes_that_are_awaited_are_measured_each_by_itself(open_session: Callable[..., Session]) -> None:
    prompt = text_to_image(Sampler__steps=2)
    for node, kind in (("30", "Await"), ("31", "AwaitMore")):
        prompt[node] = {"class_type": kind, "inputs": {"image": ["8", 0], "model": ["4", 0]}}
    prompt["32"] = {"class_type": "ImageBatch", "inputs": {"image1": ["30", 0], "image2": ["31", 0]}}
    prompt["9"]["inputs"]["images"] = ["32", 0]
    session = open_session(device="cpu")
    _, nodes = planned(session, prompt)
    assert nodes["30"].basis == nodes["31"].basis == "unknown"
    assert nodes["30"].weight_bytes == nodes["3"].weight_bytes
    session.run(session.load(prompt)).raise_for_failure()
    _, nodes = planned(open_session(device="cpu"), prompt)
    assert nodes["30"].basis == nodes["31"].basis == "measured"
    assert 2 * HELD <= nodes["30"].activation_bytes < 2 * HELD + MIB
    assert 4 * HELD <= nodes["31"].activation_bytes < 4 * HELD + MIB


def test_what_stays_leaves_room_for_what_was_measured(open_session: Callable[..., Session]) -> None:
    session = open_session(device="cpu")
    session.run(session.load(polished())).raise_for_failure()
    made, nodes = planned(session, polished(), Card("small", 8 * MIB, 50e9, 10e9, 1e9, 0, "cpu", 0.0, 0))
    assert made.plan is not None
    timeline = lay_out(made.plan.timeline.phases, list(made.capacities))
    for at, limit in enumerate(timeline.limits):
        if timeline.phases[timeline.phase_of[at]].name == "30":
            assert limit == 8 * MIB - nodes["30"].activation_bytes
    assert nodes["30"].peak_bytes <= 8 * MIB


def test_calls_through_the_engine_are_believed(open_session: Callable[..., Session]) -> None:
    session = open_session(device="cpu")
    prompt = text_to_image(Sampler__steps=2)
    plain, nodes = planned(session, prompt)
    kept = ("model", "positive", "negative", "latent_image")
    prompt["3"] = {"class_type": "PackSample", "inputs": {name: prompt["3"]["inputs"][name] for name in kept}}
    _, by_pack = planned(session, prompt)
    assert plain.plan is not None
    assert by_pack["3"].basis == "predicted"
    assert (by_pack["3"].calls, by_pack["3"].weight_bytes) == (nodes["3"].calls, nodes["3"].weight_bytes)


def test_a_plan_outlives_what_it_cannot_foresee(open_session: Callable[..., Session]) -> None:
    """The unknown node uses none of the models that were assumed: what follows keeps to the plan all the same."""
    from engine.jobs.following import follow_plan

    whole = open_session(device="cpu")
    expected = whole.run(whole.load(polished()))
    for _ in range(2):  # not measured, then measured
        session = open_session(device="sim:40MiB")
        graph = session.load(polished())
        follow_plan(session, graph)
        result = session.run(graph)
        result.raise_for_failure()
        assert np.array_equal(np.asarray(result.images["Save"][0]), np.asarray(expected.images["Save"][0]))
        models = session.services.models
        assert isinstance(models, StreamingResidency)
        assert models.streamed.replans == 0
        assert models.streamed.device.loaded_bytes <= models.streamed.planned_bytes
