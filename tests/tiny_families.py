"""Small checkpoints with random weights of Stable Diffusion 2 and XL, in shapes by which they are recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
from engine.networks.clip_text import ClipText, ClipTextConfig, ProjectedClipText
from engine.networks.unet import UNet, UNetConfig
from engine.weights.files import save_safetensors
from engine.weights.layouts import AUTOENCODER, CLIP_G, CLIP_L, CLIP_TEXT, DENOISER

TinyFamily = Literal["sd2", "sd2_inpaint", "sdxl", "sdxl_inpaint", "sdxl_refiner"]
SMALL, LARGE = 32, 64  # widths of the text encoders


def tiny_tensors(family: TinyFamily) -> dict[str, Tensor]:
    """Return all tensors of a small checkpoint, the same at every call."""
    torch.manual_seed(0)
    small = ClipTextConfig(width=SMALL, layers=2, heads=1, hidden=64)
    large = ClipTextConfig(width=LARGE, layers=2, heads=1, hidden=64, activation="gelu")
    vae = Autoencoder(AutoencoderConfig(channels=32, channel_mult=(1, 1, 2, 2), num_res_blocks=1))
    parts: dict[str, nn.Module] = {AUTOENCODER: vae}
    if family.startswith("sd2"):
        context, label = LARGE, None
        parts[CLIP_TEXT] = ClipText(large)
    elif family == "sdxl_refiner":
        context, label = LARGE, LARGE + 5 * 256
        parts[CLIP_G] = ProjectedClipText(large, LARGE)
    else:
        context, label = SMALL + LARGE, LARGE + 6 * 256
        parts |= {CLIP_L: ProjectedClipText(small), CLIP_G: ProjectedClipText(large, LARGE)}
    parts[DENOISER] = UNet(
        UNetConfig(
            in_channels=9 if family.endswith("inpaint") else 4,
            model_channels=32,
            channel_mult=(1, 2),
            num_res_blocks=(1, 1),
            transformer_depth=(0, 1),
            context_dim=context,
            num_heads=None,
            head_channels=64,
            use_linear_projection=True,
            adm_channels=label,
        )
    )
    tensors = {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.state_dict().items()}
    # Networks start with zeros where training begins; here every weight shall matter.
    return {name: tensor if tensor.any() else torch.randn(tensor.shape) * 0.05 for name, tensor in tensors.items()}


LONE_UNETS: dict[str, dict[str, Any]] = {
    "sd1": {"context_dim": 768, "num_heads": 8},
    "sd2": {"context_dim": 1024, "head_channels": 64},
    "sdxl": {"context_dim": 2048, "head_channels": 64, "adm_channels": 1280 + 6 * 256},
    "sdxl_refiner": {"context_dim": 1280, "head_channels": 64, "adm_channels": 1280 + 5 * 256},
}


def lone_unet(family: str) -> UNet:
    """Return a small U-Net that is recognised alone, by the real width of the text it listens to.

    `family` may end in "_inpaint".
    """
    torch.manual_seed(1)
    base = family.removesuffix("_inpaint")
    given: dict[str, Any] = {"num_heads": None, "use_linear_projection": base != "sd1", **LONE_UNETS[base]}
    sizes: dict[str, Any] = {"model_channels": 32, "channel_mult": (1, 2), "num_res_blocks": (1, 1)}
    unet = UNet(UNetConfig(in_channels=9 if base != family else 4, transformer_depth=(0, 1), **sizes, **given))
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.copy_(parameter if parameter.any() else torch.randn(parameter.shape) * 0.05)
    return unet.eval()


def encoder(width: int, projected: bool) -> dict[str, Tensor]:
    """Return a CLIP of real width (by which it is recognised) with two small layers, in Hugging Face's names."""
    torch.manual_seed(width)
    config = ClipTextConfig(width=width, layers=2, heads=width // 64, hidden=64)
    made = ProjectedClipText(config, width if projected else None).half().state_dict()
    return {name: tensor.contiguous() for name, tensor in made.items()}


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under longer names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def write_tiny_family(path: Path, family: TinyFamily) -> Path:
    """Write a small checkpoint; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(path, tiny_tensors(family))
    return path
