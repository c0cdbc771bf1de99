"""How a network's output, its noise levels (sigma) and its time steps relate to each other.

Two kinds cover the families in use. `DiscreteSampling` is the variance-exploding view (Karras et al. 2022,
arXiv:2206.00364, section C.3.4) of a model trained on a fixed table of noise levels: ``x = latent + sigma *
noise``. `FlowSampling` is rectified flow (Liu et al. 2022, arXiv:2209.03003; shift: Esser et al. 2024,
arXiv:2403.03206): ``x = (1 - sigma) * latent + sigma * noise``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Literal, Protocol

import torch
from torch import Tensor

from engine.errors import InputError

ABOVE_EVERY_SIGMA = 999999999.9
"""What `DiscreteSampling.percent_to_sigma` gives for 0 %: larger than any noise level, whatever the model."""


class ModelSampling(Protocol):
    """Describe a model's noise levels. Implementations are frozen, hashable and hold no tensors.

    Tensors of sigmas are float32 of any shape. Methods that mix sigma with a latent take sigma as a scalar
    tensor or one value per batch item [B].
    """

    @property
    def is_flow(self) -> bool:
        """Say whether ``x = (1 - sigma) * latent + sigma * noise`` holds."""
        ...

    @property
    def table(self) -> Tensor:
        """Return the model's noise levels [T], ascending, float32. Read only."""
        ...

    @property
    def sigma_min(self) -> float:
        """Return the smallest noise level of the table."""
        ...

    @property
    def sigma_max(self) -> float:
        """Return the largest noise level of the table."""
        ...

    def timestep(self, sigma: Tensor) -> Tensor:
        """Return what the network is told about the noise level ``sigma``; same shape, float32."""
        ...

    def sigma(self, timestep: Tensor) -> Tensor:
        """Return the noise level of a (fractional) time step; same shape, float32."""
        ...

    def percent_to_sigma(self, percent: float) -> float:
        """Return the noise level after ``percent`` (0..1) of the way from pure noise to the clean latent."""
        ...

    def input_scale(self, sigma: Tensor) -> Tensor:
        """Return the factor applied to x before the network sees it; same shape as sigma."""
        ...

    def denoised(self, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """Turn the network's output at ``x`` into the predicted clean latent; all [B, C, H, W]."""
        ...

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
        """Mix unit ``noise`` into ``latent`` at level ``sigma``; ``max_denoise``: the start of a full
        denoise.
        """
        ...

    def inverse_noise_scaling(self, sigma: Tensor, x: Tensor) -> Tensor:
        """Undo the scaling of the latent that `noise_scaling` did; noise that is left stays in."""
        ...

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        """Return lambda = log(alpha / sigma), the time variable of exponential integrators
        (arXiv:2211.01095).
        """
        ...

    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        """Invert `half_log_snr`."""
        ...


def per_item(sigma: Tensor, x: Tensor) -> Tensor:
    """Give sigma (scalar or [B]) the dimensions it needs to multiply ``x`` [B, ...], on the device of ``x``."""
    if sigma.ndim == 0:
        return sigma.to(x.device)
    return sigma.to(x.device).reshape(-1, *([1] * (x.ndim - 1)))


@dataclasses.dataclass(frozen=True, slots=True)
class DiscreteSampling:
    """Describe a model trained on a table of ``steps`` noise levels; the defaults are Stable Diffusion's.

    ``prediction``: what the network outputs, noise ("eps"), velocity ("v", Salimans & Ho 2022, arXiv:2202.00512) or
    the clean latent ("x0"). ``zero_terminal_snr`` rescales the table so that its last level is (almost) pure noise
    (arXiv:2305.08891).
    """

    prediction: Literal["eps", "v", "x0"] = "eps"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    steps: int = 1000
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    zero_terminal_snr: bool = False

    def __post_init__(self) -> None:
        if self.prediction not in ("eps", "v", "x0"):
            raise InputError(
                "the prediction kind is unknown",
                expected='"eps", "v" or "x0"',
                got=repr(self.prediction),
                hint="use the kind the model was trained with",
            )

    @property
    def is_flow(self) -> bool:
        return False

    @property
    def table(self) -> Tensor:
        return _discrete_table(self)

    @property
    def sigma_min(self) -> float:
        return float(self.table[0])

    @property
    def sigma_max(self) -> float:
        return float(self.table[-1])

    def timestep(self, sigma: Tensor) -> Tensor:
        """Return the index of the table's level nearest to ``sigma`` in log space, as float32.

        Sigmas between two levels are rounded: the ecosystem asks networks of this kind for whole steps only.
        """
        log_table = self.table.log().to(sigma.device)
        log_sigma = sigma.float().reshape(-1).log()
        upper = torch.searchsorted(log_table, log_sigma.contiguous()).clamp(1, self.steps - 1)
        lower = upper - 1
        nearer_below = (log_sigma - log_table[lower]).abs() <= (log_table[upper] - log_sigma).abs()
        return torch.where(nearer_below, lower, upper).float().reshape(sigma.shape)

    def sigma(self, timestep: Tensor) -> Tensor:
        """Interpolate the table linearly in log sigma; time steps outside it give its ends."""
        log_table = self.table.log().to(timestep.device)
        t = timestep.float().clamp(0, self.steps - 1)
        low, high, weight = t.floor().long(), t.ceil().long(), t.frac()
        return ((1 - weight) * log_table[low] + weight * log_table[high]).exp()

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0.0:
            return ABOVE_EVERY_SIGMA
        if percent >= 1.0:
            return 0.0
        return float(self.sigma(torch.tensor((1.0 - percent) * (self.steps - 1))))

    def input_scale(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1).rsqrt()

    def denoised(self, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        s = per_item(sigma, x)
        if self.prediction == "eps":
            return x - output * s
        if self.prediction == "x0":
            return output
        return x / (s**2 + 1) - output * s * (s**2 + 1).rsqrt()

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
        s = per_item(sigma, noise)
        return noise * ((1.0 + s**2).sqrt() if max_denoise else s) + latent

    def inverse_noise_scaling(self, sigma: Tensor, x: Tensor) -> Tensor:
        return x

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        return sigma.log().neg()

    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        return half_log_snr.neg().exp()


@dataclasses.dataclass(frozen=True, slots=True)
class FlowSampling:
    """Describe a rectified-flow model: sigma runs from 1 (noise) to 0, bent by ``shift`` towards noise.

    ``multiplier`` turns sigma into the network's time step (1000 for SD3, 1 for Flux); ``steps`` is the size
    of the table that the discrete schedules pick from. A Flux "mu" is ``shift = exp(mu)``.
    """

    shift: float = 3.0
    multiplier: float = 1000.0
    steps: int = 1000

    @property
    def is_flow(self) -> bool:
        return True

    @property
    def table(self) -> Tensor:
        return _flow_table(self)

    @property
    def sigma_min(self) -> float:
        return float(self.table[0])

    @property
    def sigma_max(self) -> float:
        return float(self.table[-1])

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma.float() * self.multiplier

    def sigma(self, timestep: Tensor) -> Tensor:
        return _shifted(timestep.float() / self.multiplier, self.shift)

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0.0:
            return 1.0
        if percent >= 1.0:
            return 0.0
        t = 1.0 - percent
        return self.shift * t / (1.0 + (self.shift - 1.0) * t)

    def input_scale(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)

    def denoised(self, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return x - output * per_item(sigma, x)

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
        s = per_item(sigma, noise)
        return s * noise + (1.0 - s) * latent

    def inverse_noise_scaling(self, sigma: Tensor, x: Tensor) -> Tensor:
        return x / (1.0 - per_item(sigma, x))

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        return sigma.logit().neg()

    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        return half_log_snr.neg().sigmoid()


def starts_at_max(sampling: ModelSampling, sigma: float) -> bool:
    """Say whether a run that starts at ``sigma`` starts from pure noise (relative tolerance 1e-5)."""
    return sigma > sampling.sigma_max or math.isclose(sampling.sigma_max, sigma, rel_tol=1e-5)


def _shifted(t: Tensor, shift: float) -> Tensor:
    return t if shift == 1.0 else shift * t / (1 + (shift - 1) * t)


@functools.lru_cache(maxsize=32)  # a pure table per description; a schedule asks for it once per step
def _discrete_table(sampling: DiscreteSampling) -> Tensor:
    start, end = sampling.beta_start, sampling.beta_end
    if sampling.beta_schedule == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, sampling.steps, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(start, end, sampling.steps, dtype=torch.float64)
    alpha_bar = torch.cumprod(1.0 - betas, dim=0)
    if sampling.zero_terminal_snr:
        root = alpha_bar.sqrt()
        alpha_bar = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        alpha_bar[-1] = 4.8973451890853435e-08  # sigma stays finite; the value the ecosystem uses
    return ((1.0 - alpha_bar) / alpha_bar).sqrt().float()


@functools.lru_cache(maxsize=32)  # as above
def _flow_table(sampling: FlowSampling) -> Tensor:
    t = torch.arange(1, sampling.steps + 1, dtype=torch.float64) / sampling.steps
    return _shifted(t, sampling.shift).float()
