"""Stable Diffusion XL's vector condition: the prompt's pooled state, and picture sizes as Fourier features.

Section 2.2 of Podell et al., 2023 (arXiv:2307.01952): each number becomes 256 sinusoids, as a time step does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.conditioning import ConditioningEntry
from engine.errors import InputError
from engine.networks.layers import timestep_embedding

__all__ = ["EMBEDDED_WIDTH", "PictureSize", "size_vector"]

EMBEDDED_WIDTH: Final = 256
LATENT_FACTOR: Final = 8


@dataclass(frozen=True, slots=True)
class PictureSize:
    """Hold the sizes a picture is said to have, as (height, width) in pixels; `crop` is (top, left)."""

    source: tuple[float, float]
    crop: tuple[float, float]
    target: tuple[float, float]

    @classmethod
    def of(cls, entry: ConditioningEntry, like: Tensor) -> PictureSize:
        """Read ``width``, ``crop_w``, ``target_width`` ... of an entry; what it lacks is the latent's own size."""
        extra = entry.extra
        height = extra.get("height", like.shape[-2] * LATENT_FACTOR)
        width = extra.get("width", like.shape[-1] * LATENT_FACTOR)
        return cls(
            (height, width),
            (extra.get("crop_h", 0), extra.get("crop_w", 0)),
            (extra.get("target_height", height), extra.get("target_width", width)),
        )


def size_vector(entry: ConditioningEntry, numbers: Sequence[float]) -> Tensor:
    """Return [1 or B, P + 256 * len(numbers)] float32: the pooled state of `entry`, then each number's features.

    Raises `InputError` where the prompt was encoded without a pooled state.
    """
    if entry.pooled is None:
        raise InputError(
            "the prompt has no pooled state, which this model needs",
            expected="conditioning from the text encoder of the same checkpoint",
            got="an embedding alone",
            hint="encode the prompt with the CLIP of this model's checkpoint",
        )
    pooled = entry.pooled.float()
    features = timestep_embedding(torch.tensor(numbers, dtype=torch.float32), EMBEDDED_WIDTH).reshape(1, -1)
    return torch.cat([pooled, features.to(pooled.device).expand(len(pooled), -1)], dim=1)
