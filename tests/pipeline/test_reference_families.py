"""Stable Diffusion 2 and XL against what another engine made of the same checkpoints (../shared/reference).

Latents agree to 1e-4 of their largest value, pictures to one step of 255. Needs 10 GB of weights, and 12 GB of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.diffusion.latents import empty_latent
from engine.diffusion.sampling import KSamplerSettings
from engine.families.pipeline import (
    Guidance,
    decode_latent,
    encode_prompt,
    load_checkpoint,
    make_models,
    sample_latent,
)
from engine.weights.recipe import file_ref

pytestmark = pytest.mark.slow

POSITIVE, NEGATIVE = "a (red:1.3) cat on a table, masterpiece", "blurry, low quality"
ONE_PART = 1 << 30  # bytes that may stay when idle, so that the encoders leave before the U-Net comes


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["sd21", "sdxl"])
def test_text_to_image(name: str, random_checkpoint: Callable[[str], Path], reference: Path) -> None:
    with np.load(reference / "cases.npz") as file:
        expected, picture = file[f"{name}_txt2img"], file[f"{name}_txt2img/image"]
    models = make_models("cpu", "float32", ONE_PART)
    model, clip, vae = load_checkpoint(file_ref(random_checkpoint(name)))
    guidance = Guidance(encode_prompt(models, clip, POSITIVE), encode_prompt(models, clip, NEGATIVE), 5.0)
    models.drop_unused()
    latent = sample_latent(models, model, KSamplerSettings(99, 4, "euler", "normal"), guidance, empty_latent(64, 64))
    models.drop_unused()
    error = np.abs(latent.samples.numpy() - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"relative error {error:.1e}"
    pixels = (decode_latent(models, vae, latent).numpy() * 255.0).clip(0, 255).astype(np.uint8)
    assert pixels.shape == picture.shape
    assert np.abs(pixels.astype(int) - picture.astype(int)).max() <= 1
