"""Whole workflows over the driver for cards, on a card whose streams are threads: as planned, and the same bits."""

from __future__ import annotations

import dataclasses
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda, FakeStreams
from test_simulated_device import whole_workflow
from tiny_checkpoint import make_base_directory, text_to_image

from engine.errors import InputError
from engine.families.owners import streaming_models
from engine.jobs.following import PlannedRuns, follow_plan
from engine.memory.budgets import NO_BUDGETS, Budgets, budgets_of
from engine.memory.cards import CONTEXT_BYTES
from engine.memory.devices import probe_device
from engine.memory.streaming_residency import StreamingResidency
from engine.session import Session
from engine.settings import Settings
from engine.weights.files import open_weights

MIB = 1 << 20


def on_fake_card(session: Session, total: int, timing: str, budgets: Budgets = NO_BUDGETS) -> FakeCuda:
    """Let a session compute on a card of `total` bytes beside what the driver keeps."""
    cuda = FakeCuda(total, timing)
    info = dataclasses.replace(probe_device("cpu"), total_bytes=total + CONTEXT_BYTES)
    models = streaming_models(info, FakeStreams(cuda), "auto", budgets)
    models.block_bytes = 256 << 10
    session.__dict__["services"] = dataclasses.replace(session.services, models=models)
    return cuda


def session_in(base: Path, output: Path, **more: Any) -> Session:
    return Session(
        Settings(
            base,
            output_directory=output,
            cache_mode="none",
            device="cpu",
            disk_cache_bytes=1 << 30,
            cache_directory=output / "kept",
            **more,
        )
    )


def drawn(session: Session, prompt: dict[str, Any], plan: bool = False) -> Any:
    graph = session.load(prompt)
    if plan:
        assert follow_plan(session, graph) is not None
    result = session.run(graph)
    result.raise_for_failure()
    return np.asarray(result.images["Save"][0])


