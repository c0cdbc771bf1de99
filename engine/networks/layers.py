"""Building blocks of the denoising U-Net: time embedding, residual block, resampling.

Parameter names follow the original single-file layout of latent diffusion (Rombach et al., 2022), so that the tensors
of a checkpoint load by name. The maths is that of Ho et al. (2020) and Dhariwal & Nichol (2021).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Downsample", "ResidualBlock", "Upsample", "timestep_embedding"]


def timestep_embedding(timesteps: Tensor, dim: int, max_period: float = 10000.0) -> Tensor:
    """Embed timesteps [B] as sinusoids [B, dim], cosines first (Vaswani et al., 2017; Ho et al., 2020).

    Computed in float32 whatever the input's type: half precision cannot tell step 998 from step 999.
    An odd `dim` gets a zero in its last column.
    """
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    frequencies = torch.exp(-math.log(max_period) * exponents)
    angles = timesteps.to(torch.float32)[:, None] * frequencies[None]
    embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return functional.pad(embedding, (0, 1)) if dim % 2 else embedding


class Downsample(nn.Module):
    """Halve height and width with a strided 3x3 convolution; odd sizes round up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C, ceil(H/2), ceil(W/2)]."""
        result: Tensor = self.op(x)
        return result


class Upsample(nn.Module):
    """Double height and width (nearest neighbour), then smooth with a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Map [B, C, H, W] to `size`, or to [B, C, 2H, 2W]; `size` serves sizes that do not halve evenly."""
        target = size if size is not None else (2 * x.shape[-2], 2 * x.shape[-1])
        result: Tensor = self.conv(functional.interpolate(x, size=target, mode="nearest"))
        return result


class ResidualBlock(nn.Module):
    """Two normalised convolutions with the time embedding added in between, around a skip connection."""

    def __init__(self, in_channels: int, out_channels: int, embedding_channels: int, groups: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, in_channels, eps=1e-5),
            nn.SiLU(),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding_channels, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_channels, eps=1e-5),
            nn.SiLU(),
            nn.Identity(),  # dropout in the original: its index keeps the convolution's name `out_layers.3`
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip_connection = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map x [B, C_in, H, W] and embedding [B, E] to [B, C_out, H, W]."""
        hidden = self.in_layers(x) + self.emb_layers(embedding)[:, :, None, None]
        result: Tensor = self.skip_connection(x) + self.out_layers(hidden)
        return result
