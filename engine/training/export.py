"""The trained networks as one checkpoint file in the original Stable Diffusion 1 layout, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from engine.networks.autoencoder import Autoencoder
from engine.networks.unet import UNet
from engine.training.autoencoder_training import AUTOENCODER
from engine.training.diffusion_training import UNET, PromptedUNet
from engine.training.latents import SCALE
from engine.training.state import under
from engine.weights.files import open_weights
from engine.weights.safetensors_format import save_safetensors

__all__ = [
    "checkpoint_metadata",
    "checkpoint_tensors",
    "fold_latent_scale",
    "load_checkpoint",
    "replace_autoencoder",
]

TITLE = "Safelight Emoji 128"
DESCRIPTION = (
    "A small built-in demo model: draws emoji-style pictures of about two hundred things at 128x128. "
    "Trained from scratch on Fluent Emoji (MIT), Noto Emoji (Apache-2.0), flag-icons (MIT) and shapes drawn by code."
)


@torch.no_grad()
def fold_latent_scale(model: Autoencoder, offset: Tensor, spread: Tensor) -> dict[str, Tensor]:
    """Return the autoencoder's tensors with its latents' mean and spread [C] folded into the latent convolutions.

    Afterwards latents times 0.18215 have zero mean and unit spread, and pixels come out as before.
    """
    tensors = {name: tensor.detach().clone().float() for name, tensor in model.state_dict().items()}
    unit = spread * SCALE
    channels = len(unit)
    weight, bias = tensors["quant_conv.weight"], tensors["quant_conv.bias"]
    weight[:channels] /= unit[:, None, None, None]
    bias[:channels] = (bias[:channels] - offset) / unit
    bias[channels:] -= 2 * unit.log()
    weight, bias = tensors["post_quant_conv.weight"], tensors["post_quant_conv.bias"]
    bias += weight[:, :, 0, 0] @ offset
    weight *= unit[None, :, None, None]
    return tensors


def checkpoint_tensors(model: PromptedUNet, autoencoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return every tensor of the file, as fp16, under its original single-file name."""
    text = {name.removeprefix("text_model."): tensor for name, tensor in model.text.state_dict().items()}
    parts: dict[str, Mapping[str, Tensor]] = {
        "model.diffusion_model.": model.unet.state_dict(),
        "first_stage_model.": autoencoder,
        "cond_stage_model.transformer.text_model.": text,
    }
    return {
        prefix + name: tensor.detach().half().contiguous()
        for prefix, tensors in parts.items()
        for name, tensor in tensors.items()
        if tensor.is_floating_point()
    }


def checkpoint_metadata(description: str = DESCRIPTION) -> dict[str, str]:
    """Return the file's metadata: what shapes do not tell, and the model's card in short."""
    networks = {
        "unet": {"num_heads": UNET.num_heads, "norm_groups": UNET.norm_groups},
        "vae": {"norm_groups": AUTOENCODER.norm_groups},
        "clip": {"num_heads": 1},
        "size": [128, 128],
    }
    return {
        "safelight.networks": json.dumps(networks),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.implementation": "safelight",
        "modelspec.title": TITLE,
        "modelspec.description": description,
        "modelspec.license": "Apache-2.0 AND MIT",
        "modelspec.resolution": "128x128",
        "modelspec.prediction_type": "epsilon",
    }


def load_checkpoint(path: Path) -> tuple[PromptedUNet, Autoencoder]:
    """Build the networks of an exported file in float32, with the head and group counts that its metadata states."""
    with open_weights(path) as file:
        networks = json.loads(file.metadata["safelight.networks"])
        tensors = {name: file.tensor(name).float() for name in file.shapes}
    prompted = PromptedUNet()
    prompted.unet = UNet(replace(UNET, **networks["unet"]))
    prompted.unet.load_state_dict(under("model.diffusion_model.", tensors))
    text = under("cond_stage_model.transformer.text_model.", tensors)
    prompted.text.load_state_dict({name: text[name.removeprefix("text_model.")] for name in prompted.text.state_dict()})
    autoencoder = Autoencoder(replace(AUTOENCODER, **networks["vae"]))
    autoencoder.load_state_dict(under("first_stage_model.", tensors))
    return prompted.eval(), autoencoder.eval()


def replace_autoencoder(start: Path, autoencoder: Autoencoder, out: Path) -> None:
    """Write a copy of the checkpoint `start` with another autoencoder, as fp16."""
    with open_weights(start) as file:
        tensors = {name: file.tensor(name).clone() for name in file.shapes}
        metadata = dict(file.metadata)
    state = autoencoder.state_dict().items()
    tensors |= {f"first_stage_model.{name}": tensor.detach().half().contiguous() for name, tensor in state}
    save_safetensors(out, tensors, metadata)
