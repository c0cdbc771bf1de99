"""Sampling from its pieces: noise, guider, sampler and sigmas as values of their own.

What travels on NOISE, GUIDER and SAMPLER wires are recipes like everything else: small, frozen, cheap to key. The
guider that computes is made where the sampler runs, with the network borrowed from the residency.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.conditioning import Conditioning
from engine.diffusion.guidance import BasicGuider, CFGGuider, Guider, ThreeSidedGuider
from engine.diffusion.guidance_rules import nested_guidances, perpendicular_negative, two_guidances
from engine.diffusion.journal import Journal
from engine.diffusion.latents import Latent
from engine.diffusion.model_calls import DiffusionModel
from engine.diffusion.noise import prepare_noise, vary_noise
from engine.diffusion.samplers import OnStep, StepInfo
from engine.diffusion.sampling import SampleRequest, fit_channels, sample
from engine.diffusion.schedules import denoise_sigmas
from engine.errors import InputError
from engine.families.control import lend_controls
from engine.families.guidance_options import combine_of
from engine.families.pipeline import bind_model, differential_of
from engine.families.registry import family_of, sampling_of
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe

__all__ = ["GuiderRecipe", "Ingredients", "NoiseRecipe", "SamplerRecipe", "add_noise", "model_sigmas", "sample_custom"]


_THREE_SIDED: Final[Mapping[str, Callable[..., Tensor]]] = {
    "regular": two_guidances,
    "nested": nested_guidances,
    "perpendicular": perpendicular_negative,
}


@dataclasses.dataclass(frozen=True, slots=True)
class NoiseRecipe:
    """Say which noise to start from; ``seed`` None adds none. ``variation_strength`` of the way goes to the noise of
    ``variation_seed``."""

    seed: int | None
    variation_seed: int = 0
    variation_strength: float = 0.0

    def drawn(self, samples: Tensor, batch_index: Sequence[int] | None) -> Tensor:
        """Return the noise for latents [B, C, H, W], float32 on the CPU."""
        if self.seed is None:
            return torch.zeros_like(samples, dtype=torch.float32)
        noise = prepare_noise(samples, self.seed, batch_index)
        if not self.variation_strength:
            return noise
        return vary_noise(noise, prepare_noise(samples, self.variation_seed, batch_index), self.variation_strength)


@dataclasses.dataclass(frozen=True, slots=True)
class SamplerRecipe:
    """Name a sampler and its options."""

    name: str
    options: Mapping[str, float | int | str | bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class GuiderRecipe:
    """Say what to follow: ``negative`` None follows ``positive`` without guidance.

    With ``style`` "regular", "nested" or "perpendicular" there are three sides. The first two guide from ``negative``
    to ``third`` by ``second_cfg`` and from there to ``positive`` by ``cfg``; regular adds the two up, nested guides
    towards what the first gave. Perpendicular guides from ``negative``, which is then the empty prompt, and away from
    what ``third`` does not share with ``positive``, by ``second_cfg``.
    """

    model: ModelRecipe
    positive: Conditioning
    negative: Conditioning | None = None
    cfg: float = 1.0
    third: Conditioning | None = None
    second_cfg: float = 1.0
    style: str = ""

    @property
    def sides(self) -> tuple[Conditioning, ...]:
        """Return the conditions that are there: positive, negative, third."""
        return tuple(side for side in (self.positive, self.negative, self.third) if side is not None)

    def bind_model(self, model: DiffusionModel) -> Guider:
        """Return the guider that computes with ``model``."""
        if self.negative is None:
            return BasicGuider(model, self.positive)
        if self.third is None:
            return CFGGuider(model, self.positive, self.negative, self.cfg, combine_of(self.model))
        rule = functools.partial(_THREE_SIDED[self.style], scale=self.second_cfg)
        return ThreeSidedGuider(model, self.positive, self.negative, self.third, self.cfg, rule)


@dataclasses.dataclass(frozen=True, slots=True)
class Ingredients:
    """Hold what SamplerCustomAdvanced is given: recipes, ``sigmas`` [steps + 1], and where to start."""

    noise: NoiseRecipe
    guider: GuiderRecipe
    sampler: SamplerRecipe
    sigmas: Tensor
    latent: Latent
    sampler_seed: int | None = None
    """What stochastic samplers draw from; None takes the seed of the noise."""


def model_sigmas(model: ModelRecipe, schedule: str, steps: int, denoise: float) -> Tensor:
    """Return the sigmas of a schedule for the noise levels of ``model``; see `denoise_sigmas`."""
    return denoise_sigmas(schedule, sampling_of(model), steps, denoise)


def sample_custom(
    models: Residency, given: Ingredients, on_step: OnStep | None = None, journal: Journal | None = None
) -> tuple[Latent, Latent]:
    """Return (the last sample, the last prediction of the clean latent), both unscaled.

    The two differ where the sigmas do not end in 0. ``on_step`` may raise to end the run; with a ``journal`` it goes on
    where the one that filled it stopped. Raises `InputError` as
    `engine.diffusion.sampling.sample` does.
    """
    if given.sigmas.ndim != 1:
        shape = str(list(given.sigmas.shape))
        raise InputError("the sigmas are no schedule", input="sigmas", expected="[steps + 1]", got=shape)
    model = given.guider.model
    family = family_of(model.family)
    samples = fit_channels(given.latent.samples, family.latent_format)
    noise = given.noise.drawn(samples, given.latent.batch_index)
    predicted: list[Tensor] = []

    def remember(info: StepInfo) -> None:
        predicted[:] = [info.denoised]
        if on_step is not None:
            on_step(info)

    with _lend_guider(models, given.guider) as guider:
        request = SampleRequest(
            guider=guider,
            latent_format=family.latent_format,
            latent=samples,
            noise=noise,
            sigmas=given.sigmas,
            sampler=given.sampler.name,
            seed=(given.noise.seed or 0) if given.sampler_seed is None else given.sampler_seed,
            options=given.sampler.options,
            noise_mask=given.latent.noise_mask,
            differential=differential_of(model),
            on_step=remember,
            device=models.device.device,
            journal=journal,
        )
        made = dataclasses.replace(given.latent, samples=sample(request))
    if not predicted:
        return made, made
    clean = family.latent_format.process_out(predicted[0].float().cpu()).clone()
    return made, dataclasses.replace(made, samples=clean)


def add_noise(model: ModelRecipe, noise: NoiseRecipe, sigmas: Tensor, latent: Latent) -> Latent:
    """Return the latent with noise of as much as ``sigmas`` spans: its first minus its last, or its only one."""
    if not len(sigmas):
        return latent
    family, sampling = family_of(model.family), sampling_of(model)
    samples = fit_channels(latent.samples, family.latent_format).float()
    drawn = noise.drawn(samples, latent.batch_index)
    scale = (sigmas[0] - sigmas[-1]).abs() if len(sigmas) > 1 else sigmas[0]
    if torch.count_nonzero(samples):
        samples = family.latent_format.process_in(samples)
    noisy = sampling.noise_scaling(scale, drawn, samples)
    return dataclasses.replace(latent, samples=family.latent_format.process_out(noisy))


@contextlib.contextmanager
def _lend_guider(models: Residency, recipe: GuiderRecipe) -> Iterator[Guider]:
    """Borrow the network of a guider and the ControlNets of its conditions, for as long as the block runs."""
    with (
        models.use(recipe.model) as network,
        lend_controls(models, network, recipe.model.file.name, recipe.sides) as bound,
    ):
        positive, negative, third = (*bound, None, None)[:3]
        assert positive is not None
        ready = dataclasses.replace(recipe, positive=positive, negative=negative, third=third)
        yield ready.bind_model(bind_model(recipe.model, network))
