"""Arithmetic on two latents: the second is brought to the first one's size and batch, the rest of the first is kept."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from engine.diffusion.latents import Latent, repeat_to_batch, resize_latent
from engine.errors import InputError


def fit_to(samples: Tensor, like: Tensor, input: str, method: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """Resize [b, C, h, w] to the height and width of ``like`` [B, C, H, W], cutting the middle out, and to its batch.

    Raises `InputError`, naming ``input``, when channels (or frames) differ.
    """
    check_channels(samples, like, input)
    height, width = like.shape[-2:]
    if samples.shape[-2:] != (height, width):
        flat = samples.reshape(samples.shape[0], -1, *samples.shape[-2:])  # frames of a video beside its channels
        flat = resize_latent(flat, width, height, method, "center")
        samples = flat.reshape(*samples.shape[:-2], height, width)
    return repeat_to_batch(samples, like.shape[0]).to(like)


def check_channels(samples: Tensor, like: Tensor, input: str) -> None:
    """Raise `InputError`, naming ``input``, unless both have the same channels (and frames)."""
    if samples.shape[1:-2] != like.shape[1:-2]:
        raise InputError(
            "the latents are of different kinds",
            input=input,
            expected=f"channels {list(like.shape[1:-2])}",
            got=f"channels {list(samples.shape[1:-2])}",
            hint="use latents of the same model family",
        )


def add(first: Latent, second: Latent) -> Latent:
    """Return ``first + second``."""
    return _with(first, first.samples + fit_to(second.samples, first.samples, "samples2"))


def subtract(first: Latent, second: Latent) -> Latent:
    """Return ``first - second``."""
    return _with(first, first.samples - fit_to(second.samples, first.samples, "samples2"))


def multiply(latent: Latent, factor: float) -> Latent:
    """Return ``latent * factor``."""
    return _with(latent, latent.samples * factor)


def blend(first: Latent, second: Latent, share: float) -> Latent:
    """Return ``first * share + second * (1 - share)``."""
    other = fit_to(second.samples, first.samples, "samples2", "bicubic")
    return _with(first, first.samples * share + other * (1 - share))


def interpolate(first: Latent, second: Latent, share: float) -> Latent:
    """Mix so that each pixel's channel vector keeps a length between those of the two.

    Directions and lengths are mixed apart, both linearly: ``share`` 1 is the first, 0 the second.
    """
    other = fit_to(second.samples, first.samples, "samples2")
    length, other_length = first.samples.norm(dim=1, keepdim=True), other.norm(dim=1, keepdim=True)
    mixed = _direction(first.samples, length) * share + _direction(other, other_length) * (1 - share)
    mixed = _direction(mixed, mixed.norm(dim=1, keepdim=True))
    return _with(first, mixed * (length * share + other_length * (1 - share)))


def _direction(samples: Tensor, length: Tensor) -> Tensor:
    return torch.where(length > 0, samples / length, torch.zeros_like(samples))


def _with(latent: Latent, samples: Tensor) -> Latent:
    return dataclasses.replace(latent, samples=samples)
