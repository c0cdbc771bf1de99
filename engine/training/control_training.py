"""Train a small ControlNet beside a finished U-Net: pictures, their edges, and the noise in their latents."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from engine.imaging.edges import canny
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.training.diffusion_training import UNET, PromptedUNet, add_noise
from engine.training.loop import train_until_spent
from engine.training.placed_pictures import Pixels
from engine.training.state import TimedRun
from engine.training.tokens import Tokenizer
from engine.weights.control_layouts import CONTROL
from engine.weights.safetensors_format import save_safetensors

__all__ = ["CONTROL_CONFIG", "ControlRun", "edges_of", "export_controlnet", "new_controlnet", "train_controlnet"]

CONTROL_CONFIG: Final = ControlNetConfig(
    dataclasses.replace(UNET, transformer_depth=(1, 0, 0), middle_depth=0), hint_widths=(16, 16, 32, 32, 64, 64, 64)
)
"""The reading half of the default U-Net with less attention: enough for edges, and small enough to ship."""

EDGES_AT_ONCE: Final = 64
NO_PROMPT_SHARE: Final = 0.3
"""How often the prompt is left out, so that the picture alone must tell what to draw."""


@dataclass(frozen=True, slots=True)
class ControlRun:
    """How to train: minutes in all, highest learning rate, pictures a step."""

    minutes: float
    peak_rate: float = 1e-3
    batch: int = 32


def edges_of(pictures: Pixels, low: float = 0.1, high: float = 0.2) -> Tensor:
    """Return the edges, bool [N, H, W], of pictures uint8 [N, H, W, 3]; thresholds as `canny` takes them."""
    parts = [
        canny(torch.from_numpy(pictures[start : start + EDGES_AT_ONCE]).float() / 255, low, high) > 0
        for start in range(0, len(pictures), EDGES_AT_ONCE)
    ]
    return torch.cat(parts)


def new_controlnet(unet: Mapping[str, Tensor]) -> ControlNet:
    """Return a ControlNet that starts as a copy of what it shares with the U-Net `unet`, and changes nothing yet."""
    network = ControlNet(CONTROL_CONFIG)
    own = network.state_dict()
    shared = {name: tensor for name, tensor in unet.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(shared, strict=False)
    return network


def train_controlnet(
    model: PromptedUNet, latents: Tensor, edges: Tensor, captions: tuple[str, ...], state_file: Path, run: ControlRun
) -> ControlNet:
    """Train on latents [N, C, h, w] of unit spread, edges bool [N, H, W] and captions; return the averaged network."""
    model = model.requires_grad_(False).eval()
    network = new_controlnet(model.unet.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=run.peak_rate, betas=(0.9, 0.99), weight_decay=1e-3)
    timed = TimedRun(state_file, network, optimiser, run.minutes)
    tokenizer = Tokenizer()

    def losses(progress: float) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(latents), (run.batch,), generator=timed.generator)
        unprompted = torch.rand(run.batch, generator=timed.generator) < NO_PROMPT_SHARE
        texts = [
            "" if silent else captions[index]
            for index, silent in zip(chosen.tolist(), unprompted.tolist(), strict=True)
        ]
        noised = add_noise(timed.generator, latents[chosen])
        hint = edges[chosen][:, None].float().expand(-1, 3, -1, -1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            context = model.encode(tokenizer(texts))
            residuals = network(noised.latents, noised.timesteps, context, network.encode_hint(hint))
            predicted = model.unet(noised.latents, noised.timesteps, context, control=residuals)
        errors = (predicted.float() - noised.noise).square().mean((1, 2, 3))
        return noised.velocity_loss(errors), errors.mean()

    averaged = train_until_spent(timed, run.peak_rate, losses, ("loss", "noise error"))
    assert isinstance(averaged, ControlNet)
    return averaged


def export_controlnet(network: ControlNet, out: Path, title: str, description: str) -> None:
    """Write a ControlNet in the original layout: matrices as float8 (e4m3), which halves the file, the rest as fp16."""
    tensors = {
        CONTROL + name: tensor.detach().to(torch.float8_e4m3fn if tensor.ndim > 1 else torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    networks = {"unet": {"num_heads": UNET.num_heads, "norm_groups": UNET.norm_groups}}
    metadata = {
        "safelight.networks": json.dumps(networks),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1/controlnet",
        "modelspec.implementation": "safelight",
        "modelspec.title": title,
        "modelspec.description": description,
        "modelspec.license": "Apache-2.0 AND MIT",
    }
    save_safetensors(out, tensors, metadata)
