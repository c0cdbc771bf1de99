"""Nodes that change how a model is used: how it is guided, and what its network is taken to predict."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Boolean, Choice, Float, Model, node


@node("RescaleCFG", category="advanced/model")
def rescale_cfg(*, model: Model, multiplier: Annotated[float, Float(0.0, 1.0, step=0.01)] = 0.7) -> Model:
    """Guide strongly without washed-out or overexposed pictures (Lin et al. 2023), for models that predict velocity.

    Of several such nodes in a row the last one counts.

    model: the diffusion model.
    multiplier: how much of the guided spread is brought back to that of the prompt alone; 0 is plain guidance.
    """
    from engine.families.guidance_options import with_guidance

    return with_guidance(model, "rescale", multiplier)


@node(
    "Mahiro",
    display_name="Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)",
    category="_for_testing",
    outputs=("patched_model",),
)
def mahiro(*, model: Model) -> Model:
    """Lean towards the positive prompt where both prompts disagree.

    model: the diffusion model.
    """
    from engine.families.guidance_options import with_guidance

    return with_guidance(model, "towards_positive")


@node("CFGNorm", category="advanced/guidance", outputs=("patched_model",))
def cfg_norm(*, model: Model, strength: Annotated[float, Float(0.0, 100.0, step=0.01)] = 1.0) -> Model:
    """Keep guidance from making the prediction longer than the prompt alone does, position by position.

    model: the diffusion model.
    strength: factor on the result.
    """
    from engine.families.guidance_options import with_guidance

    return with_guidance(model, "norm_limit", strength)


@node("TCFG", display_name="Tangential Damping CFG", category="advanced/guidance", outputs=("patched_model",))
def tangential_damping(*, model: Model) -> Model:
    """Remove from the negative side what does not lie along the direction both sides share (arXiv:2503.18137).

    model: the diffusion model.
    """
    from engine.families.guidance_options import with_guidance

    return with_guidance(model, "damp_tangent")


@node("ModelSamplingDiscrete", category="advanced/model")
def model_sampling_discrete(
    *,
    model: Model,
    sampling: Annotated[str, Choice(("eps", "v_prediction", "lcm", "x0", "img_to_img"))],
    zsnr: Annotated[bool, Boolean()] = False,
) -> Model:
    """Say what a model predicts where its file does not, or says it wrongly.

    model: the diffusion model.
    sampling: noise (eps), velocity, the clean latents (x0), or noise as latent consistency models do (lcm);
        img_to_img is refused.
    zsnr: start from pure noise, for models that were trained so (zero terminal signal-to-noise ratio).
    """
    from engine.families.latent_diffusion import predicting

    return predicting(model, sampling, zsnr)
