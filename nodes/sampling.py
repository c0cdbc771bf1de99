"""The two samplers with everything built in."""

from __future__ import annotations

from typing import Annotated, Any

from engine.diffusion.names import SAMPLERS, SCHEDULES
from engine.graph.declare import Choice, Conditioning, FileSet, Float, Int, Latent, Model, Seed, node

Steps = Annotated[int, Int(1, 10000)]
Cfg = Annotated[float, Float(0.0, 100.0, step=0.1, round=0.01)]
SamplerName = Annotated[str, Choice(SAMPLERS)]
Schedule = Annotated[str, Choice(SCHEDULES)]
Denoise = Annotated[float, Float(0.0, 1.0, step=0.01)]
StepIndex = Annotated[int, Int(0, 10000)]


@node("KSampler", display_name="KSampler", category="sampling", uses_model=("model",))
def ksampler(
    context: Any,
    *,
    model: Model,
    seed: Seed = 0,
    steps: Steps = 20,
    cfg: Cfg = 8.0,
    sampler_name: SamplerName,
    scheduler: Schedule,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: Denoise = 1.0,
) -> Latent:
    """Turn noise into a picture's latents, step by step.

    model: the diffusion model.
    seed: number that the noise is drawn from; the same seed gives the same picture.
    steps: how many steps to take; more are slower and finer.
    cfg: how strictly to follow the prompts; 1 ignores the negative one and is twice as fast.
    sampler_name: how a step is taken.
    scheduler: how the steps are spaced.
    positive: what the picture should show.
    negative: what it should not show.
    latent_image: where to start: empty latents, or a picture to change.
    denoise: how much of a given picture to change; 1 keeps nothing of it.
    """
    from engine.diffusion.sampling import KSamplerSettings

    settings = KSamplerSettings(seed, steps, sampler_name, scheduler, denoise)
    return _ksample(context, model, settings, (positive, negative, cfg), latent_image)


@node("KSamplerAdvanced", display_name="KSampler (Advanced)", category="sampling", uses_model=("model",))
def ksampler_advanced(
    context: Any,
    *,
    model: Model,
    add_noise: Annotated[str, Choice(("enable", "disable"))],
    noise_seed: Seed = 0,
    steps: Steps = 20,
    cfg: Cfg = 8.0,
    sampler_name: SamplerName,
    scheduler: Schedule,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: StepIndex = 0,
    end_at_step: StepIndex = 10000,
    return_with_leftover_noise: Annotated[str, Choice(("disable", "enable"))],
) -> Latent:
    """Take some of the steps of a schedule, so that several samplers can share one picture.

    model: the diffusion model.
    add_noise: disable when the latents come from a sampler that returned leftover noise.
    noise_seed: number that the noise is drawn from.
    steps: how many steps the whole schedule has.
    cfg: how strictly to follow the prompts; 1 ignores the negative one and is twice as fast.
    sampler_name: how a step is taken.
    scheduler: how the steps are spaced.
    positive: what the picture should show.
    negative: what it should not show.
    latent_image: where to start.
    start_at_step: first step to take.
    end_at_step: step to stop before.
    return_with_leftover_noise: enable to hand the rest of the schedule to another sampler.
    """
    from engine.diffusion.sampling import KSamplerSettings

    settings = KSamplerSettings(
        noise_seed,
        steps,
        sampler_name,
        scheduler,
        start_at_step=start_at_step,
        end_at_step=end_at_step,
        add_noise=add_noise == "enable",
        force_full_denoise=return_with_leftover_noise == "disable",
    )
    return _ksample(context, model, settings, (positive, negative, cfg), latent_image)


def _ksample(context: Any, model: Any, settings: Any, guidance: tuple[Any, Any, float], latent: Any) -> Any:
    from engine.families import pipeline

    context.check_cancelled()
    on_step = step_reporter(context, model)
    with journal_of(context) as journal:
        asked = pipeline.Guidance(*guidance)
        return pipeline.sample_latent(context.models, model, settings, asked, latent, on_step, journal)


def journal_of(context: Any) -> Any:
    """Return the journal by which this very computation goes on where it was stopped, by a cancel or a crash."""
    from engine.diffusion.journal import Journal

    return Journal(context.recall(), context.keep)


def step_reporter(context: Any, model: Any) -> Any:
    """Return the observer that reports each step, with a way to make its preview if anybody looks."""
    from functools import cache

    from engine.families.pipeline import latent_format_of
    from engine.families.previews import preview_with, tiny_decoder_of
    from engine.weights.recipe import file_ref

    latent_format = latent_format_of(model)

    @cache  # looked for when the first preview is made, if any is
    def preview() -> Any:
        stem = tiny_decoder_of(latent_format)
        decoder = FileSet("", "vae_approx", (stem,)) if stem else None
        names = (decoder and decoder.found_in(context.folders.list_files(decoder.folder))) or ()
        files = [file_ref(context.folders.resolve("vae_approx", name), name) for name in names]
        return preview_with(context.models, latent_format, files)

    def report(info: Any) -> None:
        context.progress(info.index + 1, info.total, lambda: preview()(info.denoised))

    return report
