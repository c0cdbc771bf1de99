"""The noise levels and the prediction of a consistency model that was distilled at every so-manieth time step."""

from __future__ import annotations

import dataclasses
import functools
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.prediction import DiscreteSampling, per_item

_SIGMA_DATA: Final = 0.5
_TIMESTEP_SCALING: Final = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class DistilledSampling:
    """Describe a latent consistency model (Luo et al. 2023, arXiv:2310.04378): noise prediction, ``kept`` time steps.

    Its table is every (steps / kept)-th level of ``base``, the last one included. The network's answer is mixed with
    its input as section 4 of the paper says, so that it is the input itself where there is no noise; the input is the
    sample ``latent + sigma * noise``, as the ecosystem has it.
    """

    base: DiscreteSampling
    kept: int = 50

    @property
    def _stride(self) -> int:
        return self.base.steps // self.kept

    @property
    def is_flow(self) -> bool:
        return False

    @property
    def table(self) -> Tensor:
        return _kept_levels(self)

    @property
    def sigma_min(self) -> float:
        return float(self.table[0])

    @property
    def sigma_max(self) -> float:
        return float(self.table[-1])

    def timestep(self, sigma: Tensor) -> Tensor:
        """Return the time step of the kept level nearest to ``sigma`` in log space."""
        distance = (sigma.float().reshape(-1, 1).log() - self.table.log().to(sigma.device)).abs()
        nearest = distance.argmin(dim=1) * self._stride + self._stride - 1
        return nearest.float().reshape(sigma.shape)

    def sigma(self, timestep: Tensor) -> Tensor:
        """Interpolate the kept levels linearly in log sigma; time steps outside them give their ends."""
        log_table = self.table.log().to(timestep.device)
        t = ((timestep.float() - (self._stride - 1)) / self._stride).clamp(0, self.kept - 1)
        low, high, weight = t.floor().long(), t.ceil().long(), t.frac()
        return ((1 - weight) * log_table[low] + weight * log_table[high]).exp()

    def percent_to_sigma(self, percent: float) -> float:
        if not 0.0 < percent < 1.0:
            return self.base.percent_to_sigma(percent)
        return float(self.sigma(torch.tensor((1.0 - percent) * (self.base.steps - 1))))

    def input_scale(self, sigma: Tensor) -> Tensor:
        return self.base.input_scale(sigma)

    def denoised(self, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        s = per_item(sigma, x)
        time = per_item(self.timestep(sigma) * _TIMESTEP_SCALING, x)
        spread = time**2 + _SIGMA_DATA**2
        return time / spread.sqrt() * (x - output * s) + _SIGMA_DATA**2 / spread * x

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
        return self.base.noise_scaling(sigma, noise, latent, max_denoise)

    def inverse_noise_scaling(self, sigma: Tensor, x: Tensor) -> Tensor:
        return self.base.inverse_noise_scaling(sigma, x)

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        return self.base.half_log_snr(sigma)

    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        return self.base.sigma_of_half_log_snr(half_log_snr)


@functools.lru_cache(maxsize=32)
def _kept_levels(sampling: DistilledSampling) -> Tensor:
    stride = sampling.base.steps // sampling.kept
    return sampling.base.table[sampling.base.steps - 1 - stride * (sampling.kept - 1) :: stride].clone()
