"""Sampling from its pieces: noise, guider, sampler and sigmas as values of their own.

What travels on NOISE, GUIDER and SAMPLER wires are recipes like everything else: small, frozen, cheap to key. The
guider that computes is made where the sampler runs, with the network borrowed from the residency.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from engine.diffusion.conditioning import Conditioning
from engine.diffusion.guidance import BasicGuider, CFGGuider, Guider
from engine.diffusion.latents import Latent
from engine.diffusion.model_calls import DiffusionModel
from engine.diffusion.noise import prepare_noise
from engine.diffusion.samplers import OnStep, StepInfo
from engine.diffusion.sampling import SampleRequest, fit_channels, sample
from engine.diffusion.schedules import denoise_sigmas
from engine.errors import InputError
from engine.families.control import lend_controls
from engine.families.pipeline import bind_model, differential_of
from engine.families.registry import family_of, sampling_of
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe

__all__ = ["GuiderRecipe", "NoiseRecipe", "SamplerRecipe", "model_sigmas", "sample_custom"]


@dataclasses.dataclass(frozen=True, slots=True)
class NoiseRecipe:
    """Say which noise to start from; ``seed`` None adds none."""

    seed: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class SamplerRecipe:
    """Name a sampler and its options."""

    name: str
    options: Mapping[str, float | int | str | bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class GuiderRecipe:
    """Say what to follow: ``negative`` None follows ``positive`` without guidance."""

    model: ModelRecipe
    positive: Conditioning
    negative: Conditioning | None = None
    cfg: float = 1.0

    def bind_model(self, model: DiffusionModel) -> Guider:
        """Return the guider that computes with ``model``."""
        if self.negative is None:
            return BasicGuider(model, self.positive)
        return CFGGuider(model, self.positive, self.negative, self.cfg)


@dataclasses.dataclass(frozen=True, slots=True)
class Ingredients:
    """Hold what SamplerCustomAdvanced is given: recipes, ``sigmas`` [steps + 1], and where to start."""

    noise: NoiseRecipe
    guider: GuiderRecipe
    sampler: SamplerRecipe
    sigmas: Tensor
    latent: Latent


def model_sigmas(model: ModelRecipe, schedule: str, steps: int, denoise: float) -> Tensor:
    """Return the sigmas of a schedule for the noise levels of ``model``; see `denoise_sigmas`."""
    return denoise_sigmas(schedule, sampling_of(model), steps, denoise)


def sample_custom(models: Residency, given: Ingredients, on_step: OnStep | None = None) -> tuple[Latent, Latent]:
    """Return (the last sample, the last prediction of the clean latent), both unscaled.

    The two differ where the sigmas do not end in 0. ``on_step`` may raise to end the run. Raises `InputError` as
    `engine.diffusion.sampling.sample` does.
    """
    if given.sigmas.ndim != 1:
        shape = str(list(given.sigmas.shape))
        raise InputError("the sigmas are no schedule", input="sigmas", expected="[steps + 1]", got=shape)
    model = given.guider.model
    family = family_of(model.family)
    samples = fit_channels(given.latent.samples, family.latent_format)
    noise = torch.zeros_like(samples, dtype=torch.float32)
    if given.noise.seed is not None:
        noise = prepare_noise(samples, given.noise.seed, given.latent.batch_index)
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
            seed=given.noise.seed or 0,
            options=given.sampler.options,
            noise_mask=given.latent.noise_mask,
            differential=differential_of(model),
            on_step=remember,
            device=models.device.device,
        )
        made = dataclasses.replace(given.latent, samples=sample(request))
    if not predicted:
        return made, made
    clean = family.latent_format.process_out(predicted[0].float().cpu()).clone()
    return made, dataclasses.replace(made, samples=clean)


@contextlib.contextmanager
def _lend_guider(models: Residency, recipe: GuiderRecipe) -> Iterator[Guider]:
    """Borrow the network of a guider and the ControlNets of its conditions, for as long as the block runs."""
    sides = (recipe.positive,) if recipe.negative is None else (recipe.positive, recipe.negative)
    with (
        models.use(recipe.model) as network,
        lend_controls(models, network, recipe.model.file.name, sides) as bound,
    ):
        negative = bound[1] if len(bound) > 1 else None
        ready = dataclasses.replace(recipe, positive=bound[0], negative=negative)
        yield ready.bind_model(bind_model(recipe.model, network))
