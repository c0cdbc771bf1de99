"""The refiner of Stable Diffusion XL (Podell et al., 2023, arXiv:2307.01952): the last steps, with OpenCLIP-G alone.

Instead of a target size it is told an aesthetic score: 6 for what to draw and 2.5 for what to avoid, if nobody says.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from torch import Tensor, nn

from engine.diffusion.conditioning import ConditioningEntry
from engine.diffusion.latents import SDXL as SDXL_LATENT
from engine.diffusion.model_calls import NetworkInputs
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.regions import Role
from engine.families.family import Family, PartSpec
from engine.families.latent_diffusion import (
    AUTOENCODER_MARKS,
    AUTOENCODER_PART,
    DENOISER_MARKS,
    G_TOKENS,
    L_TOKENS,
    LATENT_CHANNELS,
    has_denoiser,
    read_denoiser,
    unet_part,
    width_of,
)
from engine.families.sdxl import projected_clip
from engine.families.size_conditioning import EMBEDDED_WIDTH, PictureSize, size_vector
from engine.families.sizes import NetworkHints, Shapes
from engine.families.text import encode_clip_g
from engine.networks.unet import UNetConfig
from engine.weights.layouts import CLIP_G, DENOISER

__all__ = ["SDXL_REFINER"]

CONTEXT_WIDTH: Final = 1280
LABEL_WIDTH: Final = 1280 + 5 * EMBEDDED_WIDTH
SCORES: Final[MappingProxyType[Role, float]] = MappingProxyType({"positive": 6.0, "negative": 2.5, "third": 6.0})


def _matches(shapes: Shapes, hints: NetworkHints) -> bool:
    """Accept a U-Net that listens to OpenCLIP-G and reads five numbers, or to the smaller one of the same file."""
    if not has_denoiser(shapes):
        return G_TOKENS in shapes and L_TOKENS not in shapes
    found = read_denoiser(shapes)
    if found is None or found.in_channels != LATENT_CHANNELS or not found.is_linear:
        return False
    large = width_of(shapes, G_TOKENS) or 0
    sizes = (found.context, found.label)
    return sizes in ((CONTEXT_WIDTH, LABEL_WIDTH), (large, large + 5 * EMBEDDED_WIDTH))


def _text(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return projected_clip(shapes, hints, "gelu")


def _inputs(entry: ConditioningEntry, like: Tensor, role: Role) -> NetworkInputs:
    size = PictureSize.of(entry, like)
    score = float(entry.extra.get("aesthetic_score", SCORES[role]))
    return NetworkInputs(entry.embedding, y=size_vector(entry, (*size.source, *size.crop, score)))


SDXL_REFINER: Final = Family(
    name="sdxl_refiner",
    title="Stable Diffusion XL refiner",
    marks=(
        *DENOISER_MARKS,
        DENOISER + "label_emb.0.0.weight",
        *AUTOENCODER_MARKS,
        G_TOKENS,
        CLIP_G + "text_projection.weight",
    ),
    matches=_matches,
    parts=MappingProxyType(
        {
            "diffusion": unet_part(UNetConfig(context_dim=CONTEXT_WIDTH, num_heads=None, head_channels=64)),
            "text": PartSpec(CLIP_G, _text),
            "vae": AUTOENCODER_PART,
        }
    ),
    latent_format=SDXL_LATENT,
    sampling=DiscreteSampling(),
    encode_text=encode_clip_g,
    inputs=_inputs,
    size=(1024, 1024),
)
