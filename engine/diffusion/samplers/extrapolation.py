"""Samplers that correct an Euler step with the previous one: RES multistep and gradient estimation."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.diffusion.samplers.trajectory import Trajectory, ancestral_split, slope


def res_multistep(run: Trajectory, x: Tensor, *, s_noise: float = 1.0) -> Tensor:
    """Take second-order refined exponential solver steps (Zhang et al. 2023, arXiv:2308.02157, multistep)."""
    return _res_multistep(run, x, eta=0.0, s_noise=s_noise, cfg_pp=False)


def res_multistep_ancestral(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Do what `res_multistep` does to sigma_down and add noise back."""
    return _res_multistep(run, x, eta=eta, s_noise=s_noise, cfg_pp=False)


def res_multistep_cfg_pp(run: Trajectory, x: Tensor, *, s_noise: float = 1.0) -> Tensor:
    """Do what `res_multistep` does in the CFG++ way (arXiv:2406.08070)."""
    return _res_multistep(run, x, eta=0.0, s_noise=s_noise, cfg_pp=True)


def res_multistep_ancestral_cfg_pp(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Do what `res_multistep_ancestral` does in the CFG++ way (arXiv:2406.08070)."""
    return _res_multistep(run, x, eta=eta, s_noise=s_noise, cfg_pp=True)


def _res_multistep(run: Trajectory, x: Tensor, *, eta: float, s_noise: float, cfg_pp: bool) -> Tensor:
    previous: Tensor | None = None
    previous_down = run.sigmas[0]
    for step in run.steps():
        if cfg_pp:
            denoised, reference = run.begin_guided(step, x)
        else:
            denoised = reference = run.begin(step, x)
        down, up = ancestral_split(step.sigma, step.sigma_next, eta)
        if down == 0 or previous is None:
            x = denoised + slope(x, step.sigma, reference) * down
        else:
            h = (step.sigma / down).log()
            node = (previous_down / run.sigmas[step.index - 1]).log() / h  # where the previous prediction lies
            b_1, b_2 = _res_weights(-h, node)
            x = (down / step.sigma) * (x + (denoised - reference)) + h * (b_1 * reference + b_2 * previous)
        if not step.is_last and eta > 0:
            x = x + run.gaussian() * s_noise * up
        previous, previous_down = reference, down
    return x


def _res_weights(z: Tensor, node: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of the current and previous prediction from the phi functions of ``z``."""
    phi_1 = torch.expm1(z) / z
    phi_2 = (phi_1 - 1) / z
    share = torch.nan_to_num(phi_2 / node, nan=0.0, posinf=0.0, neginf=0.0)
    return phi_1 - share, share


def gradient_estimation(run: Trajectory, x: Tensor, *, ge_gamma: float = 2.0) -> Tensor:
    """Take Euler steps along an extrapolated slope (Permenter & Yuan 2023, arXiv:2306.04848, algorithm 2)."""
    return _gradient_estimation(run, x, ge_gamma=ge_gamma, cfg_pp=False)


def gradient_estimation_cfg_pp(run: Trajectory, x: Tensor, *, ge_gamma: float = 2.0) -> Tensor:
    """Do what `gradient_estimation` does in the CFG++ way (arXiv:2406.08070)."""
    return _gradient_estimation(run, x, ge_gamma=ge_gamma, cfg_pp=True)


def _gradient_estimation(run: Trajectory, x: Tensor, *, ge_gamma: float, cfg_pp: bool) -> Tensor:
    previous: Tensor | None = None
    for step in run.steps():
        if cfg_pp:
            denoised, reference = run.begin_guided(step, x)
        else:
            denoised = reference = run.begin(step, x)
        d = slope(x, step.sigma, reference)
        if step.is_last:
            x = denoised
        else:
            x = denoised + d * step.sigma_next
            if previous is not None:
                x = x + (ge_gamma - 1) * (d - previous) * (step.sigma_next - step.sigma)
        previous = d
    return x
