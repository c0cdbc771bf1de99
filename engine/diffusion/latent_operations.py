"""Operations that are handed on as values and applied to latents [B, C, H, W] later: now, or at each sampling step."""

from __future__ import annotations

import dataclasses
from typing import Final, Protocol

from torch import Tensor

from engine.imaging.filters import sharpen_planes

TINY: Final = 1e-6
WHITE_DEVIATIONS: Final = 5.0
"""Tone mapping takes as white what lies so many standard deviations above the mean."""


class LatentOperation(Protocol):
    """Change latents; the value on a LATENT_OPERATION wire."""

    def apply(self, samples: Tensor) -> Tensor:
        """Return the changed latents [B, C, H, W]."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sharpen:
    """Sharpen the directions of the pixels' channel vectors and keep their lengths; see `filters.sharpen_planes`."""

    radius: int
    sigma: float
    strength: float

    def apply(self, samples: Tensor) -> Tensor:
        """Return the sharpened latents. Raises `InputError` when they are not larger than the radius."""
        length: Tensor = samples.norm(dim=1, keepdim=True) + TINY
        planes = (samples / length).flatten(1, -3)  # frames of a video beside its channels
        sharp = sharpen_planes(planes, self.radius, self.sigma, self.strength, "sharpen_radius")
        return sharp.reshape(samples.shape) * length


@dataclasses.dataclass(frozen=True, slots=True)
class TonemapReinhard:
    """Compress the lengths of the pixels' channel vectors so that strong guidance does not burn out.

    ``l -> top * (l / top) / (1 + l / top)``, Reinhard et al., Photographic Tone Reproduction for Digital Images
    (2002); ``top`` is `WHITE_DEVIATIONS` above the mean length of each latent, times ``multiplier``.
    """

    multiplier: float

    def apply(self, samples: Tensor) -> Tensor:
        """Return the compressed latents."""
        length: Tensor = samples.norm(dim=1, keepdim=True) + TINY**2
        around = tuple(range(1, samples.ndim))
        mean, deviation = length.mean(dim=around, keepdim=True), length.std(dim=around, keepdim=True)
        top: Tensor = (mean + WHITE_DEVIATIONS * deviation) * self.multiplier
        # top * (l / top) / (1 + l / top) = top * l / (top + l), which also holds where top is 0.
        return samples * (top / (top + length))
