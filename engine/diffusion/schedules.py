"""Noise schedules: which noise levels (sigmas) a run visits, from the largest down, ending in 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.names import SCHEDULES
from engine.diffusion.prediction import ModelSampling
from engine.errors import InputError

DROPS_PENULTIMATE: Final = frozenset({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"})
"""Samplers whose schedule gets one step more and then loses its second-last sigma."""


def make_sigmas(schedule: str, sampling: ModelSampling, steps: int) -> Tensor:
    """Return the sigmas of ``steps`` steps: float32 [steps + 1] on the CPU, descending, the last one 0.

    "ddim_uniform" and "beta" may give one more or fewer, as their definitions round.

    Raises `InputError` for an unknown schedule or ``steps`` < 1.
    """
    builder = _BUILDERS.get(schedule)
    if builder is None:
        raise InputError(
            f'there is no schedule "{schedule}"',
            expected=", ".join(SCHEDULES),
            got=schedule,
            hint="choose one of the names listed",
        )
    _require_steps(steps)
    return builder(sampling, steps)


def denoise_sigmas(
    schedule: str, sampling: ModelSampling, steps: int, denoise: float = 1.0, sampler_name: str = ""
) -> Tensor:
    """Return the sigmas for denoising only the last part ``denoise`` (0..1) of the way.

    Below 1 the schedule is made for ``int(steps / denoise)`` steps and its last ``steps + 1`` sigmas are
    kept, so ``steps`` model calls are made. ``denoise`` <= 0 gives an empty tensor: nothing to do.
    ``sampler_name`` decides whether the second-last sigma is dropped (`DROPS_PENULTIMATE`).
    """
    if denoise > 0.9999:
        return _for_sampler(schedule, sampling, steps, sampler_name)
    if denoise <= 0.0:
        return torch.empty(0)
    return _for_sampler(schedule, sampling, int(steps / denoise), sampler_name)[-(steps + 1) :]


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Return Karras et al. (2022, arXiv:2206.00364, eq. 5) sigmas [steps + 1], ending in 0."""
    _require_steps(steps)
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return _end_in_zero((high + ramp * (low - high)) ** rho)


