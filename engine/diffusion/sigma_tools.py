"""Schedules by formula or published table that stand on their own, and changes to a schedule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.prediction import ModelSampling
from engine.errors import InputError

ALIGNED_STEPS: Final[dict[str, tuple[float, ...]]] = {
    "SD1": (
        14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092,
        0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ),
    "SDXL": (
        14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
        0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ),
    "SVD": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}  # fmt: skip
"""The ten optimised steps of Align Your Steps (Sabour et al. 2024, arXiv:2404.14507) for each kind of model."""

_TURBO_STEPS: Final = 10
_LAPLACE_EDGE: Final = 1e-5
_JUST_ABOVE_ZERO: Final = 1e-4


def polyexponential_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """Return sigmas whose logarithm falls as the power ``rho`` of the way left [steps + 1], ending in 0.

    Raises `InputError` where a sigma is 0: it has no logarithm.
    """
    _require_positive(sigma_min=sigma_min, sigma_max=sigma_max)
    left = torch.linspace(1, 0, steps) ** rho
    return _end_in_zero((left * (math.log(sigma_max) - math.log(sigma_min)) + math.log(sigma_min)).exp())


def vp_sigmas(steps: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3) -> Tensor:
    """Return the sigmas of a VP process at even times from 1 to ``eps_s`` [steps + 1], ending in 0.

    Karras et al. 2022, arXiv:2206.00364, table 1. Raises `InputError` where they leave the numbers' range.
    """
    t = torch.linspace(1, eps_s, steps)
    return _finite(_end_in_zero((beta_d * t**2 / 2 + beta_min * t).expm1().sqrt()))


def laplace_sigmas(steps: int, sigma_min: float, sigma_max: float, mu: float = 0.0, beta: float = 0.5) -> Tensor:
    """Return sigmas [steps] at even quantiles of a Laplace distribution of log sigma around ``mu``.

    Hang et al. 2024, arXiv:2407.03297. Values outside ``sigma_min`` .. ``sigma_max`` become those; as in the ecosystem
    the schedule ends there, not in 0.
    """
    from_middle = 0.5 - torch.linspace(0, 1, steps)
    log_sigma = mu - beta * from_middle.sign() * (1 - 2 * from_middle.abs() + _LAPLACE_EDGE).log()
    return log_sigma.exp().clamp(sigma_min, sigma_max)


def turbo_sigmas(sampling: ModelSampling, steps: int, denoise: float = 1.0) -> Tensor:
    """Return the sigmas that SD Turbo was distilled at: of the time steps 999, 899 .. 99 the first ``steps``.

    ``denoise`` below 1 leaves out as many tenths of the start. Ends in 0.
    """
    timesteps = torch.arange(_TURBO_STEPS, 0, -1) * 100.0 - 1.0
    start = _TURBO_STEPS - int(_TURBO_STEPS * denoise)
    return _end_in_zero(sampling.sigma(timesteps[start : start + steps]))


def aligned_sigmas(kind: str, steps: int, denoise: float = 1.0) -> Tensor:
    """Return a table of `ALIGNED_STEPS` for any number of steps, interpolated linearly in log sigma; ends in 0.

    ``denoise`` below 1 keeps the last ``round(steps * denoise)`` steps; at 0 there are none.
    """
    if denoise <= 0:
        return torch.empty(0)
    table = ALIGNED_STEPS[kind]
    sigmas = torch.tensor(table if len(table) == steps + 1 else _log_interpolated(table, steps + 1))
    kept = round(steps * denoise) if denoise < 1 else steps
    sigmas = sigmas[-(kept + 1) :].clone()
    sigmas[-1] = 0.0
    return sigmas


def flipped(sigmas: Tensor) -> Tensor:
    """Return a schedule that goes up instead of down, to add noise; a 0 at its start is raised a little."""
    turned = sigmas.flip(0).clone()
    if len(turned) and turned[0] == 0:
        turned[0] = _JUST_ABOVE_ZERO
    return turned


def with_first(sigmas: Tensor, sigma: float) -> Tensor:
    """Return a schedule that starts at ``sigma``."""
    changed = sigmas.clone()
    changed[:1] = sigma
    return changed


def extended(sigmas: Tensor, steps: int, start: float, end: float, spacing: str) -> Tensor:
    """Return a schedule whose steps that begin between ``start`` and ``end`` are each cut into ``steps``.

    ``start`` below 0 is infinity. ``spacing``: "linear", "cosine" (closer at the end) or "sine" (at the start).
    """
    share = torch.linspace(0, 1, steps + 1)[1:-1]
    if spacing == "cosine":
        share = (share * math.pi / 2).sin()
    elif spacing == "sine":
        share = 1 - (share * math.pi / 2).cos()
    highest = math.inf if start < 0 else start
    parts = []
    for here, there in itertools.pairwise(sigmas):
        inside = end <= float(here) <= highest
        parts += [here[None], here + share * (there - here)] if inside else [here[None]]
    return torch.cat([*parts, sigmas[-1:]])


def sigma_at(sampling: ModelSampling, percent: float, is_actual: bool = False) -> float:
    """Return the noise level after ``percent`` (0..1) of the way.

    The ends are beyond every level of the model unless ``is_actual``: then they are its largest and smallest.
    """
    if is_actual and percent in (0.0, 1.0):
        return sampling.sigma_max if percent == 0.0 else sampling.sigma_min
    return sampling.percent_to_sigma(percent)


def _log_interpolated(table: Sequence[float], count: int) -> list[float]:
    given, wanted = np.linspace(0, 1, len(table)), np.linspace(0, 1, count)
    made: list[float] = np.exp(np.interp(wanted, given, np.log(table))).tolist()
    return made


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise InputError("a noise level is not above 0", input=name, expected="more than 0", got=str(value))


def _finite(sigmas: Tensor) -> Tensor:
    if not torch.isfinite(sigmas).all():
        raise InputError("the schedule leaves the range of numbers", expected="finite sigmas", hint="lower beta_d")
    return sigmas


def _end_in_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])
