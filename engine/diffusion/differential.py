"""Differential diffusion (Levin & Fried, 2023, arXiv:2306.00950): a grey mask says how much each place may change.

At every step the mask is cut at a threshold that falls from 1 to 0 over the run: bright places are repainted from the
first step on, dark ones join later and so keep more of the picture they start from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.prediction import ModelSampling

__all__ = ["MaskSchedule", "mask_schedule"]


@dataclass(frozen=True, slots=True)
class MaskSchedule:
    """Say between which time steps the threshold falls, and how much of the cut mask is taken (1: all of it)."""

    sampling: ModelSampling
    first: float
    last: float
    strength: float = 1.0

    def threshold(self, sigma: Tensor) -> float:
        """Return the threshold at a noise level: 1 at the first of the run, 0 at the last."""
        if self.first == self.last:
            return 0.0
        return (_timestep(self.sampling, sigma) - self.last) / (self.first - self.last)

    def mask(self, mask: Tensor, sigma: Tensor) -> Tensor:
        """Return the mask to use at noise level ``sigma`` (any shape, all the same): 1 where ``mask`` reaches the
        threshold, mixed with ``mask`` itself where the strength is below 1.
        """
        cut = (mask >= self.threshold(sigma)).to(mask.dtype)
        return cut if self.strength == 1.0 else self.strength * cut + (1.0 - self.strength) * mask


def mask_schedule(sampling: ModelSampling, sigmas: Tensor, strength: float) -> MaskSchedule:
    """Return the schedule of a run over ``sigmas`` [steps + 1].

    A run that ends in 0 counts as ending at the model's smallest level. A step at that very level (the last one of some
    schedules) has threshold 0, so there black takes part, too, as in the ecosystem; the noise to remove is invisible by
    then. Where the last step is above it, black stays as it was.
    """
    first = min(float(sigmas[0]), sampling.sigma_max)
    last = max(float(sigmas[-1]), sampling.sigma_min)
    begin, end = (_timestep(sampling, torch.tensor(level)) for level in (first, last))
    return MaskSchedule(sampling, begin, end, strength)


def _timestep(sampling: ModelSampling, sigma: Tensor) -> float:
    return float(sampling.timestep(sigma.reshape(-1)[:1].cpu()))
