"""One picture through an autoencoder: casting, checking and cropping, whichever autoencoder it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.diffusion.latents import Latent
from engine.errors import InputError, SafelightError
from engine.networks.autoencoder import Autoencoder
from engine.networks.tiny_autoencoder import TinyAutoencoder

__all__ = [
    "PictureCoder",
    "check_channels",
    "coder_of",
    "crop_to_factor",
    "decode_one",
    "decode_raw",
    "encode_one",
    "to_unit",
]

PictureCoder = Autoencoder | TinyAutoencoder


def coder_of(network: nn.Module) -> PictureCoder:
    """Return a borrowed network as the autoencoder that it is."""
    assert isinstance(network, (Autoencoder, TinyAutoencoder))
    return network


def decode_one(coder: PictureCoder, samples: Tensor) -> Tensor:
    """Turn unscaled latents [1, C, h, w] into pictures [1, H, W, 3] in 0..1 on the CPU.

    Raises `SafelightError` for NaN, `InputError` where the autoencoder has no decoder.
    """
    return to_unit(decode_raw(coder, samples))


def decode_raw(coder: PictureCoder, samples: Tensor) -> Tensor:
    """Turn unscaled latents [1, C, h, w] into pixels [1, 3, H, W], about -1..1, float32, on the CPU."""
    if isinstance(coder, TinyAutoencoder) and coder.decoder is None:
        raise _half("decoder")
    weight = next(coder.parameters())
    pixels = coder.decode(samples.to(weight.device, weight.dtype)).float()
    _check_finite(pixels, weight.dtype, "picture")
    return pixels.cpu()


def to_unit(pixels: Tensor) -> Tensor:
    """Turn pixels [B, 3, H, W] in -1..1 into pictures [B, H, W, 3] in 0..1, cutting off what lies outside."""
    return ((pixels + 1) / 2).clamp(0, 1).movedim(1, -1)


def encode_one(coder: PictureCoder, picture: Tensor) -> Tensor:
    """Turn pictures [1, H, W, 3] in 0..1 into unscaled latents [1, C, h, w], float32 on the CPU.

    Raises `SafelightError` for NaN, `InputError` where the autoencoder has no encoder.
    """
    if isinstance(coder, TinyAutoencoder) and coder.encoder is None:
        raise _half("encoder")
    weight = next(coder.parameters())
    centred = (picture.movedim(-1, 1).to(weight.device, torch.float32) * 2 - 1).to(weight.dtype)
    mean, _ = coder.encode(centred)
    _check_finite(mean, weight.dtype, "latent")
    return mean.float().cpu()


def crop_to_factor(pixels: Tensor, factor: int) -> Tensor:
    """Cut the middle of [B, H, W, C] to sides that are multiples of `factor`; `InputError` where nothing is left."""
    height, width = pixels.shape[1] // factor * factor, pixels.shape[2] // factor * factor
    if not height or not width:
        raise InputError(
            "the picture is too small to encode",
            expected=f"at least {factor} x {factor} pixels",
            got=f"{pixels.shape[2]} x {pixels.shape[1]}",
            hint="scale the picture up first",
        )
    y, x = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return pixels[:, y : y + height, x : x + width]


def check_channels(latent: Latent, coder: PictureCoder) -> None:
    """Raise `InputError` where a latent has not the channels that the autoencoder reads."""
    expected = coder.config.latent_channels
    if latent.samples.ndim != 4 or latent.samples.shape[1] != expected:
        raise InputError(
            "the latent does not fit the VAE",
            expected=f"[batch, {expected}, height, width]",
            got=str(list(latent.samples.shape)),
            hint="decode with the VAE of the checkpoint that made the latent",
        )


def _half(missing: str) -> InputError:
    return InputError(
        f"this TAESD has no {missing}",
        input="vae",
        expected="a TAESD with both halves",
        got="one half",
        hint=f"put its {missing} beside it in models/vae_approx and choose taesd or taesdxl",
    )


def _check_finite(made: Tensor, dtype: torch.dtype, what: str) -> None:
    """Raise `SafelightError` where a network left the range of its number format, rather than give a black picture."""
    if not torch.isfinite(made).all():
        raise SafelightError(
            f"the VAE made a {what} that is not made of numbers",
            code="E-NOT-FINITE",
            expected="finite values",
            got=f"infinity or NaN in {str(dtype).removeprefix('torch.')}",
            hint="run with --dtype float32 or bfloat16; if it persists, the latent or the file holds no numbers itself",
        )
