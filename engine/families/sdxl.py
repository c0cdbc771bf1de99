"""Stable Diffusion XL (Podell et al., 2023, arXiv:2307.01952): CLIP-L and OpenCLIP-G side by side, sizes as a vector.

Distilled relatives of the same make with fewer blocks (SSD-1B, Segmind Vega) are recognised by the same marks.
"""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import Final

from torch import Tensor, nn

from engine.diffusion.conditioning import ConditioningEntry
from engine.diffusion.latents import SDXL as SDXL_LATENT
from engine.diffusion.model_calls import NetworkInputs
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.regions import Role
from engine.families.family import Family, Options, PartSpec, TextEncoding
from engine.families.inpainting import inpainting_variant
from engine.families.latent_diffusion import (
    AUTOENCODER_MARKS,
    AUTOENCODER_PART,
    DENOISER_MARKS,
    G_TOKENS,
    INPAINT_CHANNELS,
    L_TOKENS,
    LATENT_CHANNELS,
    PREDICTION,
    ZERO_SNR,
    has_denoiser,
    prediction_in_metadata,
    read_denoiser,
    unet_part,
    width_of,
)
from engine.families.prompt_embeddings import NO_EMBEDDINGS, Embeddings
from engine.families.size_conditioning import EMBEDDED_WIDTH, PictureSize, size_vector
from engine.families.sizes import NetworkHints, Shapes, clip_config
from engine.families.text import encode_clip_l_and_g
from engine.networks.clip_text import Activation, ProjectedClipText, TextEncoders
from engine.networks.unet import UNetConfig
from engine.weights.files import WeightFile
from engine.weights.layouts import CLIP_G, DENOISER, TEXT_ENCODERS, Layout

__all__ = ["OTHER_SCHEDULES", "SDXL", "SDXL_INPAINT", "projected_clip"]

CONTEXT_WIDTH: Final = 2048
LABEL_WIDTH: Final = 1280 + 6 * EMBEDDED_WIDTH
OTHER_SCHEDULES: Final = ("edm_mean", "edm_vpred.sigma_max")
"""Tensors that only models with noise levels of another kind have (Playground 2.5, CosXL)."""


def _matches(shapes: Shapes, hints: NetworkHints) -> bool:
    if has_denoiser(shapes):
        return _is_denoiser(shapes, hints, LATENT_CHANNELS)
    return L_TOKENS in shapes and G_TOKENS in shapes


def _is_denoiser(shapes: Shapes, hints: NetworkHints, channels: int) -> bool:
    """Accept a U-Net that listens to both encoders and reads six sizes, or the smaller ones of the same file."""
    found = read_denoiser(shapes)
    if found is None or found.in_channels != channels or not found.is_linear:
        return False
    if any(name in shapes or DENOISER + name in shapes for name in OTHER_SCHEDULES):
        return False
    wide, large = width_of(shapes, L_TOKENS) or 0, width_of(shapes, G_TOKENS) or 0
    fits_text = (found.context, found.label) == (wide + large, large + 6 * EMBEDDED_WIDTH)
    return fits_text or (found.context, found.label) == (CONTEXT_WIDTH, LABEL_WIDTH)


def _model_options(file: WeightFile, layout: Layout) -> Options:
    """Read the marker tensors that models with velocity prediction carry; what the metadata says comes first."""
    said = prediction_in_metadata(file)
    if said or not _has_marker(layout, "v_pred"):
        return said
    return ((PREDICTION, "v"), (ZERO_SNR, True)) if _has_marker(layout, "ztsnr") else ((PREDICTION, "v"),)


def _has_marker(layout: Layout, name: str) -> bool:
    return name in layout.sources or DENOISER + name in layout.sources


def projected_clip(shapes: Shapes, hints: NetworkHints, activation: Activation) -> ProjectedClipText:
    """Return an empty CLIP with the sizes of `shapes`, which are named as in `ProjectedClipText`."""
    prefix = "text_model."
    inner = {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}
    projection = shapes.get("text_projection.weight")
    return ProjectedClipText(clip_config(inner, hints, activation), None if projection is None else projection[0])


def _text(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    def inside(prefix: str) -> Shapes:
        return {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}

    # CLIP-L's projection is not used; some files carry one all the same.
    small = {name: shape for name, shape in inside("clip_l.").items() if not name.startswith("text_projection")}
    return TextEncoders(projected_clip(small, hints, "quick_gelu"), projected_clip(inside("clip_g."), hints, "gelu"))


def _encode_text(
    network: nn.Module, prompt: str, last_layer: int, embeddings: Embeddings = NO_EMBEDDINGS
) -> TextEncoding:
    return encode_clip_l_and_g(network, (prompt, prompt), last_layer, embeddings)


def _inputs(entry: ConditioningEntry, like: Tensor, role: Role) -> NetworkInputs:
    """Read the prompt and the sizes that the picture is to look as if it had (section 2.2 of the paper)."""
    size = PictureSize.of(entry, like)
    return NetworkInputs(entry.embedding, y=size_vector(entry, size.source + size.crop + size.target))


SDXL: Final = Family(
    name="sdxl",
    title="Stable Diffusion XL",
    marks=(
        *DENOISER_MARKS,
        DENOISER + "label_emb.0.0.weight",
        *AUTOENCODER_MARKS,
        L_TOKENS,
        G_TOKENS,
        CLIP_G + "text_projection.weight",
    ),
    matches=_matches,
    parts=MappingProxyType(
        {
            "diffusion": unet_part(UNetConfig(context_dim=CONTEXT_WIDTH, num_heads=None, head_channels=64)),
            "text": PartSpec(TEXT_ENCODERS, _text),
            "vae": AUTOENCODER_PART,
        }
    ),
    latent_format=SDXL_LATENT,
    sampling=DiscreteSampling(),
    encode_text=_encode_text,
    encode_texts=encode_clip_l_and_g,
    inputs=_inputs,
    model_options=_model_options,
    size=(1024, 1024),
)

SDXL_INPAINT: Final = inpainting_variant(SDXL, functools.partial(_is_denoiser, channels=INPAINT_CHANNELS))
