"""Latents: the value on a LATENT wire, what a family's numbers mean, and resizing."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.errors import InputError

ResizeMethod = Literal["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
RESIZE_METHODS: Final[tuple[ResizeMethod, ...]] = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """Carry latents between nodes, as files hold them: unscaled, float32.

    ``samples`` [B, C, H, W]; ``noise_mask`` [B or 1, 1, h, w] or [B or 1, h, w], any size, 1 where to change;
    ``batch_index``: which items of a larger batch these are, for the noise they get.
    """

    samples: Tensor
    noise_mask: Tensor | None = None
    batch_index: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LatentFormat:
    """Say how a family's latents are scaled for its diffusion model, and what colours they roughly are.

    ``rgb_factors`` [channels][3] and ``rgb_bias`` [3] turn scaled latents into RGB around 0 (-1..1) for
    previews.
    """

    channels: int
    scale: float
    shift: float = 0.0
    factor: int = 8
    rgb_factors: tuple[tuple[float, float, float], ...] = ()
    rgb_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def process_in(self, latent: Tensor) -> Tensor:
        """Scale a latent from a file or a VAE for the diffusion model."""
        return (latent - self.shift) * self.scale

    def process_out(self, latent: Tensor) -> Tensor:
        """Undo `process_in`."""
        return latent / self.scale + self.shift

    def preview(self, latent: Tensor) -> Tensor:
        """Estimate the picture of scaled latents [B, C, H, W] -> RGB [B, H, W, 3] in 0..1, one pixel per
        latent pixel.

        Raises `InputError` where the format has no colour factors.
        """
        if not self.rgb_factors:
            raise InputError("this latent format has no preview colours", hint="turn previews off")
        factors = torch.tensor(self.rgb_factors, dtype=latent.dtype, device=latent.device)
        bias = torch.tensor(self.rgb_bias, dtype=latent.dtype, device=latent.device)
        rgb = torch.einsum("bchw,cr->bhwr", latent, factors) + bias
        return ((rgb + 1) / 2).clamp(0, 1)


SD15: Final = LatentFormat(
    channels=4,
    scale=0.18215,
    rgb_factors=(
        (0.3444, 0.1385, 0.0670),
        (0.1247, 0.4027, 0.1494),
        (-0.3192, 0.2513, 0.2103),
        (-0.1307, -0.1874, -0.7445),
    ),
)
"""Stable Diffusion 1.x and 2.x."""

SDXL: Final = LatentFormat(
    channels=4,
    scale=0.13025,
    rgb_factors=(
        (0.3816, 0.4930, 0.5320),
        (-0.3753, 0.1631, 0.1739),
        (0.1770, 0.3588, -0.2048),
        (-0.4350, -0.2644, -0.4289),
    ),
)
"""Stable Diffusion XL and its refiner."""


def empty_latent(width: int, height: int, batch: int = 1, latent_format: LatentFormat = SD15) -> Latent:
    """Return zeros for a picture of ``width`` x ``height`` pixels: [batch, C, height // 8, width // 8]."""
    factor = latent_format.factor
    if min(width // factor, height // factor, batch) < 1:
        raise InputError(
            "an empty latent needs a size",
            expected=f"width and height of at least {factor}, batch of at least 1",
            got=f"{width} x {height}, batch {batch}",
        )
    return Latent(torch.zeros(batch, latent_format.channels, height // factor, width // factor))


def resize_latent(
    samples: Tensor, width: int, height: int, method: str, crop: Literal["disabled", "center"] = "disabled"
) -> Tensor:
    """Resize [B, C, H, W] to ``height`` x ``width`` latent pixels.

    ``crop`` "center" first cuts the middle with the target's aspect ratio; "disabled" stretches.

    Raises `InputError` for an unknown method or crop.
    """
    if method not in RESIZE_METHODS:
        raise InputError(
            "the resize method is unknown", expected=", ".join(RESIZE_METHODS), got=method, hint="choose another"
        )
    if crop not in ("disabled", "center"):
        raise InputError("the crop is unknown", expected="disabled or center", got=crop)
    if crop == "center":
        samples = _centre(samples, width / height)
    if method == "bislerp":
        return _slerp_along(_slerp_along(samples, 3, width), 2, height)
    return interpolate(samples, size=(height, width), mode=method)


def fit_noise_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Resize a mask [.., h, w] to the latent ``like`` [B, C, H, W] and repeat it to its batch and channels."""
    flat = mask.reshape(-1, 1, mask.shape[-2], mask.shape[-1]).float()
    fitted = interpolate(flat, size=like.shape[-2:], mode="bilinear")
    return repeat_to_batch(fitted, like.shape[0]).expand(-1, like.shape[1], -1, -1)


def repeat_to_batch(tensor: Tensor, batch: int) -> Tensor:
    """Repeat along dimension 0 until there are ``batch`` items, or keep the first ``batch``."""
    if tensor.shape[0] == batch:
        return tensor
    if tensor.shape[0] == 1:
        return tensor.expand(batch, *tensor.shape[1:])
    times = -(-batch // tensor.shape[0])
    return tensor.repeat(times, *([1] * (tensor.ndim - 1)))[:batch]


def _centre(samples: Tensor, aspect: float) -> Tensor:
    height, width = samples.shape[-2:]
    x = y = 0
    if width / height > aspect:
        x = min(round((width - height * aspect) / 2), (width - 1) // 2)  # of a very narrow middle something is left
    else:
        y = min(round((height - width / aspect) / 2), (height - 1) // 2)
    return samples[..., y : height - y, x : width - x]


def _slerp_along(samples: Tensor, dim: int, length: int) -> Tensor:
    """Resize one dimension of [B, C, H, W], interpolating each pixel's channel vector on the sphere."""
    old = samples.shape[dim]
    position = ((torch.arange(length) + 0.5) * (old / length) - 0.5).clamp(0, old - 1)
    low = position.floor().long()
    high = (low + 1).clamp(max=old - 1)
    shape = [1, 1, 1, 1]
    shape[dim] = length
    share = (position - low).reshape(shape).to(samples)
    return _slerp(
        samples.index_select(dim, low.to(samples.device)),
        samples.index_select(dim, high.to(samples.device)),
        share,
    )


def _slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Interpolate along channels: directions on the great circle (Shoemake 1985), lengths linearly."""
    a_length, b_length = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    a_unit = torch.where(a_length > 0, a / a_length, torch.zeros_like(a))
    b_unit = torch.where(b_length > 0, b / b_length, torch.zeros_like(b))
    dot = (a_unit * b_unit).sum(dim=1, keepdim=True)
    angle = dot.clamp(-1, 1).acos()
    mixed = (((1 - share) * angle).sin() * a_unit + (share * angle).sin() * b_unit) / angle.sin()
    mixed = mixed * (a_length * (1 - share) + b_length * share)
    mixed = torch.where(dot > 1 - 1e-5, a, mixed)  # parallel: there is no circle to walk along
    return torch.where(dot < 1e-5 - 1, a * (1 - share) + b * share, mixed)
