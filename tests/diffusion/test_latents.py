"""Latents: scaling, previews, resizing, masks."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from engine.diffusion.latents import (
    RESIZE_METHODS,
    SD15,
    SDXL,
    LatentFormat,
    empty_latent,
    fit_noise_mask,
    repeat_to_batch,
    resize_latent,
)
from engine.errors import InputError


@pytest.mark.parametrize("latent_format", [SD15, SDXL, LatentFormat(16, 1.5305, 0.0609)])
def test_scaling_can_be_undone(latent_format: LatentFormat) -> None:
    latent = torch.randn(2, latent_format.channels, 4, 4)
    assert torch.allclose(latent_format.process_out(latent_format.process_in(latent)), latent, atol=1e-5)
    assert SD15.process_in(torch.ones(1)).item() == pytest.approx(0.18215)


def test_previews_are_pictures() -> None:
    rgb = SD15.preview(torch.randn(2, 4, 5, 6))
    assert rgb.shape == (2, 5, 6, 3)
    assert float(rgb.min()) >= 0
    assert float(rgb.max()) <= 1
    bright, dark = SDXL.preview(
        torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1) * torch.tensor([[[[2.0]], [[0]], [[0]], [[0]]]])
    )
    assert float(bright.mean()) > float(dark.mean())
    with pytest.raises(InputError, match="preview"):
        LatentFormat(16, 1.0).preview(torch.zeros(1, 16, 2, 2))


def test_empty_latents_have_an_eighth_of_the_size() -> None:
    assert empty_latent(640, 512, 3).samples.shape == (3, 4, 64, 80)
    with pytest.raises(InputError, match="size"):
        empty_latent(7, 512)


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_resizing(method: str) -> None:
    latent = torch.randn(2, 4, 6, 9)
    assert resize_latent(latent, 12, 20, method).shape == (2, 4, 20, 12)
    assert torch.allclose(resize_latent(latent, 9, 6, method), latent, atol=1e-5)
    constant = torch.full((1, 4, 4, 4), 3.0)
    assert torch.allclose(resize_latent(constant, 7, 9, method), torch.full((1, 4, 9, 7), 3.0), atol=1e-5)


def test_centre_crop_takes_the_middle() -> None:
    latent = torch.arange(16.0).reshape(1, 1, 2, 8)
    assert torch.equal(resize_latent(latent, 2, 2, "nearest-exact", "center"), latent[..., 3:5])
    tall = latent.reshape(1, 1, 8, 2)
    assert torch.equal(resize_latent(tall, 2, 2, "nearest-exact", "center"), tall[..., 3:5, :])


def test_bislerp_keeps_lengths_where_bilinear_shortens() -> None:
    latent = torch.zeros(1, 2, 1, 2)
    latent[0, :, 0, 0] = torch.tensor([2.0, 0.0])
    latent[0, :, 0, 1] = torch.tensor([0.0, 2.0])
    round_, straight = resize_latent(latent, 4, 1, "bislerp"), resize_latent(latent, 4, 1, "bilinear")
    assert torch.allclose(round_.norm(dim=1), torch.full((1, 1, 4), 2.0), atol=1e-5)
    assert float(straight.norm(dim=1).min()) < 1.7
    assert torch.isfinite(resize_latent(torch.zeros(1, 4, 3, 3), 5, 5, "bislerp")).all()
    opposite = torch.cat([latent[..., :1], -latent[..., :1]], dim=-1)
    assert torch.allclose(
        resize_latent(opposite, 4, 1, "bislerp"), resize_latent(opposite, 4, 1, "bilinear"), atol=1e-4
    )


def test_resize_mistakes_are_explained() -> None:
    with pytest.raises(InputError, match="method"):
        resize_latent(torch.zeros(1, 4, 2, 2), 4, 4, "lanczos")
    with pytest.raises(InputError, match="crop"):
        resize_latent(torch.zeros(1, 4, 2, 2), 4, 4, "area", "left")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(64, 96), (1, 64, 96), (1, 1, 64, 96), (2, 1, 64, 96)])
def test_masks_are_fitted(shape: tuple[int, ...]) -> None:
    mask = torch.rand(shape)
    fitted = fit_noise_mask(mask, torch.zeros(2, 4, 8, 12))
    assert fitted.shape == (2, 4, 8, 12)
    expected = interpolate(mask.reshape(-1, 1, 64, 96), size=(8, 12), mode="bilinear")
    assert torch.equal(fitted[0, 3], expected[0, 0])


def test_batches_are_repeated() -> None:
    assert repeat_to_batch(torch.tensor([[1], [2]]), 5).flatten().tolist() == [1, 2, 1, 2, 1]
    assert repeat_to_batch(torch.tensor([[1], [2]]), 1).flatten().tolist() == [1]
    assert repeat_to_batch(torch.tensor([[1]]), 3).flatten().tolist() == [1, 1, 1]
