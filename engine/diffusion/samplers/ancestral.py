"""Ancestral samplers: a deterministic step below the next noise level, then fresh noise up to it."""

from __future__ import annotations

from torch import Tensor

from engine.diffusion.samplers.trajectory import Step, Trajectory, ancestral_split, slope


def euler_ancestral(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Take Euler steps to sigma_down and add noise back up to the next sigma (k-diffusion, Crowson 2022)."""
    for step in run.steps():
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        sigma_down, renoise = _down_and_renoise(run, step, eta)
        x = x + slope(x, step.sigma, denoised) * (sigma_down - step.sigma)
        x = renoise(x, eta, s_noise)
    return x


def dpm_2_ancestral(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Take midpoint steps (DPM-Solver-2, arXiv:2206.00927) to sigma_down and add noise back."""
    for step in run.steps():
        denoised = run.begin(step, x)
        d = slope(x, step.sigma, denoised)
        sigma_down, renoise = _down_and_renoise(run, step, eta)
        if sigma_down == 0:
            x = x + d * (sigma_down - step.sigma)
            continue
        sigma_mid = step.sigma.log().lerp(sigma_down.log(), 0.5).exp()
        x_2 = x + d * (sigma_mid - step.sigma)
        x = x + slope(x_2, sigma_mid, run.denoise(x_2, sigma_mid)) * (sigma_down - step.sigma)
        x = renoise(x, eta, s_noise)
    return x


def dpmpp_2s_ancestral(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Take DPM-Solver++(2S) steps (arXiv:2211.01095, algorithm 1) to sigma_down and add noise back."""
    sampling = run.sampling
    for step in run.steps():
        denoised = run.begin(step, x)
        if step.is_last:
            x = denoised
            continue
        sigma_down, renoise = _down_and_renoise(run, step, eta)
        if sampling.is_flow and step.sigma >= 1:
            sigma_mid = step.sigma.new_tensor(0.9999)  # lambda is infinite at 1, so there is no middle
        else:
            middle = sampling.half_log_snr(step.sigma).lerp(sampling.half_log_snr(sigma_down), 0.5)
            sigma_mid = sampling.sigma_of_half_log_snr(middle)
        x_2 = _towards(x, denoised, sigma_mid / step.sigma)
        x = _towards(x, run.denoise(x_2, sigma_mid), sigma_down / step.sigma)
        x = renoise(x, eta, s_noise)
    return x


def _towards(x: Tensor, denoised: Tensor, kept: Tensor) -> Tensor:
    """Move ``x`` along the straight line to its prediction, keeping the share ``kept`` of the noise."""
    return kept * x + (1 - kept) * denoised


class _Renoise:
    """Bring a sample at sigma_down up to the next noise level with fresh noise."""

    def __init__(self, run: Trajectory, scale: Tensor, sigma_up: Tensor) -> None:
        self._run, self._scale, self._sigma_up = run, scale, sigma_up

    def __call__(self, x: Tensor, eta: float, s_noise: float) -> Tensor:
        if eta <= 0:
            return x
        return self._scale * x + self._run.gaussian() * s_noise * self._sigma_up


def _down_and_renoise(run: Trajectory, step: Step, eta: float) -> tuple[Tensor, _Renoise]:
    """Return sigma_down and what undoes it. A flow model also scales: its signal shrinks as noise grows."""
    if not run.sampling.is_flow:
        sigma_down, sigma_up = ancestral_split(step.sigma, step.sigma_next, eta)
        return sigma_down, _Renoise(run, sigma_down.new_ones(()), sigma_up)
    sigma_down = step.sigma_next * (1 + (step.sigma_next / step.sigma - 1) * eta)
    scale = (1 - step.sigma_next) / (1 - sigma_down)
    sigma_up = (step.sigma_next**2 - (sigma_down * scale) ** 2).clamp(min=0).sqrt()
    return sigma_down, _Renoise(run, scale, sigma_up)
