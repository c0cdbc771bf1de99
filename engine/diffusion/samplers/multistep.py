"""Linear multistep samplers: higher order from stored slopes, one model call per step."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.diffusion.samplers.quadrature import gauss_legendre
from engine.diffusion.samplers.trajectory import Trajectory, slope

ADAMS_BASHFORTH: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights for equal steps, newest slope first (Hairer, Norsett & Wanner, Solving ODEs I, III.1)."""


def lms(run: Trajectory, x: Tensor, *, order: int = 4) -> Tensor:
    """Take linear multistep steps: the slope's interpolation polynomial in sigma, integrated exactly."""
    sigmas = [float(sigma) for sigma in run.sigmas]
    history: deque[Tensor] = deque(maxlen=order)
    for step in run.steps():
        i, denoised = step.index, run.begin(step, x)
        history.appendleft(slope(x, step.sigma, denoised))
        if step.is_last:
            x = denoised
            continue
        nodes = [sigmas[i - back] for back in range(len(history))]
        x = x + _weighted(history, _polynomial_weights(nodes, sigmas[i], sigmas[i + 1]))
    return x


def ipndm(run: Trajectory, x: Tensor, *, max_order: int = 4) -> Tensor:
    """Take improved PNDM steps: Adams-Bashforth weights as if steps were equal (Zhang & Chen, arXiv:2204.13902)."""
    history: deque[Tensor] = deque(maxlen=max_order)
    for step in run.steps():
        denoised = run.begin(step, x)
        history.appendleft(slope(x, step.sigma, denoised))
        weights = ADAMS_BASHFORTH[len(history) - 1]
        dt = step.sigma_next - step.sigma
        x = denoised if step.is_last else x + dt * _weighted(history, weights)
    return x


def ipndm_v(run: Trajectory, x: Tensor, *, max_order: int = 4) -> Tensor:
    """Take improved PNDM steps with weights for the schedule's unequal steps (arXiv:2204.13902).

    The weights are those of the solvers' reference code (Zhou et al. 2023, arXiv:2312.00094), which everyone's
    pictures are made with. Above order 2 they differ from the exact integrals that `lms` uses.
    """
    sizes = run.sigmas.double().diff().tolist()
    history: deque[Tensor] = deque(maxlen=max_order)
    for step in run.steps():
        i, denoised = step.index, run.begin(step, x)
        history.appendleft(slope(x, step.sigma, denoised))
        if step.is_last:
            x = denoised
            continue
        weights = _ipndm_v_weights([sizes[i - back] for back in range(len(history))])
        x = x + (step.sigma_next - step.sigma) * _weighted(history, weights)
    return x


def _ipndm_v_weights(sizes: Sequence[float]) -> list[float]:
    """Return slope weights, newest first, for step ``sizes``, newest first: differences of rising order, added up."""
    h, *past = sizes
    weights = [1.0, 0.0, 0.0, 0.0]
    if len(sizes) >= 2:
        half = h / past[0] / 2
        weights = [1 + half, -half, 0.0, 0.0]
    if len(sizes) >= 3:
        a = past[0] / past[1]
        share = (1 - h**2 / (3 * past[0] * (past[0] + past[1]))) / 2
        weights = _plus(weights, share, (1.0, -(1 + a), a, 0.0))
    if len(sizes) >= 4:
        b = a * (past[0] + past[1]) / (past[1] + past[2])
        two, three = h + past[0], h + past[0] + past[1]
        share = (1 - h / (3 * two)) / 2 + (1 - h / (2 * two)) * h / (6 * three)
        share *= h * two * three / (past[0] * (past[0] + past[1]) * (past[0] + past[1] + past[2]))
        weights = _plus(weights, share, (1.0, -(1 + a + b), a + b * (1 + past[1] / past[2]), -a * b))
    return weights[: len(sizes)]


def _plus(weights: Sequence[float], share: float, difference: Sequence[float]) -> list[float]:
    return [weight + share * part for weight, part in zip(weights, difference, strict=True)]


def deis(run: Trajectory, x: Tensor, *, max_order: int = 3) -> Tensor:
    """Take DEIS steps: polynomial in the time of a VP process, integrated over sigma (arXiv:2204.13902, tAB-DEIS)."""
    times = _vp_times(run.sigmas.double())
    history: deque[Tensor] = deque(maxlen=max_order)
    for step in run.steps():
        i, denoised = step.index, run.begin(step, x)
        history.appendleft(slope(x, step.sigma, denoised))
        if step.is_last:
            x = denoised
        elif len(history) == 1:
            x = x + history[0] * (step.sigma_next - step.sigma)
        else:
            nodes = [float(times[i - back]) for back in range(len(history))]
            x = x + _weighted(history, _deis_weights(nodes, float(times[i]), float(times[i + 1])))
    return x


_VP_SIGMA_MIN, _VP_SIGMA_MAX, _VP_FIRST_TIME = 0.002, 80.0, 1e-3


def _vp_betas() -> tuple[float, float]:
    """Return (beta_d, beta_min) of the VP process through the sigmas above (arXiv:2206.00364, table 1)."""
    low, high = math.log(_VP_SIGMA_MIN**2 + 1), math.log(_VP_SIGMA_MAX**2 + 1)
    beta_d = 2 * (low / _VP_FIRST_TIME - high) / (_VP_FIRST_TIME - 1)
    return beta_d, high - 0.5 * beta_d


def _vp_times(sigmas: Tensor) -> Tensor:
    """Return the times at which the VP process has these noise levels."""
    beta_d, beta_min = _vp_betas()
    return ((beta_min**2 + 2 * beta_d * (sigmas**2 + 1).log()).sqrt() - beta_min) / beta_d


def _deis_weights(nodes: Sequence[float], start: float, end: float, points: int = 10000) -> list[float]:
    """Integrate each Lagrange polynomial times dsigma/dt over the step, as the method's tables do: a plain sum."""
    beta_d, beta_min = _vp_betas()
    t = torch.linspace(start, end, points, dtype=torch.float64)
    log_alpha = -0.5 * beta_d * t**2 - beta_min * t
    alpha = log_alpha.exp()
    sigma_rate = 0.5 * (beta_d * t + beta_min) / (alpha * (1 - alpha)).sqrt()
    width = (end - start) / points
    return [float((sigma_rate * _lagrange(nodes, j, t)).sum()) * width for j in range(len(nodes))]


def _lagrange(nodes: Sequence[float], j: int, t: Tensor) -> Tensor:
    """Return the polynomial that is 1 at node ``j`` and 0 at the others, at the points ``t``."""
    value = torch.ones_like(t)
    for k, node in enumerate(nodes):
        if k != j:
            value = value * (t - node) / (nodes[j] - node)
    return value


def _polynomial_weights(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Integrate each node's Lagrange polynomial from ``start`` to ``end``, exactly, by Gauss-Legendre."""
    half, middle = (end - start) / 2, (end + start) / 2
    roots, shares = gauss_legendre(len(nodes) // 2 + 1)
    points = middle + half * roots
    return [float((_lagrange(nodes, j, points) * shares).sum()) * half for j in range(len(nodes))]


def _weighted(history: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    terms = [value * weight for value, weight in zip(history, weights, strict=True)]
    return torch.stack(terms).sum(dim=0)
