"""The node that lets a grey mask say how much may change."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Float, Model, node


@node("DifferentialDiffusion", display_name="Differential Diffusion", category="_for_testing")
def differential_diffusion(
    *, model: Model, strength: Annotated[float, Float(0.0, 1.0, step=0.01)] | None = 1.0
) -> Model:
    """Let the greys of an inpainting mask say how much each place may change: white all, black next to
    nothing.

    model: the diffusion model; the mask is that of the latent which it samples (Set Latent Noise Mask).
    strength: 1 lets each place join the repainting at its own step; 0 mixes old and new by the mask, as without this
        node.
    """
    from engine.families.pipeline import DIFFERENTIAL

    return model.with_option(DIFFERENTIAL, 1.0 if strength is None else strength)
