"""Networks that have no room in RAM: parts of them are held, the rest is made whenever it is brought, and the picture
is the same to the bit.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda, FakeStreams
from test_fake_card import drawn, on_fake_card, session_in
from test_lora import write_lora
from test_simulated_device import whole_workflow
from tiny_checkpoint import WIDTH, make_base_directory, write_tiny_checkpoint

from engine.errors import InputError, WeightError
from engine.families.building import build_module, measure_module, weight_costs
from engine.families.memory_plan import MemoryPlan
from engine.families.owners import make_models, streaming_models
from engine.families.pipeline import load_checkpoint
from engine.jobs.following import follow_plan
from engine.jobs.plans import plan_record
from engine.memory.blocks import Block
from engine.memory.budgets import Budgets, budgets_of
from engine.memory.cards import CONTEXT_BYTES
from engine.memory.devices import FORCED, DtypeName, probe_device
from engine.memory.making import held_of
from engine.memory.streaming_residency import StreamingResidency
from engine.session import Session
from engine.weights.recipe import ModelRecipe, Patch, file_ref

MIB = 1 << 20


def on_device(base: Path, output: Path, kind: str, ram: int | None, vram: int = 1 << 30) -> Session:
    session = session_in(base, output, ram_budget_bytes=ram)
    if kind == "sim":
        return Session(dataclasses.replace(session.settings, device=f"sim:{vram}"))
    on_fake_card(session, 300 * MIB, "random", budgets_of(session.settings))
    return session


def models_of(session: Session) -> StreamingResidency:
    models = session.services.models
    assert isinstance(models, StreamingResidency)
    return models


def bytes_made(made: MemoryPlan) -> int:
    """Return the bytes that are made anew, over all loads of the plan that is followed."""
    planned = made.to_follow()
    assert planned is not None and made.chosen is not None
    return sum(made.chosen.anew.get(planned.order[access], 0) for access, _ in planned.loads)


def watch_ram(models: StreamingResidency, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note what RAM holds, room for what is made included, at each load."""
    seen: list[int] = []
    begin_load = type(models.streamed.device).begin_load

    def noted(device: Any, block: Block, sources: Any) -> None:
        seen.append(models.resident_bytes + models.aside_bytes)
        begin_load(device, block, sources)

    monkeypatch.setattr(type(models.streamed.device), "begin_load", noted)
    return seen


