"""Latents of everything the diffusion model trains on, encoded once: picture x background, as mean and spread."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.networks.autoencoder import Autoencoder
from engine.training.concepts import Concept, caption
from engine.training.dataset import BACKGROUNDS, composite
from engine.weights.files import open_weights
from engine.weights.safetensors_format import save_safetensors

__all__ = ["SCALE", "LatentBatches", "encode_latents", "latent_statistics"]

SCALE = 0.18215  # Stable Diffusion 1's: a latent of the file times this has unit spread
SHARES = {"shape": 0.09, "varied": 0.07, "digit": 0.12, "flag": 0.09}  # of the samples; the rest goes to emoji
SHAPE_FAMILIES = {"circle", "square", "triangle", "star", "heart"}
WHITE_SHARE = 0.7

log = logging.getLogger(__name__)


@torch.no_grad()
def encode_latents(model: Autoencoder, pixels: NDArray[np.uint8], chosen: Sequence[int], path: Path) -> None:
    """Encode the chosen pictures over every background.

    Writes means and deviations, each fp16 [N, backgrounds, C, 16, 16], and which pictures they are of.
    """
    means, spreads = [], []
    for position, index in enumerate(chosen):
        variants = np.stack([composite(pixels[index], colour) for colour in BACKGROUNDS.values()])
        source = torch.from_numpy(variants).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mean, logvar = model.encode(source.contiguous(memory_format=torch.channels_last))
        means.append(mean.float().contiguous().half())
        spreads.append(torch.exp(0.5 * logvar.float()).contiguous().half())
        if position % 100 == 0:
            log.info("encoded %d of %d pictures", position, len(chosen))
    tensors = {"index": torch.tensor(list(chosen)), "mean": torch.stack(means), "spread": torch.stack(spreads)}
    save_safetensors(path, tensors)


def latent_statistics(means: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [C] of latents [..., C, h, w]."""
    flat = means.float().flatten(0, -4).transpose(0, 1).flatten(1)
    return flat.mean(1), flat.std(1)


@dataclass(slots=True)
class Batch:
    """Latents [B, C, 16, 16] of unit spread, and their captions."""

    latents: Tensor
    captions: list[str]


class LatentBatches:
    """Draws captioned latents: a concept by its family's share, a background, a draw from the posterior."""

    def __init__(self, path: Path, concepts: Sequence[Concept], emphasis: Collection[str] = ()) -> None:
        """Open the latents; concepts named in `emphasis` (those a score found missed) are drawn twice as often."""
        with open_weights(path) as file:
            self.rows = {index: row for row, index in enumerate(file.tensor("index").tolist())}
            self.mean, self.spread = file.tensor("mean"), file.tensor("spread")
        self.offset, self.scale = latent_statistics(self.mean)
        self.concepts = list(concepts)
        weights = _concept_weights(self.concepts)
        named = [concept.name in emphasis for concept in self.concepts]
        self.weights = [weight * (2 if twice else 1) for weight, twice in zip(weights, named, strict=True)]
        self.backgrounds = tuple(BACKGROUNDS)

    @classmethod
    def scaled(cls, path: Path, concepts: Sequence[Concept]) -> LatentBatches:
        """Open latents of a finished checkpoint, which have unit spread times `SCALE`; its means alone are drawn."""
        batches = cls(path, concepts)
        batches.offset, batches.scale = torch.zeros_like(batches.offset), torch.full_like(batches.scale, 1 / SCALE)
        batches.spread = torch.zeros_like(batches.spread)
        return batches

    def draw(self, generator: torch.Generator, count: int) -> Batch:
        """Return `count` latents, normalised to zero mean and unit spread, with captions."""
        choice = random.Random(int(torch.randint(2**62, (1,), generator=generator)))
        concepts = choice.choices(self.concepts, self.weights, k=count)
        columns = [self._background(choice) for _ in concepts]
        captions = [
            caption(concept, self.backgrounds[column], choice)
            for concept, column in zip(concepts, columns, strict=True)
        ]
        rows = [self.rows[concept.picture] for concept in concepts]
        mean, spread = self.mean[rows, columns].float(), self.spread[rows, columns].float()
        latents = mean + spread * torch.randn(mean.shape, generator=generator)
        return Batch((latents - self.offset[:, None, None]) / self.scale[:, None, None], captions)

    def _background(self, choice: random.Random) -> int:
        return 0 if choice.random() < WHITE_SHARE else choice.randrange(1, len(self.backgrounds))


def _concept_weights(concepts: Sequence[Concept]) -> list[float]:
    """Return sampling weights that give every family its share of `SHARES`, emoji the rest."""
    kinds = ["shape" if concept.family in SHAPE_FAMILIES else concept.family for concept in concepts]
    kinds = [kind if kind in SHARES else "emoji" for kind in kinds]
    shares = {kind: share for kind, share in SHARES.items() if kind in kinds}
    shares["emoji"] = 1 - sum(shares.values())
    return [shares[kind] / kinds.count(kind) for kind in kinds]
