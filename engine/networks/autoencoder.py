"""The variational autoencoder that turns pictures into latents and back (Esser et al., 2021; Rombach et al., 2022).

Parameter names are those of the original single files after `first_stage_model.`. Latents here are unscaled: the
family's scale factor (0.18215 for Stable Diffusion 1) is applied by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Autoencoder", "AutoencoderConfig"]

LOGVAR_RANGE = (-30.0, 20.0)  # as in the original: keeps exp() finite in half precision


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Sizes of an `Autoencoder`; the defaults are Stable Diffusion 1.

    `channels` is the width at full resolution, `channel_mult` its multiple per level (each further level halves the
    picture). `double_z` says that the encoder gives a mean and a log-variance; `use_quant_conv` and
    `use_post_quant_conv` that 1x1 convolutions stand on either side of the latent.
    """

    in_channels: int = 3
    out_channels: int = 3
    channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    latent_channels: int = 4
    norm_groups: int = 32
    double_z: bool = True
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True

    @property
    def downscale(self) -> int:
        """Pixels per latent cell along each side."""
        return 1 << (len(self.channel_mult) - 1)


class Autoencoder(nn.Module):
    """Encode pixels [B, 3, H, W] in [-1, 1] to latents [B, C, H/f, W/f] and decode them back."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        moments = config.latent_channels * (2 if config.double_z else 1)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        if config.use_quant_conv:
            self.quant_conv = nn.Conv2d(moments, moments, 1)
        if config.use_post_quant_conv:
            self.post_quant_conv = nn.Conv2d(config.latent_channels, config.latent_channels, 1)

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each [B, C, H/f, W/f], of pixels [B, 3, H, W] in [-1, 1].

        Raises ValueError where H or W is not a multiple of the downscale factor f.
        """
        factor = self.config.downscale
        height, width = pixels.shape[-2:]
        if height % factor or width % factor:
            raise ValueError(f"picture sides must be multiples of {factor}, got {width}x{height}; crop or pad first")
        moments = self.encoder(pixels)
        if self.config.use_quant_conv:
            moments = self.quant_conv(moments)
        if not self.config.double_z:
            return moments, moments.new_full(moments.shape, LOGVAR_RANGE[0])
        mean, logvar = moments.chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels [B, 3, H, W], about [-1, 1] (not clamped), of unscaled latents [B, C, H/f, W/f]."""
        if self.config.use_post_quant_conv:
            latents = self.post_quant_conv(latents)
        result: Tensor = self.decoder(latents)
        return result


class Encoder(nn.Module):
    """The downward half: pixels to (unquantised) moments."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        groups, width = config.norm_groups, config.channels
        self.conv_in = nn.Conv2d(config.in_channels, width, 3, padding=1)
        self.down = nn.ModuleList()
        channels = width
        for level, multiple in enumerate(config.channel_mult):
            is_last = level == len(config.channel_mult) - 1
            self.down.append(_DownLevel(channels, width * multiple, config, is_last))
            channels = width * multiple
        self.mid = _Middle(channels, groups)
        self.norm_out = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv_out = nn.Conv2d(channels, config.latent_channels * (2 if config.double_z else 1), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, 3, H, W] to [B, 2C or C, H/f, W/f]."""
        hidden = self.conv_in(x)
        for level in self.down:
            hidden = level(hidden)
        hidden = self.mid(hidden)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return result


class Decoder(nn.Module):
    """The upward half: latents to pixels. `up` is indexed by level, and runs from the last level to the first."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        groups, width = config.norm_groups, config.channels
        channels = width * config.channel_mult[-1]
        self.conv_in = nn.Conv2d(config.latent_channels, channels, 3, padding=1)
        self.mid = _Middle(channels, groups)
        levels: list[_UpLevel] = []
        for level in range(len(config.channel_mult) - 1, -1, -1):
            levels.append(_UpLevel(channels, width * config.channel_mult[level], config, level == 0))
            channels = width * config.channel_mult[level]
        self.up = nn.ModuleList(reversed(levels))
        self.norm_out = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv_out = nn.Conv2d(channels, config.out_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Map [B, C, H/f, W/f] to [B, 3, H, W]."""
        hidden = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            hidden = level(hidden)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return result


class _Residual(nn.Module):
    """Two normalised convolutions around a skip connection."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=1e-6)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=1e-6)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.has_shortcut = in_channels != out_channels
        if self.has_shortcut:
            self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(x)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        shortcut: Tensor = self.nin_shortcut(x) if self.has_shortcut else x
        result: Tensor = shortcut + hidden
        return result


class _PixelAttention(nn.Module):
    """Single-head self-attention over all pixels, with 1x1 convolutions as projections."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(x)
        # Contiguous: fused kernels want the channels of a pixel side by side, and without one every pixel's weights for
        # every other would be stored, which at 2048x2048 takes 8 GiB.
        query, key, value = (
            projection(hidden).flatten(2).transpose(1, 2)[:, None].contiguous()
            for projection in (self.q, self.k, self.v)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = x + self.proj_out(mixed[:, 0].transpose(1, 2).reshape(x.shape))
        return result


class _Middle(nn.Module):
    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.block_1 = _Residual(channels, channels, groups)
        self.attn_1 = _PixelAttention(channels, groups)
        self.block_2 = _Residual(channels, channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return result


class _Shrink(nn.Module):
    """Halve the size; the padding on the right and bottom only is the original's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(functional.pad(x, (0, 1, 0, 1)))
        return result


class _Grow(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return result


class _DownLevel(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, config: AutoencoderConfig, is_last: bool) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * config.num_res_blocks
        self.block = nn.ModuleList(_Residual(a, b, config.norm_groups) for a, b in pairwise(widths))
        self.resamples = not is_last
        if self.resamples:
            self.downsample = _Shrink(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return self.downsample(x) if self.resamples else x


class _UpLevel(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, config: AutoencoderConfig, is_last: bool) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * (config.num_res_blocks + 1)
        self.block = nn.ModuleList(_Residual(a, b, config.norm_groups) for a, b in pairwise(widths))
        self.resamples = not is_last
        if self.resamples:
            self.upsample = _Grow(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return self.upsample(x) if self.resamples else x
