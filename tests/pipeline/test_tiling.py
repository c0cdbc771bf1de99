"""Decoding and encoding in tiles: nearly the whole's result, without seams, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_checkpoint import write_tiny_checkpoint

from engine.diffusion.latents import Latent
from engine.errors import InputError
from engine.families.pipeline import decode_latent, encode_pixels, load_vae
from engine.families.tiling import Tiling, decode_tiled, encode_tiled
from engine.memory.activations import ActivationMeter
from engine.memory.residency import Residency
from engine.networks.shared_norms import RecordedNorms, ReplayedNorms
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


def test_large_tiles_stay_within_two_steps_of_the_whole(vae: ModelRecipe, root: Path, models: Residency) -> None:
    """The defaults on a drawn landscape: 96 of 100 values, and the mean by a wide margin; by themselves, 12 of 100."""
    with Image.open(root / "input/landscape.png") as file:
        drawn = file.convert("RGB").resize((768, 768), Image.Resampling.LANCZOS)
    picture = torch.from_numpy(np.asarray(drawn).copy()).float()[None] / 255
    whole = encode_pixels(models, vae, picture)
    assert (
        encode_tiled(models, vae, picture, Tiling()).samples - whole.samples
    ).abs().mean() < 0.005 * whole.samples.std()
    wanted = decode_latent(models, vae, whole)
    error = decode_tiled(models, vae, whole, Tiling()) - wanted
    assert error.abs().mean() < 0.6 / 255
    assert (error.abs() <= 2 / 255).float().mean() > 0.95
    sky = error[:, 20:480, 300:740]  # plain, and crossed by both seams
    assert sky.abs().max() < 2 / 255
    assert max(sky.diff(dim=1).abs().max(), sky.diff(dim=2).abs().max()) < 1 / 255


def test_memory_is_that_of_a_tile(tmp_path: Path, models: Residency) -> None:
    """Peaks beside inputs and outputs of one picture and of another with three times its area, in tiles as large."""
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    vae = load_vae(file_ref(tmp_path / "tiny.safetensors"))
    tiling = Tiling(256, 64, like_whole=True)
    beside = []
    with models.use(vae):
        for width in (448, 1408):
            latent = Latent(torch.randn(1, 4, 448 // 8, width // 8))
            with ActivationMeter() as decoding:
                made = decode_tiled(models, vae, latent, tiling)
            picture = made.numel() * 4
            with ActivationMeter() as encoding:
                encode_tiled(models, vae, made, tiling)
            beside.append((decoding.peak - picture * 4 / 3, encoding.peak - picture))  # colours, and weights of pixels
        with ActivationMeter() as whole:
            decode_latent(models, vae, latent)
    for small, large in zip(*beside, strict=True):
        assert large < 1.02 * small
    assert whole.peak > 8 * beside[1][0]


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_take_the_statistics_of_another_call(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    norms = torch.nn.Sequential(torch.nn.GroupNorm(2, 6), torch.nn.SiLU(), torch.nn.GroupNorm(3, 6)).to(dtype)
    for parameter in norms.parameters():
        torch.nn.init.normal_(parameter)
    picture = (torch.randn(2, 6, 16, 16) * torch.linspace(0.5, 3, 16) + 1).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    for one in torch.split(picture, 1):
        with RecordedNorms() as recorded:
            wanted = norms(one)
        assert torch.equal(wanted, norms(one)) and len(recorded.seen) == 2
        with ReplayedNorms(recorded.seen):
            halves = [norms(half) for half in one.chunk(2, dim=-1)]
        made = torch.cat(halves, dim=-1)
        assert made.dtype == dtype
        torch.testing.assert_close(made, wanted, rtol=tolerance, atol=tolerance)
        alone = torch.cat([norms(half) for half in one.chunk(2, dim=-1)], dim=-1)
        assert (alone - wanted).abs().mean() > 0.1


def test_a_picture_no_larger_than_a_tile_is_averaged_as_elsewhere(
    vae: ModelRecipe, picture: torch.Tensor, models: Residency
) -> None:
    """Three passes at any size, and at a size below that of large tiles; one when asked to be like the whole."""
    for tiling, cells, passes in (
        (Tiling(), (64, 64), 3),
        (Tiling(256), (64, 64), 3),
        (Tiling(), (65, 64), 1),
        (Tiling(256, like_whole=True), (64, 64), 1),
    ):
        assert tiling.passes(*cells, 8).total() == passes


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
