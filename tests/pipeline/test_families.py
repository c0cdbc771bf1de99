"""Stable Diffusion 2 and XL on small checkpoints: what they predict, what they read of a condition, inpainting."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_families import TinyFamily, tiny_tensors, write_tiny_family
from torch import Tensor

from engine.diffusion.conditioning import Conditioning, ConditioningEntry, set_extra
from engine.diffusion.latents import empty_latent
from engine.diffusion.noise import prepare_noise
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.sampling import KSamplerSettings
from engine.errors import InputError
from engine.families.inpainting import CONCAT_LATENT, CONCAT_MASK
from engine.families.pipeline import (
    Guidance,
    decode_latent,
    detect_file,
    encode_prompt,
    encode_prompt_pair,
    load_checkpoint,
    sample_latent,
)
from engine.families.registry import family_of, sampling_of
from engine.memory.residency import Residency
from engine.weights.files import save_safetensors
from engine.weights.layouts import DENOISER
from engine.weights.recipe import ModelRecipe, file_ref

SETTINGS = KSamplerSettings(11, 4, "euler", "normal")
TELLING_BIAS = DENOISER + "output_blocks.11.1.transformer_blocks.0.norm1.bias"


def draw(models: Residency, model: ModelRecipe, positive: Conditioning, negative: Conditioning) -> Tensor:
    guidance = Guidance(positive, negative, 5.0)
    return sample_latent(models, model, SETTINGS, guidance, empty_latent(64, 48)).samples


@pytest.mark.parametrize("family", ["sd2", "sdxl", "sdxl_refiner"])
def test_from_a_prompt_to_a_picture(family: TinyFamily, models: Residency, tmp_path: Path) -> None:
    model, clip, vae = load_checkpoint(file_ref(write_tiny_family(tmp_path / "tiny.safetensors", family)))
    assert {recipe.family for recipe in (model, clip, vae)} == {family}
    positive, negative = encode_prompt(models, clip, "a (red:1.2) apple"), encode_prompt(models, clip, "blurry")
    made = draw(models, model, positive, negative)
    assert torch.equal(made, draw(models, model, positive, negative))
    assert not torch.allclose(made, draw(models, model, negative, positive), rtol=1e-2)
    size = {"width": 32, "height": 32}
    told = draw(models, model, set_extra(positive, **size), negative)
    assert torch.equal(made, told) == (family == "sd2")  # sizes matter to those that read them
    pixels = decode_latent(models, vae, dataclasses.replace(empty_latent(64, 48), samples=made))
    assert pixels.shape == (1, 48, 64, 3)


def test_only_xl_takes_a_prompt_for_each_encoder(models: Residency, tmp_path: Path) -> None:
    _, xl, _ = load_checkpoint(file_ref(write_tiny_family(tmp_path / "xl.safetensors", "sdxl")))
    same, both = encode_prompt_pair(models, xl, ("apple", "apple"))[0], encode_prompt(models, xl, "apple")[0]
    assert torch.equal(same.embedding, both.embedding)
    other = encode_prompt_pair(models, xl, ("pear", "apple"))[0]
    assert torch.equal(other.embedding[..., 32:], both.embedding[..., 32:])  # CLIP-G's part
    assert not torch.equal(other.embedding[..., :32], both.embedding[..., :32])
    _, single, _ = load_checkpoint(file_ref(write_tiny_family(tmp_path / "sd2.safetensors", "sd2")))
    with pytest.raises(InputError, match="a single text encoder"):
        encode_prompt_pair(models, single, ("apple", "apple"))


def fourier(numbers: list[float], pooled: Tensor) -> Tensor:
    """Return the vector that diffusers makes of sizes."""
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    features = embeddings.get_timestep_embedding(torch.tensor(numbers), 256, True, 0).flatten()
    return torch.cat([pooled, features[None]], dim=1)


@pytest.mark.parametrize(
    ("family", "role", "extra", "numbers"),
    [
        ("sdxl", "positive", {}, [48, 64, 0, 0, 48, 64]),
        ("sdxl", "negative", {"width": 99, "crop_h": 3}, [48, 99, 3, 0, 48, 99]),
        ("sdxl", "positive", {"width": 1, "height": 2, "crop_w": 3, "crop_h": 4, "target_width": 5, "target_height": 6},
         [2, 1, 4, 3, 6, 5]),
        ("sdxl_refiner", "positive", {}, [48, 64, 0, 0, 6.0]),
        ("sdxl_refiner", "negative", {}, [48, 64, 0, 0, 2.5]),
        ("sdxl_refiner", "negative", {"aesthetic_score": 4.0, "width": 8}, [48, 8, 0, 0, 4.0]),
    ],
)  # fmt: skip
def test_sizes_become_a_vector(family: str, role: str, extra: dict[str, float], numbers: list[float]) -> None:
    entry = ConditioningEntry(torch.randn(1, 77, 96), torch.randn(1, 64), extra=extra)
    inputs = family_of(family).inputs(entry, torch.zeros(1, 4, 6, 8), role)  # type: ignore[arg-type]
    torch.testing.assert_close(inputs.y, fourier(numbers, entry.pooled), rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="no pooled state"):
        family_of(family).inputs(ConditioningEntry(entry.embedding), torch.zeros(1, 4, 6, 8), "positive")


@pytest.mark.parametrize(
    ("family", "added", "metadata", "options"),
    [
        ("sd2", {TELLING_BIAS: 0.05}, {}, {}),
        ("sd2", {TELLING_BIAS: 0.2}, {}, {"prediction": "v"}),
        ("sd2", {TELLING_BIAS: 0.2}, {"modelspec.prediction_type": "epsilon"}, {"prediction": "eps"}),
        ("sd2", {}, {"modelspec.prediction_type": "v"}, {"prediction": "v"}),
        ("sd2_inpaint", {TELLING_BIAS: 0.2}, {}, {}),
        ("sdxl", {}, {}, {}),
        ("sdxl", {"v_pred": 0.0}, {}, {"prediction": "v"}),
        ("sdxl", {"v_pred": 0.0, "ztsnr": 0.0}, {}, {"prediction": "v", "zero_terminal_snr": True}),
    ],
)
def test_what_a_model_predicts(
    family: TinyFamily, added: dict[str, float], metadata: dict[str, str], options: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.safetensors"
    tensors = {name: torch.linspace(-1, 1, 320) * spread * math.sqrt(3) for name, spread in added.items()}
    save_safetensors(path, {**tiny_tensors(family), **tensors}, metadata)
    model, clip, _ = load_checkpoint(file_ref(path))
    assert (model.family, dict(model.options), clip.options) == (family, options, ())
    expected = dataclasses.replace(DiscreteSampling(), **options)  # type: ignore[arg-type]
    assert sampling_of(model) == expected
    assert detect_file(file_ref(path)).parts == {"diffusion", "text", "vae"}


@pytest.mark.parametrize("family", ["sd2_inpaint", "sdxl_inpaint"])
def test_inpainting_models_want_a_picture_and_a_mask(family: TinyFamily, models: Residency, tmp_path: Path) -> None:
    model, clip, _ = load_checkpoint(file_ref(write_tiny_family(tmp_path / "tiny.safetensors", family)))
    prompt = encode_prompt(models, clip, "a red apple")
    with pytest.raises(InputError, match="told what to paint over") as caught:
        draw(models, model, prompt, prompt)
    assert "InpaintModelConditioning" in (caught.value.problem.hint or "")
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 32:] = 1
    picture = torch.randn(1, 4, 6, 8)
    told = set_extra(prompt, **{CONCAT_LATENT: picture, CONCAT_MASK: mask})
    inputs = family_of(family).inputs(told[0], torch.zeros(2, 4, 6, 8), "positive")
    assert inputs.concat is not None and inputs.concat.shape == (1, 5, 6, 8)
    assert inputs.concat[0, 0].sum() == 6 * 4 and inputs.concat[0, 0, :, 4:].all()
    torch.testing.assert_close(inputs.concat[:, 1:], family_of(family).latent_format.process_in(picture))
    elsewhere = set_extra(prompt, **{CONCAT_LATENT: picture, CONCAT_MASK: 1 - mask})
    assert not torch.allclose(draw(models, model, told, told), draw(models, model, elsewhere, elsewhere), rtol=1e-2)


def diffusers_unet(width: int, is_xl: bool) -> Any:
    """Return a small U-Net of diffusers that listens to as wide a text as the real one."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    label = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
    return diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=1,
        use_linear_projection=True,
        **({**label, "projection_class_embeddings_input_dim": 2816} if is_xl else {}),
    ).eval()


