"""DPM-Solver with single steps of order 1 to 3 (Lu et al. 2022, arXiv:2206.00927), in t = -log(sigma)."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.samplers.trajectory import Trajectory
from engine.errors import InputError

_MOST_REJECTED: Final = 100
"""Where one step is rejected so often, none will ever be accepted."""


class _NoiseEstimates:
    """Ask the model for noise estimates during one step, once per stage."""

    def __init__(self, run: Trajectory, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self._run, self._x, self._t, self._eps = run, x, t, eps
        self._first: dict[float, Tensor] = {}

    def order_1(self, t_next: Tensor) -> Tensor:
        """Return the sample at ``t_next`` by DPM-Solver-1."""
        return self._x - _sigma(t_next) * (t_next - self._t).expm1() * self._eps

    def order_2(self, t_next: Tensor, r: float = 0.5) -> Tensor:
        """Return the sample at ``t_next`` by DPM-Solver-2 with its stage at the share ``r``."""
        growth = (t_next - self._t).expm1()
        change = self._stage(t_next, r) - self._eps
        return self.order_1(t_next) - _sigma(t_next) / (2 * r) * growth * change

    def order_3(self, t_next: Tensor, r_1: float = 1 / 3, r_2: float = 2 / 3) -> Tensor:
        """Return the sample at ``t_next`` by DPM-Solver-3."""
        h = t_next - self._t
        change_1 = self._stage(t_next, r_1) - self._eps
        s_2 = self._t + r_2 * h
        bend = (r_2 * h).expm1() / (r_2 * h) - 1
        u_2 = self.order_1(s_2) - _sigma(s_2) * (r_2 / r_1) * bend * change_1
        change_2 = _noise_estimate(self._run, u_2, s_2) - self._eps
        return self.order_1(t_next) - _sigma(t_next) / r_2 * (h.expm1() / h - 1) * change_2

    def _stage(self, t_next: Tensor, r: float) -> Tensor:
        """Return the estimate at the share ``r`` of the way, kept for a second formula that uses it."""
        if r not in self._first:
            s = self._t + r * (t_next - self._t)
            self._first[r] = _noise_estimate(self._run, self.order_1(s), s)
        return self._first[r]


def dpm_fast(run: Trajectory, x: Tensor, *, eta: float = 0.0, s_noise: float = 1.0) -> Tensor:
    """Spend as many model calls as the schedule has steps, in steps of order 3 and a shorter end (section 3.4)."""
    t_start, t_end = _ends(run)
    if t_start == t_end:
        return _jump(run, x)
    calls = run.total
    steps = calls // 3 + 1
    t = torch.linspace(float(t_start), float(t_end), steps + 1)
    rest = calls % 3
    orders = [3] * (steps - 2) + [2, 1] if rest == 0 else [3] * (steps - 1) + [rest]
    for index, order in enumerate(orders):
        here, there = t[index], t[index + 1]
        down, up = _split(here, there, t_end, eta)
        denoised = run.denoise(x, _sigma(here))
        run.report(index, x, denoised, _sigma(here))
        solver = _NoiseEstimates(run, x, here, (x - denoised) / _sigma(here))
        x = (solver.order_1, solver.order_2, solver.order_3)[order - 1](down)
        if eta > 0:
            x = x + up * s_noise * run.gaussian()
    return x


@dataclasses.dataclass(slots=True)
class _StepSize:
    """Choose step sizes with a PID controller (Hairer, Norsett & Wanner, Solving ODEs II, IV.2)."""

    h: float
    weights: tuple[float, float, float]
    accept_safety: float
    errors: list[float] = dataclasses.field(default_factory=list)

    def accepts(self, error: float) -> bool:
        """Judge a step by its error relative to the tolerance, and set the size of the next one."""
        inverse = 1 / (error + 1e-8)
        if not self.errors:
            self.errors = [inverse] * 3
        self.errors[0] = inverse
        factor = math.prod(e**w for e, w in zip(self.errors, self.weights, strict=True))
        factor = 1 + math.atan(factor - 1)
        accepted = factor >= self.accept_safety
        if accepted:
            self.errors = [self.errors[0], self.errors[0], self.errors[1]]
        self.h *= factor
        return accepted


def dpm_adaptive(
    run: Trajectory,
    x: Tensor,
    *,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    pcoeff: float = 0.0,
    icoeff: float = 1.0,
    dcoeff: float = 0.0,
    accept_safety: float = 0.81,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Choose the steps by comparing two orders (arXiv:2206.00927, appendix C); the schedule gives only its ends."""
    if order not in (2, 3):
        raise InputError("dpm_adaptive has no such order", input="order", expected="2 or 3", got=str(order))
    if h_init <= 0:
        raise InputError("the first step has no length", input="h_init", expected="more than 0", got=str(h_init))
    here, t_end = _ends(run)
    if here == t_end:
        return _jump(run, x)
    weights = ((pcoeff + icoeff + dcoeff) / order, -(pcoeff + 2 * dcoeff) / order, dcoeff / order)
    size = _StepSize(h_init, weights, accept_safety)
    before, accepted_steps, rejected = x, 0, 0
    while here < t_end - 1e-5:
        there = torch.minimum(t_end, here + size.h)
        down, up = _split(here, there, t_end, eta)
        denoised = run.denoise(x, _sigma(here))
        run.report(min(accepted_steps, run.total - 1), x, denoised, _sigma(here))
        solver = _NoiseEstimates(run, x, here, (x - denoised) / _sigma(here))
        if order == 2:
            low, high = solver.order_1(down), solver.order_2(down)
        else:
            low, high = solver.order_2(down, r=1 / 3), solver.order_3(down)
        scale = torch.maximum(low.abs(), before.abs()) * rtol
        error = torch.linalg.norm((low - high) / scale.clamp(min=atol)) / x.numel() ** 0.5
        if size.accepts(float(error)):
            before = low
            x = high + up * s_noise * run.gaussian() if eta > 0 else high
            here, accepted_steps, rejected = there, accepted_steps + 1, 0
        else:
            rejected += 1
            if rejected > _MOST_REJECTED:
                raise InputError(
                    f"dpm_adaptive found no step to take in {_MOST_REJECTED} attempts",
                    expected="tolerances above 0 and accept_safety below 1",
                    got=f"rtol {rtol}, atol {atol}, accept_safety {accept_safety}",
                    hint="raise rtol or atol, or lower accept_safety",
                )
    return x


def _ends(run: Trajectory) -> tuple[Tensor, Tensor]:
    """Return the times of the first sigma and of the last one above 0."""
    last = run.sigmas[-1] if run.sigmas[-1] > 0 else run.sigmas[-2]
    return -run.sigmas[0].log(), -last.log()


def _jump(run: Trajectory, x: Tensor) -> Tensor:
    """Take the only step of a schedule that goes from one sigma to 0: the prediction."""
    return run.begin(next(run.steps()), x)


def _split(here: Tensor, there: Tensor, t_end: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Return (time to step to, noise to add there); adding noise means stepping further first."""
    if eta <= 0:
        return there, torch.zeros(())
    sigma, sigma_next = _sigma(here), _sigma(there)
    wanted = eta * sigma_next * (1 - (sigma_next / sigma) ** 2).sqrt()
    down = torch.minimum(t_end, -(sigma_next**2 - wanted**2).sqrt().log())
    return down, (sigma_next**2 - _sigma(down) ** 2).clamp(min=0).sqrt()


def _noise_estimate(run: Trajectory, x: Tensor, t: Tensor) -> Tensor:
    return (x - run.denoise(x, _sigma(t))) / _sigma(t)


def _sigma(t: Tensor) -> Tensor:
    return t.neg().exp()