@pytest.mark.parametrize(("kind", "vram"), [("sim", 1 << 30), ("sim", 30 * MIB), ("card", 300 * MIB)])
def test_every_budget_of_ram(kind: str, vram: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LoRA, ControlNet, VAE and upscaler: RAM keeps to its budget, what is made is what was planned, the same bits."""
    pytest.importorskip("spandrel")
    prompt = whole_workflow(root)
    whole = drawn(session_in(root, tmp_path), prompt)
    free = on_device(root, tmp_path, kind, None, vram)
    made = follow_plan(free, free.load(prompt))
    assert made is not None and made.ram is not None and not made.ram.held
    together = made.ram.peak_bytes
    bytes_anew = []
    for share in (1.0, 0.6, 0.35, 0.2):
        limit = int(share * together)
        session = on_device(root, tmp_path, kind, limit, vram)
        made = follow_plan(session, session.load(prompt))
        assert made is not None and made.ram is not None and made.chosen is not None
        models = models_of(session)
        with monkeypatch.context() as patch:
            seen = watch_ram(models, patch)
            assert np.array_equal(drawn(session, prompt), whole)
        assert max(seen) <= limit
        assert models.streamed.replans == 0
        assert models.streamed.device.loaded_bytes == models.streamed.planned_bytes
        assert models.streamed.made_bytes == bytes_made(made)
        assert models.moved_bytes == made.ram.read_bytes
        assert bool(made.ram.held) == (share < 0.7)
        bytes_anew.append(models.streamed.made_bytes)
        assert sum(part.made_bytes for part in made.chosen.parts) == bytes_anew[-1]
    assert bytes_anew == sorted(bytes_anew) and bytes_anew[0] == 0 < bytes_anew[1]


@pytest.mark.parametrize("kind", ["sim", "card"])
def test_without_a_plan(kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a server: what has no room beside what is in use holds as much as there is room for."""
    pytest.importorskip("spandrel")
    prompt = whole_workflow(root)
    whole = drawn(session_in(root, tmp_path), prompt)
    for mib in (40, 20, 13):
        session = on_device(root, tmp_path, kind, mib * MIB)
        models = models_of(session)
        with monkeypatch.context() as patch:
            seen = watch_ram(models, patch)
            assert np.array_equal(drawn(session, prompt), whole)
            assert np.array_equal(drawn(session, prompt), whole)  # again, with what is there
        assert max(seen) <= mib * MIB
        assert (models.streamed.made_bytes > 0) == (mib < 40)


def test_a_part_is_refused_where_not_one_weight_can_be_made(root: Path, tmp_path: Path) -> None:
    session = on_device(root, tmp_path, "sim", 1 * MIB)
    with pytest.raises(InputError, match="RAM") as caught:
        follow_plan(session, session.load(whole_workflow(root)))
    hint = str(caught.value.problem.hint)
    enough = on_device(root, tmp_path, "sim", int(hint.rpartition(" ")[2].removesuffix("MiB")) * MIB)
    assert follow_plan(enough, enough.load(whole_workflow(root))) is not None


def test_the_plan_says_what_it_decided(root: Path, tmp_path: Path) -> None:
    session = on_device(root, tmp_path, "sim", 13 * MIB, 16 * MIB)
    graph = session.load(whole_workflow(root))
    made = follow_plan(session, graph)
    assert made is not None
    told = plan_record(made, graph)["ram"]
    parts = {part["model"]: part for part in told["parts"]}
    unet = parts["safelight-emoji-128.safetensors (diffusion)"]
    assert 0 < unet["blocks_anew"] <= unet["blocks"]
    assert unet["made_bytes"] > unet["anew_bytes"] > 0  # some of it for each of two steps
    assert unet["made_seconds"] > 0
    assert told["peak_bytes"] + told["aside_bytes"] <= 13 * MIB


@pytest.fixture
def pair(root: Path, tmp_path: Path) -> list[ModelRecipe]:
    """The U-Nets of two checkpoints, in float16, which a CPU converts."""
    checkpoints = make_base_directory(tmp_path, root) / "models/checkpoints"
    write_tiny_checkpoint(checkpoints / "other.safetensors", seed=1)
    return [load_checkpoint(file_ref(path))[0] for path in sorted(checkpoints.glob("*.safetensors"))]


def test_memory_of_the_process_gives_way_weight_by_weight(pair: list[ModelRecipe]) -> None:
    """Two networks in turn in room for one and a half: a half of each is made again, and not all."""
    models = make_models("sim:1GiB", "float32", budgets=Budgets(ram_bytes=1 << 30))
    size = measure_module(pair[0], models.home, torch.float32)
    whole = [
        {name: weight.clone() for name, weight in build_module(one, models.home, torch.float32).state_dict().items()}
        for one in pair
    ]
    largest = max(weight.numel() * weight.element_size() for weight in whole[0].values())
    models.budget_bytes = size * 3 // 2
    for turn in range(6):
        with models.use(pair[turn % 2]) as module:
            weights = module.state_dict()
            assert all(torch.equal(weights[name], weight) for name, weight in whole[turn % 2].items())
            assert models.resident_bytes <= models.budget_bytes
    again = models.moved_bytes - 2 * size  # in four turns
    assert 4 * size // 2 <= again <= 4 * (size // 2 + largest)


def test_what_is_left_and_a_file_that_is_gone(pair: list[ModelRecipe]) -> None:
    models = make_models("sim:1GiB", "float32", budgets=Budgets(ram_bytes=1 << 30))
    models.budget_bytes = measure_module(pair[0], models.home, torch.float32) * 3 // 2
    for one in pair:
        with models.use(one):
            pass
    path = pair[0].file.path
    away = path.rename(path.with_suffix(".away"))
    held = models.resident_bytes
    with pytest.raises(WeightError), models.use(pair[0]):
        pass
    assert models.resident_bytes <= held <= models.budget_bytes
    away.rename(path)
    with models.use(pair[0]) as module:
        whole = build_module(pair[0], models.home, torch.float32).state_dict()
        assert all(torch.equal(weight, whole[name]) for name, weight in module.state_dict().items())
    models.drop_unused()
    assert models.resident_bytes == 0


@pytest.mark.parametrize("kind", ["sim", "card"])
def test_the_same_bits_for_every_decision(kind: str, pair: list[ModelRecipe], tmp_path: Path) -> None:
    """Whatever is held, in any number format, with a LoRA or without, on a device that holds little."""
    unet = pair[0]
    write_lora(tmp_path / "one.safetensors", load_checkpoint(unet.file)[:2], 1)
    patched = unet.with_patch(Patch(file_ref(tmp_path / "one.safetensors"), 0.6))
    chance = random.Random(5)
    for dtype, recipe in itertools.product(("float32", "bfloat16"), (unet, patched)):
        wanted = FORCED[dtype]
        costs = weight_costs(recipe, probe_device("cpu"), wanted)
        whole = denoised(build_module(recipe, probe_device("cpu"), wanted), wanted)
        assert costs is not None
        for share in (0.0, 0.3, 0.8, 1.0):
            held = held_of(costs, [name for name in costs if chance.random() < share])
            models = streaming(kind, cast(DtypeName, dtype))
            models.settle({recipe.weights_key: held})
            with models.use(recipe) as module:
                assert torch.equal(denoised(module, wanted), whole)
                assert models.resident_bytes == held.nbytes
            assert (models.streamed.made_bytes > 0) == (share < 1)


def denoised(network: torch.nn.Module, dtype: torch.dtype) -> torch.Tensor:
    """Call a U-Net twice."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(2, 4, 16, 16, generator=generator).to(dtype)
    context = torch.randn(2, 77, WIDTH, generator=generator).to(dtype)
    with torch.inference_mode():
        for step in range(2):
            x = x - 0.1 * network(x, torch.full((2,), 900.0 - step), context)
    return x


def streaming(kind: str, dtype: DtypeName) -> StreamingResidency:
    """Return the owner of weights for a device of 3 MiB, which cannot hold the U-Net in float32."""
    if kind == "sim":
        made = make_models(f"sim:{3 * MIB}", dtype, budgets=Budgets(ram_bytes=1 << 30))
    else:
        info = dataclasses.replace(probe_device("cpu"), total_bytes=3 * MIB + CONTEXT_BYTES)
        made = streaming_models(info, FakeStreams(FakeCuda(3 * MIB, "random")), dtype, Budgets(ram_bytes=1 << 30))
    assert isinstance(made, StreamingResidency)
    return made
