"""The noise a run starts from. Always drawn on the CPU in float32, so every device makes the same picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.errors import InputError

SEED_RANGE = 2**64
"""Seeds are 0 .. 2**64 - 1; others wrap."""
NEARLY_EQUAL = 0.9995
"""Noises whose columns have a mean cosine above this are mixed in a straight line."""


def prepare_noise(latent: Tensor, seed: int, batch_index: Sequence[int] | None = None) -> Tensor:
    """Return unit noise shaped like ``latent`` [B, C, H, W], float32 on the CPU.

    One draw serves the whole batch. With ``batch_index`` item k gets the noise that item ``batch_index[k]`` of a
    larger batch would get when drawn item by item; equal indices share noise.
    """
    generator = noise_generator(seed)
    if batch_index is None:
        return torch.randn(latent.shape, generator=generator)
    _check_batch_index(batch_index, latent.shape[0])
    wanted = set(batch_index)
    drawn: dict[int, Tensor] = {}
    for index in range(max(wanted) + 1):
        item = torch.randn((1, *latent.shape[1:]), generator=generator)
        if index in wanted:
            drawn[index] = item
    return torch.cat([drawn[index] for index in batch_index])


def noise_generator(seed: int) -> torch.Generator:
    """Return a CPU generator that gives the stream ``torch.manual_seed(seed)`` would.

    Ancestral samplers draw from the start of the seed's stream, not from where the initial noise ended: so it is in
    the ecosystem, whose pictures depend on it.
    """
    return torch.Generator().manual_seed(seed % SEED_RANGE)


def vary_noise(noise: Tensor, other: Tensor, strength: float) -> Tensor:
    """Go from ``noise`` [B, C, H, W] towards ``other`` by ``strength`` (0..1), along a great circle.

    Each item by itself. Angles are those between columns of each channel [H], as the ecosystem's variation seeds have
    it; where they are nearly 0 on average, the way is straight. (Shoemake 1985, "Animating rotation with quaternion
    curves", is the source of the formula.)
    """
    pairs = zip(noise, other, strict=True)
    return torch.stack([_between(one, another, strength) for one, another in pairs])


def _between(start: Tensor, end: Tensor, strength: float) -> Tensor:
    """Return the point between two items [C, H, W]."""
    unit_start = start / torch.linalg.vector_norm(start, dim=1, keepdim=True)
    unit_end = end / torch.linalg.vector_norm(end, dim=1, keepdim=True)
    cosine = (unit_start * unit_end).sum(dim=1, keepdim=True).clamp(-1.0, 1.0)
    straight: Tensor = start + (end - start) * strength
    if float(cosine.mean()) > NEARLY_EQUAL:
        return straight
    angle = cosine.acos()
    curved = ((1.0 - strength) * angle).sin() / angle.sin() * start + (strength * angle).sin() / angle.sin() * end
    return torch.where(angle.sin().abs() > 1e-6, curved, straight)  # columns of one pixel have no angle between them


def _check_batch_index(batch_index: Sequence[int], batch: int) -> None:
    if len(batch_index) != batch or not batch or min(batch_index) < 0:
        raise InputError(
            "the batch index does not fit the latent",
            expected=f"{batch} numbers of 0 or more",
            got=str(list(batch_index)),
            hint="set the batch index again after changing the batch",
        )
