"""Stable Diffusion 1 (Rombach et al., 2022, arXiv:2112.10752): CLIP-L, a U-Net that predicts noise, a 4-channel VAE.

The family is its layout and its training (scaled-linear noise schedule, latents times 0.18215), not its size: smaller
networks of the same make are recognised, too, such as the one that comes with Safelight.
"""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import Final

from torch import nn

from engine.diffusion.latents import SD15
from engine.diffusion.prediction import DiscreteSampling
from engine.families.family import Family, PartSpec
from engine.families.inpainting import inpainting_variant
from engine.families.latent_diffusion import (
    AUTOENCODER_PART,
    FIRST,
    INPAINT_CHANNELS,
    LATENT_CHANNELS,
    LATENT_IN,
    TOKENS,
    has_denoiser,
    read_denoiser,
    unet_part,
    width_of,
)
from engine.families.sizes import NetworkHints, Shapes, clip_config
from engine.families.text import encode_clip
from engine.networks.clip_text import ClipText
from engine.networks.unet import UNetConfig
from engine.weights.layouts import AUTOENCODER, CLIP_TEXT, DENOISER

__all__ = ["SD1", "SD1_INPAINT"]

CONTEXT_WIDTH: Final = 768


def _matches(shapes: Shapes, hints: NetworkHints) -> bool:
    if has_denoiser(shapes):
        return _is_denoiser(shapes, hints, LATENT_CHANNELS)
    if TOKENS in shapes:
        return width_of(shapes, TOKENS) == CONTEXT_WIDTH or hints.given
    return width_of(shapes, LATENT_IN) == LATENT_CHANNELS


def _is_denoiser(shapes: Shapes, hints: NetworkHints, channels: int) -> bool:
    """Accept a U-Net with convolutional projections that listens to CLIP-L, or to the smaller CLIP in the same file."""
    found = read_denoiser(shapes)
    if found is None or found.in_channels != channels or found.is_linear or found.label is not None:
        return False
    return hints.given or found.context in (CONTEXT_WIDTH, width_of(shapes, TOKENS))


def _text(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return ClipText(clip_config(shapes, hints))


SD1: Final = Family(
    name="sd1",
    title="Stable Diffusion 1",
    marks=(
        FIRST,
        DENOISER + "time_embed.0.weight",
        DENOISER + "input_blocks.1.1.proj_in.weight",
        DENOISER + "middle_block.1.transformer_blocks.0.attn2.to_k.weight",
        DENOISER + "output_blocks.0.0.in_layers.2.weight",
        DENOISER + "out.2.weight",
        AUTOENCODER + "encoder.conv_in.weight",
        LATENT_IN,
        AUTOENCODER + "quant_conv.weight",
        TOKENS,
        CLIP_TEXT + "encoder.layers.0.self_attn.q_proj.weight",
        CLIP_TEXT + "final_layer_norm.weight",
    ),
    matches=_matches,
    parts=MappingProxyType(
        {"diffusion": unet_part(UNetConfig()), "text": PartSpec(CLIP_TEXT, _text), "vae": AUTOENCODER_PART}
    ),
    latent_format=SD15,
    sampling=DiscreteSampling(),
    encode_text=encode_clip,
)

SD1_INPAINT: Final = inpainting_variant(SD1, functools.partial(_is_denoiser, channels=INPAINT_CHANNELS))
