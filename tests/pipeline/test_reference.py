"""The whole pipeline against what another engine made of the same checkpoint (../shared/reference).

Latents agree to 1e-4 of their largest value, pictures to one step of 255. Needs 2 GB of weights and some minutes.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.diffusion.conditioning import Area, Conditioning, combine, set_area, set_range
from engine.diffusion.latents import Latent, empty_latent
from engine.diffusion.sampling import KSamplerSettings
from engine.families.pipeline import (
    Guidance,
    decode_latent,
    encode_pixels,
    encode_prompt,
    load_checkpoint,
    sample_latent,
)
from engine.memory.residency import Residency
from engine.weights.recipe import file_ref

pytestmark = pytest.mark.slow

POSITIVE, NEGATIVE = "a (red:1.3) cat on a table, masterpiece", "blurry, low quality"
SAMPLERS = (
    "euler/normal",
    "dpmpp_2m/karras",
    "euler_ancestral/normal",
    "heun/karras",
    "dpm_2/normal",
    "dpmpp_sde/karras",
    "dpmpp_2m_sde/karras",
    "uni_pc/normal",
    "lcm/normal",
    "ddim/normal",
    "euler/simple",
    "euler/sgm_uniform",
    "dpmpp_2m/beta",
)
VARIATIONS = {  # key: (width, height, batch, positive, cfg, denoise, sampler, schedule)
    "img_batch3": (64, 64, 3, POSITIVE, 5.0, 1.0, "euler", "normal"),
    "img_128x64": (128, 64, 1, POSITIVE, 5.0, 1.0, "euler", "normal"),
    "img_long": (64, 64, 1, "a, b, c, " * 60, 5.0, 1.0, "euler", "normal"),
    "img_cfg1": (64, 64, 1, POSITIVE, 1.0, 1.0, "euler", "normal"),
    "img_denoise_0.5": (64, 64, 1, POSITIVE, 5.0, 0.5, "dpmpp_2m", "karras"),
}


@pytest.fixture(scope="module")
def darkroom(random_sd15: Path, models: Residency) -> SimpleNamespace:
    """The recipes of the random checkpoint and its two prompts."""
    model, clip, vae = load_checkpoint(file_ref(random_sd15))
    positive, negative = encode_prompt(models, clip, POSITIVE), encode_prompt(models, clip, NEGATIVE)
    return SimpleNamespace(models=models, model=model, clip=clip, vae=vae, positive=positive, negative=negative)


def sampled(
    darkroom: SimpleNamespace, settings: KSamplerSettings, latent: Latent, cfg: float = 5.0, positive: str = POSITIVE
) -> Latent:
    conditioning = darkroom.positive
    if positive != POSITIVE:
        conditioning = encode_prompt(darkroom.models, darkroom.clip, positive)
    guidance = Guidance(conditioning, darkroom.negative, cfg)
    return sample_latent(darkroom.models, darkroom.model, settings, guidance, latent)


def assert_same_latent(got: Latent, expected: np.ndarray) -> None:
    assert got.samples.shape == expected.shape
    error = np.abs(got.samples.numpy() - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"relative error {error:.1e}"


def assert_same_picture(darkroom: SimpleNamespace, latent: Latent, expected: np.ndarray) -> None:
    pixels = decode_latent(darkroom.models, darkroom.vae, latent)
    bytes_ = (pixels.numpy() * 255.0).clip(0, 255).astype(np.uint8)
    assert bytes_.shape == expected.shape
    assert np.abs(bytes_.astype(int) - expected.astype(int)).max() <= 1


@pytest.fixture(scope="module")
def expected(reference: Path) -> dict[str, np.ndarray]:
    with np.load(reference / "pipeline_sd15.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def cases(reference: Path) -> dict[str, np.ndarray]:
    with np.load(reference / "cases.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler(name: str, darkroom: SimpleNamespace, expected: dict[str, np.ndarray]) -> None:
    sampler, schedule = name.split("/")
    got = sampled(darkroom, KSamplerSettings(1234, 5, sampler, schedule), empty_latent(64, 64))
    assert_same_latent(got, expected[name])


@pytest.mark.parametrize("name", VARIATIONS)
def test_variation(name: str, darkroom: SimpleNamespace, expected: dict[str, np.ndarray]) -> None:
    width, height, batch, positive, cfg, denoise, sampler, schedule = VARIATIONS[name]
    settings = KSamplerSettings(1234, 5, sampler, schedule, denoise)
    got = sampled(darkroom, settings, empty_latent(width, height, batch), cfg, positive)
    assert_same_latent(got, expected[name])
    assert_same_picture(darkroom, got, expected[f"{name}/image"])


def test_every_reference_run_is_tested(expected: dict[str, np.ndarray]) -> None:
    assert {key for key in expected if not key.endswith("/image")} == {*SAMPLERS, *VARIATIONS}


def load_picture(path: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return pixels [1, H, W, 3] and, where there is alpha, the mask [1, H, W] of what is transparent."""
    with Image.open(path) as picture:
        pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0)[None]
        if "A" not in picture.getbands():
            return pixels, None
        alpha = np.asarray(picture.getchannel("A"), dtype=np.float32) / 255.0
        return pixels, 1.0 - torch.from_numpy(alpha)[None]


