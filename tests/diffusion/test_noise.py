"""The initial noise: where it comes from and whose it is."""

from __future__ import annotations

import pytest
import torch

from engine.diffusion.noise import noise_generator, prepare_noise, vary_noise
from engine.errors import InputError


def test_is_one_draw_of_the_seeds_stream() -> None:
    latent = torch.zeros(3, 4, 8, 8)
    torch.manual_seed(42)
    assert torch.equal(prepare_noise(latent, 42), torch.randn(3, 4, 8, 8))


def test_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    prepare_noise(torch.zeros(1, 4, 8, 8), 42)
    assert torch.equal(before, torch.get_rng_state())


def test_is_float32_on_the_cpu_whatever_the_latent() -> None:
    noise = prepare_noise(torch.zeros(1, 4, 8, 8, dtype=torch.float16), 1)
    assert (noise.dtype, noise.device.type) == (torch.float32, "cpu")


def test_batch_index_picks_from_single_draws() -> None:
    latent = torch.zeros(3, 4, 8, 8)
    generator = noise_generator(9)
    singles = [torch.randn(1, 4, 8, 8, generator=generator) for _ in range(4)]
    noise = prepare_noise(latent, 9, (3, 1, 3))
    assert torch.equal(noise, torch.cat([singles[3], singles[1], singles[3]]))


def test_any_64_bit_seed_works() -> None:
    latent = torch.zeros(1, 4, 2, 2)
    assert not torch.equal(prepare_noise(latent, 2**64 - 1), prepare_noise(latent, 0))
    assert torch.equal(prepare_noise(latent, 2**64 + 5), prepare_noise(latent, 5))


@pytest.mark.parametrize("batch_index", [(0,), (), (0, -1)])
def test_a_batch_index_must_fit(batch_index: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="batch index"):
        prepare_noise(torch.zeros(2, 4, 2, 2), 0, batch_index)


def test_noise_varies_along_great_circles_between_two_seeds() -> None:
    """Against the formula written out for one column at a time."""
    shape = torch.zeros(2, 4, 6, 5)
    first, second = prepare_noise(shape, 1), prepare_noise(shape, 2)
    got = vary_noise(first, second, 0.3)
    for item, channel, column in ((0, 0, 0), (1, 3, 4), (0, 2, 1)):
        a, b = first[item, channel, :, column].double(), second[item, channel, :, column].double()
        angle = torch.arccos(torch.dot(a / a.norm(), b / b.norm()))
        expected = (torch.sin(0.7 * angle) * a + torch.sin(0.3 * angle) * b) / torch.sin(angle)
        assert torch.allclose(got[item, channel, :, column].double(), expected, atol=1e-5)
    assert torch.allclose(vary_noise(first, second, 0.0), first, atol=1e-6)
    assert torch.allclose(vary_noise(first, second, 1.0), second, atol=1e-5)
    assert torch.equal(vary_noise(first, first.clone(), 0.5), first)
    assert not vary_noise(torch.ones(1, 4, 1, 3), -torch.ones(1, 4, 1, 3), 0.4).isnan().any()
