"""Filters against scipy, kornia and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from engine.errors import InputError
from engine.imaging import blending, colour, edges, filters


def scene(batch: int = 2, height: int = 24, width: int = 31, channels: int = 3) -> torch.Tensor:
    """Smooth shapes with edges, different in each picture."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(batch, channels, 4, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    smooth[:, :, 6:14, 8:20] = 1 - smooth[:, :, 6:14, 8:20]
    return smooth.movedim(1, -1).contiguous()


@pytest.mark.parametrize(("radius", "sigma"), [(1, 1.0), (3, 0.4), (7, 10.0)])
def test_blur_equals_a_convolution_with_the_bell(radius: int, sigma: float) -> None:
    image = scene()
    line = np.linspace(-1, 1, 2 * radius + 1)
    kernel = np.exp(-(line[:, None] ** 2 + line[None, :] ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    expected = ndimage.convolve(image.double().numpy(), kernel[None, :, :, None], mode="mirror")
    assert np.allclose(filters.blur(image, radius, sigma).numpy(), expected, atol=1e-5)


def test_sharpen_equals_one_kernel_and_stays_in_range() -> None:
    image = scene() * 0.2 + 0.4
    line = np.linspace(-1, 1, 5)
    kernel = np.exp(-(line[:, None] ** 2 + line[None, :] ** 2) / (2 * 0.7**2))
    kernel *= -10 * 0.05 / kernel.sum()
    kernel[2, 2] += 1 - kernel.sum()
    expected = ndimage.convolve(image.double().numpy(), kernel[None, :, :, None], mode="mirror").clip(0, 1)
    assert np.allclose(filters.sharpen(image, 2, 0.7, 0.05).numpy(), expected, atol=1e-5)
    strong = filters.sharpen(scene(), 2, 0.7, 5.0)
    assert strong.min() == 0
    assert strong.max() == 1
    assert torch.equal(filters.sharpen(image, 2, 0.7, 0.0), image)


def test_a_radius_larger_than_the_picture_is_an_input_error() -> None:
    with pytest.raises(InputError) as caught:
        filters.blur(scene(height=16), 16, 1.0)
    assert caught.value.problem.input == "blur_radius"
    assert filters.blur(scene(height=16), 15, 1.0).shape == (2, 16, 31, 3)


@pytest.mark.parametrize("operation", filters.OPERATIONS)
@pytest.mark.parametrize("size", [3, 4, 7])
def test_morphology_equals_kornia(operation: str, size: int) -> None:
    reference = pytest.importorskip("kornia.morphology", reason="the independent oracle is not installed")
    names = {"erode": "erosion", "dilate": "dilation", "open": "opening", "close": "closing"}
    image = scene()
    expected = getattr(reference, names.get(operation, operation))(image.movedim(-1, 1), torch.ones(size, size))
    made = filters.morphology(image, operation, size)
    assert torch.allclose(made, expected.movedim(1, -1), atol=1e-6)


def test_morphology_with_a_square_larger_than_the_picture() -> None:
    image = scene()
    made = filters.morphology(image, "dilate", 999)
    assert torch.equal(made, image.amax(dim=(1, 2), keepdim=True).expand_as(image))


def test_an_unknown_operation_is_an_input_error() -> None:
    with pytest.raises(InputError, match="unknown"):
        filters.morphology(scene(), "smear", 3)


@pytest.mark.parametrize(("low", "high"), [(0.4, 0.8), (0.1, 0.2), (0.05, 0.6)])
def test_canny_equals_kornia(low: float, high: float) -> None:
    reference = pytest.importorskip("kornia.filters", reason="the independent oracle is not installed")
    image = scene(batch=3, height=40, width=52)
    _, expected = reference.canny(image.movedim(-1, 1), low, high)
    made = edges.canny(image, low, high)
    assert 0 < made.sum() < made.numel() / 2
    assert (made != expected.squeeze(1)).sum() <= 2  # rounding of the gradient's direction


def test_canny_draws_the_outline_of_a_square() -> None:
    image = torch.zeros(1, 20, 20, 3)
    image[:, 6:14, 6:14] = 1.0
    made = edges.canny(image, 0.4, 0.8)[0]
    assert made[10].nonzero().flatten().tolist() in ([5, 13], [6, 13], [5, 14], [6, 14])
    assert not made[:4].any()
    assert not made[9:11, 9:11].any()
    assert not edges.canny(torch.full((1, 8, 8, 3), 0.5), 0.01, 0.01).any()
    with pytest.raises(InputError, match="too small"):
        edges.canny(torch.zeros(1, 2, 8, 3), 0.1, 0.2)


def test_yuv_equals_kornia_and_comes_back() -> None:
    image = scene()
    planes = colour.rgb_to_yuv(image)
    assert torch.allclose(colour.yuv_to_rgb(*planes), image, atol=1e-5)
    reference = pytest.importorskip("kornia.color", reason="the independent oracle is not installed")
    expected = reference.rgb_to_ycbcr(image.movedim(-1, 1))
    assert torch.allclose(torch.stack(planes, dim=1), expected, atol=1e-6)
    back = reference.ycbcr_to_rgb(expected).movedim(1, -1)
    assert torch.allclose(colour.yuv_to_rgb(*planes), back, atol=1e-5)


@pytest.mark.parametrize("dither", colour.DITHERS)
@pytest.mark.parametrize("colours", [1, 2, 16, 256])
def test_quantize_leaves_so_many_colours(dither: str, colours: int) -> None:
    image = scene(batch=2)
    made = colour.quantize(image, colours, dither)
    assert made.shape == image.shape
    for one in made:
        assert len(one.reshape(-1, 3).unique(dim=0)) <= colours
    if colours == 256:
        assert (made - image).abs().mean() < 0.03


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg"])
def test_quantize_equals_pillow(dither: str) -> None:
    image = scene(batch=1)
    picture = Image.fromarray((image[0].numpy() * 255).astype(np.uint8))
    method = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
    expected = picture.quantize(colors=5, palette=picture.quantize(colors=5), dither=method).convert("RGB")
    made = (colour.quantize(image, 5, dither)[0] * 255).round().byte().numpy()
    assert np.array_equal(made, np.asarray(expected))


def test_dithering_keeps_the_mean_better() -> None:
    ramp = torch.linspace(0, 1, 64).reshape(1, 1, 64, 1).expand(1, 64, 64, 3).contiguous()

    def error(dither: str) -> float:
        made = colour.quantize(ramp, 2, dither)
        blocks = torch.nn.functional.avg_pool2d((made - ramp).movedim(-1, 1), 16)
        return float(blocks.abs().mean())

    assert error("floyd-steinberg") < error("none") * 0.6


def test_bayer_patterns() -> None:
    assert colour.bayer_pattern(2).tolist() == [[-0.375, 0.125], [0.375, -0.125]]
    for order in (2, 4, 8, 16):
        pattern = np.sort(colour.bayer_pattern(order), axis=None)
        assert np.allclose(pattern, (np.arange(order**2) + 0.5) / order**2 - 0.5)


def test_quantize_keeps_alpha_and_refuses_grey() -> None:
    image = scene(channels=4)
    assert torch.equal(colour.quantize(image, 4, "bayer-4")[..., 3], image[..., 3])
    with pytest.raises(InputError, match="no colours"):
        colour.quantize(scene(channels=1), 4, "none")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("normal", [0.8, 0.2, 0.6]),
        ("multiply", [0.08, 0.1, 0.54]),
        ("screen", [0.82, 0.6, 0.96]),
        ("overlay", [0.16, 0.2, 0.92]),
        ("soft_light", [0.2176, 0.35, 0.9097]),
        ("difference", [0.0, 0.3, 0.3]),
    ],
)
def test_blend_modes(mode: str, expected: list[float]) -> None:
    below, above = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.8, 0.2, 0.6])
    assert torch.allclose(blending.blend(below, above, 1.0, mode), torch.tensor(expected), atol=1e-3)
    assert torch.equal(blending.blend(below, above, 0.0, mode), below)


def test_noise_depends_on_the_seed_alone() -> None:
    image = torch.full((2, 64, 64, 3), 0.5)
    made = filters.add_noise(image, 3, 0.1)
    assert torch.equal(made, filters.add_noise(image, 3, 0.1))
    assert not torch.equal(made, filters.add_noise(image, 4, 0.1))
    assert abs(float((made - image).std()) - 0.1) < 0.005
    assert torch.equal(filters.add_noise(image, 3, 0.0), image)
    assert filters.add_noise(image, 2**64 - 1, 1.0).min() == 0
