"""UniPC: a predictor and a corrector that shares its model call (Zhao et al. 2023, arXiv:2302.04867)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.diffusion.samplers.trajectory import Trajectory
from engine.errors import InputError

_LAST_SIGMA = 0.001
"""Stands in for a final sigma of 0, whose logarithm the method needs."""


def uni_pc(run: Trajectory, x: Tensor, *, max_order: int = 3, variant: str = "bh1") -> Tensor:
    """Take multistep UniPC steps for data prediction, in lambda = -log(sigma), with B(h) = h ("bh1") or e^h - 1.

    Low orders at both ends; the last step is not corrected. Raises `InputError` for an unknown ``variant``.
    """
    if variant not in ("bh1", "bh2"):
        raise InputError("UniPC has no such variant", input="variant", expected="bh1 or bh2", got=variant)
    sigmas = run.sigmas.clone()
    if sigmas[-1] == 0:
        sigmas[-1] = _LAST_SIGMA
    steps = run.total
    order = max(1, min(max_order, steps - 1))
    nodes: deque[tuple[float, Tensor]] = deque(maxlen=order)  # (lambda, prediction), newest first
    denoised = run.denoise(x, sigmas[0])
    for i in range(steps):
        run.report(i, x, denoised, sigmas[i])
        nodes.appendleft((-math.log(float(sigmas[i])), denoised))
        used = min(order, i + 1, steps - i)
        ratio = sigmas[i + 1] / sigmas[i]
        base = ratio * x + (1 - ratio) * denoised
        lambda_next = -math.log(float(sigmas[i + 1]))
        predicted = base + _correction(list(nodes)[:used], lambda_next, None, variant)
        if i == steps - 1:
            return predicted
        denoised_next = run.denoise(predicted, sigmas[i + 1])
        x = base + _correction(list(nodes)[:used], lambda_next, denoised_next, variant)
        denoised = denoised_next
    return x


def uni_pc_bh2(run: Trajectory, x: Tensor, *, max_order: int = 3) -> Tensor:
    """Do what `uni_pc` does with B(h) = e^h - 1."""
    return uni_pc(run, x, max_order=max_order, variant="bh2")


def _correction(
    nodes: Sequence[tuple[float, Tensor]], lambda_next: float, denoised_next: Tensor | None, variant: str
) -> Tensor:
    """Return what higher orders add to the first-order step: the predictor's part, or the corrector's.

    ``nodes``: as many (lambda, prediction) as the order, newest first; ``denoised_next``: the prediction at the end of
    the step, for the corrector.
    """
    lambda_0, denoised = nodes[0]
    h = lambda_next - lambda_0
    scale = -h if variant == "bh1" else math.expm1(-h)
    positions = [(node - lambda_0) / h for node, _ in nodes[1:]]
    changes = [(value - denoised) / r for (_, value), r in zip(nodes[1:], positions, strict=True)]
    if denoised_next is not None:
        positions, changes = [*positions, 1.0], [*changes, denoised_next - denoised]
    if not changes:
        return torch.zeros_like(denoised)
    # At one change the paper fixes the weight, independent of h.
    weights = [0.5] if len(changes) == 1 else _solve(positions, h, scale)
    terms = [change * weight for change, weight in zip(changes, weights, strict=True)]
    return -scale * torch.stack(terms).sum(dim=0)


def _solve(positions: Sequence[float], h: float, scale: float) -> list[float]:
    """Solve the order conditions R_p(h) a = phi_p(h) / B(h) (theorem 3.1)."""
    r = torch.tensor(positions, dtype=torch.float64)
    powers = torch.stack([r**k for k in range(len(positions))])
    phi, factorial, right = math.expm1(-h) / -h - 1, 1.0, []
    for k in range(1, len(positions) + 1):
        right.append(phi * factorial / scale)
        factorial *= k + 1
        phi = phi / -h - 1 / factorial
    solution: list[float] = torch.linalg.solve(powers, torch.tensor(right, dtype=torch.float64)).tolist()
    return solution
