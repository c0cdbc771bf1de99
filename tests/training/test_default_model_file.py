"""The checkpoint that ships: its layout, and that it draws what it is asked for."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.networks.autoencoder import Autoencoder
from engine.training.dataset import composite
from engine.training.diffusion_training import PromptedUNet
from engine.training.export import load_checkpoint
from engine.training.latents import SCALE
from engine.training.render import Picture
from engine.training.sampling import decode_pixels, sample, seeded_noise
from engine.training.tokens import Tokenizer
from engine.weights.files import open_weights

LARGEST_FILE = 25_000_000


@pytest.fixture(scope="module")
def checkpoint(root: Path) -> Path:
    return root / "models" / "checkpoints" / "safelight-emoji-128.safetensors"


@pytest.fixture(scope="module")
def networks(checkpoint: Path) -> tuple[PromptedUNet, Autoencoder]:
    return load_checkpoint(checkpoint)


def test_the_file_is_small_and_laid_out_as_stable_diffusion_1(checkpoint: Path) -> None:
    assert checkpoint.stat().st_size < LARGEST_FILE
    with open_weights(checkpoint) as file:
        prefixes = {name.partition(".")[0] for name in file.shapes}
        assert len(file.shapes) == 634
        assert set(file.dtypes.values()) == {torch.float16}
        metadata = dict(file.metadata)
    assert prefixes == {"model", "first_stage_model", "cond_stage_model"}
    assert json.loads(metadata["safelight.networks"])["size"] == [128, 128]
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1"
    assert (checkpoint.parent / "NOTICE.md").exists()
    assert checkpoint.with_suffix(".md").exists()


@torch.no_grad()
def test_the_autoencoder_keeps_colours_and_latents_have_unit_spread(
    networks: tuple[PromptedUNet, Autoencoder], discs: tuple[list[Picture], NDArray[np.uint8]]
) -> None:
    _, autoencoder = networks
    pictures = composite(discs[1], (255, 255, 255))
    latents, _ = autoencoder.encode(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert 0.5 < float((latents * SCALE).std()) < 1.5
    decoded = decode_pixels(autoencoder, latents)
    assert np.abs(decoded.astype(int) - pictures).mean() < 8


def test_it_draws_the_shape_and_colour_asked_for(networks: tuple[PromptedUNet, Autoencoder]) -> None:
    prompts = ["red circle", "green circle", "blue square", "yellow square"]
    latents = sample(networks[0], Tokenizer(), prompts, seeded_noise(1, len(prompts)))
    pictures = decode_pixels(networks[1], latents / SCALE)
    hues = [colorsys.rgb_to_hsv(*(picture[56:72, 56:72].mean((0, 1)) / 255))[0] * 360 for picture in pictures]
    for got, wanted in zip(hues, [0, 133, 219, 48], strict=True):
        assert abs((got - wanted + 180) % 360 - 180) < 35, (prompts, hues)
    corner = slice(27, 31)  # inside the square of the drawn size, outside the circle
    assert [bool(picture[corner, corner].mean() > 200) for picture in pictures[:3]] == [True, True, False]
    assert all(picture[:8, :8].mean() > 200 for picture in pictures), "on white"
