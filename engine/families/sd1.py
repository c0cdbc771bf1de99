"""Stable Diffusion 1 (Rombach et al., 2022, arXiv:2112.10752): CLIP-L, a U-Net that predicts noise, a 4-channel VAE.

The family is its layout and its training (scaled-linear noise schedule, latents times 0.18215), not its size: smaller
networks of the same make are recognised, too, such as the one that comes with Safelight.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from torch import nn

from engine.diffusion.latents import SD15
from engine.diffusion.prediction import DiscreteSampling
from engine.families.clip_text import ClipText
from engine.families.family import Family, PartSpec
from engine.families.sizes import NetworkHints, Shapes, autoencoder_config, clip_config, unet_config
from engine.families.text import encode_clip
from engine.networks.autoencoder import Autoencoder
from engine.networks.unet import UNet, UNetConfig
from engine.weights.layouts import AUTOENCODER, CLIP_TEXT, DENOISER

__all__ = ["SD1"]

CONTEXT_WIDTH: Final = 768
LATENT_CHANNELS: Final = 4
PROJECTION: Final = ".1.proj_in.weight"
FIRST: Final = DENOISER + "input_blocks.0.0.weight"
TOKENS: Final = CLIP_TEXT + "embeddings.token_embedding.weight"
LATENT_IN: Final = AUTOENCODER + "decoder.conv_in.weight"


def _matches(shapes: Shapes, hints: NetworkHints) -> bool:
    if any(name.startswith(DENOISER) for name in shapes):
        return _is_denoiser(shapes, hints)
    if TOKENS in shapes:
        return shapes[TOKENS][1] == CONTEXT_WIDTH or hints.given
    return LATENT_IN in shapes and shapes[LATENT_IN][1] == LATENT_CHANNELS


def _is_denoiser(shapes: Shapes, hints: NetworkHints) -> bool:
    """Accept a U-Net with convolutional projections that listens to CLIP-L, or to the smaller CLIP in the same file."""
    if FIRST not in shapes or shapes[FIRST][1] != LATENT_CHANNELS:
        return False
    projections = [shape for name, shape in shapes.items() if name.startswith(DENOISER) and name.endswith(PROJECTION)]
    contexts = {
        shape[1] for name, shape in shapes.items() if name.startswith(DENOISER) and name.endswith("attn2.to_k.weight")
    }
    if len(contexts) != 1 or any(len(shape) != 4 for shape in projections):
        return False
    fits_text = TOKENS in shapes and contexts == {shapes[TOKENS][1]}
    return contexts == {CONTEXT_WIDTH} or fits_text or hints.given


def _unet(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return UNet(unet_config(shapes, UNetConfig(), hints))


def _autoencoder(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return Autoencoder(autoencoder_config(shapes, hints))


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
        {
            "diffusion": PartSpec(DENOISER, _unet),
            "text": PartSpec(CLIP_TEXT, _text),
            "vae": PartSpec(AUTOENCODER, _autoencoder),
        }
    ),
    latent_format=SD15,
    sampling=DiscreteSampling(),
    encode_text=encode_clip,
)