def exponential_sigmas(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Return sigmas evenly spaced in log sigma [steps + 1], ending in 0."""
    _require_steps(steps)
    return _end_in_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp())


def beta_sigmas(sampling: ModelSampling, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """Return sigmas at the quantiles of a beta distribution over time steps (Lee et al. 2024,
    arXiv:2407.12173).

    Quantiles that round to the same table entry are kept once, so the result may be shorter than ``steps +
    1``.
    """
    from scipy.special import betaincinv  # type: ignore[import-untyped]

    _require_steps(steps)
    if min(alpha, beta) <= 0:
        got = f"alpha {alpha}, beta {beta}"
        raise InputError("there is no such beta distribution", expected="alpha and beta above 0", got=got)
    table = sampling.table
    quantiles = [1.0 - index / steps for index in range(steps)]
    indices = [round(float(betaincinv(alpha, beta, q)) * (len(table) - 1)) for q in quantiles]
    return _end_in_zero(table[list(dict.fromkeys(indices))])


def split(sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Cut a schedule after ``step`` steps into (high, low); both hold the sigma at the cut."""
    return sigmas[: step + 1], sigmas[step:]


def split_denoise(sigmas: Tensor, denoise: float) -> tuple[Tensor, Tensor]:
    """Cut a schedule so that the low part holds the share ``denoise`` (0..1) of its steps."""
    steps = max(sigmas.shape[-1] - 1, 0)
    kept = round(steps * denoise)
    return sigmas[: steps - kept + 1], sigmas[steps - kept :]


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise InputError("a schedule needs at least one step", input="steps", expected="1 or more", got=str(steps))


def _end_in_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


def _for_sampler(schedule: str, sampling: ModelSampling, steps: int, sampler_name: str) -> Tensor:
    if sampler_name not in DROPS_PENULTIMATE:
        return make_sigmas(schedule, sampling, steps)
    sigmas = make_sigmas(schedule, sampling, steps + 1)
    return torch.cat([sigmas[:-2], sigmas[-1:]])


def _simple(sampling: ModelSampling, steps: int) -> Tensor:
    """Pick every (T / steps)-th level of the table, from its end."""
    table = sampling.table
    stride = len(table) / steps
    return _end_in_zero(table[[-(1 + int(index * stride)) for index in range(steps)]])


def _normal(sampling: ModelSampling, steps: int) -> Tensor:
    """Space time steps evenly between the table's ends, both included."""
    start, end = _timestep_ends(sampling)
    if _is_zero(sampling.sigma(end)):  # the last level is the 0 itself
        return sampling.sigma(torch.linspace(float(start), float(end), steps + 1))
    return _end_in_zero(sampling.sigma(torch.linspace(float(start), float(end), steps)))


def _sgm_uniform(sampling: ModelSampling, steps: int) -> Tensor:
    """Space time steps evenly, one more than asked, and put 0 in the place of the last."""
    start, end = _timestep_ends(sampling)
    return _end_in_zero(sampling.sigma(torch.linspace(float(start), float(end), steps + 1)[:-1]))


def _timestep_ends(sampling: ModelSampling) -> tuple[Tensor, Tensor]:
    return sampling.timestep(sampling.table[-1]), sampling.timestep(sampling.table[0])


def _is_zero(sigma: Tensor) -> bool:
    return math.isclose(float(sigma), 0.0, abs_tol=1e-5)


def _karras(sampling: ModelSampling, steps: int) -> Tensor:
    return karras_sigmas(steps, sampling.sigma_min, sampling.sigma_max)


def _exponential(sampling: ModelSampling, steps: int) -> Tensor:
    return exponential_sigmas(steps, sampling.sigma_min, sampling.sigma_max)


def _ddim_uniform(sampling: ModelSampling, steps: int) -> Tensor:
    """Take every (T // steps)-th level counted from the second (Song et al. 2020, arXiv:2010.02502)."""
    table = sampling.table
    if _is_zero(table[1]):
        return table[1 :: max(len(table) // (steps + 1), 1)].flip(0)
    return _end_in_zero(table[1 :: max(len(table) // steps, 1)].flip(0))


def _beta(sampling: ModelSampling, steps: int) -> Tensor:
    return beta_sigmas(sampling, steps)


def _linear_quadratic(sampling: ModelSampling, steps: int) -> Tensor:
    """Go linearly down to a noise share of 1 - 0.025 in half the steps, then quadratically (arXiv:2410.13720,
    3.4.1).
    """
    if steps == 1:
        return torch.tensor([sampling.sigma_max, 0.0])
    threshold, linear_steps = 0.025, steps // 2
    quadratic_steps = steps - linear_steps
    rest = linear_steps - threshold * steps
    square = rest / (linear_steps * quadratic_steps**2)
    slope = threshold / linear_steps - 2 * rest / quadratic_steps**2
    offset = square * linear_steps**2
    done = [index * threshold / linear_steps for index in range(linear_steps)]
    done += [square * i**2 + slope * i + offset for i in range(linear_steps, steps)]
    return torch.tensor([1.0 - share for share in [*done, 1.0]]) * sampling.sigma_max


def _kl_optimal(sampling: ModelSampling, steps: int) -> Tensor:
    """Space the arc tangent of sigma evenly (Sabour et al. 2024, arXiv:2404.14507, theorem 3.1)."""
    low, high = math.atan(sampling.sigma_min), math.atan(sampling.sigma_max)
    return _end_in_zero(torch.linspace(high, low, steps).tan())


_BUILDERS: Final[dict[str, Callable[[ModelSampling, int], Tensor]]] = {
    "simple": _simple,
    "sgm_uniform": _sgm_uniform,
    "karras": _karras,
    "exponential": _exponential,
    "ddim_uniform": _ddim_uniform,
    "beta": _beta,
    "normal": _normal,
    "linear_quadratic": _linear_quadratic,
    "kl_optimal": _kl_optimal,
}
