"""The pipeline on a small checkpoint: loading, determinism, batches, sizes, formats, cancelling."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_checkpoint import write_tiny_checkpoint

from engine.diffusion.latents import Latent, empty_latent
from engine.diffusion.samplers import StepInfo
from engine.diffusion.sampling import KSamplerSettings
from engine.errors import Cancelled, InputError, SafelightError, WeightError
from engine.families.pipeline import (
    Guidance,
    decode_latent,
    detect_file,
    encode_pixels,
    encode_prompt,
    load_checkpoint,
    load_vae,
    make_models,
    sample_latent,
)
from engine.memory.residency import Residency
from engine.weights.files import open_weights, save_safetensors
from engine.weights.layouts import AUTOENCODER, DENOISER
from engine.weights.recipe import file_ref

SETTINGS = KSamplerSettings(11, 3, "dpmpp_2m", "karras")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_tiny_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def tiny(path: Path, models: Residency) -> SimpleNamespace:
    model, clip, vae = load_checkpoint(file_ref(path))
    prompts = encode_prompt(models, clip, "a (red:1.2) apple"), encode_prompt(models, clip, "blurry")
    return SimpleNamespace(models=models, model=model, clip=clip, vae=vae, guidance=Guidance(*prompts, 5.0))


def draw(tiny: SimpleNamespace, latent: Latent, models: Residency | None = None) -> torch.Tensor:
    owner = models or tiny.models
    made = sample_latent(owner, tiny.model, SETTINGS, tiny.guidance, latent)
    return decode_latent(owner, tiny.vae, made)


def in_steps_of_255(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels * 255).int()


def test_recipes_cost_no_weights(path: Path) -> None:
    models = make_models("cpu", "float32")
    assert [recipe.part for recipe in load_checkpoint(file_ref(path))] == ["diffusion", "text", "vae"]
    assert models.resident_bytes == 0
    assert detect_file(file_ref(path)).family.name == "sd1"


def test_same_seed_same_bytes(tiny: SimpleNamespace) -> None:
    first = draw(tiny, empty_latent(64, 48))
    again = draw(tiny, empty_latent(64, 48))
    fresh = draw(tiny, empty_latent(64, 48), make_models("cpu", "float32"))
    assert first.shape == (1, 48, 64, 3) and first.dtype == torch.float32
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    assert torch.equal(first, again) and torch.equal(first, fresh)


def test_a_picture_does_not_depend_on_its_batch(tiny: SimpleNamespace) -> None:
    together = draw(tiny, empty_latent(64, 64, 4))
    assert len({picture.numpy().tobytes() for picture in together}) == 4
    empty = empty_latent(64, 64).samples
    # Items of a batch draw from one stream, so item 2 alone has to say that it is item 2.
    alone = torch.cat([draw(tiny, Latent(empty, batch_index=(index,))) for index in range(4)])
    assert (in_steps_of_255(together) - in_steps_of_255(alone)).abs().max() <= 1
    latents = torch.randn(4, 4, 8, 8)
    batch = decode_latent(tiny.models, tiny.vae, Latent(latents))
    singles = torch.cat([decode_latent(tiny.models, tiny.vae, Latent(one[None])) for one in latents])
    assert torch.equal(batch, singles)


def test_layer_skip_changes_the_prompt_and_shares_the_weights(tiny: SimpleNamespace) -> None:
    held = tiny.models.resident_bytes
    skipped = encode_prompt(tiny.models, tiny.clip.with_option("last_layer", -2), "a (red:1.2) apple")
    assert tiny.models.resident_bytes == held
    assert skipped[0].embedding.shape == tiny.guidance.positive[0].embedding.shape


def test_encoding_cuts_to_multiples_of_eight_in_the_middle(tiny: SimpleNamespace) -> None:
    pixels = torch.rand(2, 37, 50, 4)
    latent = encode_pixels(tiny.models, tiny.vae, pixels)
    assert latent.samples.shape == (2, 4, 4, 6)
    assert torch.equal(latent.samples, encode_pixels(tiny.models, tiny.vae, pixels[:, 2:34, 1:49, :3]).samples)
    with pytest.raises(InputError, match="too small"):
        encode_pixels(tiny.models, tiny.vae, torch.rand(1, 7, 64, 3))


def test_latents_of_another_kind_are_refused(tiny: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="does not fit the VAE"):
        decode_latent(tiny.models, tiny.vae, Latent(torch.zeros(1, 16, 8, 8)))


def test_no_black_picture_passes_for_a_result(tiny: SimpleNamespace) -> None:
    with pytest.raises(SafelightError, match="not made of numbers") as caught:
        decode_latent(tiny.models, tiny.vae, Latent(torch.full((1, 4, 8, 8), float("nan"))))
    assert caught.value.problem.code == "E-NOT-FINITE"


def test_results_are_plain_tensors(tiny: SimpleNamespace) -> None:
    pixels = decode_latent(tiny.models, tiny.vae, empty_latent(64, 64))
    latent = encode_pixels(tiny.models, tiny.vae, pixels)
    made = sample_latent(tiny.models, tiny.model, SETTINGS, tiny.guidance, latent)
    assert not any(tensor.is_inference() for tensor in (pixels, latent.samples))
    pixels.add_(1)  # what only inference may touch would refuse
    assert made.samples.shape == latent.samples.shape


def test_bfloat16_is_close_and_the_prompt_follows(tiny: SimpleNamespace) -> None:
    exact = draw(tiny, empty_latent(64, 64))
    half = draw(tiny, empty_latent(64, 64), make_models("cpu", "bfloat16"))
    error = float(((exact - half) ** 2).mean())
    assert 0 < error < 10**-3  # 30 dB, on random weights


def test_small_models_are_exact_by_default(tiny: SimpleNamespace) -> None:
    assert torch.equal(draw(tiny, empty_latent(64, 64)), draw(tiny, empty_latent(64, 64), make_models("cpu")))


def test_every_step_is_heard_of_and_can_stop(tiny: SimpleNamespace) -> None:
    heard: list[tuple[int, int]] = []

    def listen(step: StepInfo) -> None:
        heard.append((step.index, step.total))
        if step.index == 1:
            raise Cancelled()

    with pytest.raises(Cancelled):
        sample_latent(tiny.models, tiny.model, SETTINGS, tiny.guidance, empty_latent(64, 64), listen)
    assert heard == [(0, 3), (1, 3)]


def test_parts_that_are_not_there(path: Path, tmp_path: Path) -> None:
    with open_weights(path) as file:
        tensors = {name: file.tensor(name) for name in file.shapes}
        metadata = file.metadata
    vae_only, headless = tmp_path / "vae.safetensors", tmp_path / "headless.safetensors"
    save_safetensors(vae_only, {k: v for k, v in tensors.items() if k.startswith(AUTOENCODER)}, metadata)
    save_safetensors(headless, {k: v for k, v in tensors.items() if k.startswith(DENOISER)}, metadata)
    assert load_vae(file_ref(vae_only)).part == "vae"
    assert load_vae(file_ref(path)).part == "vae"
    with pytest.raises(WeightError, match=r"vae\.safetensors holds no diffusion model"):
        load_checkpoint(file_ref(vae_only))
    with pytest.raises(WeightError, match=r"headless\.safetensors holds no VAE") as caught:
        load_vae(file_ref(headless))
    assert caught.value.problem.got == "a diffusion model"


def test_an_incomplete_checkpoint_fails_when_it_is_used(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    with open_weights(path) as file:
        lost = DENOISER + "middle_block.0.in_layers.2.weight"
        kept = {name: file.tensor(name) for name in file.shapes if name != lost}
        save_safetensors(broken, kept, file.metadata)
    models = make_models("cpu", "float32")
    model, _, _ = load_checkpoint(file_ref(broken))
    missing = r"1 of \d+ tensors are missing: middle_block\.0\.in_layers\.2\.weight"
    with pytest.raises(WeightError, match=missing), models.use(model):
        pass


def test_a_pickled_checkpoint_draws_the_same(path: Path, tiny: SimpleNamespace, tmp_path: Path) -> None:
    with open_weights(path) as file:
        tensors = {name: file.tensor(name).clone() for name in file.shapes}
    # Heads and groups are in the safetensors metadata only, so this checks all but the numbers.
    torch.save({"state_dict": tensors}, tmp_path / "tiny.ckpt")
    found = detect_file(file_ref(tmp_path / "tiny.ckpt"))
    assert found.parts == {"diffusion", "text", "vae"}
    assert found.layout.shapes == detect_file(file_ref(path)).layout.shapes
