"""What the families with a U-Net have in common: telling them apart by their denoiser, building parts, predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from torch import nn

from engine.diffusion.distilled import DistilledSampling
from engine.diffusion.prediction import DiscreteSampling, ModelSampling
from engine.errors import InputError
from engine.families.family import Options, PartSpec
from engine.families.sizes import NetworkHints, Shapes, autoencoder_config, unet_config
from engine.networks.autoencoder import Autoencoder
from engine.networks.unet import UNet, UNetConfig
from engine.weights.files import WeightFile
from engine.weights.layouts import AUTOENCODER, CLIP_G, CLIP_L, CLIP_TEXT, DENOISER
from engine.weights.recipe import ModelRecipe

__all__ = [
    "AUTOENCODER_MARKS",
    "AUTOENCODER_PART",
    "DENOISER_MARKS",
    "FIRST",
    "G_TOKENS",
    "INPAINT_CHANNELS",
    "LATENT_CHANNELS",
    "LATENT_IN",
    "L_TOKENS",
    "PREDICTION",
    "TOKENS",
    "ZERO_SNR",
    "Denoiser",
    "has_denoiser",
    "predicting",
    "prediction_in_metadata",
    "read_denoiser",
    "sampling_with",
    "unet_part",
    "width_of",
]

LATENT_CHANNELS: Final = 4
INPAINT_CHANNELS: Final = 9
PROJECTION: Final = ".1.proj_in.weight"
FIRST: Final = DENOISER + "input_blocks.0.0.weight"
LABEL: Final = DENOISER + "label_emb.0.0.weight"
LATENT_IN: Final = AUTOENCODER + "decoder.conv_in.weight"
TOKENS: Final = CLIP_TEXT + "embeddings.token_embedding.weight"
L_TOKENS: Final = CLIP_L + "text_model.embeddings.token_embedding.weight"
G_TOKENS: Final = CLIP_G + "text_model.embeddings.token_embedding.weight"

DENOISER_MARKS: Final = (
    FIRST,
    DENOISER + "time_embed.0.weight",
    DENOISER + "input_blocks.1.0.in_layers.2.weight",
    DENOISER + "middle_block.0.in_layers.2.weight",
    DENOISER + "output_blocks.0.0.in_layers.2.weight",
    DENOISER + "out.2.weight",
)
AUTOENCODER_MARKS: Final = (AUTOENCODER + "encoder.conv_in.weight", LATENT_IN, AUTOENCODER + "quant_conv.weight")

PREDICTION: Final = "prediction"
"""The option of a diffusion recipe that says what the network predicts: "eps" (noise), "v" (velocity), "x0" (the clean
latent) or "lcm" (noise, at the time steps of a latent consistency model)."""

ZERO_SNR: Final = "zero_terminal_snr"
"""The option of a diffusion recipe that makes the last noise level pure noise."""

PREDICTIONS: Final = {"eps": "eps", "v_prediction": "v", "x0": "x0", "lcm": "lcm"}
METADATA_PREDICTIONS: Final = {"epsilon": "eps", "eps": "eps", "v": "v", "v_prediction": "v"}


@dataclasses.dataclass(frozen=True, slots=True)
class Denoiser:
    """Tell what sets U-Nets apart: input channels, the width of the text it listens to, its label vector, its make."""

    in_channels: int
    context: int
    label: int | None
    is_linear: bool
    """Whether attention blocks project by matrices (Stable Diffusion 2, XL); else by 1x1 convolutions."""


def has_denoiser(shapes: Shapes) -> bool:
    """Say whether the file has tensors of a diffusion model of any kind."""
    return any(name.startswith(DENOISER) for name in shapes)


def read_denoiser(shapes: Shapes) -> Denoiser | None:
    """Return the facts of the U-Net in a file; None where there is none of this make."""
    contexts: set[int] = set()
    ranks: set[int] = set()
    for name, shape in shapes.items():
        if name.startswith(DENOISER):
            if name.endswith("attn2.to_k.weight"):
                contexts.add(shape[-1] if shape else 0)
            elif name.endswith(PROJECTION):
                ranks.add(len(shape))
    if FIRST not in shapes or len(contexts) != 1 or len(ranks) > 1:
        return None
    return Denoiser(
        in_channels=width_of(shapes, FIRST) or 0,
        context=contexts.pop(),
        label=width_of(shapes, LABEL),
        is_linear=ranks == {2},
    )


def width_of(shapes: Shapes, name: str) -> int | None:
    """Return the second dimension of a tensor (an embedding's width, a layer's inputs); None where it has none."""
    shape = shapes.get(name, ())
    return shape[1] if len(shape) > 1 else None


def unet_part(defaults: UNetConfig) -> PartSpec:
    """Return the diffusion part of a family whose networks differ from `defaults` in what shapes tell."""

    def build(shapes: Shapes, hints: NetworkHints) -> nn.Module:
        return UNet(unet_config(shapes, defaults, hints))

    return PartSpec(DENOISER, build)


def _autoencoder(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return Autoencoder(autoencoder_config(shapes, hints))


AUTOENCODER_PART: Final = PartSpec(AUTOENCODER, _autoencoder)


def prediction_in_metadata(file: WeightFile) -> Options:
    """Return what the file's ``modelspec.prediction_type`` says of its prediction, or nothing."""
    said = METADATA_PREDICTIONS.get(file.metadata.get("modelspec.prediction_type", "").lower())
    return () if said is None else ((PREDICTION, said),)


def sampling_with(sampling: DiscreteSampling, option: Callable[[str, str | bool], object]) -> ModelSampling:
    """Return `sampling` changed as the options of a recipe say; `option` looks one up, or gives its second argument."""
    said = option(PREDICTION, sampling.prediction)
    changed = dataclasses.replace(
        sampling,
        prediction="v" if said == "v" else "x0" if said == "x0" else "eps",
        zero_terminal_snr=bool(option(ZERO_SNR, sampling.zero_terminal_snr)),
    )
    return DistilledSampling(changed) if said == "lcm" else changed


def predicting(model: ModelRecipe, kind: str, zero_terminal_snr: bool) -> ModelRecipe:
    """Return the recipe of a model that is told what its network predicts, in the ecosystem's words.

    Raises `InputError` for a kind that is not here.
    """
    if kind not in PREDICTIONS:
        raise InputError(
            f'models that predict "{kind}" are not supported',
            input="sampling",
            expected=", ".join(PREDICTIONS),
            got=kind,
            hint="choose the kind that the model was trained with",
        )
    return model.with_option(PREDICTION, PREDICTIONS[kind]).with_option(ZERO_SNR, zero_terminal_snr)
