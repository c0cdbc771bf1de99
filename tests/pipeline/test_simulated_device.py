"""A device that holds a part of the weights gives the same bits as one that holds them all, whatever comes when."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxTransformer2DModel
from tiny_checkpoint import text_to_image
from tiny_families import lone_unet, write_tiny_family

from engine.errors import InputError
from engine.graph.assign import set_value
from engine.jobs.following import follow_plan
from engine.memory.ledger import DeviceFull
from engine.memory.sim_device import SimDevice, Transfers
from engine.memory.streamed import StreamedWeights
from engine.memory.streaming_residency import StreamingResidency, blocks_of_module
from engine.networks.unet import UNet
from engine.session import Session
from engine.settings import Settings

MIB = 1 << 20
SHARES = (1.0, 0.5, 0.25, 0.1)


def calls(network: UNet, batch: int = 2) -> torch.Tensor:
    """Call a U-Net three times, as a sampler does."""
    generator = torch.Generator().manual_seed(7)
    config = network.config
    x = torch.randn(batch, 4, 16, 16, generator=generator)
    context = torch.randn(batch, 77, config.context_dim, generator=generator)
    y = None if config.adm_channels is None else torch.randn(batch, config.adm_channels, generator=generator)
    with torch.inference_mode():
        for step in range(3):
            x = x - 0.1 * network(x, torch.full((batch,), 900.0 - step), context, y)
    return x


def transformer() -> FluxTransformer2DModel:
    """Return a small diffusion transformer: blocks of two streams and of one, modulated by time and guidance."""
    torch.manual_seed(5)
    made = FluxTransformer2DModel(
        in_channels=16, num_layers=3, num_single_layers=6, attention_head_dim=16, num_attention_heads=4,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 6, 6), guidance_embeds=True,
    )  # fmt: skip
    return made.eval().requires_grad_(False)


def transformer_calls(network: FluxTransformer2DModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    x, context, pooled = (torch.randn(2, *size, generator=generator) for size in ((64, 16), (12, 32), (32,)))
    with torch.inference_mode():
        for step in range(3):
            time = torch.full((2,), 0.9 - step / 10)
            rest = (torch.zeros(64, 3), torch.zeros(12, 3), torch.full((2,), 3.5))
            x = x - 0.1 * network(x, context, pooled, time, *rest, return_dict=False)[0]
    return x


def streamed_calls(
    network: Any, total: int, transfers: Transfers = "random", failing: Any = (), call: Any = calls
) -> tuple[Any, Any]:
    device = SimDevice(total, transfers, failing=failing)
    weights = StreamedWeights(device)
    weights.add("net", blocks_of_module("net", network, 32 << 10))
    with weights.computing("net", network.state_dict()):
        made = call(network)
    assert device.ledger.peak <= total
    weights.drop_all()
    assert device.ledger.live == 0
    return made, weights


@pytest.mark.parametrize("shape", ["sd1", "sd2", "sdxl", "transformer"])
def test_networks_at_every_budget(shape: str) -> None:
    network, call = (transformer(), transformer_calls) if shape == "transformer" else (lone_unet(shape), calls)
    whole = call(network)
    weight_bytes = sum(one.numel() * one.element_size() for one in network.state_dict().values())
    made, weights = streamed_calls(network, 1 << 30, call=call)
    assert torch.equal(made, whole)
    assert weights.device.loaded_bytes == weight_bytes  # once, and never again
    largest = max(block.nbytes for block in blocks_of_module("net", network, 32 << 10))
    for share in SHARES:
        total = weights.most_made + max(int(share * weight_bytes), largest)
        for transfers in ("early", "late", "random") if share == 0.25 else ("random",):
            made, again = streamed_calls(network, total, transfers, call=call)
            assert torch.equal(made, whole)
            if share == 0.25:
                assert again.device.loaded_bytes > weight_bytes


def test_too_small_is_out_of_memory_and_leaves_nothing() -> None:
    network = lone_unet("sd1")
    _, weights = streamed_calls(network, 1 << 30)
    device = SimDevice(weights.most_made - 1)
    small = StreamedWeights(device)
    small.add("net", blocks_of_module("net", network, 32 << 10))
    with pytest.raises(torch.OutOfMemoryError, match="simulated"), small.computing("net", network.state_dict()):
        calls(network)
    small.drop_all()
    assert device.ledger.live == 0


def test_allocations_that_fail_leave_nothing_behind() -> None:
    network = lone_unet("sd1")
    whole = calls(network)
    chance = random.Random(3)
    for _ in range(6):
        failing = frozenset(chance.sample(range(900), 1))
        device = SimDevice(1 << 30, failing=failing)
        weights = StreamedWeights(device)
        weights.add("net", blocks_of_module("net", network, 32 << 10))
        try:
            with weights.computing("net", network.state_dict()):
                made = calls(network)
        except torch.OutOfMemoryError:
            pass
        else:
            assert torch.equal(made, whole)
        weights.drop_all()
        assert device.ledger.live == 0


def test_what_was_dropped_is_no_number() -> None:
    network = lone_unet("sd1")
    device = SimDevice(1 << 30)
    block = blocks_of_module("net", network, 1 << 30)[0]
    device.begin_load(block, network.state_dict())
    name = block.tensors[0]
    tensor = device.tensor(block, name)
    device.wait(block)
    assert torch.equal(tensor, network.state_dict()[name])
    device.drop(block)
    assert tensor.isnan().all()
    late = SimDevice(1 << 30, "late")
    late.begin_load(block, network.state_dict())
    assert late.tensor(block, name).isnan().all()
    with pytest.raises(DeviceFull):
        SimDevice(10).begin_load(block, network.state_dict())


def whole_workflow(root: Path) -> dict[str, Any]:
    """Return a prompt with everything: a LoRA, a ControlNet, a VAE, an upscaler, on the shipped models."""
    prompt = text_to_image(
        Checkpoint__ckpt_name="safelight-emoji-128.safetensors", Size__width=96, Size__height=96, Sampler__steps=2
    )
    lora = {"lora_name": "safelight-emoji-128-blueprint.safetensors", "strength_model": 0.8, "strength_clip": 0.5}
    steer = {"strength": 0.9, "start_percent": 0.0, "end_percent": 1.0}
    more: dict[str, tuple[str, dict[str, Any]]] = {
        "20": ("LoraLoaderModelOnly", {"model": ["4", 0], **{k: v for k, v in lora.items() if k != "strength_clip"}}),
        "21": ("ControlNetLoader", {"control_net_name": "safelight-emoji-128-edges.safetensors"}),
        "22": ("EmptyImage", {"width": 128, "height": 128, "batch_size": 1, "color": 255}),
        "23": (
            "ControlNetApplyAdvanced",
            {"positive": ["6", 0], "negative": ["7", 0], "control_net": ["21", 0], "image": ["22", 0], **steer},
        ),
        "24": ("UpscaleModelLoader", {"model_name": "realesr-animevideov3-x4.safetensors"}),
        "25": ("ImageUpscaleWithModel", {"upscale_model": ["24", 0], "image": ["8", 0]}),
    }
    prompt |= {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in more.items()}
    prompt["3"]["inputs"] |= {"model": ["20", 0], "positive": ["23", 0], "negative": ["23", 1]}
    prompt["9"]["inputs"]["images"] = ["25", 0]
    return prompt


def drawn(base: Path, output: Path, prompt: dict[str, Any], device: str) -> tuple[Any, Session]:
    kept = output / "profiles"  # results are not kept, profiles are
    settings = Settings(
        base, output_directory=output, cache_mode="none", disk_cache_bytes=1 << 30, cache_directory=kept
    )
    session = Session(dataclasses.replace(settings, device=device))
    graph = session.load(prompt)
    if device.startswith("sim:"):
        follow_plan(session, graph)
    result = session.run(graph)
    result.raise_for_failure()
    return np.asarray(result.images["Save"][0]), session


def streaming(session: Session) -> StreamedWeights:
    models = session.services.models
    assert isinstance(models, StreamingResidency)
    return models.streamed


def test_a_whole_workflow_at_every_budget(root: Path, tmp_path: Path) -> None:
    """LoRA, ControlNet, VAE and upscaler: the plan is kept to, its bytes are moved, the picture is the same."""
    pytest.importorskip("spandrel")
    prompt = whole_workflow(root)
    whole, _ = drawn(root, tmp_path, prompt, "cpu")
    free, session = drawn(root, tmp_path, prompt, f"sim:{1 << 30}")
    assert np.array_equal(free, whole)
    made = streaming(session)
    assert made.replans == 0
    weights, activations = made.device.loaded_bytes, made.most_made
    moved = []
    for share in SHARES:
        total = int(1.3 * activations + share * weights)
        picture, session = drawn(root, tmp_path, prompt, f"sim:{total}")
        device = streaming(session).device
        assert np.array_equal(picture, whole)
        assert device.ledger.peak <= total
        moved.append(device.loaded_bytes)
        assert streaming(session).replans == 0
        assert device.loaded_bytes == streaming(session).planned_bytes
        session.services.models.drop_unused()
        assert device.ledger.live == 0
    assert moved == sorted(moved)
    assert moved[0] < 1.1 * weights


@pytest.mark.parametrize("name", ["custom_sampler", "for_each_prompt", "inpaint_region"])
def test_a_run_asks_for_what_its_rehearsal_asked_for(name: str, root: Path, tmp_path: Path) -> None:
    """Every use of every block, in order: whatever samplers, loops and tiles do."""
    settings = Settings(base_directory=root, output_directory=tmp_path, temp_directory=tmp_path, device="sim:1GiB")
    session = Session(settings)
    graph = session.load(root / f"workflows/{name}.json")
    for node in graph.nodes.values():
        for steps in ("steps", "Steps"):
            if type(node.inputs.get(steps)) is int:
                graph = set_value(graph, f"{node.id}.{steps}", 3, session.registry, session.folders.list_files)
    follow_plan(session, graph)
    session.run(graph).raise_for_failure()
    streamed = streaming(session)
    assert streamed.replans == 0
    assert streamed.device.loaded_bytes == streamed.planned_bytes > 0


@pytest.mark.parametrize("family", ["sdxl"])
def test_a_workflow_of_the_shape_of_xl(family: Any, root: Path, tmp_path: Path) -> None:
    write_tiny_family(tmp_path / "models/checkpoints/xl.safetensors", family)
    prompt = text_to_image(Checkpoint__ckpt_name="xl.safetensors")
    whole, _ = drawn(tmp_path, tmp_path / "out", prompt, "cpu")
    for total in (200 * MIB, 18 * MIB):  # the largest tensor alone takes 12 MiB
        picture, session = drawn(tmp_path, tmp_path / "out", prompt, f"sim:{total}")
        assert np.array_equal(picture, whole)
        assert streaming(session).device.ledger.peak <= total


def test_a_device_that_cannot_hold_one_block_is_refused(tmp_path: Path) -> None:
    write_tiny_family(tmp_path / "models/checkpoints/xl.safetensors", "sdxl")
    prompt = text_to_image(Checkpoint__ckpt_name="xl.safetensors")
    with pytest.raises(InputError, match="cannot hold even one block") as caught:
        drawn(tmp_path, tmp_path / "out", prompt, f"sim:{10 * MIB}")
    assert "--device sim:" in str(caught.value.problem.hint)


def test_a_device_that_is_none(tmp_path: Path) -> None:
    for name in ("sim:", "sim:much", "sim:0"):
        with pytest.raises(InputError):
            Session(Settings(base_directory=tmp_path, device=name)).services  # noqa: B018
