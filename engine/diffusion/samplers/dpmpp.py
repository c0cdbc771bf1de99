"""DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095): exponential integrators in lambda = log(alpha / sigma)."""

from __future__ import annotations

from collections import deque
from typing import Literal

from torch import Tensor

from engine.diffusion.samplers.trajectory import Step, Trajectory, ancestral_split
from engine.errors import InputError


def dpmpp_2m(run: Trajectory, x: Tensor) -> Tensor:
    """Take DPM-Solver++(2M) steps: second order from one stored prediction (algorithm 2)."""
    previous: Tensor | None = None
    for step in run.steps():
        denoised = run.begin(step, x)
        ratio = step.sigma_next / step.sigma
        corrected = denoised
        if previous is not None and not step.is_last:
            r = (run.sigmas[step.index - 1] / step.sigma).log() / -ratio.log()
            corrected = denoised + (denoised - previous) / (2 * r)
        x = ratio * x + (1 - ratio) * corrected
        previous = denoised
    return x


def dpmpp_sde(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0, r: float = 0.5) -> Tensor:
    """Take stochastic DPM-Solver++ steps with one intermediate model call at the share ``r`` of the step."""
    if r <= 0:
        raise InputError("the middle of a step lies at its start", input="r", expected="more than 0", got=str(r))
    sampling = run.sampling
    for step in run.steps_along(run.snr_sigmas()):
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        lambda_s, lambda_t = sampling.half_log_snr(step.sigma), sampling.half_log_snr(step.sigma_next)
        lambda_mid = lambda_s + r * (lambda_t - lambda_s)
        sigma_mid = sampling.sigma_of_half_log_snr(lambda_mid)
        hop = _StochasticHop(run, x, step.sigma, lambda_s, eta, s_noise)
        denoised_2 = run.denoise(hop.to(sigma_mid, lambda_mid, denoised), sigma_mid)
        mixed = denoised + (denoised_2 - denoised) / (2 * r)
        x = hop.to(step.sigma_next, lambda_t, mixed)
    return x


class _StochasticHop:
    """Go from one noise level to others with a given prediction, adding Brownian noise."""

    def __init__(
        self, run: Trajectory, x: Tensor, sigma: Tensor, half_log_snr: Tensor, eta: float, s_noise: float
    ) -> None:
        self._run, self._x, self._sigma, self._lambda = run, x, sigma, half_log_snr
        self._eta, self._s_noise = eta, s_noise

    def to(self, sigma: Tensor, half_log_snr: Tensor, denoised: Tensor) -> Tensor:
        """Return the sample at noise level ``sigma``."""
        down, up = ancestral_split(self._lambda.neg().exp(), half_log_snr.neg().exp(), self._eta)
        h = -down.log() - self._lambda
        alpha_from, alpha_to = self._sigma * self._lambda.exp(), sigma * half_log_snr.exp()
        x = (alpha_to / alpha_from) * (-h).exp() * self._x - alpha_to * (-h).expm1() * denoised
        if self._eta > 0 and self._s_noise > 0:
            x = x + alpha_to * up * self._s_noise * self._run.brownian(self._sigma, sigma)
        return x


def dpmpp_2m_sde(
    run: Trajectory,
    x: Tensor,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver_type: Literal["midpoint", "heun"] = "midpoint",
) -> Tensor:
    """Take SDE-DPM-Solver++(2M) steps (arXiv:2211.01095, section 5 and appendix)."""
    previous: Tensor | None = None
    h_last: Tensor | None = None
    for step in run.steps_along(run.snr_sigmas()):
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        move = _SdeMove(run, step, eta)
        x_next = move.first_order(x, denoised)
        if previous is not None and h_last is not None:
            linear = -(-move.h_eta).expm1()
            weight = 1 - linear / move.h_eta if solver_type == "heun" else linear / 2
            x_next = x_next + move.alpha * weight * (denoised - previous) * (move.h / h_last)
        x = move.add_noise(x_next, s_noise)
        previous, h_last = denoised, move.h
    return x


def dpmpp_2m_sde_heun(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Do what `dpmpp_2m_sde` does with its Heun-type correction."""
    return dpmpp_2m_sde(run, x, eta=eta, s_noise=s_noise, solver_type="heun")


def dpmpp_3m_sde(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Take third-order SDE-DPM-Solver++ multistep steps, from two stored predictions (k-diffusion, Crowson 2023)."""
    history: deque[tuple[Tensor, Tensor]] = deque(maxlen=2)  # (prediction, size of the step it began), newest first
    for step in run.steps_along(run.snr_sigmas()):
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        move = _SdeMove(run, step, eta)
        x_next = move.first_order(x, denoised)
        phi_2 = (-move.h_eta).expm1() / move.h_eta + 1
        if len(history) == 2:
            (denoised_1, h_1), (denoised_2, h_2) = history
            r_0, r_1 = h_1 / move.h, h_2 / move.h
            d_0, d_1 = (denoised - denoised_1) / r_0, (denoised_1 - denoised_2) / r_1
            second = (d_0 - d_1) / (r_0 + r_1)
            phi_3 = phi_2 / move.h_eta - 0.5
            x_next = x_next + move.alpha * (phi_2 * (d_0 + second * r_0) - phi_3 * second)
        elif history:
            denoised_1, h_1 = history[0]
            x_next = x_next + move.alpha * phi_2 * (denoised - denoised_1) * (move.h / h_1)
        x = move.add_noise(x_next, s_noise)
        history.appendleft((denoised, move.h))
    return x


class _SdeMove:
    """Hold the quantities of one SDE step in lambda: size, damping and added noise."""

    def __init__(self, run: Trajectory, step: Step, eta: float) -> None:
        lambda_s = run.sampling.half_log_snr(step.sigma)
        lambda_t = run.sampling.half_log_snr(step.sigma_next)
        self._run, self._step, self._eta = run, step, eta
        self.h = lambda_t - lambda_s
        self.h_eta = self.h * (eta + 1)
        self.alpha = step.sigma_next * lambda_t.exp()

    def first_order(self, x: Tensor, denoised: Tensor) -> Tensor:
        """Return the mean of the next sample for a prediction that stays as it is."""
        kept = self._step.sigma_next / self._step.sigma * (-self.h * self._eta).exp()
        return kept * x - self.alpha * (-self.h_eta).expm1() * denoised

    def add_noise(self, x: Tensor, s_noise: float) -> Tensor:
        """Add the step's share of the Brownian path."""
        if self._eta <= 0 or s_noise <= 0:
            return x
        deviation = self._step.sigma_next * (-(-2 * self.h * self._eta).expm1()).sqrt()
        return x + self._run.brownian(self._step.sigma, self._step.sigma_next) * deviation * s_noise
