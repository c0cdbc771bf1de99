"""The ControlNet against diffusers' (same weights, same inputs) and against the tensor lists of released files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.layers import timestep_embedding
from engine.networks.unet import UNetConfig

diffusers = pytest.importorskip("diffusers", reason="the oracle of these tests")

HINT_WIDTHS = (4, 4, 6, 6, 8, 8, 12)
SD2 = {"context_dim": 1024, "num_heads": None, "head_channels": 64, "use_linear_projection": True}
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
    """Give every parameter random values, also those that start at 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.add_(1)
    return module.eval()


def diffusers_twin(config: UNetConfig, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    """Build diffusers' ControlNet of the same sizes and give it the same weights through diffusers' own converter."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    widths = [config.model_channels * multiple for multiple in config.channel_mult]
    attends = [bool(level[0]) for level in config.input_depths()]
    options: dict[str, object] = {
        "in_channels": config.in_channels,
        "block_out_channels": tuple(widths),
        "layers_per_block": config.num_res_blocks[0],
        "cross_attention_dim": config.context_dim,
        "attention_head_dim": [config.heads(width) for width in widths],
        "transformer_layers_per_block": [max(1, level[0]) for level in config.input_depths()],
        "use_linear_projection": config.use_linear_projection,
        "norm_num_groups": config.norm_groups,
        "down_block_types": tuple("CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
        "conditioning_embedding_out_channels": (*HINT_WIDTHS[0:6:2], HINT_WIDTHS[-1]),
    }
    if config.adm_channels is not None:
        options |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": config.adm_channels,
        }
    twin = diffusers.ControlNetModel(**options)
    converted = convert_controlnet_checkpoint(dict(weights), dict(twin.config))
    for number, place in ((1, 0), (2, 2)):  # the converter knows no ControlNet for XL
        for leaf in ("weight", "bias") if config.adm_channels is not None else ():
            converted[f"add_embedding.linear_{number}.{leaf}"] = weights[f"label_emb.0.{place}.{leaf}"]
    twin.load_state_dict(converted, strict=True)
    return twin.eval()


def inputs(config: UNetConfig, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, config.in_channels, height, width, generator=generator)
    context = torch.randn(2, 11, config.context_dim, generator=generator)
    picture = torch.rand(2, 3, height * 8, width * 8, generator=generator)
    return latents, torch.tensor([999.0, 17.0]), context, picture


def assert_equal_residuals(got: list[Tensor], twin_output: tuple[list[Tensor], Tensor]) -> None:
    expected = [*twin_output[0], twin_output[1]]
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert theirs.std() > 0.05
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18)])
def test_small_controlnet_equals_diffusers(height: int, width: int) -> None:
    model = filled(ControlNet(ControlNetConfig(SMALL, hint_widths=HINT_WIDTHS)))
    twin = diffusers_twin(SMALL, model.state_dict())
    latents, times, context, picture = inputs(SMALL, height, width)
    got = model(latents, times, context, model.encode_hint(picture))
    assert_equal_residuals(got, twin(latents, times, context, picture, return_dict=False))


@torch.no_grad()
def test_small_controlnet_with_pooled_vector_equals_diffusers() -> None:
    model = filled(ControlNet(ControlNetConfig(SMALL_XL, hint_widths=HINT_WIDTHS)))
    twin = diffusers_twin(SMALL_XL, model.state_dict())
    latents, times, context, picture = inputs(SMALL_XL, 16, 16)
    pooled, time_ids = torch.randn(2, 20), torch.tensor([[64.0, 64, 0, 0, 64, 64], [32, 32, 0, 8, 32, 32]])
    added = {"text_embeds": pooled, "time_ids": time_ids}
    expected = twin(latents, times, context, picture, added_cond_kwargs=added, return_dict=False)
    y = torch.cat([pooled, timestep_embedding(time_ids.flatten(), 8).reshape(2, TIME_IDS * 8)], dim=1)
    assert_equal_residuals(model(latents, times, context, model.encode_hint(picture), y), expected)
    with pytest.raises(ValueError, match="takes a pooled vector"):
        model(latents, times, context, model.encode_hint(picture))


@pytest.mark.parametrize(("name", "unet"), [("controlnet_sd15", UNetConfig()), ("controlnet_sd21", UNetConfig(**SD2))])
def test_names_and_shapes_are_those_of_released_files(name: str, unet: UNetConfig, reference: Path) -> None:
    stored = json.loads(gzip.decompress((reference / "checkpoint_shapes" / f"{name}.json.gz").read_bytes()))
    wanted = {key.removeprefix("control_model."): tuple(shape) for key, shape in stored["tensors"].items()}
    with torch.device("meta"):
        model = ControlNet(ControlNetConfig(unet))
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == wanted
    assert model.control_config.hint_factor == 8


@torch.no_grad()
def test_an_untrained_controlnet_changes_nothing() -> None:
    model = ControlNet(ControlNetConfig(SMALL, hint_widths=HINT_WIDTHS)).eval()
    latents, times, context, picture = inputs(SMALL, 8, 8)
    residuals = model(latents, times, context, model.encode_hint(picture))
    assert len(residuals) == len(model.input_blocks) + 1
    assert not any(residual.any() for residual in residuals)


def test_an_even_number_of_hint_widths_is_refused() -> None:
    with pytest.raises(ValueError, match="odd number"):
        ControlNetConfig(SMALL, hint_widths=(4, 8))
