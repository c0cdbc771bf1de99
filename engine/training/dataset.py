"""Batches of pictures for the autoencoder: RGBA cut-outs over coloured backgrounds, jittered and cropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.training.render import Picture

__all__ = ["BACKGROUNDS", "PictureBatches", "composite", "held_out", "picture_weights"]

BACKGROUNDS = {
    "white": (255, 255, 255),
    "blue": (92, 156, 240),
    "green": (110, 196, 110),
    "yellow": (250, 222, 100),
    "pink": (250, 170, 200),
    "purple": (160, 110, 210),
    "gray": (150, 150, 155),
    "black": (24, 24, 28),
}
HELD_OUT_EVERY = 50
COLOUR_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def composite(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Lay RGBA pixels [..., 4] over an opaque colour; returns RGB [..., 3]."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    blended = pixels[..., :3] * alpha + np.asarray(colour, np.float32) * (1 - alpha)
    return np.rint(blended).astype(np.uint8)


def held_out(pictures: list[Picture]) -> list[int]:
    """Return the indices of the emoji the autoencoder never trains on: every fiftieth."""
    emoji = [index for index, picture in enumerate(pictures) if picture.source in {"fluent", "noto"}]
    return emoji[::HELD_OUT_EVERY]


@dataclass(slots=True)
class PictureBatches:
    """Draws training batches from RGBA pixels [N, 128, 128, 4], picture i with probability `weights[i]`."""

    pixels: NDArray[np.uint8]
    weights: NDArray[np.float64]

    def draw(self, generator: torch.Generator, count: int, size: int) -> Tensor:
        """Return [count, 3, size, size] in [-1, 1]: shifted, mirrored, recoloured crops over random backgrounds."""
        random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        chosen = random.choice(len(self.pixels), count, p=self.weights)
        crops = np.stack([self._crop(random, self.pixels[index], size) for index in chosen])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def _crop(self, random: np.random.Generator, picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        if random.random() < 0.5:
            picture = picture[:, ::-1]
        span = picture.shape[0] - size
        reach = 8  # pixels that a crop may reach over the edge
        top, left = random.integers(-reach, span + reach + 1, 2)
        padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)))
        crop = padded[top + reach : top + reach + size, left + reach : left + reach + size]
        crop = composite(crop, _background(random))
        if random.random() < 0.3:
            crop = crop[..., COLOUR_ORDERS[random.integers(len(COLOUR_ORDERS))]]
        return crop


def _background(random: np.random.Generator) -> tuple[int, int, int]:
    """Draw a background: mostly white, else a named colour or any colour."""
    kind = random.random()
    if kind < 0.5:
        return BACKGROUNDS["white"]
    if kind < 0.8:
        colours = list(BACKGROUNDS.values())
        return colours[random.integers(len(colours))]
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def picture_weights(pictures: list[Picture], pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how often to draw each picture: held-out ones never, saturated ones and drawn shapes more than others."""
    opaque = pixels[..., 3] > 127
    colour = pixels[..., :3].astype(np.int16)
    saturation = (colour.max(-1) - colour.min(-1)) * opaque
    mean = saturation.sum((1, 2)) / np.maximum(opaque.sum((1, 2)), 1) / 255
    weights = 0.5 + mean.astype(np.float64)
    weights *= [{"shape": 4.0, "varied": 1.5}.get(picture.source, 1.0) for picture in pictures]
    weights[held_out(pictures)] = 0
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
