"""The sampler in pieces: noise, guider, sampler and sigmas as nodes of their own."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import (
    Boolean,
    Choice,
    Conditioning,
    Float,
    Guider,
    Int,
    Latent,
    Model,
    Noise,
    Sampler,
    Seed,
    Sigmas,
    node,
)
from nodes.sampling import Cfg, Denoise, SamplerName, Schedule, Steps, journal_of, step_reporter

SigmaLevel = Annotated[float, Float(0.0, 5000.0, step=0.01, round=False)]


@node("RandomNoise", category="sampling/custom_sampling/noise")
def random_noise(*, noise_seed: Seed = 0) -> Noise:
    """Start from noise drawn from a seed.

    noise_seed: number that the noise is drawn from; the same seed gives the same picture.
    """
    from engine.families.custom_sampling import NoiseRecipe

    return NoiseRecipe(noise_seed)


@node("VariationNoise", display_name="Variation Noise", category="sampling/custom_sampling/noise")
def variation_noise(
    *,
    noise_seed: Seed = 0,
    variation_seed: Annotated[int, Int(0, 2**64 - 1)] = 0,
    variation_strength: Annotated[float, Float(0.0, 1.0, step=0.01)] = 0.0,
) -> Noise:
    """Start from noise between two seeds: small strengths give pictures that resemble that of the first.

    noise_seed: number that the noise is drawn from.
    variation_seed: number that the other noise is drawn from.
    variation_strength: 0 is the first noise, 1 the other.
    """
    from engine.families.custom_sampling import NoiseRecipe

    return NoiseRecipe(noise_seed, variation_seed, variation_strength)


@node("DisableNoise", category="sampling/custom_sampling/noise")
def disable_noise() -> Noise:
    """Add no noise: the latents already have it."""
    from engine.families.custom_sampling import NoiseRecipe

    return NoiseRecipe(None)


@node("BasicGuider", category="sampling/custom_sampling/guiders")
def basic_guider(*, model: Model, conditioning: Conditioning) -> Guider:
    """Follow one prompt without guidance, as distilled models do.

    model: the diffusion model.
    conditioning: what the picture should show.
    """
    from engine.families.custom_sampling import GuiderRecipe

    return GuiderRecipe(model, conditioning)


@node("CFGGuider", category="sampling/custom_sampling/guiders")
def cfg_guider(*, model: Model, positive: Conditioning, negative: Conditioning, cfg: Cfg = 8.0) -> Guider:
    """Follow one prompt and avoid another.

    model: the diffusion model.
    positive: what the picture should show.
    negative: what it should not show.
    cfg: how strictly to follow the prompts; 1 ignores the negative one and is twice as fast.
    """
    from engine.families.custom_sampling import GuiderRecipe

    return GuiderRecipe(model, positive, negative, cfg)


@node("DualCFGGuider", category="sampling/custom_sampling/guiders")
def dual_cfg_guider(
    *,
    model: Model,
    cond1: Conditioning,
    cond2: Conditioning,
    negative: Conditioning,
    cfg_conds: Cfg = 8.0,
    cfg_cond2_negative: Cfg = 8.0,
    style: Annotated[str, Choice(("regular", "nested"))],
) -> Guider:
    """Guide in two stages: from the negative prompt to the second, and from there to the first.

    model: the diffusion model.
    cond1: what the picture should show.
    cond2: what lies between the first prompt and the negative one.
    negative: what the picture should not show.
    cfg_conds: how strictly to go from the second prompt to the first.
    cfg_cond2_negative: how strictly to go from the negative prompt to the second; nested: to the first stage's result.
    style: add both stages up (regular) or apply one to the result of the other (nested).
    """
    from engine.families.custom_sampling import GuiderRecipe

    return GuiderRecipe(model, cond1, negative, cfg_conds, cond2, cfg_cond2_negative, style)


@node("PerpNegGuider", category="_for_testing")
def perp_neg_guider(
    *,
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    empty_conditioning: Conditioning,
    cfg: Cfg = 8.0,
    neg_scale: Annotated[float, Float(0.0, 100.0, step=0.01)] = 1.0,
) -> Guider:
    """Avoid only what the negative prompt does not share with the positive one (Armandpour et al. 2023).

    model: the diffusion model.
    positive: what the picture should show.
    negative: what it should not show.
    empty_conditioning: an empty prompt, to guide from.
    cfg: how strictly to follow the prompts.
    neg_scale: how strongly to avoid the negative one.
    """
    from engine.families.custom_sampling import GuiderRecipe

    return GuiderRecipe(model, positive, empty_conditioning, cfg, negative, neg_scale, "perpendicular")


@node("KSamplerSelect", category="sampling/custom_sampling/samplers")
def select_sampler(*, sampler_name: SamplerName) -> Sampler:
    """Choose a sampler by name.

    sampler_name: how a step is taken.
    """
    from engine.families.custom_sampling import SamplerRecipe

    return SamplerRecipe(sampler_name)


@node("BasicScheduler", category="sampling/custom_sampling/schedulers")
def basic_scheduler(*, model: Model, scheduler: Schedule, steps: Steps = 20, denoise: Denoise = 1.0) -> Sigmas:
    """Space the steps as a model's noise levels ask for.

    model: the diffusion model whose noise levels are used.
    scheduler: how the steps are spaced.
    steps: how many steps to take.
    denoise: how much of a given picture to change; 1 keeps nothing of it.
    """
    from engine.families.custom_sampling import model_sigmas

    return model_sigmas(model, scheduler, steps, denoise)


@node("KarrasScheduler", category="sampling/custom_sampling/schedulers")
def karras_scheduler(
    *,
    steps: Steps = 20,
    sigma_max: SigmaLevel = 14.614642,
    sigma_min: SigmaLevel = 0.0291675,
    rho: Annotated[float, Float(0.0, 100.0, step=0.01, round=False)] = 7.0,
) -> Sigmas:
    """Space the steps as Karras et al. (2022) do: closer together the less noise is left.

    steps: how many steps to take.
    sigma_max: noise level to start from.
    sigma_min: lowest noise level before none.
    rho: how strongly the steps crowd together at the end.
    """
    from engine.diffusion.schedules import karras_sigmas

    return karras_sigmas(steps, sigma_min, sigma_max, rho)


@node("SplitSigmas", category="sampling/custom_sampling/sigmas", outputs=("high_sigmas", "low_sigmas"))
def split_sigmas(*, sigmas: Sigmas, step: Annotated[int, Int(0, 10000)] = 0) -> tuple[Sigmas, Sigmas]:
    """Cut a schedule in two, for two samplers one after the other.

    sigmas: the schedule to cut.
    step: how many steps the first part has.
    """
    from engine.diffusion.schedules import split

    return split(sigmas, step)


@node(
    "SamplerCustom",
    category="sampling/custom_sampling",
    outputs=("output", "denoised_output"),
    uses_model=("model",),
)
def sampler_custom(
    context: Any,
    *,
    model: Model,
    add_noise: Annotated[bool, Boolean()] = True,
    noise_seed: Seed = 0,
    cfg: Cfg = 8.0,
    positive: Conditioning,
    negative: Conditioning,
    sampler: Sampler,
    sigmas: Sigmas,
    latent_image: Latent,
) -> tuple[Latent, Latent]:
    """Run a given sampler along given sigmas. The second output is the model's last guess at the clean picture.

    model: the diffusion model.
    add_noise: off when the latents already have noise.
    noise_seed: number that the noise is drawn from, that of the sampler's steps included.
    cfg: how strictly to follow the prompts; 1 ignores the negative one and is twice as fast.
    positive: what the picture should show.
    negative: what it should not show.
    sampler: how a step is taken.
    sigmas: how the steps are spaced.
    latent_image: where to start: empty latents, or a picture to change.
    """
    from engine.families.custom_sampling import GuiderRecipe, Ingredients, NoiseRecipe, sample_custom

    context.check_cancelled()
    noise = NoiseRecipe(noise_seed if add_noise else None)
    guider = GuiderRecipe(model, positive, negative, cfg)
    given = Ingredients(noise, guider, sampler, sigmas, latent_image, noise_seed)
    with journal_of(context) as journal:
        return sample_custom(context.models, given, step_reporter(context, model), journal)


@node(
    "SamplerCustomAdvanced",
    category="sampling/custom_sampling",
    outputs=("output", "denoised_output"),
    uses_model=("guider",),
)
def sampler_custom_advanced(
    context: Any, *, noise: Noise, guider: Guider, sampler: Sampler, sigmas: Sigmas, latent_image: Latent
) -> tuple[Latent, Latent]:
    """Run a sampler made of parts. The second output is the model's last guess at the clean picture.

    noise: what to start from.
    guider: the model and the prompts to follow.
    sampler: how a step is taken.
    sigmas: how the steps are spaced.
    latent_image: where to start: empty latents, or a picture to change.
    """
    from engine.families.custom_sampling import Ingredients, sample_custom

    context.check_cancelled()
    on_step = step_reporter(context, guider.model)
    with journal_of(context) as journal:
        given = Ingredients(noise, guider, sampler, sigmas, latent_image)
        return sample_custom(context.models, given, on_step, journal)
