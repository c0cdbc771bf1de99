"""Weight files of full size that take no room: a true header, and behind it nothing but a hole."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
from engine.networks.clip_text import ClipText, ClipTextConfig, ProjectedClipText
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.unet import UNet, UNetConfig
from engine.weights.layouts import AUTOENCODER, CLIP_G, CLIP_L, CLIP_TEXT, DENOISER
from engine.weights.loading import empty_construction

Shapes = Mapping[str, tuple[int, ...]]
XL = UNetConfig(
    channel_mult=(1, 2, 4), num_res_blocks=(2, 2, 2), transformer_depth=(0, 2, 10), middle_depth=10, context_dim=2048,
    num_heads=None, head_channels=64, use_linear_projection=True, adm_channels=2816,
)  # fmt: skip


def write_hollow(path: Path, shapes: Shapes) -> Path:
    """Write a safetensors file of float16 tensors whose bytes are a hole in the file."""
    header, at = {}, 0
    for name, shape in shapes.items():
        nbytes = 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + nbytes]}
        at += nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path


def shapes_of(prefix: str, network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {prefix + name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@functools.cache
def big_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of "sd15", "sdxl", "control_xl" or "lora_xl"."""
    with torch.device("meta"), empty_construction():
        if name == "sd15":
            parts = {DENOISER: UNet(UNetConfig()), CLIP_TEXT: ClipText(ClipTextConfig())}
            return {k: v for prefix, one in (parts | _vae()).items() for k, v in shapes_of(prefix, one).items()}
        if name == "control_xl":
            return shapes_of("control_model.", ControlNet(ControlNetConfig(XL)))
        unet = UNet(XL)
        if name == "lora_xl":
            return _lora(unet)
        large = ClipTextConfig(width=1280, layers=32, heads=20, hidden=5120, activation="gelu")
        encoders = {CLIP_L: ProjectedClipText(ClipTextConfig()), CLIP_G: ProjectedClipText(large, 1280)}
        whole = {DENOISER: unet, **encoders, **_vae()}
        return {k: v for prefix, one in whole.items() for k, v in shapes_of(prefix, one).items()}


def _vae() -> dict[str, nn.Module]:
    return {AUTOENCODER: Autoencoder(AutoencoderConfig())}


def _lora(unet: nn.Module, rank: int = 16) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, module in unet.named_modules():
        if isinstance(module, nn.Linear) and ".attn" in name:
            key = "lora_unet_" + name.replace(".", "_")
            found[f"{key}.lora_down.weight"] = (rank, module.in_features)
            found[f"{key}.lora_up.weight"] = (module.out_features, rank)
    return found
