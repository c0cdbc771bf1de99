"""The autoencoder against diffusers' (same weights, same inputs) and against released tensor lists."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.networks.autoencoder import Autoencoder, AutoencoderConfig

diffusers = pytest.importorskip("diffusers", reason="the oracle of these tests")

SMALL = AutoencoderConfig(channels=16, channel_mult=(1, 2, 2), num_res_blocks=1, norm_groups=8)
RELEASED = {
    "sd15": (AutoencoderConfig(), "first_stage_model."),
    "sdxl": (AutoencoderConfig(), "first_stage_model."),
    "vae_16ch": (AutoencoderConfig(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False), ""),
}


def filled(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            spread = 0.7 * parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.add_(1)
    return module.eval()


def diffusers_twin(config: AutoencoderConfig, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    levels = len(config.channel_mult)
    twin = diffusers.AutoencoderKL(
        block_out_channels=tuple(config.channels * multiple for multiple in config.channel_mult),
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=config.num_res_blocks,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        use_quant_conv=config.use_quant_conv,
        use_post_quant_conv=config.use_post_quant_conv,
    )
    prefixed = {"first_stage_model." + name: tensor for name, tensor in weights.items()}
    twin.load_state_dict(convert_ldm_vae_checkpoint(prefixed, dict(twin.config)), strict=True)
    return twin.eval()


def check_against_diffusers(config: AutoencoderConfig, height: int, width: int) -> None:
    model = filled(Autoencoder(config))
    twin = diffusers_twin(config, model.state_dict())
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
    mean, logvar = model.encode(pixels)
    expected = twin.encode(pixels).latent_dist
    assert mean.shape == (2, config.latent_channels, height // config.downscale, width // config.downscale)
    assert mean.std() > 0.1
    torch.testing.assert_close(mean, expected.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logvar, expected.logvar, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.decode(mean), twin.decode(mean).sample, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("quantised", [True, False])
def test_small_autoencoder_equals_diffusers(quantised: bool) -> None:
    config = AutoencoderConfig(
        channels=16,
        channel_mult=(1, 2, 2),
        num_res_blocks=1,
        norm_groups=8,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
    )
    check_against_diffusers(config, 32, 24)


@pytest.mark.slow
@torch.no_grad()
def test_full_sd15_autoencoder_equals_diffusers() -> None:
    check_against_diffusers(AutoencoderConfig(), 64, 64)


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_names_and_shapes_are_those_of_released_files(name: str, reference: Path) -> None:
    config, prefix = RELEASED[name]
    stored = json.loads(gzip.decompress((reference / "checkpoint_shapes" / f"{name}.json.gz").read_bytes()))
    wanted = {
        key.removeprefix(prefix): tuple(shape) for key, shape in stored["tensors"].items() if key.startswith(prefix)
    }
    with torch.device("meta"):
        model = Autoencoder(config)
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == wanted


@torch.no_grad()
def test_a_model_made_on_meta_computes_once_weights_are_assigned() -> None:
    model = filled(Autoencoder(SMALL))
    with torch.device("meta"):
        empty = Autoencoder(SMALL)
    empty.load_state_dict(model.state_dict(), assign=True)
    latents = torch.randn(1, 4, 4, 4)
    assert torch.equal(empty.eval().decode(latents), model.decode(latents))


@torch.no_grad()
def test_without_double_z_encoding_is_deterministic() -> None:
    config = AutoencoderConfig(channels=16, channel_mult=(1, 2), num_res_blocks=1, norm_groups=8, double_z=False)
    mean, logvar = filled(Autoencoder(config)).encode(torch.zeros(1, 3, 8, 8))
    assert mean.shape == (1, 4, 4, 4)
    assert float(logvar.exp().max()) < 1e-12


@torch.no_grad()
def test_sides_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4, got 30x32"):
        filled(Autoencoder(SMALL)).encode(torch.zeros(1, 3, 32, 30))
