"""Small pictures of what a sampler is at: by TAESD where its decoder is there, else by the latents' colours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from torch import Tensor

from engine.diffusion.latents import Latent, LatentFormat
from engine.errors import SafelightError
from engine.families.pipeline import decode_latent
from engine.families.taesd import load_tiny, tiny_family_of
from engine.memory.residency import Residency
from engine.weights.recipe import FileRef

__all__ = ["Preview", "preview_with", "tiny_decoder_of"]

Preview = Callable[[Tensor], Tensor]
"""From scaled latents [B, C, h, w] to pictures [B, H, W, 3] in 0..1, on the CPU."""

log = logging.getLogger(__name__)


def tiny_decoder_of(latent_format: LatentFormat) -> str | None:
    """Return what the decoder's file for such latents is called, without its ending; None where there is none."""
    family = tiny_family_of(latent_format)
    return None if family is None else f"{family}_decoder"


def preview_with(models: Residency, latent_format: LatentFormat, decoder: Sequence[FileRef]) -> Preview:
    """Return what makes previews: the TAESD decoder in these files, or the colours of the latents where there are none.

    A decoder that cannot be used is logged and done without: a preview never ends a run.
    """
    if not decoder:
        return lambda latents: latent_format.preview(latents).cpu()
    try:
        recipe = load_tiny(decoder, tiny_family_of(latent_format))
    except SafelightError as error:
        log.warning("previews without %s: %s", decoder[0].name, error)
        return lambda latents: latent_format.preview(latents).cpu()

    def decode(latents: Tensor) -> Tensor:
        return decode_latent(models, recipe, Latent(latent_format.process_out(latents.float().cpu())))

    return decode
