"""Latents added, mixed, cut, joined, laid over each other, and which noise they keep."""

from __future__ import annotations

import pytest
import torch

from engine.diffusion import latent_arithmetic, latent_batches, latent_framing
from engine.diffusion.latent_operations import Sharpen, TonemapReinhard
from engine.diffusion.latents import Latent, resize_latent
from engine.diffusion.noise import prepare_noise
from engine.errors import InputError


def latent(*shape: int, seed: int = 0, **rest: object) -> Latent:
    return Latent(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), **rest)  # type: ignore[arg-type]


def test_arithmetic_repeats_and_resizes_the_second() -> None:
    a, b = latent(3, 4, 6, 6), latent(2, 4, 3, 5, seed=1)
    fitted = resize_latent(b.samples, 6, 6, "bilinear", "center")[[0, 1, 0]]
    assert torch.equal(latent_arithmetic.add(a, b).samples, a.samples + fitted)
    assert torch.equal(latent_arithmetic.subtract(a, b).samples, a.samples - fitted)
    assert torch.equal(latent_arithmetic.multiply(a, -2.5).samples, a.samples * -2.5)
    cubic = resize_latent(b.samples, 6, 6, "bicubic", "center")[[0, 1, 0]]
    assert torch.allclose(latent_arithmetic.blend(a, b, 0.25).samples, a.samples * 0.25 + cubic * 0.75)


def test_arithmetic_keeps_what_else_the_first_carries() -> None:
    a = latent(1, 4, 2, 2, noise_mask=torch.ones(1, 1, 2, 2), batch_index=(7,))
    made = latent_arithmetic.add(a, latent(1, 4, 2, 2, noise_mask=torch.zeros(1, 1, 2, 2)))
    assert made.noise_mask is a.noise_mask
    assert made.batch_index == (7,)


def test_latents_of_different_kinds_are_an_input_error() -> None:
    with pytest.raises(InputError, match="kinds") as caught:
        latent_arithmetic.add(latent(1, 4, 2, 2), latent(1, 16, 2, 2))
    assert caught.value.problem.input == "samples2"


def test_interpolation_mixes_directions_and_lengths_apart() -> None:
    a = Latent(torch.tensor([2.0, 0.0]).reshape(1, 2, 1, 1))
    b = Latent(torch.tensor([0.0, 4.0]).reshape(1, 2, 1, 1))
    made = latent_arithmetic.interpolate(a, b, 0.5).samples.flatten()
    assert torch.allclose(made, torch.tensor([3.0, 3.0]) / 2**0.5)
    assert torch.allclose(latent_arithmetic.interpolate(a, b, 1.0).samples, a.samples)
    assert torch.allclose(latent_arithmetic.interpolate(a, b, 0.0).samples, b.samples)
    zero = Latent(torch.zeros(1, 2, 1, 1))
    assert latent_arithmetic.interpolate(zero, zero, 0.5).samples.tolist() == zero.samples.tolist()


