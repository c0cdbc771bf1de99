"""Schedules that do not come from a model's list, and changes to a schedule."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Boolean, Choice, Float, Int, Latent, Model, Noise, Sigmas, node
from nodes.custom_sampling import SigmaLevel
from nodes.sampling import Denoise, Steps

SCHEDULERS = "sampling/custom_sampling/schedulers"
SIGMA_TOOLS = "sampling/custom_sampling/sigmas"
Shape = Annotated[float, Float(0.0, 50.0, step=0.01, round=False)]
AnySigma = Annotated[float, Float(0.0, 20000.0, step=0.01, round=False)]


@node("ExponentialScheduler", category=SCHEDULERS)
def exponential(*, steps: Steps = 20, sigma_max: SigmaLevel = 14.614642, sigma_min: SigmaLevel = 0.0291675) -> Sigmas:
    """Space the logarithm of the noise level evenly.

    steps: how many steps to take.
    sigma_max: noise level to start from.
    sigma_min: lowest noise level before none.
    """
    from engine.diffusion.sigma_tools import polyexponential_sigmas

    return polyexponential_sigmas(steps, sigma_min, sigma_max)


@node("PolyexponentialScheduler", category=SCHEDULERS)
def polyexponential(
    *,
    steps: Steps = 20,
    sigma_max: SigmaLevel = 14.614642,
    sigma_min: SigmaLevel = 0.0291675,
    rho: Annotated[float, Float(0.0, 100.0, step=0.01, round=False)] = 1.0,
) -> Sigmas:
    """Space the logarithm of the noise level as a power of the way left.

    steps: how many steps to take.
    sigma_max: noise level to start from.
    sigma_min: lowest noise level before none.
    rho: the power; 1 is even.
    """
    from engine.diffusion.sigma_tools import polyexponential_sigmas

    return polyexponential_sigmas(steps, sigma_min, sigma_max, rho)


@node("VPScheduler", category=SCHEDULERS)
def vp(
    *,
    steps: Steps = 20,
    beta_d: SigmaLevel = 19.9,
    beta_min: SigmaLevel = 0.1,
    eps_s: Annotated[float, Float(0.0, 1.0, step=0.0001, round=False)] = 0.001,
) -> Sigmas:
    """Space the steps evenly in the time of a variance-preserving process.

    steps: how many steps to take.
    beta_d: how much the rate of noise grows.
    beta_min: the rate of noise at the end.
    eps_s: time of the last step before none.
    """
    from engine.diffusion.sigma_tools import vp_sigmas

    return vp_sigmas(steps, beta_d, beta_min, eps_s)


@node("LaplaceScheduler", category=SCHEDULERS)
def laplace(
    *,
    steps: Steps = 20,
    sigma_max: SigmaLevel = 14.614642,
    sigma_min: SigmaLevel = 0.0291675,
    mu: Annotated[float, Float(-10.0, 10.0, step=0.1, round=False)] = 0.0,
    beta: Annotated[float, Float(0.0, 10.0, step=0.1, round=False)] = 0.5,
) -> Sigmas:
    """Crowd the steps around one noise level (Hang et al. 2024). The last sigma is not 0.

    steps: how many noise levels to visit.
    sigma_max: highest noise level.
    sigma_min: lowest noise level.
    mu: logarithm of the noise level around which steps crowd.
    beta: how wide they are spread.
    """
    from engine.diffusion.sigma_tools import laplace_sigmas

    return laplace_sigmas(steps, sigma_min, sigma_max, mu, beta)


@node("BetaSamplingScheduler", category=SCHEDULERS)
def beta_sampling(*, model: Model, steps: Steps = 20, alpha: Shape = 0.6, beta: Shape = 0.6) -> Sigmas:
    """Space the steps by a beta distribution over a model's time steps.

    model: the diffusion model whose noise levels are used.
    steps: how many steps to take.
    alpha: below 1 crowds steps at the end.
    beta: below 1 crowds steps at the start.
    """
    from engine.diffusion.schedules import beta_sigmas
    from engine.families.registry import sampling_of

    return beta_sigmas(sampling_of(model), steps, alpha, beta)


@node("SDTurboScheduler", category=SCHEDULERS)
def sd_turbo(
    *,
    model: Model,
    steps: Annotated[int, Int(1, 10)] = 1,
    denoise: Annotated[float, Float(0, 1.0, step=0.01)] = 1.0,
) -> Sigmas:
    """Visit the noise levels that SD Turbo was distilled at.

    model: the diffusion model whose noise levels are used.
    steps: how many steps to take.
    denoise: how much of a given picture to change, in tenths.
    """
    from engine.diffusion.sigma_tools import turbo_sigmas
    from engine.families.registry import sampling_of

    return turbo_sigmas(sampling_of(model), steps, denoise)


@node("AlignYourStepsScheduler", category=SCHEDULERS)
def align_your_steps(
    *, model_type: Annotated[str, Choice(("SD1", "SDXL", "SVD"))], steps: Steps = 10, denoise: Denoise = 1.0
) -> Sigmas:
    """Use steps that were optimised for a kind of model (Sabour et al. 2024), best with ten of them.

    model_type: the kind of model.
    steps: how many steps to take.
    denoise: how much of a given picture to change.
    """
    from engine.diffusion.sigma_tools import aligned_sigmas

    return aligned_sigmas(model_type, steps, denoise)


@node("FlipSigmas", category=SIGMA_TOOLS)
def flip_sigmas(*, sigmas: Sigmas) -> Sigmas:
    """Turn a schedule round, to go from a picture to its noise.

    sigmas: the schedule.
    """
    from engine.diffusion.sigma_tools import flipped

    return flipped(sigmas)


@node("SplitSigmasDenoise", category=SIGMA_TOOLS, outputs=("high_sigmas", "low_sigmas"))
def split_sigmas_denoise(*, sigmas: Sigmas, denoise: Denoise = 1.0) -> tuple[Sigmas, Sigmas]:
    """Cut a schedule in two, the second part holding a share of its steps.

    sigmas: the schedule to cut.
    denoise: share of the steps in the second part.
    """
    from engine.diffusion.schedules import split_denoise

    return split_denoise(sigmas, denoise)


@node("SetFirstSigma", category=SIGMA_TOOLS)
def set_first_sigma(
    *, sigmas: Sigmas, sigma: Annotated[float, Float(0.0, 20000.0, step=0.001, round=False)] = 136.0
) -> Sigmas:
    """Start a schedule from another noise level.

    sigmas: the schedule.
    sigma: its new first noise level.
    """
    from engine.diffusion.sigma_tools import with_first

    return with_first(sigmas, sigma)


@node("ExtendIntermediateSigmas", category=SIGMA_TOOLS)
def extend_intermediate_sigmas(
    *,
    sigmas: Sigmas,
    steps: Annotated[int, Int(1, 100)] = 2,
    start_at_sigma: Annotated[float, Float(-1.0, 20000.0, step=0.01, round=False)] = -1.0,
    end_at_sigma: AnySigma = 12.0,
    spacing: Annotated[str, Choice(("linear", "cosine", "sine"))],
) -> Sigmas:
    """Cut the steps of a part of a schedule into smaller ones.

    sigmas: the schedule.
    steps: how many smaller steps to make of one.
    start_at_sigma: highest noise level of the part; -1 is the start.
    end_at_sigma: lowest noise level of the part.
    spacing: how the smaller steps are spaced.
    """
    from engine.diffusion.sigma_tools import extended

    return extended(sigmas, steps, start_at_sigma, end_at_sigma, spacing)


@node("SamplingPercentToSigma", category=SIGMA_TOOLS, outputs=("sigma_value",))
def sampling_percent_to_sigma(
    *,
    model: Model,
    sampling_percent: Annotated[float, Float(0.0, 1.0, step=0.0001)] = 0.0,
    return_actual_sigma: Annotated[bool, Boolean()] = False,
) -> Annotated[float, Float(0.0, 1e9)]:
    """Tell which noise level a share of the way is.

    model: the diffusion model whose noise levels are used.
    sampling_percent: share of the way, from 0 (noise) to 1 (picture).
    return_actual_sigma: give the model's own largest and smallest level at the two ends.
    """
    from engine.diffusion.sigma_tools import sigma_at
    from engine.families.registry import sampling_of

    return sigma_at(sampling_of(model), sampling_percent, return_actual_sigma)


@node("AddNoise", category="_for_testing/custom_sampling/noise")
def add_noise(*, model: Model, noise: Noise, sigmas: Sigmas, latent_image: Latent) -> Latent:
    """Add noise to latents as the start of a schedule asks for.

    model: the diffusion model that will remove the noise.
    noise: what to add.
    sigmas: the schedule; its first minus its last noise level is added.
    latent_image: what to add it to.
    """
    from engine.families import custom_sampling

    return custom_sampling.add_noise(model, noise, sigmas, latent_image)
