"""Noise levels, time steps and what a network's output means."""

from __future__ import annotations

import json

import pytest
import torch

from engine.diffusion.prediction import DiscreteSampling, FlowSampling, ModelSampling, starts_at_max
from engine.errors import InputError

MODELS: list[ModelSampling] = [
    DiscreteSampling(),
    DiscreteSampling("v"),
    FlowSampling(),
    FlowSampling(1.15, 1.0, 10000),
]


def test_ends_are_stable_diffusions(reference) -> None:
    ends = json.loads((reference / "sigmas.json").read_text(encoding="utf-8"))["model_sigmas_sd"]
    model = DiscreteSampling()
    assert model.sigma_min == pytest.approx(ends["min"], rel=1e-6)
    assert model.sigma_max == pytest.approx(ends["max"], rel=1e-6)
    assert len(model.table) == 1000
    assert (model.table.diff() > 0).all()


def test_time_steps_are_whole_and_sigmas_between_them_interpolate_in_the_logarithm() -> None:
    model = DiscreteSampling()
    assert torch.equal(model.timestep(model.table), torch.arange(1000.0))
    halfway = model.sigma(torch.tensor(500.5))
    assert float(halfway) == pytest.approx(float((model.table[500] * model.table[501]).sqrt()), rel=1e-5)
    assert float(model.timestep(halfway * 1.0001)) == 501
    assert model.timestep(torch.tensor([[1e-6, 1e6]])).tolist() == [[0.0, 999.0]]
    assert float(model.sigma(torch.tensor(5000.0))) == pytest.approx(model.sigma_max)


@pytest.mark.parametrize("model", MODELS[:2])
def test_time_step_and_sigma_are_inverse_on_the_table(model: ModelSampling) -> None:
    assert torch.allclose(model.sigma(model.timestep(model.table)), model.table, rtol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_a_perfect_network_gives_the_latent_back(model: ModelSampling) -> None:
    generator = torch.Generator().manual_seed(0)
    latent, noise = torch.randn(2, 3, 4, 5, 5, generator=generator).unbind()
    sigma = torch.tensor([0.3, 0.5, 0.9])
    x = model.noise_scaling(sigma, noise, latent)
    if model.is_flow:
        output = noise - latent
    elif isinstance(model, DiscreteSampling) and model.prediction == "v":
        scale = (1 + sigma**2).rsqrt().reshape(-1, 1, 1, 1)
        output = noise * scale - latent * scale * sigma.reshape(-1, 1, 1, 1)
    else:
        output = noise
    assert torch.allclose(model.denoised(output, x, sigma), latent, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_percent_goes_from_noise_to_picture(model: ModelSampling) -> None:
    levels = [model.percent_to_sigma(percent / 10) for percent in range(11)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] >= model.sigma_max
    assert levels[-1] == 0.0


@pytest.mark.parametrize("model", MODELS)
def test_half_log_snr_can_be_undone(model: ModelSampling) -> None:
    sigma = torch.tensor([0.05, 0.4, 0.95])
    assert torch.allclose(model.sigma_of_half_log_snr(model.half_log_snr(sigma)), sigma, rtol=1e-5)


def test_full_denoise_starts_louder() -> None:
    model = DiscreteSampling()
    noise, latent, sigma = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), torch.tensor(14.0)
    assert float(model.noise_scaling(sigma, noise, latent)[0, 0, 0, 0]) == 14.0
    assert float(model.noise_scaling(sigma, noise, latent, True)[0, 0, 0, 0]) == pytest.approx(197**0.5)
    assert starts_at_max(model, model.sigma_max * 0.999999)
    assert not starts_at_max(model, model.sigma_max * 0.99)


def test_flow_latents_are_unscaled_where_noise_is_left() -> None:
    model, latent = FlowSampling(), torch.randn(1, 4, 3, 3)
    sigma = torch.tensor(0.25)
    scaled = model.noise_scaling(sigma, torch.zeros_like(latent), latent)
    assert torch.allclose(model.inverse_noise_scaling(sigma, scaled), latent)


def test_zero_terminal_snr_ends_in_noise() -> None:
    assert DiscreteSampling("v", zero_terminal_snr=True).sigma_max > 1000


def test_unknown_predictions_are_refused() -> None:
    with pytest.raises(InputError, match="prediction"):
        DiscreteSampling("z")  # type: ignore[arg-type]