def test_flip_and_turn_take_the_noise_mask_along() -> None:
    values = torch.arange(6.0).reshape(1, 1, 2, 3)
    made = latent_framing.flip(Latent(values, noise_mask=values), vertically=False)
    assert made.samples.flatten().tolist() == [2, 1, 0, 5, 4, 3]
    assert torch.equal(made.noise_mask, made.samples)  # type: ignore[arg-type]
    made = latent_framing.turn(Latent(values, noise_mask=values[0]), 1)
    assert made.samples[0, 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert torch.equal(made.noise_mask, made.samples)  # type: ignore[arg-type]


def test_crop_leaves_something() -> None:
    whole = latent(1, 4, 16, 20)
    assert torch.equal(latent_framing.crop(whole, 3, 2, 10, 9).samples, whole.samples[:, :, 2:11, 3:13])
    assert torch.equal(latent_framing.crop(whole, 999, 999, 64, 64).samples, whole.samples[:, :, 8:, 12:])
    assert latent_framing.crop(latent(1, 4, 5, 6), 4, 4, 64, 64).samples.shape == (1, 4, 5, 6)


@pytest.mark.parametrize(
    ("axis", "start", "amount", "kept"),
    [("x", 1, 2, [1, 2]), ("x", -1, 5, [4]), ("x", -99, 2, [0, 1]), ("x", 99, 2, [4]), ("x", 3, 99, [3, 4])],
)
def test_cut(axis: str, start: int, amount: int, kept: list[int]) -> None:
    whole = Latent(torch.arange(5.0).reshape(1, 1, 1, 5).repeat(1, 1, 3, 1), noise_mask=torch.ones(1, 1, 3, 5))
    made = latent_framing.cut(whole, axis, start, amount)
    assert made.samples[0, 0, 0].tolist() == kept
    assert made.noise_mask is not None
    assert made.noise_mask.shape[-1] == len(kept)
    upright = latent_framing.cut(latent_framing.turn(whole, 1), "y", start, amount)
    assert upright.samples[0, 0, :, 0].tolist() == kept


def test_concat_joins_and_repeats() -> None:
    a, b = latent(2, 4, 3, 5), latent(1, 4, 3, 2, seed=1)
    second = b.samples.repeat(2, 1, 1, 1)
    assert torch.equal(latent_framing.concat(a, b, "x").samples, torch.cat([a.samples, second], dim=3))
    assert torch.equal(latent_framing.concat(a, b, "-x").samples, torch.cat([second, a.samples], dim=3))
    with pytest.raises(InputError, match="fit together") as caught:
        latent_framing.concat(a, b, "y")
    assert caught.value.problem.input == "samples2"
    masked = latent(1, 4, 3, 2, noise_mask=torch.zeros(1, 6, 4))
    mask = latent_framing.concat(a, masked, "-x").noise_mask
    assert mask is not None
    assert mask[0, 0].tolist() == [[0, 0, 1, 1, 1, 1, 1]] * 3


def test_frames_need_a_video() -> None:
    video = latent(1, 4, 3, 2, 2)
    assert latent_framing.concat(video, latent(1, 4, 2, 2, 2), "t").samples.shape == (1, 4, 5, 2, 2)
    assert torch.equal(latent_framing.cut(video, "t", -2, 1).samples, video.samples[:, :, 1:2])
    for call in (lambda one: latent_framing.cut(one, "t", 0, 1), lambda one: latent_framing.concat(one, one, "-t")):
        with pytest.raises(InputError, match="no frames") as caught:
            call(latent(1, 4, 2, 2))
        assert caught.value.problem.input == "dim"


def test_composite_feathers_the_inner_sides_only() -> None:
    below, above = Latent(torch.zeros(2, 1, 8, 12)), Latent(torch.ones(1, 1, 8, 6))
    made = latent_framing.composite(below, above, 4, 0, 2).samples
    assert made[1, 0].tolist() == [[0, 0, 0, 0, 0.5, 1, 1, 1, 1, 0.5, 0, 0]] * 8
    made = latent_framing.composite(below, above, 6, 0, 2).samples
    assert made[0, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 0.5, 1, 1, 1, 1, 1]
    made = latent_framing.composite(below, above, 10, 5, 0).samples
    assert made[0, 0].sum() == 2 * 3
    assert torch.equal(latent_framing.composite(below, above, 12, 0, 8).samples, below.samples)


def test_composite_masked_stretches_what_it_lays_on() -> None:
    below, above = Latent(torch.zeros(1, 1, 2, 4)), Latent(torch.ones(1, 1, 1, 1))
    made = latent_framing.composite_masked(below, above, 0, 0, True, torch.tensor([[0.0, 1.0]])).samples
    assert made[0, 0].tolist() == [[0.0, 0.25, 0.75, 1.0]] * 2
    made = latent_framing.composite_masked(below, above, 1, 1, False, None).samples
    assert made[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]


def test_a_picked_latent_gets_the_noise_it_had() -> None:
    batch = latent(4, 4, 2, 2, noise_mask=torch.arange(2.0).reshape(2, 1, 1, 1))
    picked = latent_batches.pick(batch, 2, 64)
    assert torch.equal(picked.samples, batch.samples[2:])
    assert picked.batch_index == (2, 3)
    assert picked.noise_mask is not None
    assert picked.noise_mask.flatten().tolist() == [0, 1]
    whole = prepare_noise(batch.samples, 5)
    assert torch.equal(prepare_noise(picked.samples, 5, picked.batch_index), whole[2:])
    again = latent_batches.pick(picked, 99, 1)
    assert again.batch_index == (3,)
    assert torch.equal(again.samples, batch.samples[3:])


def test_repeats_get_noise_of_their_own() -> None:
    picked = latent_batches.pick(latent(4, 4, 2, 2), 1, 2)
    made = latent_batches.repeat(picked, 3)
    assert made.batch_index == (1, 2, 3, 4, 5, 6)
    assert torch.equal(made.samples[2:4], picked.samples)
    assert latent_batches.repeat(latent(2, 4, 2, 2), 2).batch_index is None
    masks = latent_batches.repeat(latent(2, 4, 2, 2, noise_mask=torch.arange(2.0).reshape(2, 1, 1, 1)), 2).noise_mask
    assert masks is not None
    assert masks.flatten().tolist() == [0, 1, 0, 1]


def test_joined_batches_keep_masks_and_noise() -> None:
    first = latent(2, 4, 4, 4)
    second = latent(1, 4, 2, 2, noise_mask=torch.zeros(1, 1, 16, 16), batch_index=(5,))
    made = latent_batches.join(first, second)
    assert made.samples.shape == (3, 4, 4, 4)
    assert torch.equal(made.samples[:2], first.samples)
    assert made.batch_index == (0, 1, 5)
    assert made.noise_mask is not None
    assert made.noise_mask.mean(dim=(1, 2, 3)).tolist() == [1, 1, 0]
    assert latent_batches.join(first, first).noise_mask is None


def test_the_same_noise_for_all_or_not() -> None:
    batch = latent(3, 4, 2, 2, batch_index=(4, 5, 6))
    assert latent_batches.fix_noise(batch).batch_index == (4, 4, 4)
    assert latent_batches.fix_noise(latent(2, 4, 2, 2)).batch_index == (0, 0)
    assert latent_batches.vary_noise(batch).batch_index is None


def test_tone_mapping_compresses_lengths_and_keeps_directions() -> None:
    samples = latent(2, 4, 8, 8).samples
    made = TonemapReinhard(1.0).apply(samples)
    before, after = samples.norm(dim=1), made.norm(dim=1)
    top = before.mean(dim=(1, 2), keepdim=True) + 5 * before.std(dim=(1, 2), keepdim=True)
    assert torch.allclose(after, top * (before / top) / (1 + before / top), atol=1e-5)
    assert torch.allclose(made / after[:, None], samples / before[:, None], atol=1e-5)
    assert not TonemapReinhard(0.0).apply(samples).any()


def test_sharpening_latents_keeps_even_ones_and_names_its_radius() -> None:
    even = torch.full((1, 4, 8, 8), 0.7)
    assert torch.allclose(Sharpen(3, 1.0, 0.5).apply(even), even, atol=1e-5)
    samples = latent(1, 4, 8, 8).samples
    assert torch.allclose(Sharpen(3, 1.0, 0.0).apply(samples), samples, atol=1e-6)
    assert Sharpen(3, 1.0, 0.1).apply(samples).std() > samples.std()
    assert Sharpen(2, 1.0, 0.1).apply(latent(1, 4, 3, 6, 6).samples).shape == (1, 4, 3, 6, 6)
    with pytest.raises(InputError) as caught:
        Sharpen(9, 1.0, 0.1).apply(samples)
    assert caught.value.problem.input == "sharpen_radius"
