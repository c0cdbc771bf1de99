"""Stable Diffusion 2.0 and 2.1: OpenCLIP-H, heads of 64 channels, noise (512 pixels) or velocity (768) predicted.

The two kinds have the same tensors. Which one a file is stands in its metadata where it was written with care; else
the spread of one bias of the last attention block tells, as the ecosystem has it.
"""

from __future__ import annotations

import dataclasses
import functools
from types import MappingProxyType
from typing import Final

from torch import nn

from engine.diffusion.latents import SD15
from engine.diffusion.prediction import DiscreteSampling
from engine.families.family import Family, Options, PartSpec, no_options
from engine.families.inpainting import inpainting_variant
from engine.families.latent_diffusion import (
    AUTOENCODER_MARKS,
    AUTOENCODER_PART,
    DENOISER_MARKS,
    INPAINT_CHANNELS,
    LATENT_CHANNELS,
    PREDICTION,
    TOKENS,
    has_denoiser,
    prediction_in_metadata,
    read_denoiser,
    unet_part,
    width_of,
)
from engine.families.sizes import NetworkHints, Shapes, clip_config
from engine.families.text import encode_clip_h
from engine.networks.clip_text import ClipText
from engine.networks.unet import UNetConfig
from engine.weights.files import WeightFile
from engine.weights.layouts import CLIP_TEXT, DENOISER, Layout

__all__ = ["SD2", "SD2_INPAINT"]

CONTEXT_WIDTH: Final = 1024
TELLING_BIAS: Final = DENOISER + "output_blocks.11.1.transformer_blocks.0.norm1.bias"
VELOCITY_SPREAD: Final = 0.09
"""Models that predict velocity have a standard deviation above this in that bias."""


def _matches(shapes: Shapes, hints: NetworkHints) -> bool:
    if has_denoiser(shapes):
        return _is_denoiser(shapes, hints, LATENT_CHANNELS)
    return width_of(shapes, TOKENS) == CONTEXT_WIDTH


def _is_denoiser(shapes: Shapes, hints: NetworkHints, channels: int) -> bool:
    """Accept a U-Net with linear projections that listens to OpenCLIP-H, or to the smaller CLIP in the same file."""
    found = read_denoiser(shapes)
    if found is None or found.in_channels != channels or not found.is_linear or found.label is not None:
        return False
    return hints.given or found.context in (CONTEXT_WIDTH, width_of(shapes, TOKENS))


def _model_options(file: WeightFile, layout: Layout) -> Options:
    said = prediction_in_metadata(file)
    if said or TELLING_BIAS not in layout.sources:
        return said
    spread = file.tensor(layout.sources[TELLING_BIAS].name).float().std(correction=0)
    return ((PREDICTION, "v"),) if float(spread) > VELOCITY_SPREAD else ()


def _text(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return ClipText(clip_config(shapes, hints, "gelu"))


SD2: Final = Family(
    name="sd2",
    title="Stable Diffusion 2",
    marks=(
        *DENOISER_MARKS,
        *AUTOENCODER_MARKS,
        TOKENS,
        CLIP_TEXT + "encoder.layers.0.self_attn.q_proj.weight",
        CLIP_TEXT + "final_layer_norm.weight",
    ),
    matches=_matches,
    parts=MappingProxyType(
        {
            "diffusion": unet_part(UNetConfig(context_dim=CONTEXT_WIDTH, num_heads=None, head_channels=64)),
            "text": PartSpec(CLIP_TEXT, _text),
            "vae": AUTOENCODER_PART,
        }
    ),
    latent_format=SD15,
    sampling=DiscreteSampling(),
    encode_text=encode_clip_h,
    model_options=_model_options,
    size=(768, 768),
)

SD2_INPAINT: Final = dataclasses.replace(
    inpainting_variant(SD2, functools.partial(_is_denoiser, channels=INPAINT_CHANNELS)), model_options=no_options
)
"""All of them predict noise."""
