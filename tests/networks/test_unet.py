"""The U-Net against diffusers' (same weights, same inputs) and against the tensor lists of released checkpoints."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.networks.layers import timestep_embedding
from engine.networks.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers", reason="the oracle of these tests")

SD2 = {"num_heads": None, "head_channels": 64, "use_linear_projection": True}
XL = SD2 | {"channel_mult": (1, 2, 4), "num_res_blocks": (2, 2, 2), "context_dim": 2048, "adm_channels": 2816}
RELEASED = {
    "sd15": UNetConfig(),
    "sd15_inpaint": UNetConfig(in_channels=9),
    "sd21": UNetConfig(context_dim=1024, **SD2),
    "sdxl": UNetConfig(transformer_depth=(0, 2, 10), middle_depth=10, **XL),
    "sdxl_refiner": UNetConfig(
        model_channels=384, transformer_depth=(0, 4, 4, 0), middle_depth=4, context_dim=1280, adm_channels=2560, **SD2
    ),
    "ssd1b": UNetConfig(
        transformer_depth=(0, 0, 2, 2, 4, 4),
        transformer_depth_output=(4, 4, 10, 2, 1, 1, 0, 0, 0),
        middle_depth=0,
        **XL,
    ),
}
SMALL = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=(2, 2), transformer_depth=(1, 0), context_dim=24, num_heads=4
)
SMALL_XL = UNetConfig(
    model_channels=32,
    channel_mult=(1, 2),
    num_res_blocks=(2, 2),
    transformer_depth=(0, 2),
    middle_depth=2,
    context_dim=24,
    num_heads=None,
    head_channels=16,
    use_linear_projection=True,
    adm_channels=6 * 8 + 20,
)
TIME_IDS = 6


def filled(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every parameter random values (also those that start at 0 or 1), small enough to keep numbers moderate."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            spread = 0.5 * parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.add_(1)
    return module.eval()


def diffusers_twin(config: UNetConfig, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    """Build diffusers' U-Net of the same sizes and give it the same weights through diffusers' own converter."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    depths = [max(1, level[0]) for level in config.input_depths()]
    attends = [bool(level[0]) for level in config.input_depths()]
    widths = [config.model_channels * multiple for multiple in config.channel_mult]
    options: dict[str, object] = {
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "block_out_channels": tuple(widths),
        "layers_per_block": config.num_res_blocks[0],
        "cross_attention_dim": config.context_dim,
        "attention_head_dim": [config.heads(width) for width in widths],
        "transformer_layers_per_block": depths,
        "use_linear_projection": config.use_linear_projection,
        "norm_num_groups": config.norm_groups,
        "down_block_types": tuple("CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
        "up_block_types": tuple("CrossAttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
    }
    if config.adm_channels is not None:
        options |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": config.adm_channels,
        }
    twin = diffusers.UNet2DConditionModel(**options)
    prefixed = {"model.diffusion_model." + name: tensor for name, tensor in weights.items()}
    converted = convert_ldm_unet_checkpoint(prefixed, dict(twin.config))
    twin.load_state_dict(converted, strict=True)
    return twin.eval()


def inputs(config: UNetConfig, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, config.in_channels, height, width, generator=generator)
    context = torch.randn(2, 11, config.context_dim, generator=generator)
    return latents, torch.tensor([999.0, 17.5]), context


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18)])
def test_small_unet_equals_diffusers(height: int, width: int) -> None:
    model = filled(UNet(SMALL))
    twin = diffusers_twin(SMALL, model.state_dict())
    latents, times, context = inputs(SMALL, height, width)
    expected = twin(latents, times, encoder_hidden_states=context).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(model(latents, times, context), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_small_unet_with_pooled_vector_equals_diffusers() -> None:
    model = filled(UNet(SMALL_XL))
    twin = diffusers_twin(SMALL_XL, model.state_dict())
    latents, times, context = inputs(SMALL_XL, 16, 16)
    pooled, time_ids = torch.randn(2, 20), torch.tensor([[64.0, 64, 0, 0, 64, 64], [32, 32, 0, 8, 32, 32]])
    added = {"text_embeds": pooled, "time_ids": time_ids}
    expected = twin(latents, times, encoder_hidden_states=context, added_cond_kwargs=added).sample
    y = torch.cat([pooled, timestep_embedding(time_ids.flatten(), 8).reshape(2, TIME_IDS * 8)], dim=1)
    torch.testing.assert_close(model(latents, times, context, y), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_control_residuals_equal_diffusers() -> None:
    model = filled(UNet(SMALL))
    twin = diffusers_twin(SMALL, model.state_dict())
    latents, times, context = inputs(SMALL, 16, 16)
    generator = torch.Generator().manual_seed(2)
    sizes = [(32, 16)] * 3 + [(32, 8)] + [(64, 8)] * 2 + [(64, 8)]
    control = [torch.randn(2, channels, size, size, generator=generator) for channels, size in sizes]
    expected = twin(
        latents,
        times,
        encoder_hidden_states=context,
        down_block_additional_residuals=tuple(control[:-1]),
        mid_block_additional_residual=control[-1],
    ).sample
    torch.testing.assert_close(model(latents, times, context, control=control), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model(latents, times, context), expected, atol=1e-2)


@pytest.mark.slow
@torch.no_grad()
def test_full_sd15_unet_equals_diffusers() -> None:
    model = filled(UNet(RELEASED["sd15"]))
    twin = diffusers_twin(RELEASED["sd15"], model.state_dict())
    latents, times, context = inputs(RELEASED["sd15"], 16, 16)
    expected = twin(latents, times, encoder_hidden_states=context).sample
    torch.testing.assert_close(model(latents, times, context), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_names_and_shapes_are_those_of_released_files(name: str, reference: Path) -> None:
    stored = gzip.decompress((reference / "checkpoint_shapes" / f"{name}.json.gz").read_bytes())
    prefix = "model.diffusion_model."
    wanted = {
        key.removeprefix(prefix): tuple(shape)
        for key, shape in json.loads(stored)["tensors"].items()
        if key.startswith(prefix)
    }
    with torch.device("meta"):
        model = UNet(RELEASED[name])
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == wanted


@torch.no_grad()
def test_a_model_made_on_meta_computes_once_weights_are_assigned() -> None:
    model = filled(UNet(SMALL))
    with torch.device("meta"):
        empty = UNet(SMALL)
    empty.load_state_dict(model.state_dict(), assign=True)
    latents, times, context = inputs(SMALL, 8, 8)
    assert torch.equal(empty.eval()(latents, times, context), model(latents, times, context))


@torch.no_grad()
def test_half_precision_stays_close_to_float32() -> None:
    model = filled(UNet(SMALL))
    latents, times, context = inputs(SMALL, 16, 16)
    expected = model(latents, times, context)
    got = model.bfloat16()(latents.bfloat16(), times, context)
    assert got.dtype == torch.bfloat16
    assert (got.float() - expected).std() < 0.03 * expected.std()


def test_neighbouring_timesteps_differ_in_half_precision() -> None:
    early, late = timestep_embedding(torch.tensor([998.0, 999.0], dtype=torch.float64), 32)
    assert (early - late).abs().max() > 0.5
    assert timestep_embedding(torch.tensor([5]), 33).shape == (1, 33)


def test_wrong_sizes_and_inputs_are_refused_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match="one number per level"):
        UNetConfig(num_res_blocks=(2, 2))
    with pytest.raises(ValueError, match="exactly one of num_heads and head_channels"):
        UNetConfig(head_channels=64)
    with pytest.raises(ValueError, match="4 numbers"):
        UNet(UNetConfig(transformer_depth=(1, 1)))
    model = UNet(SMALL)
    latents, times, context = inputs(SMALL, 8, 8)
    with pytest.raises(ValueError, match="takes no pooled vector"):
        model(latents, times, context, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="7 residuals"):
        model(latents, times, context, control=[latents])
