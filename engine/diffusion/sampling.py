"""Sampling a latent: noise in, sampler, guidance and masks, latent out. Holds what a KSampler node means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.differential import MaskSchedule, mask_schedule
from engine.diffusion.guidance import Guider
from engine.diffusion.journal import Journal, recorded
from engine.diffusion.latents import Latent, LatentFormat, fit_noise_mask
from engine.diffusion.noise import noise_generator, prepare_noise
from engine.diffusion.prediction import ModelSampling, starts_at_max
from engine.diffusion.samplers import Denoiser, OnStep, run_sampler
from engine.diffusion.samplers.trajectory import GuidedDenoiser
from engine.diffusion.schedules import denoise_sigmas
from engine.errors import InputError

FRESH_NOISE_SAMPLERS = frozenset({"ddim"})
"""Samplers that hide the masked-out part under noise of their own seed instead of the run's."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SampleRequest:
    """Ask for one run. Latents are unscaled, as files hold them; everything is float32.

    ``latent``, ``noise`` [B, C, H, W] (zeros for no noise); ``sigmas`` [steps + 1]; ``seed``: what stochastic samplers
    draw from; ``noise_mask`` of any size, 1 where to change; ``differential``: how strongly each step cuts the mask
    (`engine.diffusion.differential`; None: not at all); ``device``: where to compute; ``journal``: the answers of the
    model, for a run that goes on with an earlier one.
    """

    guider: Guider
    latent_format: LatentFormat
    latent: Tensor
    noise: Tensor
    sigmas: Tensor
    sampler: str
    seed: int
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    noise_mask: Tensor | None = None
    differential: float | None = None
    on_step: OnStep | None = None
    device: torch.device | str = "cpu"
    journal: Journal | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class KSamplerSettings:
    """Hold the widgets of KSampler and KSamplerAdvanced.

    ``start_at_step``, ``end_at_step``: part of the schedule to run (None: all); ``add_noise``: False where
    the latent is already noisy; ``force_full_denoise``: end in sigma 0 even where ``end_at_step`` cuts the
    schedule, which KSamplerAdvanced asks for unless it returns leftover noise.
    """

    seed: int
    steps: int
    sampler: str = "euler"
    schedule: str = "normal"
    denoise: float = 1.0
    start_at_step: int | None = None
    end_at_step: int | None = None
    add_noise: bool = True
    force_full_denoise: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def sample(request: SampleRequest) -> Tensor:
    """Run the sampler and return the latent [B, C, H, W], unscaled, float32, on the CPU.

    An exception from ``on_step`` ends the run at once. With fewer than two sigmas the latent comes back
    unchanged.

    Raises `InputError` for an unknown sampler or option, or where noise and latent differ in shape.
    """
    _check(request)
    if len(request.sigmas) < 2:
        return request.latent
    sampling = request.guider.sampling
    latent = request.latent.to(request.device, torch.float32)
    if torch.count_nonzero(latent):  # an empty latent stays empty in formats that shift
        latent = request.latent_format.process_in(latent)
    noise = request.noise.to(request.device, torch.float32)
    sigmas = request.sigmas.detach().to("cpu", torch.float32)
    with torch.no_grad():
        x = sampling.noise_scaling(sigmas[0], noise, latent, starts_at_max(sampling, float(sigmas[0])))
        x = run_sampler(
            request.sampler,
            recorded(_denoiser(request, latent, noise), request.journal),
            x,
            sigmas,
            seed=request.seed,
            sampling=sampling,
            options=request.options,
            on_step=request.on_step,
        )
        x = sampling.inverse_noise_scaling(sigmas[-1], x)
        return request.latent_format.process_out(x).cpu()


def ksampler_sigmas(settings: KSamplerSettings, sampling: ModelSampling) -> Tensor:
    """Return the part of the schedule that a KSampler runs; fewer than two sigmas mean there is nothing to
    do.
    """
    sigmas = denoise_sigmas(settings.schedule, sampling, settings.steps, settings.denoise, settings.sampler)
    end, start = settings.end_at_step, settings.start_at_step
    if end is not None and end < len(sigmas) - 1:
        sigmas = sigmas[: end + 1].clone()
        if settings.force_full_denoise and len(sigmas):
            sigmas[-1] = 0.0
    if start is not None:
        sigmas = sigmas[start:] if start < len(sigmas) - 1 else sigmas[:0]
    return sigmas


