"""ControlNet (Zhang, Rao & Agrawala, 2023, arXiv:2302.05543): a copy of the U-Net's reading half that sees a picture.

Its outputs are added to the skip connections and the middle of the U-Net it was trained beside. Parameter names are
those of the original single files after `control_model.`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from engine.networks.unet import UNetConfig, UNetEncoder

__all__ = ["ControlNet", "ControlNetConfig"]


@dataclass(frozen=True, slots=True)
class ControlNetConfig:
    """Sizes of a `ControlNet`; the defaults are those for Stable Diffusion 1.

    `unet` gives the reading half; what it says of outputs is not used. `hint_widths` are the channels after each
    convolution of the hint encoder but the last: the first sees the picture, then there are two for every halving,
    so their number is odd.
    """

    unet: UNetConfig
    hint_channels: int = 3
    hint_widths: tuple[int, ...] = (16, 16, 32, 32, 96, 96, 256)

    def __post_init__(self) -> None:
        if len(self.hint_widths) % 2 == 0:
            raise ValueError(f"hint_widths needs an odd number of widths, got {self.hint_widths}")

    @property
    def hint_factor(self) -> int:
        """Return how many picture pixels make a latent pixel, each way: 8 for the published networks."""
        halvings: int = len(self.hint_widths) // 2
        return 1 << halvings


class ControlNet(UNetEncoder):
    """Turn a picture, the noisy latent and the prompt into residuals for a U-Net of the same sizes."""

    def __init__(self, config: ControlNetConfig) -> None:
        super().__init__(config.unet)
        self.control_config = config
        self.zero_convs = nn.ModuleList(nn.Sequential(nn.Conv2d(width, width, 1)) for width in self.skip_channels)
        self.input_hint_block = nn.Sequential(*_hint_layers(config))
        deepest = self.skip_channels[-1]
        self.middle_block_out = nn.Sequential(nn.Conv2d(deepest, deepest, 1))
        for layer in (*self.zero_convs, self.input_hint_block[-1], self.middle_block_out):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)  # an untrained ControlNet changes nothing

    def encode_hint(self, hint: Tensor) -> Tensor:
        """Map a picture [B, 3, 8H, 8W] in 0..1 to features [B, C, H, W]. They are the same for every step of a run."""
        result: Tensor = self.input_hint_block(hint)
        return result

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, hint: Tensor, y: Tensor | None = None
    ) -> list[Tensor]:
        """Return the residuals: one per input block, then the middle's, as `UNet.forward` takes them.

        x [B, C_in, H, W], timesteps [B] (0 to 999), context [B, T, D], hint [B or 1, C, H, W] from `encode_hint`
        and y [B, A] where the model takes one. Raises ValueError for a y that is missing or too much.
        """
        context = context.to(x.dtype)
        embedding = self.embed(x, timesteps, y)
        residuals: list[Tensor] = []
        hidden = x
        for index, (stage, zero_conv) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            hidden = stage(hidden, embedding, context)
            if not index:
                hidden = hidden + hint
            residuals.append(zero_conv(hidden))
        residuals.append(self.middle_block_out(self.middle_block(hidden, embedding, context)))
        return residuals


def _hint_layers(config: ControlNetConfig) -> Iterator[nn.Module]:
    """Yield 3x3 convolutions with SiLU between them; every second one from the third on halves the picture."""
    channels = config.hint_channels
    for index, width in enumerate(config.hint_widths):
        yield nn.Conv2d(channels, width, 3, padding=1, stride=2 if index and index % 2 == 0 else 1)
        yield nn.SiLU()
        channels = width
    yield nn.Conv2d(channels, config.unet.model_channels, 3, padding=1)
