"""Ways to combine predictions beyond plain classifier-free guidance, and how several of them work together.

Three kinds act one after the other: *before* rules change the unconditional prediction, one *rule* combines the two,
and *after* rules correct what came out. Everything is computed item by item, so that a picture does not depend on the
others of its batch. Latents are clean predictions [B, C, H, W].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from engine.diffusion.guidance import Combine, GuidanceTerms, classifier_free
from engine.diffusion.latent_operations import LatentOperation
from engine.diffusion.prediction import per_item

Before = Callable[[GuidanceTerms], GuidanceTerms]
After = Callable[[GuidanceTerms, Tensor], Tensor]

_TINY = 1e-8
"""Keeps a division by a length from being one by 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class GuidanceChain:
    """Combine predictions by rules in order; itself a `Combine`."""

    before: tuple[Before, ...] = ()
    rule: Combine = classifier_free
    after: tuple[After, ...] = ()

    def __call__(self, terms: GuidanceTerms) -> Tensor:
        for change in self.before:
            terms = change(terms)
        guided = self.rule(terms)
        for correct in self.after:
            guided = correct(terms, guided)
        return guided


@dataclasses.dataclass(frozen=True, slots=True)
class RescaledGuidance:
    """Guide without overexposure: bring the guided velocity back to the spread of the conditional one.

    ``multiplier`` (0..1) blends between plain guidance and the rescaled one (Lin et al. 2023, arXiv:2305.08891,
    section 3.4; the paper's phi). The spread is that of the velocity v of the variance-preserving view, whatever the
    network itself predicts.
    """

    multiplier: float

    def __call__(self, terms: GuidanceTerms) -> Tensor:
        sigma = per_item(terms.sigma, terms.x)
        root = (sigma**2 + 1).sqrt()
        base = terms.x / root**2

        def velocity(denoised: Tensor) -> Tensor:
            return (base - denoised) * root / sigma

        cond = velocity(terms.cond)
        guided = velocity(classifier_free(terms))
        rescaled = guided * (_spread(cond) / _spread(guided))
        mixed = self.multiplier * rescaled + (1.0 - self.multiplier) * guided
        return base - mixed * sigma / root


@dataclasses.dataclass(frozen=True, slots=True)
class NormLimit:
    """Shrink the guided prediction where it is longer than the conditional one, then scale it by ``strength``.

    Lengths are taken over the channels of each position.
    """

    strength: float

    def __call__(self, terms: GuidanceTerms, guided: Tensor) -> Tensor:
        wanted = torch.linalg.vector_norm(terms.cond, dim=1, keepdim=True)
        length = torch.linalg.vector_norm(guided, dim=1, keepdim=True)
        scale: Tensor = (wanted / (length + _TINY)).clamp(0.0, 1.0) * self.strength
        return guided * scale


def towards_positive(terms: GuidanceTerms, guided: Tensor) -> Tensor:
    """Blend guidance with the scaled positive prediction, the more the less the two sides agree.

    The agreement is the mean cosine over channels between the square roots, signs kept, of the scaled negative
    prediction and of the mean of both results.
    """
    positive, negative = terms.cond * terms.cfg, terms.uncond * terms.cfg
    merged = (positive + guided) / 2
    cosine = torch.cosine_similarity(_signed_root(negative), _signed_root(merged), dim=1)
    agreement = (cosine.flatten(1).mean(dim=1).reshape(-1, 1, 1, 1) + 1) / 2
    return agreement * guided + (1 - agreement) * positive


def damp_tangent(terms: GuidanceTerms) -> GuidanceTerms:
    """Keep of the unconditional score only what lies along the direction that both scores share.

    The direction is the first right singular vector of the two scores (Kwon et al. 2025, arXiv:2503.18137).
    """
    cond, uncond = (terms.x - terms.cond).flatten(1).double(), (terms.x - terms.uncond).flatten(1).double()
    scores = torch.stack([uncond, cond], dim=1)
    main = torch.linalg.svd(scores, full_matrices=False).Vh[:, :1]  # [B, 1, C * H * W]
    damped = (uncond[:, None] @ main.mT @ main).reshape(terms.x.shape)
    return dataclasses.replace(terms, uncond=terms.x - damped.to(terms.x.dtype))


@dataclasses.dataclass(frozen=True, slots=True)
class OperatedGuidance:
    """Apply an operation to what the positive prompt adds to the prediction: ``uncond + operation(cond - uncond)``."""

    operation: LatentOperation

    def __call__(self, terms: GuidanceTerms) -> GuidanceTerms:
        added = self.operation.apply(terms.cond - terms.uncond)
        return dataclasses.replace(terms, cond=terms.uncond + added)


def two_guidances(terms: GuidanceTerms, third: Tensor, scale: float) -> Tensor:
    """Guide from the negative side to the third by ``scale``, plus from the third to the positive by ``terms.cfg``.

    The guidance of InstructPix2Pix (Brooks et al. 2023, arXiv:2211.09800, eq. 3).
    """
    return terms.uncond + scale * (third - terms.uncond) + terms.cfg * (terms.cond - third)


def nested_guidances(terms: GuidanceTerms, third: Tensor, scale: float) -> Tensor:
    """Guide from the third side to the positive by ``terms.cfg``, then from the negative side to that by ``scale``."""
    inner = third + terms.cfg * (terms.cond - third)
    return terms.uncond + scale * (inner - terms.uncond)


def perpendicular_negative(terms: GuidanceTerms, negative: Tensor, scale: float) -> Tensor:
    """Subtract only the part of the negative direction that is perpendicular to the positive one.

    ``terms.uncond`` is the prediction for an empty prompt, ``negative`` that for the negative one (Armandpour et al.
    2023, arXiv:2304.04968, eq. 9, with one negative prompt).
    """
    towards, away = terms.cond - terms.uncond, negative - terms.uncond
    along = _dot(away, towards) / _dot(towards, towards).clamp(min=torch.finfo(towards.dtype).tiny)
    return terms.uncond + terms.cfg * (towards - scale * (away - along * towards))


def _spread(tensor: Tensor) -> Tensor:
    return tensor.flatten(1).std(dim=1).reshape(-1, 1, 1, 1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1).reshape(-1, 1, 1, 1)


def _signed_root(tensor: Tensor) -> Tensor:
    return tensor.abs().sqrt() * tensor.sign()
