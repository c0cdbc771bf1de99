"""The denoising U-Net of Stable Diffusion 1, 2 and XL (Rombach et al., 2022; Podell et al., 2023).

Sizes come from `UNetConfig`; parameter names are those of the original single files after `model.diffusion_model.`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.networks.attention import SpatialTransformer, TransformerSize
from engine.networks.layers import Downsample, ResidualBlock, Upsample, timestep_embedding

__all__ = ["UNet", "UNetConfig", "UNetEncoder"]


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Sizes of a `UNet`; the defaults are Stable Diffusion 1.

    Levels count from full resolution down. `transformer_depth` has one number per level, or one per residual block of
    the input side; 0 means no attention. `transformer_depth_output` has one number per level, or one per output block
    in the order they run; None mirrors the input side. `middle_depth` 0 leaves a single residual block in the middle
    (SSD-1B). Exactly one of `num_heads` (same count everywhere) and `head_channels` (same width everywhere) is set.
    `adm_channels` is the width of the pooled conditioning vector `y`, None where the model takes none.
    """

    in_channels: int = 4
    out_channels: int = 4
    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: tuple[int, ...] = (2, 2, 2, 2)
    transformer_depth: tuple[int, ...] = (1, 1, 1, 0)
    transformer_depth_output: tuple[int, ...] | None = None
    middle_depth: int = 1
    context_dim: int = 768
    num_heads: int | None = 8
    head_channels: int | None = None
    use_linear_projection: bool = False
    adm_channels: int | None = None
    norm_groups: int = 32

    def __post_init__(self) -> None:
        if len(self.num_res_blocks) != len(self.channel_mult):
            raise ValueError(
                f"num_res_blocks needs one number per level ({len(self.channel_mult)}), got {self.num_res_blocks}"
            )
        if (self.num_heads is None) == (self.head_channels is None):
            raise ValueError("set exactly one of num_heads and head_channels, the other to None")

    def heads(self, channels: int) -> int:
        """Return the number of attention heads at a width of `channels`."""
        if self.num_heads is not None:
            return self.num_heads
        assert self.head_channels is not None
        return max(1, channels // self.head_channels)

    def input_depths(self) -> tuple[tuple[int, ...], ...]:
        """Return the transformer depth of every input-side residual block, grouped by level."""
        return _per_block(self.transformer_depth, self.num_res_blocks, "transformer_depth")

    def output_depths(self) -> tuple[tuple[int, ...], ...]:
        """Return the transformer depth of every output block, grouped by level, deepest level first."""
        counts = tuple(count + 1 for count in reversed(self.num_res_blocks))
        depths = self.transformer_depth_output
        if depths is None:
            return tuple(
                (level[-1],) * count for level, count in zip(reversed(self.input_depths()), counts, strict=True)
            )
        if len(depths) == len(counts):
            depths = tuple(reversed(depths))
        return _per_block(depths, counts, "transformer_depth_output")


def _per_block(depths: tuple[int, ...], counts: tuple[int, ...], name: str) -> tuple[tuple[int, ...], ...]:
    """Spread depths given per level or per block over `counts` blocks a level."""
    if len(depths) == len(counts):
        return tuple((depth,) * count for depth, count in zip(depths, counts, strict=True))
    if len(depths) != sum(counts):
        raise ValueError(f"{name} needs {len(counts)} numbers (per level) or {sum(counts)} (per block), got {depths}")
    source = iter(depths)
    return tuple(tuple(next(source) for _ in range(count)) for count in counts)


class UNetStage(nn.Sequential):
    """A sequence whose members are fed what each of them takes: time embedding, prompt, or target size."""

    def forward(  # type: ignore[override]  # a Sequential with more than one input
        self, x: Tensor, embedding: Tensor, context: Tensor, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Run the members in turn over x [B, C, H, W]; `size` is where an upsampling member should land."""
        for layer in self:
            if isinstance(layer, ResidualBlock):
                x = layer(x, embedding)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            elif isinstance(layer, Upsample):
                x = layer(x, size)
            else:
                x = layer(x)
        return x


class UNetEncoder(nn.Module):
    """Hold the half of a U-Net that reads: time embedding, input blocks and middle, which a ControlNet copies."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.model_channels
        self.time_embed = _two_layers(width, width * 4)
        if config.adm_channels is not None:
            self.label_emb = nn.Sequential(_two_layers(config.adm_channels, width * 4))
        skips: list[int] = []
        self.input_blocks = nn.ModuleList(_input_stages(config, skips))
        self.skip_channels = tuple(skips)
        self.middle_block = _middle_stage(config, skips[-1])

    def embed(self, x: Tensor, timesteps: Tensor, y: Tensor | None) -> Tensor:
        """Return what the residual blocks hear of timesteps [B] and y [B, A]: [B, 4 * width], in the dtype of `x`.

        Raises ValueError if `y` is missing where the model takes one, or given where it takes none.
        """
        takes_y = self.config.adm_channels is not None
        if takes_y != (y is not None):
            raise ValueError(f"this model takes {'a' if takes_y else 'no'} pooled vector y, got y={y is not None}")
        embedding: Tensor = self.time_embed(timestep_embedding(timesteps, self.config.model_channels).to(x.dtype))
        return embedding if y is None else embedding + self.label_emb(y.to(x.dtype))


class UNet(UNetEncoder):
    """Predict the noise (or the velocity) in a latent picture, given the timestep and the prompt."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        width = config.model_channels
        self.output_blocks = nn.ModuleList(_output_stages(config, self.skip_channels))
        self.out = nn.Sequential(
            nn.GroupNorm(config.norm_groups, width, eps=1e-5),
            nn.SiLU(),
            nn.Conv2d(width, config.out_channels, 3, padding=1),
        )

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: Sequence[Tensor] | None = None,
        features: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Map x [B, C_in, H, W], timesteps [B], context [B, T, D] (and y [B, A]) to [B, C_out, H, W].

        Timesteps are on the training scale (0 to 999) and may be fractional. `control` holds one residual per input
        block, in order, and a last one for the middle (Zhang et al., 2023); they pass by the reading half. `features`
        are added inside it, to the outputs of the input blocks with these numbers (one past the last is the middle), so
        that all that follows sees them (Mou et al., 2023). Raises ValueError if `y` is missing where the model takes
        one, or given where it takes none.
        """
        stages = len(self.input_blocks)
        if control is not None and len(control) != stages + 1:
            raise ValueError(
                f"control needs {stages + 1} residuals (one per input block and the middle), got {len(control)}"
            )
        context = context.to(x.dtype)
        embedding = self.embed(x, timesteps, y)
        skips: list[Tensor] = []
        hidden, inside = x, features or {}
        for index, stage in enumerate((*self.input_blocks, self.middle_block)):
            hidden = stage(hidden, embedding, context)
            if index in inside:
                hidden = hidden + inside[index]
            skips.append(hidden)
        skips.pop()  # the middle has none
        if control is not None:
            hidden = hidden + control[-1]
            skips = [skip + residual for skip, residual in zip(skips, control, strict=False)]
        for stage in self.output_blocks:
            hidden = torch.cat([hidden, skips.pop()], dim=1)
            size = (skips[-1].shape[-2], skips[-1].shape[-1]) if skips else None
            hidden = stage(hidden, embedding, context, size)
        result: Tensor = self.out(hidden)
        return result


def _two_layers(in_features: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.SiLU(), nn.Linear(out_features, out_features))


def _block(config: UNetConfig, in_channels: int, out_channels: int, depth: int) -> list[nn.Module]:
    """Return a residual block, followed by a transformer where `depth` is not 0."""
    layers: list[nn.Module] = [ResidualBlock(in_channels, out_channels, config.model_channels * 4, config.norm_groups)]
    if depth:
        layers.append(_transformer(config, out_channels, depth))
    return layers


def _transformer(config: UNetConfig, channels: int, depth: int) -> SpatialTransformer:
    return SpatialTransformer(
        TransformerSize(
            channels=channels,
            heads=config.heads(channels),
            depth=depth,
            context_dim=config.context_dim,
            linear_projection=config.use_linear_projection,
            groups=config.norm_groups,
        )
    )


def _input_stages(config: UNetConfig, skips: list[int]) -> Iterator[UNetStage]:
    """Yield the input stages; append the channels each of them hands to its skip connection to `skips`."""
    channels = config.model_channels
    yield UNetStage(nn.Conv2d(config.in_channels, channels, 3, padding=1))
    skips.append(channels)
    last_level = len(config.channel_mult) - 1
    for level, depths in enumerate(config.input_depths()):
        width = config.model_channels * config.channel_mult[level]
        for depth in depths:
            yield UNetStage(*_block(config, channels, width, depth))
            channels = width
            skips.append(channels)
        if level != last_level:
            yield UNetStage(Downsample(channels))
            skips.append(channels)


def _middle_stage(config: UNetConfig, channels: int) -> UNetStage:
    if not config.middle_depth:
        return UNetStage(*_block(config, channels, channels, 0))
    return UNetStage(*_block(config, channels, channels, config.middle_depth), *_block(config, channels, channels, 0))


def _output_stages(config: UNetConfig, skips: Sequence[int]) -> Iterator[UNetStage]:
    """Yield the output stages, which take the skip connections in reverse order."""
    remaining = list(skips)
    channels = remaining[-1]
    levels = range(len(config.channel_mult) - 1, -1, -1)
    for level, depths in zip(levels, config.output_depths(), strict=True):
        width = config.model_channels * config.channel_mult[level]
        for index, depth in enumerate(depths):
            layers = _block(config, channels + remaining.pop(), width, depth)
            channels = width
            if level and index == len(depths) - 1:
                layers.append(Upsample(channels))
            yield UNetStage(*layers)
