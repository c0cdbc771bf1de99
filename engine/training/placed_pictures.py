"""Pictures of the default model's concepts at other sizes and places: what training beside a finished model draws from.

The default model draws each thing in the middle and in one size. A ControlNet is only worth its name where it puts
things elsewhere, so its pictures are moved, shrunk and mirrored; a style LoRA sees the same ones, restyled.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engine.networks.autoencoder import Autoencoder
from engine.training.concepts import Concept, caption
from engine.training.dataset import BACKGROUNDS, composite
from engine.training.latents import SCALE

__all__ = ["Pixels", "PlacedPictures", "encode_pictures", "place", "placed_pictures"]

Pixels = NDArray[np.uint8]

SMALLEST = 0.55
WHITE_SHARE = 0.6
ENCODED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPictures:
    """Pictures uint8 [N, 128, 128, 3] and their captions (10 % empty)."""

    pixels: Pixels
    captions: tuple[str, ...]


def place(picture: Pixels, choice: random.Random) -> Pixels:
    """Return an RGBA picture [S, S, 4] shrunk to 55-100 %, moved to where it still fits, and mirrored half the time."""
    size = picture.shape[0]
    side = round(size * choice.uniform(SMALLEST, 1.0))
    top, left = choice.randint(0, size - side), choice.randint(0, size - side)
    small = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
    if choice.random() < 0.5:
        small = small[:, ::-1]
    placed = np.zeros_like(picture)
    placed[top : top + side, left : left + side] = small
    return placed


def placed_pictures(
    concepts: Sequence[Concept], pixels: Pixels, count: int, seed: int, *, plain: bool = False
) -> PlacedPictures:
    """Draw `count` pictures of `concepts`, every concept equally often; RGBA pixels [N, S, S, 4] as rendered.

    `plain` leaves them where they are, on white.
    """
    choice = random.Random(seed)
    names = tuple(BACKGROUNDS)
    made: list[Pixels] = []
    captions: list[str] = []
    for index in range(count):
        concept = concepts[index % len(concepts)]
        background = "white" if plain or choice.random() < WHITE_SHARE else choice.choice(names)
        picture = pixels[concept.picture]
        made.append(composite(picture if plain else place(picture, choice), BACKGROUNDS[background]))
        captions.append(caption(concept, background, choice))
    return PlacedPictures(np.stack(made), tuple(captions))


@torch.no_grad()
def encode_pictures(model: Autoencoder, pictures: Pixels, report: Callable[[int], None] = lambda done: None) -> Tensor:
    """Return the latents [N, C, h, w], of unit spread, of pictures uint8 [N, H, W, 3]."""
    means = []
    for start in range(0, len(pictures), ENCODED_AT_ONCE):
        source = torch.from_numpy(pictures[start : start + ENCODED_AT_ONCE]).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            means.append(model.encode(source)[0].float() * SCALE)
        report(min(start + ENCODED_AT_ONCE, len(pictures)))
    return torch.cat(means)
