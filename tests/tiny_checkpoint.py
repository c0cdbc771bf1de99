"""A small checkpoint with random weights in the layout of Stable Diffusion 1: real files, real code, fast."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from engine.families.sizes import METADATA_KEY
from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
from engine.networks.clip_text import ClipText, ClipTextConfig
from engine.networks.unet import UNet, UNetConfig
from engine.weights.files import save_safetensors
from engine.weights.layouts import AUTOENCODER, CLIP_TEXT, DENOISER

WIDTH = 32


def write_tiny_checkpoint(path: Path, seed: int = 0) -> None:
    """Write the checkpoint to ``path``; the same seed gives the same bytes."""
    torch.manual_seed(seed)
    unet = UNet(
        UNetConfig(
            model_channels=32,
            channel_mult=(1, 2),
            num_res_blocks=(1, 1),
            transformer_depth=(0, 1),
            context_dim=WIDTH,
            num_heads=2,
            norm_groups=8,
        )
    )
    vae = Autoencoder(AutoencoderConfig(channels=16, channel_mult=(1, 1, 2, 2), num_res_blocks=1, norm_groups=8))
    text = ClipText(ClipTextConfig(width=WIDTH, layers=1, heads=1, hidden=64))
    tensors = {}
    for prefix, network in ((DENOISER, unet), (AUTOENCODER, vae), (CLIP_TEXT, text)):
        for name, tensor in network.state_dict().items():
            # Networks start with zeros where training begins; here every weight shall matter.
            value = torch.randn(tensor.shape) * 0.05 if not tensor.any() else tensor
            tensors[prefix + name] = value.half()
    hints = {"unet": {"num_heads": 2, "norm_groups": 8}, "vae": {"norm_groups": 8}, "clip": {"num_heads": 1}}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(path, tensors, {METADATA_KEY: json.dumps(hints)})


def make_base_directory(base: Path, root: Path, checkpoint: str = "tiny.safetensors") -> Path:
    """Lay out a base directory with the tiny checkpoint, the shipped upscaler and the shipped input pictures."""
    write_tiny_checkpoint(base / "models/checkpoints" / checkpoint)
    for folder in ("input", "models/upscale_models"):
        shutil.copytree(root / folder, base / folder)
    return base


def text_to_image(**changes: Any) -> dict[str, Any]:
    """Return an API prompt that draws with the tiny checkpoint; ``changes`` are ``title__input=value``."""
    prompt: dict[str, Any] = {
        "4": _node("CheckpointLoaderSimple", "Checkpoint", ckpt_name="tiny.safetensors"),
        "5": _node("EmptyLatentImage", "Size", width=64, height=64, batch_size=1),
        "6": _node("CLIPTextEncode", "Prompt", text="a (red:1.2) apple", clip=["4", 1]),
        "7": _node("CLIPTextEncode", "Negative", text="", clip=["4", 1]),
        "3": _node(
            "KSampler",
            "Sampler",
            model=["4", 0],
            seed=3,
            steps=2,
            cfg=4.0,
            sampler_name="euler",
            scheduler="normal",
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
            denoise=1.0,
        ),
        "8": _node("VAEDecode", "Decode", samples=["3", 0], vae=["4", 2]),
        "9": _node("SaveImage", "Save", images=["8", 0], filename_prefix="made"),
    }
    for name, value in changes.items():
        title, _, input = name.partition("__")
        entry = next(one for one in prompt.values() if one["_meta"]["title"] == title)
        entry["inputs"][input] = value
    return prompt


def _node(kind: str, title: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