@pytest.mark.parametrize(("mib", "timing"), [(24, "random")])
def test_a_whole_workflow(mib: int, timing: str, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    prompt = whole_workflow(root)
    whole = drawn(session_in(root, tmp_path), prompt)
    session = session_in(root, tmp_path)
    cuda = on_fake_card(session, mib * MIB, timing)
    # Activations are the CPU's and not counted on this card, so the margins of a real one would not leave room.
    assert np.array_equal(drawn(session, prompt), whole)
    models = session.services.models
    assert isinstance(models, StreamingResidency)
    assert cuda.peak <= mib * MIB
    assert models.streamed.device.loaded_bytes > 0 and cuda.copies > 0
    models.drop_unused()
    gc.collect()
    assert cuda.allocated == 0


def test_a_plan_is_kept_to(root: Path, tmp_path: Path) -> None:
    base = make_base_directory(tmp_path, root)
    prompt = text_to_image(Sampler__steps=3)
    whole = drawn(session_in(base, tmp_path / "out"), prompt)
    moved = []
    total = 300 * MIB
    for _ in range(2):
        session = session_in(base, tmp_path / "out")
        on_fake_card(session, total, "random")
        assert np.array_equal(drawn(session, prompt, plan=True), whole)
        streamed = session.services.models.streamed
        assert streamed.replans == 0 and not streamed.rungs
        assert streamed.device.loaded_bytes == streamed.planned_bytes
        moved.append(streamed.planned_bytes)
        made = follow_plan(session, session.load(prompt))
        assert made is not None
        total = made.smallest_bytes - CONTEXT_BYTES + MIB // 2  # next time as little as will do
    assert moved[1] > moved[0] > 0


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_runs_in_a_row_keep_to_their_plans(share: float, root: Path, tmp_path: Path) -> None:
    """What the last run left on the card is computed with as it lies there."""
    base = make_base_directory(tmp_path, root)
    prompts = [text_to_image(Sampler__steps=2, Sampler__seed=seed) for seed in range(3)]
    plain = session_in(base, tmp_path / "out")
    whole = [drawn(plain, prompt) for prompt in prompts]
    session = session_in(base, tmp_path / "out")
    weights = sum(plain.services.models.gauges().models[name].ram for name in plain.services.models.gauges().models)
    on_fake_card(session, 300 * MIB, "random", Budgets(weight_bytes=int(share * weights)))
    session.settings = dataclasses.replace(session.settings, device="cuda", memory_bytes=int(share * weights))
    runs, moved = PlannedRuns(session), []
    for prompt, picture in zip(prompts, whole, strict=True):
        result, plan = runs.run(session.load(prompt))
        assert np.array_equal(np.asarray(result.images["Save"][0]), picture)
        assert plan is not None and plan["replans"] == 0 and plan["reason"] is None
        assert plan["moved_bytes"] == plan["planned_bytes"]
        moved.append(plan["moved_bytes"])
    assert moved[0] > max(moved[1:]) and (moved[1:] == [0, 0]) == (share == 1.0)


def test_a_budget_of_weights_is_kept(root: Path, tmp_path: Path) -> None:
    base = make_base_directory(tmp_path, root)
    prompt = text_to_image(Sampler__steps=2)
    whole = drawn(session_in(base, tmp_path / "out"), prompt)
    for plan in (False, True):
        session = session_in(base, tmp_path / "out", memory_bytes=4 * MIB)
        cuda = on_fake_card(session, 300 * MIB, "random", Budgets(weight_bytes=4 * MIB))
        assert np.array_equal(drawn(session, prompt, plan), whole)
        assert cuda.peak <= 4.1 * MIB, plan  # tensors begin at multiples of 16 or 256 bytes


def test_networks_in_ram_give_way_as_planned(root: Path, tmp_path: Path) -> None:
    """Two checkpoints in turn in RAM that does not hold both: read as often as planned, the picture is the same.

    They are pickled, so that nobody can hold a part of one (`test_parts_in_ram.py` has those that can).
    """
    base = make_base_directory(tmp_path, root)
    checkpoints = base / "models/checkpoints"
    with open_weights(next(checkpoints.glob("*.safetensors"))) as mapped:
        torch.save({name: mapped.tensor(name) for name in mapped.shapes} | mapped.metadata, checkpoints / "first.ckpt")
    first = checkpoints / "first.ckpt"
    (checkpoints / "other.ckpt").write_bytes(first.read_bytes())
    os.utime(checkpoints / "other.ckpt", ns=(1, 1))  # another file, as far as keys go
    prompt = text_to_image(Checkpoint__ckpt_name="first.ckpt", Sampler__steps=1)
    previous = prompt["3"]["inputs"]["latent_image"]
    for number in range(4):
        loader, sampler = f"4{number}", f"5{number}"
        name = (first.name, "other.ckpt")[number % 2]
        prompt[loader] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}}
        prompt[sampler] = {
            "class_type": "KSampler",
            "inputs": {**prompt["3"]["inputs"], "model": [loader, 0], "latent_image": previous, "seed": number},
        }
        previous = [sampler, 0]
    prompt["8"]["inputs"]["samples"] = previous
    whole = drawn(session_in(base, tmp_path / "out"), prompt)
    free = session_in(base, tmp_path / "out", ram_budget_bytes=1 << 30)
    on_fake_card(free, 300 * MIB, "random", budgets_of(free.settings))
    made = follow_plan(free, free.load(prompt))
    assert made is not None and made.ram is not None
    once = made.ram.peak_bytes
    moved = []
    for limit in (once, int(0.42 * once)):
        session = session_in(base, tmp_path / "out", ram_budget_bytes=limit)
        on_fake_card(session, 300 * MIB, "random", budgets_of(session.settings))
        plan = follow_plan(session, session.load(prompt))
        assert plan is not None and plan.ram is not None and plan.ram.peak_bytes <= limit
        assert np.array_equal(drawn(session, prompt), whole)
        models = session.services.models
        assert models.moved_bytes == plan.ram.read_bytes
        assert models.resident_bytes <= limit
        moved.append(plan.ram.read_bytes)
    assert moved[0] < moved[1]
    tight = session_in(base, tmp_path / "out", ram_budget_bytes=1 << 20)
    on_fake_card(tight, 300 * MIB, "random", budgets_of(tight.settings))
    with pytest.raises(InputError, match="RAM") as caught:
        follow_plan(tight, tight.load(prompt))
    assert "--ram-budget" in str(caught.value.problem.hint)
