"""The training loops on a handful of pictures: they learn, they resume, and what they export computes the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.networks.autoencoder import Autoencoder
from engine.training.autoencoder_training import (
    AUTOENCODER,
    AutoencoderRun,
    initialise,
    psnr,
    refine_autoencoder,
    train_autoencoder,
)
from engine.training.concepts import Concept
from engine.training.dataset import PictureBatches
from engine.training.diffusion_training import DiffusionRun, PromptedUNet, noise_levels, train_diffusion
from engine.training.export import checkpoint_metadata, checkpoint_tensors, fold_latent_scale, replace_autoencoder
from engine.training.latents import SCALE, LatentBatches, encode_latents
from engine.training.render import Picture
from engine.training.sampling import contact_sheet, sample, seeded_noise
from engine.training.state import Average, Clock, TimedRun, cosine_rate
from engine.training.tokens import Tokenizer
from engine.weights.files import open_weights
from engine.weights.safetensors_format import save_safetensors

Discs = tuple[list[Picture], NDArray[np.uint8]]


@pytest.fixture
def autoencoder() -> Autoencoder:
    """An untrained autoencoder with the default model's start."""
    torch.manual_seed(0)
    model = Autoencoder(AUTOENCODER)
    initialise(model)
    return model.eval()


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [cosine_rate(1e-3, step / 1000) for step in range(1001)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates[0] < rates[5] < rates[10]
    assert rates[10] > rates[500] > rates[990]
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_the_average_follows_slowly() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = Average(layer, decay=0.9)
    torch.nn.init.ones_(layer.weight)
    values = []
    for _ in range(200):
        average.update(layer)
        values.append(float(average.module.weight))
    assert values == sorted(values)
    assert values[0] == pytest.approx(9 / 11)
    assert values[-1] == pytest.approx(1, abs=1e-6)


def test_a_resumed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def fresh() -> TimedRun:
        torch.manual_seed(7)
        model = torch.nn.Linear(3, 2)
        return TimedRun(tmp_path / "state.safetensors", model, torch.optim.AdamW(model.parameters()), minutes=1)

    def steps(run: TimedRun, count: int) -> None:
        for _ in range(count):
            for group in run.optimiser.param_groups:
                group["lr"] = 1e-2
            run.model(torch.randn(4, 3, generator=run.generator)).square().sum().backward()
            run.end_step()

    straight = fresh()
    assert not straight.resume()
    steps(straight, 6)
    first = fresh()
    steps(first, 3)
    first.clock.spent = 12.0
    first.save()
    second = fresh()
    assert second.resume()
    assert (second.step, second.clock.spent) == (3, 12.0)
    steps(second, 3)
    assert torch.equal(second.model.weight, straight.model.weight)
    assert torch.equal(second.average.module.weight, straight.average.module.weight)


def test_a_spent_clock_reads_one() -> None:
    clock = Clock(budget=10, spent=9.5)
    assert 0.95 <= clock.tick() < 1
    clock.spent = 11
    assert clock.tick() == 1


@torch.no_grad()
def test_the_start_passes_colour_through(autoencoder: Autoencoder) -> None:
    """From this start the log-variance is -5 everywhere, whatever the picture."""
    _, logvar = autoencoder.encode(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert torch.equal(logvar, torch.full_like(logvar, -5))


def test_training_the_autoencoder_improves_it(autoencoder: Autoencoder, discs: Discs, tmp_path: Path) -> None:
    _, pixels = discs
    before = psnr(autoencoder, pixels[:2])
    batches = PictureBatches(pixels, np.full(len(pixels), 1 / len(pixels)))
    run = AutoencoderRun(minutes=0.1, crop_part=1.0, crop_batch=2, peak_rate=3e-3, compile=False)
    trained = train_autoencoder(autoencoder, batches, tmp_path / "state.safetensors", run)
    assert psnr(trained, pixels[:2]) > before + 1
    assert (tmp_path / "state.safetensors").exists()


def test_refining_keeps_the_latents_and_the_other_networks(
    autoencoder: Autoencoder, discs: Discs, tmp_path: Path
) -> None:
    _, pixels = discs
    start = tmp_path / "start.safetensors"
    tensors = checkpoint_tensors(PromptedUNet(torch.randn(49408, 64)), autoencoder.state_dict())
    save_safetensors(start, tensors, checkpoint_metadata())
    before = autoencoder.encode(torch.zeros(1, 3, 128, 128))[0].detach()
    batches = PictureBatches(pixels, np.full(len(pixels), 1 / len(pixels)))
    run = AutoencoderRun(minutes=0.1, crop_part=1.0, crop_batch=2, compile=False)
    fidelity = psnr(autoencoder, pixels[:2])
    refined = refine_autoencoder(autoencoder, 1.0, batches, tmp_path / "state.safetensors", run)
    assert psnr(refined, pixels[:2]) > fidelity + 0.5
    assert (refined.encode(torch.zeros(1, 3, 128, 128))[0] - before).square().mean().sqrt() < 0.5

    replace_autoencoder(start, refined, tmp_path / "out.safetensors")
    with open_weights(start) as old, open_weights(tmp_path / "out.safetensors") as new:
        assert (list(new.shapes), new.metadata) == (list(old.shapes), old.metadata)
        changed = {name for name in new.shapes if not torch.equal(new.tensor(name), old.tensor(name))}
    assert changed
    assert all(name.startswith("first_stage_model.") for name in changed)


@pytest.fixture
def batches(autoencoder: Autoencoder, discs: Discs, tmp_path: Path) -> LatentBatches:
    """Latents of the eight discs."""
    pictures, pixels = discs
    encode_latents(autoencoder, pixels, range(len(pixels)), tmp_path / "latents.safetensors")
    concepts = [Concept(picture.label, "circle", (), (), i) for i, picture in enumerate(pictures)]
    return LatentBatches(tmp_path / "latents.safetensors", concepts)


def test_latents_have_unit_spread_and_their_captions(batches: LatentBatches) -> None:
    drawn = [batches.draw(torch.Generator().manual_seed(seed), 16) for seed in range(8)]
    values = torch.cat([batch.latents for batch in drawn])
    assert values.shape == (128, 4, 16, 16)
    assert values.mean((0, 2, 3)).abs().max() < 0.5
    assert 0.6 < float(values.std()) < 1.5
    captions = [text for batch in drawn for text in batch.captions if text]
    assert all("circle" in text for text in captions)
    again = batches.draw(torch.Generator().manual_seed(0), 16)
    assert again.captions == drawn[0].captions
    assert torch.equal(again.latents, drawn[0].latents)


def test_emphasised_concepts_are_drawn_twice_as_often(batches: LatentBatches, tmp_path: Path) -> None:
    emphasised = LatentBatches(tmp_path / "latents.safetensors", batches.concepts, ["red circle"])
    ratios = [new / old for new, old in zip(emphasised.weights, batches.weights, strict=True)]
    assert ratios == [2.0, *[1.0] * 7]


def test_training_the_unet_runs_resumes_and_learns(batches: LatentBatches, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PromptedUNet(torch.randn(49408, 64))
    latents = torch.randn(2, 4, 16, 16)
    tokens = Tokenizer()(["red circle", "blue circle"])
    with torch.no_grad():
        assert torch.count_nonzero(model(latents, torch.tensor([10.0, 900.0]), tokens)) == 0, "starts by predicting 0"
    table = model.token_table.clone()
    run = DiffusionRun(minutes=0.12, batch=2, peak_rate=2e-3)
    train_diffusion(model, batches, Tokenizer(), tmp_path / "unet.safetensors", run)
    with open_weights(tmp_path / "unet.safetensors") as file:
        assert int(file.metadata["step"]) >= 2
    assert torch.equal(model.token_table, table), "the token table stays as it was built"
    signal = noise_levels()[999]
    noised = signal.sqrt() * latents + (1 - signal).sqrt() * latents.flip(0)
    with torch.no_grad():
        error = (model(noised, torch.tensor([999.0, 999.0]), tokens) - latents.flip(0)).square().mean()
    assert error < 0.97, "predicts some of the noise"


def test_noise_levels_are_those_of_stable_diffusion_1() -> None:
    levels = noise_levels()
    assert float(levels[0]) == pytest.approx(1 - 0.00085, abs=1e-6)
    assert float(levels[-1]) == pytest.approx(0.0047, abs=1e-4)


@torch.no_grad()
def test_sampling_is_the_same_whatever_the_batch() -> None:
    torch.manual_seed(0)
    model = PromptedUNet(torch.randn(49408, 64)).eval()
    for parameter in model.unet.out.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    noise = seeded_noise(5, 2, size=8)
    both = sample(model, Tokenizer(), ["red circle", "a cat"], noise, steps=2)
    alone = sample(model, Tokenizer(), ["a cat"], noise[1:], steps=2)
    torch.testing.assert_close(both[1:], alone, atol=2e-2, rtol=2e-2)
    assert torch.equal(seeded_noise(5, 4, size=8)[:2], noise)
    assert not torch.allclose(both[0], both[1])


@torch.no_grad()
def test_folding_the_scale_changes_latents_not_pictures(autoencoder: Autoencoder) -> None:
    torch.manual_seed(1)
    for parameter in autoencoder.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.02)
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    mean, logvar = autoencoder.encode(pixels)
    offset, spread = torch.tensor([0.5, -1.0, 2.0, 0.1]), torch.tensor([1.5, 0.3, 2.0, 0.9])
    folded = Autoencoder(AUTOENCODER)
    folded.load_state_dict(fold_latent_scale(autoencoder, offset, spread))
    new_mean, new_logvar = folded.encode(pixels)
    unit = (mean - offset[:, None, None]) / spread[:, None, None]
    torch.testing.assert_close(new_mean * SCALE, unit, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        torch.exp(new_logvar / 2) * SCALE, torch.exp(logvar / 2) / spread[:, None, None], atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(folded.decode(new_mean), autoencoder.decode(mean), atol=1e-4, rtol=1e-4)


def test_the_exported_file_has_the_original_layout(autoencoder: Autoencoder, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    tensors = checkpoint_tensors(PromptedUNet(torch.randn(49408, 64)), autoencoder.state_dict())
    save_safetensors(tmp_path / "model.safetensors", tensors, checkpoint_metadata())
    with safetensors.safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        names = set(file.keys())
        networks = json.loads(file.metadata()["safelight.networks"])
        assert file.get_tensor("model.diffusion_model.out.2.weight").dtype == torch.float16
    assert len(names) == 634
    assert {
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
        "first_stage_model.post_quant_conv.bias",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    } <= names
    assert networks["size"] == [128, 128]
    assert networks["vae"] == {"norm_groups": 8}
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_contact_sheet_is_rows_of_pictures() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    sheet = contact_sheet(pictures, 3)
    assert sheet.shape == (4, 6, 3)
    assert sheet[::2, ::2, 0].tolist() == [[0, 1, 2], [3, 4, 255]]
