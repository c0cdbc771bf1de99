"""Train the small U-Net and text encoder of the default model on captioned latents, by predicting the noise in them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from engine.networks.unet import UNet, UNetConfig
from engine.training.latents import LatentBatches
from engine.training.loop import train_until_spent
from engine.training.state import TimedRun
from engine.training.tokens import CONTEXT_LENGTH, Tokenizer

__all__ = [
    "UNET",
    "DiffusionRun",
    "Noised",
    "PromptedUNet",
    "add_noise",
    "build_text_encoder",
    "diffusion_loss",
    "noise_levels",
    "train_diffusion",
]

TEXT_WIDTH = 64
UNET = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 2),
    num_res_blocks=(1, 1, 1),
    transformer_depth=(1, 1, 1),
    context_dim=TEXT_WIDTH,
    num_heads=4,
)
STEPS = 1000
LARGEST_WEIGHT = 25.0
TIME_BIAS = 0.75  # t = 1000 * u ** bias: below 1 draws the noisy steps, which decide the composition, more often
TABLE_SPREAD = 0.5  # standard deviation of the token table


@dataclass(frozen=True, slots=True)
class DiffusionRun:
    """How to train: minutes in all, rate, batch size, whether to compile (slow to start), seconds between saves."""

    minutes: float
    peak_rate: float = 1e-3
    batch: int = 32
    compile: bool = False
    save_every: float = 90.0


@functools.cache
def noise_levels() -> Tensor:
    """Return the cumulative signal power [1000] of Stable Diffusion 1: scaled-linear betas, 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def build_text_encoder() -> CLIPTextModel:
    """Return an untrained CLIP text model: 64 wide, 3 layers, 1 head, 77 positions, CLIP's vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=1,
            max_position_embeddings=CONTEXT_LENGTH,
            projection_dim=TEXT_WIDTH,
            hidden_act="quick_gelu",
            bos_token_id=49406,
            eos_token_id=49407,
            pad_token_id=49407,
        )
    )


class PromptedUNet(nn.Module):
    """The two networks that train together; `forward` predicts noise from token ids."""

    def __init__(self, token_table: Tensor | None = None) -> None:
        super().__init__()
        self.text = build_text_encoder()
        self.unet = UNet(UNET)
        if token_table is not None:
            initialise(self, token_table)
        self.token_table.requires_grad_(False)

    @property
    def token_table(self) -> nn.Parameter:
        """The text encoder's table of token vectors [49408, 64]."""
        return _named(self.text, "embeddings.token_embedding.weight")

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the context [B, 77, 64] of token ids [B, 77]."""
        context: Tensor = self.text(input_ids=tokens).last_hidden_state
        return context

    def forward(self, latents: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """Return the predicted noise [B, 4, h, w] in latents [B, 4, h, w] at timesteps [B]."""
        predicted: Tensor = self.unet(latents, timesteps, self.encode(tokens))
        return predicted


def _named(module: nn.Module, ending: str) -> nn.Parameter:
    """Return the one parameter whose name ends so: releases of transformers differ in what stands before."""
    return next(parameter for name, parameter in module.named_parameters() if name.endswith(ending))


@torch.no_grad()
def initialise(model: PromptedUNet, token_table: Tensor) -> None:
    """Load the token table, and start every residual branch of the U-Net, and its output, at zero."""
    model.token_table.copy_(token_table * TABLE_SPREAD)
    nn.init.normal_(_named(model.text, "embeddings.position_embedding.weight"), std=0.2 * TABLE_SPREAD)
    for name, parameter in model.unet.named_parameters():
        if name.rpartition(".")[0].endswith(("out_layers.3", "proj_out", "out.2")):
            nn.init.zeros_(parameter)


def diffusion_loss(model: PromptedUNet, noised: Tensor, noise: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
    """Return the squared error of the predicted noise, [B]."""
    predicted = model(noised, timesteps, tokens)
    errors: Tensor = (predicted.float() - noise).square().mean((1, 2, 3))
    return errors


def train_diffusion(
    model: PromptedUNet,
    batches: LatentBatches,
    tokenizer: Tokenizer,
    state_file: Path,
    run: DiffusionRun,
) -> PromptedUNet:
    """Train until the minutes are spent (resuming from `state_file`); return the averaged model."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=run.peak_rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    timed = TimedRun(state_file, model, optimiser, run.minutes)
    compute: Callable[..., Tensor] = torch.compile(diffusion_loss) if run.compile else diffusion_loss

    def losses(progress: float) -> tuple[Tensor, Tensor]:
        batch = batches.draw(timed.generator, run.batch)
        noised = add_noise(timed.generator, batch.latents)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            errors = compute(model, noised.latents, noised.noise, noised.timesteps, tokenizer(batch.captions))
        return noised.velocity_loss(errors), errors.mean()

    averaged = train_until_spent(timed, run.peak_rate, losses, ("loss", "noise error"), run.save_every)
    assert isinstance(averaged, PromptedUNet)
    return averaged


@dataclass(frozen=True, slots=True, eq=False)
class Noised:
    """Latents with noise in them, the noise, timesteps [B] and the signal power [B, 1, 1, 1] at them."""

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    signal: Tensor

    def velocity_loss(self, errors: Tensor) -> Tensor:
        """Return the mean of noise errors [B] weighted by 1/abar up to 25.

        That is the velocity loss of Salimans & Ho (2022) on a network that predicts noise: unweighted, the noisy
        steps carry almost no gradient at 16x16.
        """
        return (errors * (1 / self.signal.flatten()).clamp(max=LARGEST_WEIGHT)).mean()


def add_noise(generator: torch.Generator, latents: Tensor) -> Noised:
    """Draw noise and timesteps for latents [B, C, h, w] of unit spread, and mix them."""
    noise = torch.randn(latents.shape, generator=generator)
    timesteps = _draw_timesteps(generator, len(latents))
    signal = noise_levels()[timesteps][:, None, None, None]
    return Noised(signal.sqrt() * latents + (1 - signal).sqrt() * noise, noise, timesteps.float(), signal)


def _draw_timesteps(generator: torch.Generator, count: int) -> Tensor:
    """Draw timesteps [count], spread evenly over the batch so that the loss of one step varies less."""
    uniform = (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1
    return (uniform.pow(TIME_BIAS) * STEPS).long().clamp(max=STEPS - 1)
