"""Colour spaces and palettes of pictures ``[B, H, W, 3]`` in 0..1."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engine.errors import InputError

LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""
BLUE_SCALE: Final = 0.564
RED_SCALE: Final = 0.713
DITHERS: Final = ("none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16")


def luma(image: Tensor) -> Tensor:
    """Return the brightness [B, H, W] of [B, H, W, C >= 3]."""
    return image[..., 0] * LUMA[0] + image[..., 1] * LUMA[1] + image[..., 2] * LUMA[2]


def rgb_to_yuv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return brightness, blue and red difference, [B, H, W] each; the differences lie around 0.5 (full-range YCbCr)."""
    y = luma(image)
    return y, (image[..., 2] - y) * BLUE_SCALE + 0.5, (image[..., 0] - y) * RED_SCALE + 0.5


def yuv_to_rgb(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Undo `rgb_to_yuv`: [B, H, W] each -> [B, H, W, 3] in 0..1."""
    blue = y + (u - 0.5) / BLUE_SCALE
    red = y + (v - 0.5) / RED_SCALE
    green = (y - LUMA[0] * red - LUMA[2] * blue) / LUMA[1]
    return torch.stack([red, green, blue], dim=-1).clamp(0, 1)


def quantize(image: Tensor, colours: int, dither: str) -> Tensor:
    """Reduce each picture to a palette of its own (median cut, 8 bits a channel); a fourth channel is kept.

    ``bayer-N`` adds an ordered pattern of N x N pixels before choosing colours (Bayer 1973).
    Raises `InputError` for pictures without three colours.
    """
    if image.shape[-1] < 3:
        raise InputError("the picture has no colours", input="image", expected="3 channels", got=str(image.shape[-1]))
    levels = (image[..., :3].clamp(0, 1).cpu().float().numpy() * 255).astype(np.uint8)
    made = np.stack([_quantize_one(one, colours, dither) for one in levels]).astype(np.float32) / np.float32(255)
    return torch.cat([torch.from_numpy(made).to(image), image[..., 3:]], dim=-1)


def _quantize_one(levels: NDArray[np.uint8], colours: int, dither: str) -> NDArray[np.uint8]:
    picture = Image.fromarray(levels)
    palette = picture.quantize(colors=colours)
    method = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
    if dither.startswith("bayer-"):
        picture = Image.fromarray(_with_pattern(levels, int(dither.removeprefix("bayer-")), colours))
    chosen = picture.quantize(colors=colours, palette=palette, dither=method)
    return np.asarray(chosen.convert("RGB"))


def _with_pattern(levels: NDArray[np.uint8], order: int, colours: int) -> NDArray[np.uint8]:
    height, width = levels.shape[:2]
    pattern = bayer_pattern(order) * np.float32(2 * 256 / colours) + np.float32(0.5)
    tiled = np.tile(pattern, (-(-height // order), -(-width // order)))[:height, :width, None]
    added: NDArray[np.uint8] = np.clip(levels + tiled, 0, 255).astype(np.uint8)
    return added


def bayer_pattern(order: int) -> NDArray[np.float32]:
    """Return the threshold matrix [order, order] (a power of two), evenly spread around 0 from -1/2 to 1/2."""
    ranks = np.zeros((1, 1), dtype=np.int64)
    while len(ranks) < order:
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    spread: NDArray[np.float32] = ((ranks - (ranks.size - 1) / 2) / ranks.size).astype(np.float32)
    return spread
