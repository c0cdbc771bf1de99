"""A plain sampler for looking at a model while it trains and for scoring it: DDIM with classifier-free guidance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.networks.autoencoder import Autoencoder
from engine.training.diffusion_training import STEPS, PromptedUNet, noise_levels
from engine.training.tokens import Tokenizer

__all__ = ["contact_sheet", "decode_pixels", "sample", "seeded_noise"]

DECODE_BATCH = 16


def seeded_noise(seed: int, count: int, size: int = 16) -> Tensor:
    """Return unit noise [count, 4, size, size]; picture i of seed s is always the same, whatever the batch."""
    rows = [
        torch.randn(4, size, size, generator=torch.Generator().manual_seed(seed * 100003 + i)) for i in range(count)
    ]
    return torch.stack(rows)


@torch.no_grad()
def sample(
    model: PromptedUNet,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    noise: Tensor,
    steps: int = 20,
    guidance: float = 4.0,
) -> Tensor:
    """Return latents [B, 4, h, w] of unit spread for `prompts`, from unit noise, by DDIM (Song et al., 2021)."""
    alphas = noise_levels()
    schedule = torch.linspace(STEPS - 1, 0, steps + 1).round().long()
    latents = noise
    with torch.autocast("cpu", dtype=torch.bfloat16):
        empty = model.encode(tokenizer([""])).expand(len(prompts), -1, -1)
        context = torch.cat([model.encode(tokenizer(prompts)), empty])
        for now, after in pairwise(schedule.tolist()):
            times = torch.full((2 * len(prompts),), float(now))
            positive, negative = model.unet(torch.cat([latents, latents]), times, context).float().chunk(2)
            predicted = negative + guidance * (positive - negative)
            signal, target = alphas[now], alphas[after] if after > 0 else torch.tensor(1.0)
            clean = (latents - (1 - signal).sqrt() * predicted) / signal.sqrt()
            latents = target.sqrt() * clean + (1 - target).sqrt() * predicted
    return latents


@torch.no_grad()
def decode_pixels(model: Autoencoder, latents: Tensor) -> NDArray[np.uint8]:
    """Return uint8 pictures [B, H, W, 3] of the autoencoder's own latents [B, 4, h, w]."""
    parts = [model.decode(part).clamp(-1, 1) for part in torch.split(latents, DECODE_BATCH)]
    pixels: NDArray[np.uint8] = ((torch.cat(parts) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return pixels


def contact_sheet(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Lay pictures [N, H, W, 3] out in rows of `columns`; missing ones are white."""
    missing = -len(pictures) % columns
    padded = np.concatenate([pictures, np.full((missing, *pictures.shape[1:]), 255, np.uint8)])
    rows = padded.reshape(-1, columns, *pictures.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