def ksample(
    settings: KSamplerSettings,
    guider: Guider,
    latent: Latent,
    latent_format: LatentFormat,
    *,
    differential: float | None = None,
    on_step: OnStep | None = None,
    device: torch.device | str = "cpu",
    journal: Journal | None = None,
) -> Latent:
    """Do what a KSampler node does and return the new latent, with its mask and batch index kept.

    ``differential`` and ``journal`` as in `SampleRequest`.
    """
    samples = fit_channels(latent.samples, latent_format)
    if settings.add_noise:
        noise = prepare_noise(samples, settings.seed, latent.batch_index)
    else:
        noise = torch.zeros_like(samples, dtype=torch.float32)
    request = SampleRequest(
        guider=guider,
        latent_format=latent_format,
        latent=samples,
        noise=noise,
        sigmas=ksampler_sigmas(settings, guider.sampling),
        sampler=settings.sampler,
        seed=settings.seed,
        options=settings.options,
        noise_mask=latent.noise_mask,
        differential=differential,
        on_step=on_step,
        device=device,
        journal=journal,
    )
    return dataclasses.replace(latent, samples=sample(request))


def fit_channels(samples: Tensor, latent_format: LatentFormat) -> Tensor:
    """Give an empty latent the family's number of channels; an empty latent does not know the family it is
    for.

    Raises `InputError` where a latent with content has another number.
    """
    if samples.shape[1] == latent_format.channels:
        return samples
    if torch.count_nonzero(samples):
        raise InputError(
            "the latent is of another model family",
            expected=f"{latent_format.channels} channels",
            got=f"{samples.shape[1]} channels",
            hint="encode the picture with the VAE of the checkpoint that samples it",
        )
    return samples.new_zeros(samples.shape[0], latent_format.channels, *samples.shape[2:])


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class MaskedDenoiser:
    """Keep the masked-out part of a latent: noised to the level for the model, clean in its answer."""

    inner: Denoiser
    sampling: ModelSampling
    mask: Tensor
    latent: Tensor
    noise: Tensor
    schedule: MaskSchedule | None = None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        mask = self._mask(sigma)
        return self._restore(self.inner(self._hide(x, sigma, mask), sigma), mask)

    def _mask(self, sigma: Tensor) -> Tensor:
        return self.mask if self.schedule is None else self.schedule.mask(self.mask, sigma)

    def _hide(self, x: Tensor, sigma: Tensor, mask: Tensor) -> Tensor:
        kept = self.sampling.noise_scaling(sigma, self.noise, self.latent)
        return x * mask + kept * (1.0 - mask)

    def _restore(self, denoised: Tensor, mask: Tensor) -> Tensor:
        return denoised * mask + self.latent * (1.0 - mask)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class MaskedGuidedDenoiser(MaskedDenoiser):
    """Do what `MaskedDenoiser` does for a denoiser that can also tell its unconditional prediction."""

    inner: GuidedDenoiser

    def with_uncond(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        mask = self._mask(sigma)
        denoised, uncond = self.inner.with_uncond(self._hide(x, sigma, mask), sigma)
        return self._restore(denoised, mask), uncond


def _denoiser(request: SampleRequest, latent: Tensor, noise: Tensor) -> Denoiser:
    denoiser = request.guider.bind(latent)
    if request.noise_mask is None:
        return denoiser
    if request.sampler in FRESH_NOISE_SAMPLERS:
        fresh = torch.randn(noise.shape, generator=noise_generator(request.seed + 1))
        noise = fresh.to(noise.device)
    mask = fit_noise_mask(request.noise_mask.to(latent.device), latent)
    sampling = request.guider.sampling
    strength = request.differential
    schedule = None if strength is None else mask_schedule(sampling, request.sigmas, strength)
    if isinstance(denoiser, GuidedDenoiser):
        return MaskedGuidedDenoiser(denoiser, sampling, mask, latent, noise, schedule)
    return MaskedDenoiser(denoiser, sampling, mask, latent, noise, schedule)


def _check(request: SampleRequest) -> None:
    if request.latent.ndim != 4 or request.latent.shape != request.noise.shape:
        raise InputError(
            "the noise does not fit the latent",
            expected=f"noise of shape {list(request.latent.shape)} [batch, channels, height, width]",
            got=str(list(request.noise.shape)),
            hint="make the noise for this latent",
        )
