"""CFG++ samplers (Chung et al. 2024, arXiv:2406.08070): the guided prediction says where to go, the unconditional
one says which noise is left, which keeps the sample near the data at every guidance strength."""

from __future__ import annotations

from torch import Tensor

from engine.diffusion.samplers.trajectory import Trajectory, ancestral_split, slope


def euler_cfg_pp(run: Trajectory, x: Tensor) -> Tensor:
    """Take deterministic CFG++ steps, the Euler method of the paper's algorithm."""
    return euler_ancestral_cfg_pp(run, x, eta=0.0, s_noise=0.0)


def euler_ancestral_cfg_pp(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Take CFG++ steps with fresh noise; alpha takes part, so flow models follow the same formula."""
    sampling = run.sampling
    for step in run.steps():
        denoised, uncond = run.begin_guided(step, x)
        if step.is_last:
            x = denoised
            continue
        alpha = step.sigma * sampling.half_log_snr(step.sigma).exp()
        alpha_next = step.sigma_next * sampling.half_log_snr(step.sigma_next).exp()
        noise_left = slope(x, step.sigma, alpha * uncond)
        down, up = ancestral_split(step.sigma / alpha, step.sigma_next / alpha_next, eta)
        x = alpha_next * denoised + alpha_next * down * noise_left
        if eta > 0 and s_noise > 0:
            x = x + alpha_next * up * s_noise * run.gaussian()
    return x


def dpmpp_2s_ancestral_cfg_pp(run: Trajectory, x: Tensor, *, eta: float = 1.0, s_noise: float = 1.0) -> Tensor:
    """Take DPM-Solver++(2S) steps (arXiv:2211.01095) whose noise comes from the unconditional prediction."""
    for step in run.steps():
        denoised, uncond = run.begin_guided(step, x)
        down, up = ancestral_split(step.sigma, step.sigma_next, eta)
        if down == 0:
            x = denoised + slope(x, step.sigma, uncond) * down
        else:
            middle = (step.sigma * down).sqrt()
            x_2 = (middle / step.sigma) * (x + (denoised - uncond)) + (1 - middle / step.sigma) * denoised
            denoised_2, uncond_2 = run.denoise_guided(x_2, middle)
            x = (down / step.sigma) * (x + (denoised - uncond_2)) + (1 - down / step.sigma) * denoised_2
        if not step.is_last and eta > 0:
            x = x + run.gaussian() * s_noise * up
    return x


def dpmpp_2m_cfg_pp(run: Trajectory, x: Tensor) -> Tensor:
    """Take DPM-Solver++(2M) steps (arXiv:2211.01095, algorithm 2) with a history of unconditional predictions."""
    previous: Tensor | None = None
    for step in run.steps():
        denoised, uncond = run.begin_guided(step, x)
        ratio = step.sigma_next / step.sigma
        if previous is None or step.is_last:
            x = denoised + slope(x, step.sigma, uncond) * step.sigma_next
        else:
            h = -ratio.log()
            h_last = (run.sigmas[step.index - 1] / step.sigma).log()
            r = h_last / h
            correction = (1 - ratio) * (denoised - previous) / (2 * r)
            x = denoised + ratio * (x - uncond) + correction
        previous = uncond
    return x
