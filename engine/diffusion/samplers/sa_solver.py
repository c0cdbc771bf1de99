"""SA-Solver: stochastic Adams steps with a corrector (Xue et al. 2023, arXiv:2309.05019, data prediction)."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.diffusion.samplers.quadrature import gauss_legendre
from engine.diffusion.samplers.trajectory import Step, Trajectory

_INTEGRATION_POINTS = 64


@dataclasses.dataclass(frozen=True, slots=True)
class _Tau:
    """Say how stochastic the process is at a noise level: ``eta`` inside a band of sigmas, 0 outside."""

    eta: float
    start: float
    end: float

    def at(self, sigma: Tensor) -> float:
        """Return tau for a step that ends at ``sigma``."""
        return self.eta if self.start >= float(sigma) >= self.end else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Predicted:
    """Keep what the corrector needs of the step that the predictor took."""

    tau: float
    noise: Tensor | float


def sa_solver(
    run: Trajectory,
    x: Tensor,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    predictor_order: int = 3,
    corrector_order: int = 4,
    sde_start_percent: float = 0.2,
    sde_end_percent: float = 0.8,
    use_pece: bool = False,
    simple_order_2: bool = False,
) -> Tensor:
    """Predict, evaluate, correct (PEC); with ``use_pece`` evaluate again after correcting (algorithm 1).

    The process is stochastic (tau = eta) between the two percents of the way and deterministic outside.
    ``simple_order_2`` uses DPM-Solver++(2M)'s weights where the order is 2.
    """
    sigmas = run.snr_sigmas()
    lambdas = run.sampling.half_log_snr(sigmas)
    percent = run.sampling.percent_to_sigma
    tau = _Tau(eta, percent(sde_start_percent), percent(sde_end_percent))
    history: deque[Tensor] = deque(maxlen=max(predictor_order, corrector_order))  # newest first
    predicted, last = x, _Predicted(0.0, 0.0)
    ends_clean = bool(sigmas[-1] == 0)
    for step in run.steps_along(sigmas):
        i = step.index
        denoised = run.begin(step, predicted)
        history.appendleft(denoised)
        order, corrected_order = min(predictor_order, len(history)), min(corrector_order, len(history))
        if i == 0 or (step.is_last and not use_pece):
            corrected_order = 0
        if ends_clean:  # fall to low orders towards the end, where steps in lambda are long
            order = min(order, len(sigmas) - 2 - i)
            corrected_order = min(corrected_order, len(sigmas) - 1 - i)
        if corrected_order == 0:
            x = predicted
        else:
            done = Step(i - 1, sigmas[i - 1], step.sigma, False)
            nodes = [lambdas[i - back] for back in range(corrected_order)]
            x = _adams(x, done, lambdas, nodes, history, last.tau, simple_order_2) + last.noise
            if use_pece:
                denoised = run.denoise(x, step.sigma)
                history[0] = denoised
        if step.is_last:
            return denoised
        nodes = [lambdas[i - back] for back in range(order)]
        last = _next_noise(run, step, lambdas, tau.at(step.sigma_next), s_noise)
        predicted = _adams(x, step, lambdas, nodes, history, last.tau, simple_order_2) + last.noise
    return predicted


def sa_solver_pece(
    run: Trajectory,
    x: Tensor,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    predictor_order: int = 3,
    corrector_order: int = 4,
    sde_start_percent: float = 0.2,
    sde_end_percent: float = 0.8,
    simple_order_2: bool = False,
) -> Tensor:
    """Do what `sa_solver` does with a second model call per step."""
    return sa_solver(
        run,
        x,
        eta=eta,
        s_noise=s_noise,
        predictor_order=predictor_order,
        corrector_order=corrector_order,
        sde_start_percent=sde_start_percent,
        sde_end_percent=sde_end_percent,
        use_pece=True,
        simple_order_2=simple_order_2,
    )


def _next_noise(run: Trajectory, step: Step, lambdas: Tensor, tau: float, s_noise: float) -> _Predicted:
    if tau <= 0 or s_noise <= 0:
        return _Predicted(tau, 0.0)
    h = lambdas[step.index + 1] - lambdas[step.index]
    deviation = step.sigma_next * (-(-2 * tau**2 * h).expm1()).sqrt()
    return _Predicted(tau, run.gaussian() * deviation * s_noise)


def _adams(
    x: Tensor,
    step: Step,
    lambdas: Tensor,
    nodes: Sequence[Tensor],
    history: Sequence[Tensor],
    tau: float,
    simple_order_2: bool,
) -> Tensor:
    """Return the mean after ``step``, with the prediction interpolated through ``nodes`` (eq. 14 and 17)."""
    start, end = float(lambdas[step.index]), float(lambdas[step.index + 1])
    make_weights = _simple_weights if simple_order_2 and len(nodes) == 2 else _adams_weights
    weights = make_weights([float(node) for node in nodes], start, end, tau)
    kept = step.sigma_next / step.sigma * torch.tensor(-(tau**2) * (end - start)).exp()
    terms = [prediction * weight for prediction, weight in zip(history, weights, strict=False)]
    return kept * x + step.sigma_next * torch.stack(terms).sum(dim=0)


def _adams_weights(nodes: list[float], start: float, end: float, tau: float) -> list[float]:
    """Integrate exp(-tau^2 (end - l)) (1 + tau^2) exp(l) times each Lagrange polynomial over lambda."""
    rate = 1 + tau**2
    width = (end - start) / 2
    roots, shares = gauss_legendre(_INTEGRATION_POINTS)
    points = (end + start) / 2 + width * roots
    density = rate * (rate * points - tau**2 * end).exp() * shares * width
    weights = []
    for j, node in enumerate(nodes):
        basis = torch.ones_like(points)
        for k, other in enumerate(nodes):
            if k != j:
                basis = basis * (points - other) / (node - other)
        weights.append(float((density * basis).sum()))
    return weights


def _simple_weights(nodes: list[float], start: float, end: float, tau: float) -> list[float]:
    """Return the weights of two predictions to second order in the step, without the exact integrals."""
    rate, h = 1 + tau**2, end - start
    total = math.exp(end) * -math.expm1(-h * rate)
    if nodes[0] == end:  # the corrector's newest node is the end itself
        newest = math.exp(end) * rate * h / 2
        return [newest, total - newest]
    older = math.exp(end) * rate * h**2 / 2 / (nodes[1] - nodes[0])
    return [total - older, older]
