"""The random numbers that stochastic samplers add between steps. Drawn on the CPU, never from global state."""

from __future__ import annotations

import torch
import torchsde
from torch import Tensor

from engine.diffusion.noise import SEED_RANGE

_TREE_DIGITS = 6
"""The tree rounds its ends to this many decimals and warns about times outside them."""


class GaussianNoise:
    """Draw independent unit noise from a generator of its own, one draw per call.

    Two runs with equal seeds get equal noise whatever else the process computes at the same time.
    """

    def __init__(self, like: Tensor, generator: torch.Generator) -> None:
        self._like = like
        self._generator = generator

    def __call__(self) -> Tensor:
        """Return noise with the shape, type and device of the sample."""
        noise = torch.randn(self._like.shape, generator=self._generator, dtype=self._like.dtype)
        return noise.to(self._like.device)


class BrownianNoise:
    """Draw unit noise as scaled increments of one Brownian path over sigma (Li et al. 2020, arXiv:2001.01328).

    The path depends on the seed and on the ends of the schedule alone, not on where it is cut, so the result changes
    little with the number of steps.
    """

    def __init__(self, like: Tensor, sigma_min: Tensor, sigma_max: Tensor, seed: int) -> None:
        self._like = like
        start = torch.zeros(like.shape, dtype=like.dtype)
        self._tree = torchsde.BrownianTree(sigma_min, start, sigma_max, entropy=seed % SEED_RANGE)
        self._ends = round(float(sigma_min), _TREE_DIGITS), round(float(sigma_max), _TREE_DIGITS)

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Return the path's increment from ``sigma`` down to ``sigma_next`` (0-dim), divided by its deviation."""
        increment: Tensor = self._tree(self._inside(sigma_next), self._inside(sigma)) * -1
        return (increment / (sigma - sigma_next).sqrt()).to(self._like.device)

    def _inside(self, sigma: Tensor) -> float:
        low, high = self._ends
        return min(max(float(sigma), low), high)
