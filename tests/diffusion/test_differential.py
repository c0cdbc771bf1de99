"""Differential diffusion against the formula of the paper, and in whole runs."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.diffusion.differential import mask_schedule
from engine.diffusion.guidance import CFGGuider
from engine.diffusion.latents import SD15, Latent
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.sampling import KSamplerSettings, ksample, ksampler_sigmas

STEPS = 8


@pytest.fixture
def guider(model, prompt) -> CFGGuider:
    return CFGGuider(model, prompt(0.9), prompt(0.2), 3.0)


def gradient() -> torch.Tensor:
    return torch.linspace(0, 1, 8).repeat(1, 8, 1)


def test_the_threshold_falls_with_the_time_step() -> None:
    sampling = DiscreteSampling()
    sigmas = ksampler_sigmas(KSamplerSettings(0, STEPS, denoise=0.6), sampling)
    schedule = mask_schedule(sampling, sigmas, 1.0)
    mask = gradient()
    first = float(sampling.timestep(sigmas[:1]))
    for sigma in sigmas[:-1]:
        wanted = float(sampling.timestep(sigma.reshape(1))) / first  # the smallest level of the model is time step 0
        assert schedule.threshold(sigma) == pytest.approx(wanted, abs=1e-6)
        assert torch.equal(schedule.mask(mask, sigma), (mask >= wanted).float())
        blend = dataclasses.replace(schedule, strength=0.25).mask(mask, sigma)
        torch.testing.assert_close(blend, 0.25 * (mask >= wanted).float() + 0.75 * mask)
    assert schedule.threshold(sigmas[0]) == 1.0


def test_a_run_that_keeps_noise_ends_where_it_stops() -> None:
    sampling = DiscreteSampling()
    sigmas = ksampler_sigmas(KSamplerSettings(0, STEPS, end_at_step=4), sampling)
    schedule = mask_schedule(sampling, sigmas, 1.0)
    assert (schedule.threshold(sigmas[0]), schedule.threshold(sigmas[-1])) == (1.0, 0.0)


def run(guider: CFGGuider, mask: torch.Tensor, strength: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)) * 5
    settings = KSamplerSettings(seed=7, steps=STEPS, schedule="simple")  # ends above the smallest level
    made = ksample(settings, guider, Latent(start, noise_mask=mask), SD15, differential=strength)
    return made.samples, start


def test_black_stays_and_white_changes(guider: CFGGuider) -> None:
    made, start = run(guider, gradient(), 1.0)
    torch.testing.assert_close(made[..., 0], start[..., 0], rtol=1e-4, atol=1e-4)
    change = (made - start).abs().mean(dim=(0, 1, 2))
    assert float(change[-1]) > 1.0


def test_without_greys_it_is_plain_inpainting_and_with_strength_0_too(guider: CFGGuider) -> None:
    plain, _ = run(guider, gradient(), None)
    assert torch.equal(run(guider, gradient(), 0.0)[0], plain)
    assert not torch.allclose(run(guider, gradient(), 1.0)[0], plain, atol=1e-2)
    hard = gradient().round()
    torch.testing.assert_close(run(guider, hard, 1.0)[0], run(guider, hard, None)[0])
