"""Samplers that follow a diffusion process itself: DDPM, consistency models, ER-SDE and SEEDS."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from engine.diffusion.samplers.trajectory import Trajectory, slope


def ddpm(run: Trajectory, x: Tensor) -> Tensor:
    """Take the reverse steps of DDPM (Ho et al. 2020, arXiv:2006.11239, algorithm 2), strided over the schedule."""
    for step in run.steps():
        noise_part = slope(x, step.sigma, run.begin(step, x))
        alpha_bar = 1 / (step.sigma**2 + 1)
        alpha_bar_next = 1 / (step.sigma_next**2 + 1)
        alpha = alpha_bar / alpha_bar_next
        scaled = x * alpha_bar.sqrt()
        x = (scaled - (1 - alpha) * noise_part / (1 - alpha_bar).sqrt()) / alpha.sqrt()
        if not step.is_last:
            variance = (1 - alpha) * (1 - alpha_bar_next) / (1 - alpha_bar)
            x = (x + variance.sqrt() * run.gaussian()) / alpha_bar_next.sqrt()
    return x


def lcm(run: Trajectory, x: Tensor) -> Tensor:
    """Jump to the prediction and noise it again (Luo et al. 2023, arXiv:2310.04378, algorithm 3)."""
    for step in run.steps():
        x = run.begin(step, x)
        if not step.is_last:
            x = run.sampling.noise_scaling(step.sigma_next, run.gaussian(), x)
    return x


def er_sde(
    run: Trajectory,
    x: Tensor,
    *,
    s_noise: float = 1.0,
    max_stage: int = 3,
    solver_type: Literal["ER-SDE", "Reverse-time SDE", "ODE"] = "ER-SDE",
    eta: float = 1.0,
) -> Tensor:
    """Take extended reverse-time SDE steps of up to third order (Cui et al. 2023, arXiv:2309.06169).

    ``solver_type`` chooses the noise scale function of table 2: the paper's ER-SDE-5, that of the reverse-time SDE
    with ``eta`` of its noise (1: all; the exponent of lambda is eta + 1), or none ("ODE").
    """
    if solver_type == "ODE" or (solver_type == "Reverse-time SDE" and eta == 0):
        eta = s_noise = 0.0
    scale = _er_scale if solver_type == "ER-SDE" else functools.partial(torch.pow, exponent=eta + 1)
    sigmas = run.snr_sigmas()
    ratios = run.sampling.half_log_snr(sigmas).neg().exp()  # the paper's lambda: sigma / alpha
    history: list[Tensor] = []  # the last prediction, then the last first difference
    for step in run.steps_along(sigmas):
        i, denoised = step.index, run.begin(step, x)
        if step.is_last:
            return denoised
        here, there = ratios[i], ratios[i + 1]
        alpha_next = step.sigma_next / there
        kept = scale(there) / scale(here)
        x = alpha_next / (step.sigma / here) * kept * x + alpha_next * (1 - kept) * denoised
        differences: list[Tensor] = []
        if min(max_stage, i + 1) >= 2:
            integral, moment = _er_integrals(scale, here, there)
            dt = there - here
            first = (denoised - history[0]) / (here - ratios[i - 1])
            differences = [first]
            x = x + alpha_next * (dt + integral * scale(there)) * first
            if len(history) == 2 and max_stage >= 3:
                second = (first - history[1]) / ((here - ratios[i - 2]) / 2)
                x = x + alpha_next * (dt**2 / 2 + moment * scale(there)) * second
        if s_noise > 0:
            deviation = (there**2 - here**2 * kept**2).clamp(min=0).sqrt()
            x = x + alpha_next * run.gaussian() * s_noise * deviation
        history = [denoised, *differences]
    return x


def _er_scale(ratio: Tensor) -> Tensor:
    """Return the noise scale function phi of ER-SDE-5 (arXiv:2309.06169, table 2)."""
    return ratio * ((ratio**0.3).exp() + 10.0)


def _er_integrals(
    scale: Callable[[Tensor], Tensor], here: Tensor, there: Tensor, points: int = 200
) -> tuple[Tensor, Tensor]:
    """Return the integrals of 1 / phi and (ratio - here) / phi over the step, as left sums over ``points``."""
    width = (here - there) / points
    positions = there + torch.arange(points) * width
    scales = scale(positions)
    return (1 / scales).sum() * width, ((positions - here) / scales).sum() * width


def seeds_2(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0, r: float = 0.5) -> Tensor:
    """Take SEEDS-2 steps (Gonzalez et al. 2023, arXiv:2305.14267, algorithm 2, for data prediction)."""
    for step in run.steps_along(run.snr_sigmas()):
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        stages = _SeedsStages(run, step.sigma, step.sigma_next, eta, s_noise)
        sigma_2, x_2 = stages.at(r, x, denoised, ())
        denoised_2 = run.denoise(x_2, sigma_2)
        x = stages.at(1.0, x, denoised + (denoised_2 - denoised) / (2 * r), ())[1]
    return x


def seeds_3(
    run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0, r_1: float = 1 / 3, r_2: float = 2 / 3
) -> Tensor:
    """Take SEEDS-3 steps (Gonzalez et al. 2023, arXiv:2305.14267, algorithm 3, for data prediction)."""
    for step in run.steps_along(run.snr_sigmas()):
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        stages = _SeedsStages(run, step.sigma, step.sigma_next, eta, s_noise)
        sigma_2, x_2 = stages.at(r_1, x, denoised, ())
        denoised_2 = run.denoise(x_2, sigma_2)
        sigma_3, x_3 = stages.at(r_2, x, denoised, ((denoised_2 - denoised) / r_1,))
        denoised_3 = run.denoise(x_3, sigma_3)
        x = stages.at(1.0, x, denoised, ((denoised_3 - denoised) / r_2,))[1]
    return x


class _SeedsStages:
    """Evaluate the stages of one SEEDS step, which share one noise path."""

    def __init__(self, run: Trajectory, sigma: Tensor, sigma_next: Tensor, eta: float, s_noise: float) -> None:
        self._run, self._sigma, self._eta, self._s_noise = run, sigma, eta, s_noise
        self._lambda = run.sampling.half_log_snr(sigma)
        self._h = run.sampling.half_log_snr(sigma_next) - self._lambda
        self._draws: list[tuple[float, Tensor]] = []

    def at(self, share: float, x: Tensor, denoised: Tensor, slopes: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return (sigma, sample) at ``share`` (0..1) of the step in lambda.

        ``slopes``: change of the prediction over the whole step, where known.
        """
        h, grown = share * self._h, share * self._h * (self._eta + 1)
        half_log_snr = self._lambda + h
        sigma = self._run.sampling.sigma_of_half_log_snr(half_log_snr)
        alpha = sigma * half_log_snr.exp()
        result = sigma / self._sigma * (-h * self._eta).exp() * x - alpha * (-grown).expm1() * denoised
        for change in slopes:
            result = result + alpha * share * ((-grown).expm1() / grown + 1) * change
        return sigma, result + self._noise(share, sigma)

    def _noise(self, share: float, sigma: Tensor) -> Tensor | float:
        """Sum the path's noise up to ``share``: each draw covers one interval and is damped since its end."""
        if self._eta <= 0 or self._s_noise <= 0:
            return 0.0
        start = self._draws[-1][0] if self._draws else 0.0
        if share > start:
            self._draws.append((share, self._run.gaussian()))
        total: Tensor | float = 0.0
        begin = 0.0
        rate = 2 * self._h * self._eta
        for end, draw in self._draws:
            variance = (-(share - end) * rate).exp() - (-(share - begin) * rate).exp()
            total = total + variance.sqrt() * draw
            begin = end
        return total * sigma * self._s_noise
