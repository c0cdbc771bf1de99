"""Laying pictures over each other, turning and joining them, against Pillow and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from engine.imaging import compositing, framing


def test_paste_through_a_mask_equals_pillow() -> None:
    generator = torch.Generator().manual_seed(2)
    below = torch.randint(0, 256, (1, 12, 10, 3), generator=generator) / 255
    above = torch.randint(0, 256, (1, 5, 6, 3), generator=generator) / 255
    mask = torch.randint(0, 2, (1, 5, 6), generator=generator).float()

    def picture(image: torch.Tensor) -> Image.Image:
        return Image.fromarray((image * 255).round().byte().numpy())

    expected = picture(below[0])
    expected.paste(picture(above[0]), (7, 3), picture(mask[0]))
    made = compositing.paste_image(below, above, 7, 3, mask)
    assert np.array_equal((made[0] * 255).round().byte().numpy(), np.asarray(expected))


@pytest.mark.parametrize(("x", "y"), [(10, 0), (0, 12), (-6, 0), (0, -5), (400, 400)])
def test_paste_outside_changes_nothing(x: int, y: int) -> None:
    below = torch.rand(1, 3, 12, 10)
    assert torch.equal(compositing.paste(below, torch.ones(1, 3, 5, 6), x, y, torch.ones(1, 5, 6)), below)


def test_paste_across_the_upper_left_corner() -> None:
    made = compositing.paste(torch.zeros(1, 1, 3, 3), torch.arange(9.0).reshape(1, 1, 3, 3), -1, -2)
    assert made[0, 0].tolist() == [[7, 8, 0], [0, 0, 0], [0, 0, 0]]


def test_paste_mixes_by_the_mask_and_stretches_it() -> None:
    below, above = torch.zeros(1, 1, 1, 4), torch.ones(1, 1, 1, 4)
    made = compositing.paste(below, above, 0, 0, torch.tensor([[0.0, 1.0]]))
    assert made.flatten().tolist() == [0.0, 0.25, 0.75, 1.0]
    assert not below.any()


def test_paste_repeats_source_and_mask_to_the_destination() -> None:
    source = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    made = compositing.paste(torch.zeros(3, 1, 1, 1), source, 0, 0, torch.tensor([1.0, 0.5, 0.0]).reshape(3, 1, 1))
    assert made.flatten().tolist() == [1.0, 1.0, 0.0]
    assert compositing.paste(torch.zeros(1, 1, 1, 1), source, 0, 0).flatten().tolist() == [1.0]


def test_paste_works_on_frames() -> None:
    made = compositing.paste(torch.zeros(1, 2, 3, 4, 4), torch.ones(1, 2, 3, 2, 2), 1, 1, torch.full((1, 2, 2), 0.5))
    assert made.sum() == 2 * 3 * 4 * 0.5


def test_paste_image_gives_the_source_the_destinations_channels() -> None:
    made = compositing.paste_image(torch.zeros(1, 1, 2, 4), torch.full((1, 1, 1, 3), 0.5), 0, 0)
    assert made[0, 0].tolist() == [[0.5, 0.5, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]
    assert compositing.paste_image(torch.zeros(1, 1, 2, 3), torch.ones(1, 1, 1, 4), 0, 0).shape == (1, 1, 2, 3)


# Fractions of the source and the destination that show in (both, source only, destination only): Porter & Duff, table.
SHOWN = {
    "CLEAR": ("", "", ""),
    "SRC": ("s", "s", ""),
    "DST": ("d", "", "d"),
    "SRC_OVER": ("s", "s", "d"),
    "DST_OVER": ("d", "s", "d"),
    "SRC_IN": ("s", "", ""),
    "DST_IN": ("d", "", ""),
    "SRC_OUT": ("", "s", ""),
    "DST_OUT": ("", "", "d"),
    "SRC_ATOP": ("s", "", "d"),
    "DST_ATOP": ("d", "s", ""),
    "XOR": ("", "s", "d"),
}


@pytest.mark.parametrize("rule", SHOWN)
def test_the_twelve_operators_of_the_paper(rule: str) -> None:
    alphas = torch.tensor([[[0.6]]]), torch.tensor([[[0.3]]])
    source, destination = torch.full((1, 1, 1, 3), 0.9), torch.full((1, 1, 1, 3), 0.2)
    regions = {"both": 0.6 * 0.3, "source": 0.6 * 0.7, "destination": 0.4 * 0.3}
    weight = dict(zip(regions, SHOWN[rule], strict=True))
    alpha = sum(share for region, share in regions.items() if weight[region])
    mixed = sum(share * {"s": 0.9, "d": 0.2}[weight[region]] for region, share in regions.items() if weight[region])
    colours, made = compositing.porter_duff(source, alphas[0], destination, alphas[1], rule)
    assert float(made) == pytest.approx(alpha, abs=1e-6)
    assert torch.allclose(colours, torch.tensor(mixed / alpha if alpha else 0.0), atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ADD", 1.0), ("DARKEN", 0.3), ("LIGHTEN", 0.8), ("MULTIPLY", 0.24), ("SCREEN", 0.86), ("OVERLAY", 0.48),
    ],
)  # fmt: skip
def test_blend_rules_on_opaque_pictures(rule: str, expected: float) -> None:
    opaque = torch.ones(1, 1, 1)
    source, destination = torch.full((1, 1, 1, 3), 0.8), torch.full((1, 1, 1, 3), 0.3)
    colours, alpha = compositing.porter_duff(source, opaque, destination, opaque, rule)
    assert torch.allclose(colours, torch.tensor(expected), atol=1e-6)
    assert float(alpha) == 1.0


@pytest.mark.parametrize("rule", compositing.RULES)
def test_every_rule_stays_in_range(rule: str) -> None:
    generator = torch.Generator().manual_seed(1)
    source, destination = torch.rand(2, 2, 8, 8, 3, generator=generator)
    alphas = torch.rand(2, 2, 8, 8, generator=generator).round(decimals=1)
    colours, alpha = compositing.porter_duff(source, alphas[0], destination, alphas[1], rule)
    assert colours.isfinite().all()
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert alpha.min() >= 0
    assert alpha.max() <= 1 + 1e-6


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turn_is_clockwise(quarters: int) -> None:
    image = torch.randint(0, 256, (1, 3, 5, 3)).byte()
    expected = np.asarray(Image.fromarray(image[0].numpy()).rotate(-90 * quarters, expand=True))
    assert np.array_equal(framing.turn(image, quarters)[0].numpy(), expected)
    planes = framing.turn(image.movedim(-1, 1), quarters, height_dim=-2)
    assert np.array_equal(planes.movedim(1, -1)[0].numpy(), expected)


def test_flip() -> None:
    image = torch.arange(6.0).reshape(1, 2, 3, 1)
    assert framing.flip(image, vertically=True).flatten().tolist() == [3, 4, 5, 0, 1, 2]
    assert framing.flip(image, vertically=False).flatten().tolist() == [2, 1, 0, 5, 4, 3]
    planes = image.movedim(-1, 1)
    assert torch.equal(framing.flip(planes, True, height_dim=-2).movedim(1, -1), framing.flip(image, True))


def test_crop_moves_its_corner_into_the_picture() -> None:
    image = torch.arange(12.0).reshape(1, 3, 4, 1)
    assert framing.crop(image, 1, 1, 2, 1).flatten().tolist() == [5, 6]
    assert framing.crop(image, 100, 100, 5, 5).flatten().tolist() == [11]


def test_solid_colours() -> None:
    made = framing.solid(2, 3, 4, 0x336699)
    assert made.shape == (2, 3, 4, 3)
    assert torch.allclose(made[1, 2, 3], torch.tensor([0x33, 0x66, 0x99]) / 255)


def test_pad_for_outpaint_keeps_the_picture_in_grey() -> None:
    image = torch.rand(2, 4, 6, 3)
    made, mask = framing.pad_for_outpaint(image, 1, 2, 3, 4, 0)
    assert made.shape == (2, 10, 10, 3)
    assert torch.equal(made[:, 2:6, 1:7], image)
    assert (made[0] == 0.5).all(dim=-1).sum() == 100 - 24
    assert torch.equal(mask[0] == 0, (torch.nn.functional.pad(torch.ones(4, 6), (1, 3, 2, 4)) == 1))


@pytest.mark.parametrize(
    ("size", "frame", "expected"),
    [((50, 100), (200, 200), (100, 200)), ((100, 50), (60, 200), (60, 30)), ((49, 49), (512, 512), (512, 512)),
     ((1, 1000), (10, 10), (1, 10))],
)  # fmt: skip
def test_contain(size: tuple[int, int], frame: tuple[int, int], expected: tuple[int, int]) -> None:
    assert framing.contain(size, frame) == expected


def test_pad_to_centres() -> None:
    made = framing.pad_to(torch.ones(1, 1, 2, 1), 3, 5, 0.0)
    assert made[0, :, :, 0].tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("direction", ["right", "down", "left", "up"])
def test_stitch(direction: str) -> None:
    first, second = torch.full((1, 4, 4, 3), 0.25), torch.full((3, 2, 2, 4), 0.75)
    made = framing.stitch(first, second, direction, 3, "red")
    sideways = direction in ("left", "right")
    assert made.shape == ((3, 4, 10, 4) if sideways else (3, 10, 4, 4))
    line = made[1, 1, :, 0] if sideways else made[1, :, 1, 0]
    expected = [0.25] * 4 + [1.0] * 4 + [0.75] * 2
    assert line.tolist() == (expected if direction in ("right", "down") else expected[::-1])
    across = made[1, :, -1 if direction == "right" else 0, 0] if sideways else made[1, -1 if direction == "down" else 0]
    if sideways:
        assert across.tolist() == [0, 0.75, 0.75, 0]
    assert made[..., 3].max() == 1


def test_stitch_holds_the_last_picture() -> None:
    many = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 1, 3)
    made = framing.stitch(many[:2], many, "right", 0, "white")
    assert made[:, 0, :, 0].tolist() == [[0, 0], [1, 1], [1, 2]]
