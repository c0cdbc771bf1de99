"""Train the small autoencoder of the default model: crops first, whole pictures later; and refine a finished one."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
from engine.training.dataset import BACKGROUNDS, PictureBatches, composite
from engine.training.loop import train_until_spent
from engine.training.state import TimedRun

__all__ = ["AUTOENCODER", "AutoencoderRun", "initialise", "psnr", "refine_autoencoder", "train_autoencoder"]

AUTOENCODER = AutoencoderConfig(channels=32, channel_mult=(1, 2, 2, 2), num_res_blocks=1, norm_groups=8)
KL_WEIGHT = 5e-5
START_LOGVAR = -5.0
JITTER = 0.02  # noise on refined latents, in their standard deviations: no detail may hide below it
ANCHOR_WEIGHT = 3.0
SMALLEST_ERROR = 1e-5  # 56 dB: beyond it a picture counts as reconstructed


@dataclass(frozen=True, slots=True)
class AutoencoderRun:
    """How to train: minutes in all, the part of them spent on 64x64 crops, and the highest learning rate."""

    minutes: float
    crop_part: float = 0.5
    peak_rate: float = 1.5e-3
    compile: bool = True
    crop_batch: int = 8
    whole_batch: int = 3
    save_every: float = 60.0


@torch.no_grad()
def initialise(model: Autoencoder) -> None:
    """Start every residual block as the identity, the latent convolutions too, and the log-variance low.

    From torch's default start the first minutes go into undoing noise; this one reconstructs coarse colour at once.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and name.endswith((".conv2", ".proj_out")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(_bias(module))
    for module in (model.quant_conv, model.post_quant_conv):
        nn.init.dirac_(module.weight)
        nn.init.zeros_(_bias(module))
    channels = model.config.latent_channels
    model.encoder.conv_out.weight[channels:] = 0
    _bias(model.encoder.conv_out)[channels:] = START_LOGVAR


def _bias(module: nn.Conv2d) -> Tensor:
    assert module.bias is not None
    return module.bias


Losses = tuple[Tensor, Tensor]
"""What to descend, and the mean absolute error to watch."""

Objective = Callable[[Autoencoder, Tensor, Tensor], Losses]
"""``objective(model, pixels, noise)``; the noise is of the latents' shape and of unit spread."""


def reconstruction_loss(model: Autoencoder, pixels: Tensor, noise: Tensor) -> Losses:
    """Return the loss (absolute + squared error + weighted KL divergence) and the absolute error alone."""
    mean, logvar = model.encode(pixels)
    decoded = model.decode(mean + noise * torch.exp(0.5 * logvar)).float()
    error = (decoded - pixels).abs()
    mean, logvar = mean.float(), logvar.float()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    absolute = error.mean()
    return absolute + 2 * error.square().mean() + KL_WEIGHT * divergence, absolute


def anchored_loss(anchor: Autoencoder, scale: float, model: Autoencoder, pixels: Tensor, noise: Tensor) -> Losses:
    """Return the logarithm of each picture's squared error, which is its PSNR, with the latents held near `anchor`'s.

    `scale` brings latents to unit spread. Without the anchor they would drift from what a finished U-Net knows; held
    within a tenth of their spread they carry the detail that a decoder alone cannot guess.
    """
    with torch.no_grad():
        held, _ = anchor.encode(pixels)
    mean, _ = model.encode(pixels)
    error = model.decode(mean + noise * (JITTER / scale)).float() - pixels
    fidelity = (error.square().mean((1, 2, 3)) + SMALLEST_ERROR).log().mean()
    moved = ((mean.float() - held.float()) * scale).square().mean()
    return fidelity + ANCHOR_WEIGHT * moved, error.abs().mean()


def refine_autoencoder(
    model: Autoencoder, scale: float, batches: PictureBatches, state_file: Path, run: AutoencoderRun
) -> Autoencoder:
    """Train a finished autoencoder on for fidelity, so that the U-Net trained on its latents can stay as it is."""
    anchor = copy.deepcopy(model).requires_grad_(False).to(memory_format=torch.channels_last)
    return train_autoencoder(model, batches, state_file, run, functools.partial(anchored_loss, anchor, scale))


def train_autoencoder(
    model: Autoencoder,
    batches: PictureBatches,
    state_file: Path,
    run: AutoencoderRun,
    objective: Objective = reconstruction_loss,
) -> Autoencoder:
    """Train until the minutes are spent (resuming from `state_file`); return the averaged model."""
    model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=run.peak_rate, betas=(0.9, 0.99), weight_decay=1e-4)
    timed = TimedRun(state_file, model, optimiser, run.minutes)
    compute: Objective = torch.compile(objective) if run.compile else objective

    def losses(progress: float) -> Losses:
        count, size = (run.crop_batch, 64) if progress < run.crop_part else (run.whole_batch, 128)
        pixels = batches.draw(timed.generator, count, size).contiguous(memory_format=torch.channels_last)
        latent = (count, model.config.latent_channels, size // model.config.downscale, size // model.config.downscale)
        noise = torch.randn(latent, generator=timed.generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return compute(model, pixels, noise)

    averaged = train_until_spent(timed, run.peak_rate, losses, ("loss", "absolute error"), run.save_every)
    assert isinstance(averaged, Autoencoder)
    return averaged


@torch.no_grad()
def psnr(model: Autoencoder, pixels: NDArray[np.uint8]) -> float:
    """Return the mean peak signal-to-noise ratio, in dB and of 8 bits, of RGBA pixels [N, 128, 128, 4] on white."""
    values = []
    for picture in pixels:
        target = composite(picture, BACKGROUNDS["white"])
        source = torch.from_numpy(target.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        decoded = model.decode(model.encode(source)[0]).clamp(-1, 1)
        shown = ((decoded + 1) * 127.5).round()[0].permute(1, 2, 0).numpy()
        error = float(np.mean((shown - target.astype(np.float32)) ** 2))
        values.append(10 * math.log10(255**2 / max(error, 1e-9)))
    return float(np.mean(values))
