"""One-step ODE samplers: Euler, Heun and the midpoint rule, with Karras et al.'s optional churn."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from engine.diffusion.samplers.trajectory import Step, Trajectory, slope


@dataclasses.dataclass(frozen=True, slots=True)
class Churn:
    """Say how much noise to put back before a step (Karras et al. 2022, arXiv:2206.00364, algorithm 2)."""

    amount: float
    t_min: float
    t_max: float
    noise: float

    def apply(self, run: Trajectory, step: Step, x: Tensor) -> tuple[Tensor, Step]:
        """Return ``x`` with noise added and the step from where that leaves it."""
        if self.amount <= 0 or not self.t_min <= float(step.sigma) <= self.t_max:
            return x, step
        sigma_hat = step.sigma * (1 + min(self.amount / run.total, 2**0.5 - 1))
        added = run.gaussian() * self.noise * (sigma_hat**2 - step.sigma**2).sqrt()
        return x + added, dataclasses.replace(step, sigma=sigma_hat)


def euler(
    run: Trajectory,
    x: Tensor,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
) -> Tensor:
    """Take Euler steps (arXiv:2206.00364, algorithm 2 without the second-order correction)."""
    churn = Churn(s_churn, s_tmin, s_tmax, s_noise)
    for plain in run.steps():
        x, step = churn.apply(run, plain, x)
        d = slope(x, step.sigma, run.begin(step, x))
        x = x + d * (step.sigma_next - step.sigma)
    return x


def heun(
    run: Trajectory,
    x: Tensor,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
) -> Tensor:
    """Take Heun's second-order steps, two model calls each (arXiv:2206.00364, algorithm 2)."""
    churn = Churn(s_churn, s_tmin, s_tmax, s_noise)
    for plain in run.steps():
        x, step = churn.apply(run, plain, x)
        d = slope(x, step.sigma, run.begin(step, x))
        dt = step.sigma_next - step.sigma
        if not step.is_last:
            x_2 = x + d * dt
            d = (d + slope(x_2, step.sigma_next, run.denoise(x_2, step.sigma_next))) / 2
        x = x + d * dt
    return x


def heunpp2(
    run: Trajectory,
    x: Tensor,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
) -> Tensor:
    """Take Heun++ steps: slopes at up to three levels, weighed by those levels' sigmas relative to the first."""
    churn = Churn(s_churn, s_tmin, s_tmax, s_noise)
    first, end = run.sigmas[0], run.sigmas[-1]
    for plain in run.steps():
        x, step = churn.apply(run, plain, x)
        d = slope(x, step.sigma, run.begin(step, x))
        dt = step.sigma_next - step.sigma
        if step.sigma_next == end:
            x = x + d * dt
            continue
        x_2 = x + d * dt
        d_2 = slope(x_2, step.sigma_next, run.denoise(x_2, step.sigma_next))
        after_next = run.sigmas[step.index + 2]
        if after_next == end:
            w_2 = step.sigma_next / (2 * first)
            x = x + (d * (1 - w_2) + d_2 * w_2) * dt
            continue
        x_3 = x_2 + d_2 * (after_next - step.sigma_next)
        d_3 = slope(x_3, after_next, run.denoise(x_3, after_next))
        w_2, w_3 = step.sigma_next / (3 * first), after_next / (3 * first)
        x = x + (d * (1 - w_2 - w_3) + d_2 * w_2 + d_3 * w_3) * dt
    return x


def dpm_2(
    run: Trajectory,
    x: Tensor,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
) -> Tensor:
    """Take midpoint steps, the middle in log sigma (DPM-Solver-2, arXiv:2206.00927, with churn)."""
    churn = Churn(s_churn, s_tmin, s_tmax, s_noise)
    for plain in run.steps():
        x, step = churn.apply(run, plain, x)
        d = slope(x, step.sigma, run.begin(step, x))
        if not step.is_last:
            sigma_mid = step.sigma.log().lerp(step.sigma_next.log(), 0.5).exp()
            x_2 = x + d * (sigma_mid - step.sigma)
            d = slope(x_2, sigma_mid, run.denoise(x_2, sigma_mid))
        x = x + d * (step.sigma_next - step.sigma)
    return x
