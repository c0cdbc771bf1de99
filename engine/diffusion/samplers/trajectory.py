"""The loop that every sampler shares: steps, model calls, noise, progress. A sampler adds only its formulas."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from engine.diffusion.noise import noise_generator
from engine.diffusion.prediction import ModelSampling
from engine.diffusion.samplers.noise_sources import BrownianNoise, GaussianNoise
from engine.errors import InputError


class Denoiser(Protocol):
    """Predict the clean latent: ``x`` [B, C, H, W] at noise level ``sigma`` [B] float32 -> [B, C, H, W]."""

    def __call__(self, x: Tensor, sigma: Tensor, /) -> Tensor: ...


@runtime_checkable
class GuidedDenoiser(Protocol):
    """Predict with and without the condition in one call; what the CFG++ samplers need."""

    def __call__(self, x: Tensor, sigma: Tensor, /) -> Tensor: ...

    def with_uncond(self, x: Tensor, sigma: Tensor, /) -> tuple[Tensor, Tensor]:
        """Return (guided prediction, unconditional prediction), both [B, C, H, W]."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class StepInfo:
    """Tell an observer about one step, after the model call and before ``x`` moves on.

    ``x`` and ``denoised`` [B, C, H, W] are in the model's scale, which `LatentFormat.preview` takes. Samplers that
    choose their own steps (dpm_fast, dpm_adaptive) may tell of fewer or more than ``total``.
    """

    index: int
    total: int
    x: Tensor
    denoised: Tensor
    sigma: float


OnStep = Callable[[StepInfo], None]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Say where a step starts and ends; sigmas are 0-dim float32 tensors on the CPU."""

    index: int
    sigma: Tensor
    sigma_next: Tensor
    is_last: bool
    """The step ends in sigma 0, where the prediction itself is the answer."""


class Trajectory:
    """Carry one run of a sampler: where it is going, how to ask the model, where noise comes from.

    Lives for one `run_sampler` call. Holds no result: samplers keep ``x`` and their history in local
    variables.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        like: Tensor,
        sigmas: Tensor,
        sampling: ModelSampling,
        *,
        seed: int,
        on_step: OnStep | None = None,
    ) -> None:
        self.sigmas = sigmas
        self.sampling = sampling
        self.gaussian = GaussianNoise(like, noise_generator(seed))
        self._denoiser = denoiser
        self._like = like
        self._seed = seed
        self._on_step = on_step

    @property
    def total(self) -> int:
        """Count the steps."""
        return len(self.sigmas) - 1

    def steps(self) -> Iterator[Step]:
        """Yield the steps in order."""
        yield from self.steps_along(self.sigmas)

    def steps_along(self, sigmas: Tensor) -> Iterator[Step]:
        """Yield the steps of another schedule of the same length, such as one with its first sigma moved."""
        for index in range(len(sigmas) - 1):
            ends_clean = bool(sigmas[index + 1] == 0)
            yield Step(index, sigmas[index], sigmas[index + 1], ends_clean)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Ask the model in the middle of a step."""
        return self._denoiser(x, self._per_item(sigma))

    def begin(self, step: Step, x: Tensor) -> Tensor:
        """Ask the model at the start of a step and report the step. An exception from the observer ends the
        run.
        """
        denoised = self.denoise(x, step.sigma)
        self.report(step.index, x, denoised, step.sigma)
        return denoised

    def begin_guided(self, step: Step, x: Tensor) -> tuple[Tensor, Tensor]:
        """Do what `begin` does and return (denoised, unconditional).

        Raises `InputError` where the denoiser has no unconditional prediction to give.
        """
        denoised, uncond = self.denoise_guided(x, step.sigma)
        self.report(step.index, x, denoised, step.sigma)
        return denoised, uncond

    def denoise_guided(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Ask the model for (denoised, unconditional) in the middle of a step."""
        if not isinstance(self._denoiser, GuidedDenoiser):
            raise InputError(
                "this sampler needs guidance with a negative prompt (CFG++)",
                expected="a guider with a positive and a negative conditioning",
                got="one without",
                hint="use a CFG guider, or the sampler of the same name without _cfg_pp",
            )
        return self._denoiser.with_uncond(x, self._per_item(sigma))

    def report(self, index: int, x: Tensor, denoised: Tensor, sigma: Tensor) -> None:
        """Tell the observer, if there is one."""
        if self._on_step is not None:
            self._on_step(StepInfo(index, self.total, x, denoised, float(sigma)))

    @functools.cached_property
    def brownian(self) -> BrownianNoise:
        """Return the run's Brownian path, which spans the whole schedule."""
        positive = self.sigmas[self.sigmas > 0]
        return BrownianNoise(self._like, positive.min(), self.sigmas.max(), self._seed)

    def snr_sigmas(self) -> Tensor:
        """Return the schedule with a first sigma whose signal-to-noise ratio is not 0.

        A flow model starts at sigma 1, where lambda is infinite; solvers in lambda start a ten-thousandth
        later.
        """
        if not self.sampling.is_flow or float(self.sigmas[0]) < 1:
            return self.sigmas
        sigmas = self.sigmas.clone()
        sigmas[0] = self.sampling.percent_to_sigma(1e-4)
        return sigmas

    def _per_item(self, sigma: Tensor) -> Tensor:
        return sigma.to(self._like.device, torch.float32).expand(self._like.shape[0])


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """Return dx/dsigma of the probability-flow ODE (Karras et al. 2022, arXiv:2206.00364, eq. 3)."""
    return (x - denoised) / sigma


def ancestral_split(sigma: Tensor, sigma_next: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Split a step into (sigma_down, sigma_up): denoise to the first, then add noise of the second.

    ``sigma_down**2 + sigma_up**2 == sigma_next**2``; ``eta`` 0 is deterministic, 1 is full ancestral sampling
    (Song et al. 2020, arXiv:2010.02502, eq. 16 in terms of sigma).
    """
    if eta == 0:
        return sigma_next, torch.zeros_like(sigma_next)
    wanted = eta * sigma_next * (1 - (sigma_next / sigma) ** 2).sqrt()  # holds for sigma = infinity too
    sigma_up = torch.minimum(sigma_next, wanted)
    return (sigma_next**2 - sigma_up**2).sqrt(), sigma_up
