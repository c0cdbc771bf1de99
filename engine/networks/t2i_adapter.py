"""T2I-Adapter (Mou et al., 2023, arXiv:2302.08453): a small network that turns a picture into features for a U-Net.

It sees the picture alone, neither noise nor prompt, so it runs once for a whole run. Parameter names are those of the
original files, in which the residual blocks of all levels stand in one row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from engine.networks.unet import UNetConfig

__all__ = ["T2IAdapter", "T2IAdapterConfig", "feature_places"]

XL_FACTOR: Final = 16
XL_HALVING: Final = 2
"""The one level of an adapter for XL that halves its features; of the others, each but the first does."""
LIGHT_NARROWING: Final = 4


@dataclass(frozen=True, slots=True)
class T2IAdapterConfig:
    """Sizes of a `T2IAdapter`; the defaults are those of the full adapters for Stable Diffusion 1.

    `factor` is how many picture pixels, each way, become one pixel of the first level: 8, or 16 for XL, whose levels
    halve only once. `light` adapters have narrow levels. `kernel` is the side of the full ones' second convolutions;
    `learned_halving` says that they halve by a convolution rather than by averages.
    """

    picture_channels: int = 3
    factor: int = 8
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    num_res_blocks: int = 2
    light: bool = False
    kernel: int = 1
    learned_halving: bool = False

    def __post_init__(self) -> None:
        if not self.channels or self.num_res_blocks < 1:
            raise ValueError(f"an adapter needs levels and blocks, got {self.channels}, {self.num_res_blocks} each")

    @property
    def is_xl(self) -> bool:
        """Say whether the features are those that a U-Net of XL takes."""
        return self.factor == XL_FACTOR

    def halves(self, level: int) -> bool:
        """Say whether a level begins with halving what the level before gave."""
        return level == XL_HALVING if self.is_xl else level > 0


def feature_places(config: T2IAdapterConfig, unet: UNetConfig) -> tuple[int, ...]:
    """Return the input blocks of a U-Net to whose outputs the features are added; one past the last is the middle.

    The original and XL place them differently: each level's last block before halving; or the halving after the first
    level, the last blocks of the others, and the middle. Raises ValueError where the U-Net has too few levels.
    """
    ends = list(itertools.accumulate((blocks + 1 for blocks in unet.num_res_blocks), initial=0))
    lasts = [end - 1 for end in ends[1:]]  # block 0 is the first convolution; a halving follows each level but the last
    places = (lasts[0] + 1, *lasts[1:], lasts[-1] + 1) if config.is_xl else tuple(lasts)
    if len(places) < len(config.channels):
        raise ValueError(f"{len(config.channels)} features need as many places, the U-Net has {len(places)}")
    return places[: len(config.channels)]


class T2IAdapter(nn.Module):
    """Turn a picture into one map of features a level."""

    def __init__(self, config: T2IAdapterConfig) -> None:
        super().__init__()
        self.config = config
        self.unshuffle = nn.PixelUnshuffle(config.factor)
        pixels = config.picture_channels * config.factor**2
        if config.light:
            inputs = (pixels, *config.channels)
            self.body = nn.ModuleList(
                LightLevel(inputs[level], width, config.num_res_blocks, config.halves(level))
                for level, width in enumerate(config.channels)
            )
        else:
            self.conv_in = nn.Conv2d(pixels, config.channels[0], 3, padding=1)
            self.body = nn.ModuleList(_blocks(config))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Map a picture [B, C, H, W] in 0..1, sides multiples of the factor, to features [B, C_i, H_i, W_i]."""
        hidden = self.unshuffle(picture)
        if self.config.light:
            step = 1
        else:
            hidden, step = self.conv_in(hidden), self.config.num_res_blocks
        features: list[Tensor] = []
        for number, block in enumerate(self.body, start=1):
            hidden = block(hidden)
            if number % step == 0:
                features.append(hidden)
        return features


class FullBlock(nn.Module):
    """Add two convolutions to what comes in, which is first halved and widened where the level says so."""

    def __init__(self, in_channels: int, out_channels: int, config: T2IAdapterConfig, halves: bool) -> None:
        super().__init__()
        self.down_opt = _Halving(in_channels, config.learned_halving) if halves else None
        padding = config.kernel // 2
        widens = in_channels != out_channels
        self.in_conv = nn.Conv2d(in_channels, out_channels, config.kernel, padding=padding) if widens else None
        self.block1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.block2 = nn.Conv2d(out_channels, out_channels, config.kernel, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, C_in, H, W] to [B, C_out, H, W], or half of it each way, rounded up."""
        if self.down_opt is not None:
            x = self.down_opt(x)
        if self.in_conv is not None:
            x = self.in_conv(x)
        result: Tensor = x + self.block2(self.block1(x).relu())
        return result


class LightLevel(nn.Module):
    """Run residual blocks at a quarter of a level's width."""

    def __init__(self, in_channels: int, out_channels: int, num_res_blocks: int, halves: bool) -> None:
        super().__init__()
        width = out_channels // LIGHT_NARROWING
        self.down_opt = _Halving(in_channels, learned=False) if halves else None
        self.in_conv = nn.Conv2d(in_channels, width, 1)
        self.body = nn.Sequential(*(LightBlock(width) for _ in range(num_res_blocks)))
        self.out_conv = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, C_in, H, W] to [B, C_out, H, W], or half of it each way, rounded up."""
        if self.down_opt is not None:
            x = self.down_opt(x)
        result: Tensor = self.out_conv(self.body(self.in_conv(x)))
        return result


class LightBlock(nn.Module):
    """Add two 3x3 convolutions to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.block2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, C, H, W] to the same shape."""
        result: Tensor = x + self.block2(self.block1(x).relu())
        return result


class _Halving(nn.Module):
    """Halve both sides, rounded up as the U-Net does it: by averages of 2 x 2, or by a convolution named `op`."""

    def __init__(self, channels: int, learned: bool) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if learned else nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C, ceil(H / 2), ceil(W / 2)]."""
        result: Tensor = self.op(x)
        return result


def _blocks(config: T2IAdapterConfig) -> Iterator[FullBlock]:
    """Yield the residual blocks of all levels; a level's first one comes from the width of the level before."""
    channels = config.channels[0]
    for level, width in enumerate(config.channels):
        for index in range(config.num_res_blocks):
            yield FullBlock(channels, width, config, halves=config.halves(level) and index == 0)
            channels = width
