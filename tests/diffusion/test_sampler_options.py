"""Options of samplers: special cases that must agree, and values that cannot work."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.samplers import run_sampler
from engine.diffusion.schedules import karras_sigmas
from engine.errors import InputError

SIGMAS = karras_sigmas(8, 0.03, 14.6)


def go(analytic, name: str, options: Mapping[str, Any], sigmas: Tensor = SIGMAS) -> Tensor:
    start = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1)) * sigmas[0]
    return run_sampler(name, analytic(), start, sigmas, seed=3, sampling=DiscreteSampling(), options=options)


@pytest.mark.parametrize(
    ("name", "options", "other", "others"),
    [
        ("euler_ancestral", {"eta": 0.0}, "euler", {}),
        ("euler_ancestral_cfg_pp", {"eta": 0.0}, "euler_cfg_pp", {}),
        ("lms", {"order": 1}, "euler", {}),
        ("dpmpp_2m_sde", {"solver_type": "heun"}, "dpmpp_2m_sde_heun", {}),
        ("sa_solver", {"use_pece": True}, "sa_solver_pece", {}),
        ("er_sde", {"solver_type": "ODE", "max_stage": 1}, "euler", {}),
        ("er_sde", {"solver_type": "Reverse-time SDE", "eta": 0.0}, "er_sde", {"solver_type": "ODE"}),
    ],
)  # fmt: skip
def test_special_cases_agree(analytic, name: str, options: dict[str, Any], other: str, others: dict[str, Any]) -> None:
    torch.testing.assert_close(go(analytic, name, options), go(analytic, other, others), rtol=1e-4, atol=1e-5)


def test_the_first_order_of_the_reverse_time_sde(analytic) -> None:
    """Its mean is an exponential Euler step that keeps (sigma' / sigma)^(1 + eta)."""
    options = {"solver_type": "Reverse-time SDE", "eta": 2.0, "s_noise": 0.0, "max_stage": 1}
    x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1)) * SIGMAS[0]
    for here, there in itertools.pairwise(SIGMAS):
        kept = (there / here) ** 3
        x = kept * x + (1 - kept) * analytic()(x, here[None])
    torch.testing.assert_close(go(analytic, "er_sde", options), x, rtol=1e-4, atol=1e-5)


def test_the_noise_of_the_reverse_time_sde_is_an_ancestral_steps(analytic) -> None:
    """With eta 1 and order 1: kept = ratio^2 and deviation = sigma' sqrt(1 - ratio^2), as in DDPM."""
    got = go(analytic, "er_sde", {"solver_type": "Reverse-time SDE", "max_stage": 1})
    expected = go(analytic, "euler_ancestral", {})
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_high_orders_of_lms_stay_exact(analytic) -> None:
    """On a slope that is a polynomial of degree 9 in sigma, order 10 is exact once ten slopes are known."""
    sigmas = torch.linspace(2.0, 1.0, 21)

    def polynomial(x: Tensor, sigma: Tensor) -> Tensor:
        return x - sigma.reshape(-1, 1, 1, 1) * (10 * sigma**9).reshape(-1, 1, 1, 1)

    sampled = [
        run_sampler("lms", polynomial, torch.zeros(1, 1, 1, 1), sigmas[: n + 1], seed=0, options={"order": 10})
        for n in (12, 20)
    ]
    assert float(sampled[1] - sampled[0]) == pytest.approx(float(sigmas[20] ** 10 - sigmas[12] ** 10), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpm_adaptive", {"h_init": 0.0}),
        ("dpm_adaptive", {"rtol": 0.0, "atol": 0.0}),
        ("dpm_adaptive", {"accept_safety": 50.0}),
        ("dpmpp_sde", {"r": 0.0}),
    ],
)
def test_options_that_lead_nowhere_are_explained(analytic, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        go(analytic, name, options)
