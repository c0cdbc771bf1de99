"""Decoding and encoding in tiles: nearly the whole's result, without seams, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.diffusion.latents import Latent
from engine.errors import InputError
from engine.families.pipeline import decode_latent, encode_pixels, load_vae
from engine.families.tiling import Tiling, decode_tiled, encode_tiled
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe, file_ref


@pytest.fixture(scope="module")
def vae(root: Path) -> ModelRecipe:
    return load_vae(file_ref(root / "models/checkpoints/safelight-emoji-128.safetensors"))


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """A smooth picture [1, 256, 192, 3]."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 256), torch.linspace(0, 5, 192), indexing="ij")
    return torch.stack([0.5 + 0.4 * torch.sin(x + phase + 0.5 * y) for phase in (0.0, 1.0, 2.0)], -1)[None]


def test_tiles_make_nearly_the_same(vae: ModelRecipe, picture: torch.Tensor, models: Residency) -> None:
    whole = encode_pixels(models, vae, picture)
    tiled = encode_tiled(models, vae, picture, Tiling(128, 32))
    assert tiled.samples.shape == whole.samples.shape
    assert (tiled.samples - whole.samples).abs().mean() < 0.1 * whole.samples.std()
    wanted = decode_latent(models, vae, whole)
    heard: list[tuple[int, int]] = []
    made = decode_tiled(models, vae, whole, Tiling(128, 32), lambda *step: heard.append(step))
    assert made.shape == wanted.shape and made.dtype == torch.float32
    # What remains is the tiles' own normalisation, a slow change of tone; without the ramp it would be seams.
    assert (made - wanted).abs().mean() < 8 / 255
    hard = decode_tiled(models, vae, whole, Tiling(128, 0))
    soft_jump, hard_jump = ((one - wanted).diff(dim=1).abs().max() for one in (made, hard))
    assert soft_jump < 0.7 * hard_jump
    assert heard == [(index, len(heard)) for index in range(len(heard))] and len(heard) > 6


def test_one_tile_is_the_whole(vae: ModelRecipe, picture: torch.Tensor, models: Residency) -> None:
    latent = encode_pixels(models, vae, picture)
    two = Latent(latent.samples.repeat(2, 1, 1, 1))
    torch.testing.assert_close(decode_tiled(models, vae, two, Tiling(1024)), decode_latent(models, vae, two))
    torch.testing.assert_close(encode_tiled(models, vae, picture, Tiling(1024)).samples, latent.samples)


def test_no_tile_is_larger_than_asked_and_all_is_covered() -> None:
    for size, overlap in ((64, 0), (64, 64), (72, 4096), (512, 64)):
        for boxes in Tiling(size, overlap).passes(100, 37, 8):
            seen = torch.zeros(100, 37)
            for top, left, height, width in boxes:
                assert height * width <= (size // 8) ** 2 and min(height, width) > 0
                seen[top : top + height, left : left + width] = 1
            assert seen.all()


def test_tiles_that_are_too_small_are_refused(vae: ModelRecipe, models: Residency) -> None:
    with pytest.raises(InputError, match="tiles are too small"):
        decode_tiled(models, vae, Latent(torch.zeros(1, 4, 8, 8)), Tiling(8, 0))