def diffusers_pipeline(unet: Any, prediction: str, is_xl: bool) -> Any:
    """Return a pipeline that takes embeddings and gives latents."""
    import diffusers

    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    scheduler = diffusers.EulerDiscreteScheduler(**betas, prediction_type=prediction)
    parts = {"vae": None, "text_encoder": None, "tokenizer": None, "unet": unet, "scheduler": scheduler}
    if is_xl:
        more = {"text_encoder_2": None, "tokenizer_2": None, "add_watermarker": False}
        pipeline = diffusers.StableDiffusionXLPipeline(**parts, **more)
    else:
        more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = diffusers.StableDiffusionPipeline(**parts, **more)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize(("family", "prediction"), [("sd2", "v_prediction"), ("sdxl", "epsilon")])
def test_whole_run_equals_diffusers(family: str, prediction: str, models: Residency, tmp_path: Path) -> None:
    """Four steps of Euler with guidance; both sides take noise levels from the table itself (0, 333, 666, 999)."""
    is_xl = family == "sdxl"
    width = 2048 if is_xl else 1024
    unet = diffusers_unet(width, is_xl)
    path = tmp_path / "unet.safetensors"
    save_safetensors(path, unet.state_dict(), {"modelspec.prediction_type": prediction})
    found = detect_file(file_ref(path))
    assert found.family.name == family
    model = ModelRecipe(file_ref(path), family, "diffusion", found.model_options)
    positive, negative = (ConditioningEntry(torch.randn(1, 77, width), torch.randn(1, 1280)) for _ in range(2))
    given = {"prompt_embeds": positive.embedding, "negative_prompt_embeds": negative.embedding}
    if is_xl:
        given |= {"pooled_prompt_embeds": positive.pooled, "negative_pooled_prompt_embeds": negative.pooled}
    largest = DiscreteSampling().sigma_max
    noise = prepare_noise(empty_latent(64, 48).samples, SETTINGS.seed)
    given["latents"] = noise * math.sqrt(1 + largest**2) / largest  # diffusers starts a little below pure noise here
    pipeline = diffusers_pipeline(unet, prediction, is_xl)
    size = {"height": 48, "width": 64}
    theirs = pipeline(**given, **size, num_inference_steps=4, guidance_scale=5.0, output_type="latent").images
    ours = draw(models, model, (positive,), (negative,)) * family_of(family).latent_format.scale
    error = (ours - theirs).abs().max() / theirs.abs().max()
    assert error < 1e-4, f"relative error {error:.1e}"


def test_prompts_of_another_family_are_refused(models: Residency, tmp_path: Path) -> None:
    model, _, _ = load_checkpoint(file_ref(write_tiny_family(tmp_path / "xl.safetensors", "sdxl")))
    _, clip, _ = load_checkpoint(file_ref(write_tiny_family(tmp_path / "refiner.safetensors", "sdxl_refiner")))
    prompt = encode_prompt(models, clip, "a red apple")
    with pytest.raises(InputError, match="another kind of model") as caught:
        draw(models, model, prompt, prompt)
    assert (caught.value.problem.expected, caught.value.problem.got) == ("96 numbers a token", "64")
