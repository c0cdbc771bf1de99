"""A U-Net with a LoRA in diffusers, and ours with the file that it saves, draw the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.families.building import build_module
from engine.memory.devices import DeviceInfo
from engine.weights.files import save_safetensors
from engine.weights.recipe import ModelRecipe, Patch, file_ref

diffusers = pytest.importorskip("diffusers")
peft = pytest.importorskip("peft")

CPU = DeviceInfo("cpu", "cpu", 1 << 30)
HINTS = {"safelight.networks": '{"unet": {"num_heads": 2, "norm_groups": 8}}'}
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "ff.net.2", "conv1", "conv_shortcut", "time_emb_proj", "conv"]


@pytest.mark.parametrize("is_dora", [False, True])
def test_the_same_numbers(is_dora: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = diffusers.UNet2DConditionModel(
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=24,
        attention_head_dim=2,
        norm_num_groups=8,
    ).eval()
    save_safetensors(tmp_path / "unet.safetensors", dict(theirs.state_dict()), HINTS)
    x, context, step = torch.randn(1, 4, 16, 16), torch.randn(1, 7, 24), torch.tensor([500.0])
    with torch.no_grad():
        plain = theirs(x, step, context).sample
    theirs.add_adapter(peft.LoraConfig(r=2, lora_alpha=2, target_modules=TARGETS, use_dora=is_dora))
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
        expected = theirs(x, step, context).sample
    found = peft.get_peft_model_state_dict(theirs)
    save_safetensors(tmp_path / "lora.safetensors", {f"unet.{name}": tensor for name, tensor in found.items()})

    patch = Patch(file_ref(tmp_path / "lora.safetensors"), 1.0)
    recipe = ModelRecipe(file_ref(tmp_path / "unet.safetensors"), "sd1", "diffusion", patches=(patch,))
    ours = build_module(recipe, CPU, torch.float32)
    with torch.no_grad():
        got = ours(x, step, context)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert (expected - plain).abs().max() > 0.05
