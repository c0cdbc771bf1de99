"""Predictions that a recipe can ask for: distilled consistency models, clean latents, zero terminal SNR."""

from __future__ import annotations

import pytest
import torch

from engine.diffusion.distilled import DistilledSampling
from engine.diffusion.prediction import DiscreteSampling

LCM = DistilledSampling(DiscreteSampling())


def test_the_levels_are_those_that_diffusers_distils_at() -> None:
    schedulers = pytest.importorskip("diffusers.schedulers")
    scheduler = schedulers.LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.set_timesteps(50, original_inference_steps=50)
    steps = scheduler.timesteps.flip(0)
    alpha = scheduler.alphas_cumprod[steps]
    torch.testing.assert_close(LCM.table, ((1 - alpha) / alpha).sqrt(), rtol=1e-4, atol=1e-6)
    assert LCM.timestep(LCM.table).tolist() == steps.tolist() == list(range(19, 1000, 20))
    torch.testing.assert_close(LCM.sigma(steps), LCM.table)
    assert LCM.sigma_max == DiscreteSampling().sigma_max
    assert float(LCM.timestep(torch.tensor(1e-5))) == 19


@pytest.mark.parametrize("timestep", [19, 499, 999])
def test_the_prediction_is_mixed_with_the_input_as_in_diffusers(timestep: int) -> None:
    schedulers = pytest.importorskip("diffusers.schedulers")
    skip, out = schedulers.LCMScheduler().get_scalings_for_boundary_condition_discrete(timestep)
    sigma = LCM.sigma(torch.tensor([float(timestep)]))
    x, eps = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3)
    expected = out * (x - sigma * eps) + skip * x
    torch.testing.assert_close(LCM.denoised(eps, x, sigma), expected.float(), rtol=1e-5, atol=1e-6)


def test_percents_follow_the_whole_way() -> None:
    assert LCM.percent_to_sigma(0.0) > 1e8
    assert LCM.percent_to_sigma(1.0) == 0.0
    assert LCM.percent_to_sigma(0.5) == pytest.approx(DiscreteSampling().percent_to_sigma(0.5), rel=1e-2)


def test_a_clean_prediction_is_the_answer() -> None:
    output = torch.randn(1, 4, 3, 3)
    assert torch.equal(DiscreteSampling("x0").denoised(output, output * 7, torch.tensor([3.0])), output)


def test_zero_terminal_snr_equals_diffusers_but_for_the_last_level() -> None:
    ddim = pytest.importorskip("diffusers.schedulers.scheduling_ddim")
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alpha = (1 - ddim.rescale_zero_terminal_snr(betas)).cumprod(0)[:-1]
    table = DiscreteSampling("v", zero_terminal_snr=True).table
    torch.testing.assert_close(table[:-1], ((1 - alpha) / alpha).sqrt().float(), rtol=1e-4, atol=1e-6)
    assert float(table[-1]) == pytest.approx(4518.76, abs=0.1)
