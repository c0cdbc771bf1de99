"""Guiders: from conditions and a network to one denoiser."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import torch
from torch import Tensor

from engine.diffusion.conditioning import Conditioning
from engine.diffusion.model_calls import DiffusionModel, Piece, make_pieces, predictions
from engine.diffusion.prediction import ModelSampling
from engine.diffusion.regions import Role, resolve_regions
from engine.diffusion.samplers import Denoiser

_SMALLEST_WEIGHT: Final = 1e-37
"""Where no condition acts, 0 is divided by this instead of by 0."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class GuidanceTerms:
    """Hold the predictions that guidance combines; latents are [B, C, H, W], ``sigma`` is [B]."""

    cond: Tensor
    uncond: Tensor
    cfg: float
    x: Tensor
    sigma: Tensor


Combine = Callable[[GuidanceTerms], Tensor]


def classifier_free(terms: GuidanceTerms) -> Tensor:
    """Return uncond + cfg * (cond - uncond) (Ho & Salimans 2022, arXiv:2207.12598, on clean predictions)."""
    return terms.uncond + (terms.cond - terms.uncond) * terms.cfg


class Guider(Protocol):
    """Turn conditions into a denoiser for latents of one shape."""

    @property
    def sampling(self) -> ModelSampling:
        """Return the model's noise levels."""
        ...

    def bind(self, like: Tensor) -> Denoiser:
        """Return the denoiser for latents shaped like ``like`` [B, C, H, W], on its device.

        The denoiser may be a `GuidedDenoiser`, which the CFG++ samplers need.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class CFGGuider:
    """Guide away from ``negative`` towards ``positive`` with strength ``cfg``; at 1 the negative is not
    computed.
    """

    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning
    cfg: float
    combine: Combine = classifier_free

    @property
    def sampling(self) -> ModelSampling:
        return self.model.sampling

    def bind(self, like: Tensor) -> BoundCFG:
        return BoundCFG(self, _pieces(self.model, self.positive, self.negative, like))


@dataclasses.dataclass(frozen=True, slots=True)
class BoundCFG:
    """Denoise with guidance; made by `CFGGuider.bind`."""

    guider: CFGGuider
    pieces: tuple[Piece, ...]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        if math.isclose(self.guider.cfg, 1.0) and self.guider.combine is classifier_free:
            return _denoise(self.guider.model, _on_side(self.pieces, "positive"), x, sigma)["positive"]
        return self.with_uncond(x, sigma)[0]

    def with_uncond(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        sides = _denoise(self.guider.model, self.pieces, x, sigma)
        cond, uncond = sides["positive"], sides["negative"]
        return self.guider.combine(GuidanceTerms(cond, uncond, self.guider.cfg, x, sigma)), uncond


@dataclasses.dataclass(frozen=True, slots=True)
class BasicGuider:
    """Follow one conditioning without guidance, as distilled models do."""

    model: DiffusionModel
    conditioning: Conditioning

    @property
    def sampling(self) -> ModelSampling:
        return self.model.sampling

    def bind(self, like: Tensor) -> BoundBasic:
        return BoundBasic(self.model, _pieces(self.model, self.conditioning, (), like))


@dataclasses.dataclass(frozen=True, slots=True)
class BoundBasic:
    """Denoise with one conditioning; made by `BasicGuider.bind`."""

    model: DiffusionModel
    pieces: tuple[Piece, ...]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return _denoise(self.model, self.pieces, x, sigma)["positive"]


CombineThree = Callable[[GuidanceTerms, Tensor], Tensor]
"""``combine(terms, third) -> guided``: what a guider with three conditions does with their predictions."""


@dataclasses.dataclass(frozen=True, slots=True)
class ThreeSidedGuider:
    """Guide by three conditions; all three are always computed."""

    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning
    third: Conditioning
    cfg: float
    combine: CombineThree

    @property
    def sampling(self) -> ModelSampling:
        return self.model.sampling

    def bind(self, like: Tensor) -> BoundThree:
        return BoundThree(self, _pieces(self.model, self.positive, self.negative, like, self.third))


@dataclasses.dataclass(frozen=True, slots=True)
class BoundThree:
    """Denoise by three conditions; made by `ThreeSidedGuider.bind`."""

    guider: ThreeSidedGuider
    pieces: tuple[Piece, ...]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.with_uncond(x, sigma)[0]

    def with_uncond(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        sides = _denoise(self.guider.model, self.pieces, x, sigma)
        cond, uncond = sides["positive"], sides["negative"]
        return self.guider.combine(GuidanceTerms(cond, uncond, self.guider.cfg, x, sigma), sides["third"]), uncond


def _pieces(
    model: DiffusionModel, positive: Conditioning, negative: Conditioning, like: Tensor, third: Conditioning = ()
) -> tuple[Piece, ...]:
    return make_pieces(resolve_regions(positive, negative, like, model.sampling, third), model, like)


def _on_side(pieces: Sequence[Piece], role: Role) -> tuple[Piece, ...]:
    return tuple(piece for piece in pieces if piece.region.role == role)


def _denoise(model: DiffusionModel, pieces: Sequence[Piece], x: Tensor, sigma: Tensor) -> dict[Role, Tensor]:
    """Average the predictions of each side's active pieces by weight; a side with none gives zeros."""
    level = float(sigma[0])
    active = [piece for piece in pieces if piece.region.acts_at(level)]
    roles: tuple[Role, ...] = ("positive", "negative", "third")
    total = {role: torch.zeros_like(x) for role in roles}
    weight = {role: torch.full_like(x, _SMALLEST_WEIGHT) for role in roles}
    for piece, denoised in predictions(model, active, x, sigma):
        region = piece.region
        region.crop(total[region.role]).add_(denoised * region.weight)
        region.crop(weight[region.role]).add_(region.weight.expand_as(denoised))
    return {role: total[role] / weight[role] for role in roles}