def test_img2img(darkroom: SimpleNamespace, cases: dict[str, np.ndarray], reference: Path) -> None:
    latent = encode_pixels(darkroom.models, darkroom.vae, load_picture(reference / "pattern.png")[0])
    got = sampled(darkroom, KSamplerSettings(99, 4, "euler", "normal", 0.6), latent)
    assert_same_latent(got, cases["img2img"])
    assert_same_picture(darkroom, got, cases["img2img/image"])


def test_noise_mask(darkroom: SimpleNamespace, cases: dict[str, np.ndarray], reference: Path) -> None:
    pixels, mask = load_picture(reference / "pattern_alpha.png")
    assert mask is not None
    encoded = encode_pixels(darkroom.models, darkroom.vae, pixels)
    latent = Latent(encoded.samples, noise_mask=mask.reshape(-1, 1, *mask.shape[-2:]))
    got = sampled(darkroom, KSamplerSettings(99, 4, "euler", "normal", 0.6), latent)
    assert_same_latent(got, cases["inpaint_noise_mask"])
    assert_same_picture(darkroom, got, cases["inpaint_noise_mask/image"])


def test_two_stages(darkroom: SimpleNamespace, cases: dict[str, np.ndarray]) -> None:
    first = KSamplerSettings(7, 6, "euler", "normal", start_at_step=0, end_at_step=3)
    second = KSamplerSettings(
        7, 6, "euler", "normal", start_at_step=3, end_at_step=10000, add_noise=False, force_full_denoise=True
    )
    half_way = sampled(darkroom, first, empty_latent(64, 64))
    got = sampled(darkroom, second, half_way)
    assert_same_latent(got, cases["two_stage"])
    assert_same_picture(darkroom, got, cases["two_stage/image"])


def test_areas(darkroom: SimpleNamespace, cases: dict[str, np.ndarray]) -> None:
    dog = encode_prompt(darkroom.models, darkroom.clip, "a blue dog")
    positive = combine(darkroom.positive, set_area(dog, Area(height=8, width=8, y=0, x=8)))
    assert_case(darkroom, positive, KSamplerSettings(99, 4), empty_latent(128, 64), cases, "area")


def test_time_ranges(darkroom: SimpleNamespace, cases: dict[str, np.ndarray]) -> None:
    dog = encode_prompt(darkroom.models, darkroom.clip, "a blue dog")
    positive = combine(set_range(darkroom.positive, 0.0, 0.4), set_range(dog, 0.4, 1.0))
    assert_case(darkroom, positive, KSamplerSettings(99, 6), empty_latent(64, 64), cases, "timestep_range")


def assert_case(
    darkroom: SimpleNamespace,
    positive: Conditioning,
    settings: KSamplerSettings,
    latent: Latent,
    cases: dict[str, np.ndarray],
    name: str,
) -> None:
    guidance = Guidance(positive, darkroom.negative, 5.0)
    got = sample_latent(darkroom.models, darkroom.model, settings, guidance, latent)
    assert_same_latent(got, cases[name])
    assert_same_picture(darkroom, got, cases[f"{name}/image"])
