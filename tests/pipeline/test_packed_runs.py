"""Whole runs with packed weights: LoRA, another strength, ControlNet; the same bits as with plain ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_lora import write_lora
from test_steered_runs import write_tiny_controlnet
from tiny_checkpoint import write_tiny_checkpoint
from torch import Tensor, nn

from engine.diffusion.latents import empty_latent
from engine.diffusion.sampling import KSamplerSettings
from engine.families import building
from engine.families.building import build_module, build_resident, measure_module
from engine.families.control import Control, apply_control
from engine.families.lora import add_lora
from engine.families.pipeline import Guidance, encode_prompt, load_checkpoint, make_models, sample_latent
from engine.memory.devices import DeviceInfo, probe_device
from engine.memory.residency import Residency
from engine.networks.packed import can_pack, plain
from engine.weights.recipe import ModelRecipe, file_ref

pytestmark = pytest.mark.skipif(not can_pack(), reason="needs a processor with bfloat16 instructions (x86)")


def packing(monkeypatch: pytest.MonkeyPatch, budget_bytes: int | None = None) -> Residency:
    """Return an owner that packs every diffusion model and ControlNet, however small."""
    monkeypatch.setattr(building, "SMALL_FILE", 0)
    monkeypatch.setattr(building, "packing_pays", lambda: True)
    device = probe_device("cpu")
    return Residency(build_resident, measure_module, device, dtype="bfloat16", budget_bytes=budget_bytes)


def packed_bytes(module: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in module.state_dict().values() if one.is_mkldnn)


def test_lora_and_controlnet_on_packed_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    model, clip, _ = load_checkpoint(file_ref(tmp_path / "tiny.safetensors"))
    write_lora(tmp_path / "lora.safetensors", (model, clip), 1)
    control = Control(write_tiny_controlnet(tmp_path / "edges.safetensors", 2), torch.rand(1, 64, 64, 3))

    def draw(models: Residency, strength: float) -> Tensor:
        prompt = encode_prompt(models, clip, "a red apple")
        (changed,) = add_lora([(model, strength)], file_ref(tmp_path / "lora.safetensors")) if strength else (model,)
        steered = apply_control(control, prompt, prompt)
        settings = KSamplerSettings(3, 2, "euler", "normal")
        return sample_latent(models, changed, settings, Guidance(*steered, 4.0), empty_latent(64, 64)).samples

    ordinary, packed = make_models("cpu", "bfloat16"), packing(monkeypatch)
    expected = {strength: draw(ordinary, strength) for strength in (0.0, 0.8, -0.5)}
    assert not torch.equal(expected[0.8], expected[-0.5])
    for strength in (0.8, 0.0, -0.5, 0.8):  # the second LoRA takes over the first one's module
        assert torch.equal(draw(packed, strength), expected[strength])
    with packed.use(model) as module:
        assert packed_bytes(module) > 100_000
    alone = packing(monkeypatch, budget_bytes=1)  # patched as it is read from the file
    assert torch.equal(draw(alone, 0.8), expected[0.8])


def test_packed_weights_are_counted_and_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    model, clip, _ = load_checkpoint(file_ref(tmp_path / "tiny.safetensors"))
    write_lora(tmp_path / "lora.safetensors", (model, clip), 1)
    models = packing(monkeypatch)
    with models.use(model) as module:
        whole = sum(one.numel() * one.element_size() for one in module.state_dict().values())
        assert models.resident_bytes == whole
        parameters = {id(one) for one in module.parameters()}
        (changed,) = add_lora([(model, 0.5)], file_ref(tmp_path / "lora.safetensors"))
        with models.use(changed) as twin:
            own = [one for one in twin.parameters() if id(one) not in parameters]
            assert 0 < len(own) < len(parameters)
            more = models.resident_bytes - whole
            assert more >= sum(one.numel() * one.element_size() for one in own)
            assert more < whole
    models.drop_unused()
    assert models.resident_bytes == 0


def test_only_large_networks_in_bfloat16_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    model, clip, vae = load_checkpoint(file_ref(tmp_path / "tiny.safetensors"))
    monkeypatch.setattr(building, "packing_pays", lambda: True)
    device = probe_device("cpu")

    def packs(recipe: ModelRecipe, dtype: torch.dtype, device: DeviceInfo = device) -> bool:
        return packed_bytes(build_resident(recipe, device, dtype)) > 0

    assert not packs(model, torch.bfloat16)  # small
    monkeypatch.setattr(building, "SMALL_FILE", 0)
    assert packs(model, torch.bfloat16)
    assert not packs(model, torch.float32)
    assert not packs(clip, torch.bfloat16)
    assert not packs(vae, torch.bfloat16)
    assert not packed_bytes(build_module(model, device, torch.bfloat16))  # what streaming builds
    reference = build_module(model, device, torch.bfloat16).state_dict()
    made = build_resident(model, device, torch.bfloat16).state_dict()
    assert all(torch.equal(plain(made[name]), tensor) for name, tensor in reference.items())
