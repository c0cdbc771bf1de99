"""Schedules that stand on their own, and changes to schedules."""

from __future__ import annotations

import math

import pytest
import torch

from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.schedules import beta_sigmas, exponential_sigmas
from engine.diffusion.sigma_tools import (
    ALIGNED_STEPS,
    aligned_sigmas,
    extended,
    flipped,
    laplace_sigmas,
    polyexponential_sigmas,
    sigma_at,
    turbo_sigmas,
    vp_sigmas,
    with_first,
)
from engine.errors import InputError

SD = DiscreteSampling()


def test_polyexponential() -> None:
    torch.testing.assert_close(polyexponential_sigmas(7, 0.03, 14.6), exponential_sigmas(7, 0.03, 14.6))
    got = polyexponential_sigmas(3, 0.01, 100.0, 2.0)  # half the way left is a quarter of the logarithm
    assert got.tolist() == pytest.approx([100.0, 0.1, 0.01, 0.0], rel=1e-5)
    with pytest.raises(InputError, match="above 0"):
        polyexponential_sigmas(3, 0.0, 1.0)


def test_vp() -> None:
    """The variance is 1 / alpha_bar - 1 with alpha_bar = exp(-integral of the rate of noise)."""
    got = vp_sigmas(3, 19.9, 0.1, 0.001)
    for sigma, t in zip(got, (1.0, 0.5005, 0.001), strict=False):
        assert float(1 / (sigma**2 + 1)) == pytest.approx(math.exp(-(19.9 * t * t / 2 + 0.1 * t)), rel=1e-3)
    assert got[-1] == 0
    with pytest.raises(InputError, match="range"):
        vp_sigmas(3, 5000.0)


def test_laplace() -> None:
    got = laplace_sigmas(5, 0.01, 50.0, 0.3, 0.5)
    assert float(got[2]) == pytest.approx(math.exp(0.3), rel=1e-3)  # the median
    assert float(got[1]) == pytest.approx(math.exp(0.3 + 0.5 * math.log(2)), rel=1e-3)  # the upper quartile
    assert got[0] == 50.0
    assert float(got[-1]) == pytest.approx(0.01)
    assert (got.diff() < 0).all()


def test_turbo() -> None:
    assert turbo_sigmas(SD, 1).tolist() == pytest.approx([SD.sigma_max, 0.0])
    expected = [float(SD.table[t]) for t in (499, 399, 299)]
    assert turbo_sigmas(SD, 3, 0.5).tolist() == pytest.approx([*expected, 0.0])
    assert len(turbo_sigmas(SD, 10, 0.2)) == 3


@pytest.mark.parametrize("kind", ["SD1", "SDXL"])
def test_aligned_steps_are_the_levels_at_the_published_time_steps(kind: str) -> None:
    schedules = pytest.importorskip("diffusers.schedulers").AysSchedules
    name = {"SD1": "StableDiffusion", "SDXL": "StableDiffusionXL"}[kind] + "Timesteps"
    levels = SD.table[schedules[name]]
    torch.testing.assert_close(torch.tensor(ALIGNED_STEPS[kind][:-1]), levels, rtol=1e-5, atol=1e-6)
    assert aligned_sigmas(kind, 10)[-1] == 0


def test_aligned_steps_of_other_numbers() -> None:
    assert ALIGNED_STEPS["SVD"][:-1] == pytest.approx(
        pytest.importorskip("diffusers.schedulers").AysSchedules["StableDiffusionVideoSigmas"][:-1]
    )
    twice = aligned_sigmas("SD1", 20)
    assert twice[:-1:2].tolist() == pytest.approx(ALIGNED_STEPS["SD1"][:-1])
    assert float(twice[1]) == pytest.approx(math.sqrt(ALIGNED_STEPS["SD1"][0] * ALIGNED_STEPS["SD1"][1]))
    assert torch.equal(aligned_sigmas("SD1", 20, 0.5), twice[-11:])
    assert len(aligned_sigmas("SD1", 20, 0.0)) == 0


def test_changes_to_a_schedule() -> None:
    sigmas = torch.tensor([8.0, 4.0, 2.0, 0.0])
    assert flipped(sigmas).tolist() == pytest.approx([1e-4, 2.0, 4.0, 8.0])
    assert with_first(sigmas, 136.0).tolist() == [136.0, 4.0, 2.0, 0.0]
    assert extended(sigmas, 2, -1.0, 4.0, "linear").tolist() == [8.0, 6.0, 4.0, 3.0, 2.0, 0.0]
    assert extended(sigmas, 2, 4.0, 3.0, "linear").tolist() == [8.0, 4.0, 3.0, 2.0, 0.0]
    bent = extended(sigmas, 2, -1.0, 5.0, "cosine"), extended(sigmas, 2, -1.0, 5.0, "sine")
    assert [float(one[1]) for one in bent] == pytest.approx([8 - 4 * math.sqrt(0.5), 4 + 4 * math.sqrt(0.5)])
    assert sigmas.tolist() == [8.0, 4.0, 2.0, 0.0]
    assert len(flipped(torch.empty(0))) == len(with_first(torch.empty(0), 1.0)) == 0


def test_percents() -> None:
    assert sigma_at(SD, 0.0, True) == SD.sigma_max
    assert sigma_at(SD, 1.0, True) == SD.sigma_min
    assert sigma_at(SD, 0.0) > 1e8
    assert sigma_at(SD, 0.3, True) == SD.percent_to_sigma(0.3)


def test_no_beta_distribution_without_a_shape() -> None:
    with pytest.raises(InputError, match="beta distribution"):
        beta_sigmas(SD, 5, 0.0, 1.0)
