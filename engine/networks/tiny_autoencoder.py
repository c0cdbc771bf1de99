"""TAESD, the tiny autoencoder (Bohan, 2023, github.com/madebyollin/taesd): a few convolutions in the VAE's place.

It was trained on pixels in 0..1 and on latents as the diffusion model sees them, that is scaled. Here it speaks as
`engine.networks.autoencoder.Autoencoder` does: pixels in -1..1 and unscaled latents. Parameter names are those of the
author's two files after ``encoder.`` and ``decoder.``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TinyAutoencoder", "TinyAutoencoderConfig"]

LIMIT: Final = 3.0
"""The decoder squashes latents into -3..3; the noise of a scaled latent hardly goes further."""
NO_VARIANCE: Final = -30.0


@dataclass(frozen=True, slots=True)
class TinyAutoencoderConfig:
    """Sizes of a `TinyAutoencoder`; blocks are counted for each level, the encoder's from full resolution.

    No blocks mean that this half is not there. `latent_scale` is the factor between the latents of files and those of
    the diffusion model.
    """

    channels: int = 64
    latent_channels: int = 4
    encoder_blocks: tuple[int, ...] = (1, 3, 3, 3)
    decoder_blocks: tuple[int, ...] = (3, 3, 3, 1)
    latent_scale: float = 1.0

    @property
    def downscale(self) -> int:
        """Pixels per latent cell along each side."""
        return 1 << (len(self.decoder_blocks or self.encoder_blocks) - 1)


class TinyAutoencoder(nn.Module):
    """Encode pixels [B, 3, H, W] in [-1, 1] to latents [B, C, H/f, W/f] and decode them back, both unscaled."""

    def __init__(self, config: TinyAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config) if config.encoder_blocks else None
        self.decoder = _decoder(config) if config.decoder_blocks else None

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents and their log-variance (none), each [B, C, H/f, W/f], of pixels [B, 3, H, W] in [-1, 1].

        Raises ValueError where H or W is not a multiple of the downscale factor f, or the encoder is not there.
        """
        factor = self.config.downscale
        height, width = pixels.shape[-2:]
        if height % factor or width % factor:
            raise ValueError(f"picture sides must be multiples of {factor}, got {width}x{height}; crop or pad first")
        if self.encoder is None:
            raise ValueError("this autoencoder has no encoder")
        latents = self.encoder((pixels + 1) / 2) / self.config.latent_scale
        return latents, torch.full_like(latents, NO_VARIANCE)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels [B, 3, H, W], about [-1, 1] (not clamped), of unscaled latents [B, C, H/f, W/f].

        Raises ValueError where the decoder is not there.
        """
        if self.decoder is None:
            raise ValueError("this autoencoder has no decoder")
        result: Tensor = self.decoder(latents * self.config.latent_scale) * 2 - 1
        return result


class _Block(nn.Module):
    """Three convolutions around a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _convolution(channels), nn.ReLU(), _convolution(channels), nn.ReLU(), _convolution(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = functional.relu(self.conv(x) + x)
        return result


class _Squash(nn.Module):
    """Bend values smoothly into -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / LIMIT) * LIMIT


def _convolution(channels: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, stride=stride, bias=bias)


def _encoder(config: TinyAutoencoderConfig) -> nn.Sequential:
    width = config.channels
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for level, blocks in enumerate(config.encoder_blocks):
        if level:
            layers.append(_convolution(width, stride=2, bias=False))
        layers.extend(_Block(width) for _ in range(blocks))
    return nn.Sequential(*layers, nn.Conv2d(width, config.latent_channels, 3, padding=1))


def _decoder(config: TinyAutoencoderConfig) -> nn.Sequential:
    width = config.channels
    layers: list[nn.Module] = [_Squash(), nn.Conv2d(config.latent_channels, width, 3, padding=1), nn.ReLU()]
    for level, blocks in enumerate(config.decoder_blocks):
        if level:
            layers += [nn.Upsample(scale_factor=2), _convolution(width, bias=False)]
        layers.extend(_Block(width) for _ in range(blocks))
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))
