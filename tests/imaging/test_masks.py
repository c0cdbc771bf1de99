"""Masks against scipy and against rules counted out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from engine.errors import InputError
from engine.imaging import masks
from engine.imaging.batches import cycle_batch, fit_mask, mask_batch, match_batches, match_channels

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


@pytest.mark.parametrize("pixels", [0, 1, 3, -1, -2, 40])
@pytest.mark.parametrize("tapered", [True, False])
def test_grow_equals_repeated_grey_morphology(pixels: int, tapered: bool) -> None:
    mask = torch.rand(2, 9, 13)
    footprint = CROSS if tapered else np.ones((3, 3), dtype=bool)
    step = ndimage.grey_dilation if pixels > 0 else ndimage.grey_erosion
    expected = mask.numpy()
    for _ in range(abs(pixels)):
        expected = np.stack([step(one, footprint=footprint) for one in expected])
    assert np.array_equal(masks.grow(mask, pixels, tapered).numpy(), expected)


def test_a_grown_point_is_a_diamond_or_a_square() -> None:
    point = torch.zeros(1, 9, 9)
    point[0, 4, 4] = 1.0
    rows, columns = torch.meshgrid(torch.arange(9) - 4, torch.arange(9) - 4, indexing="ij")
    assert torch.equal(masks.grow(point, 3)[0] > 0, rows.abs() + columns.abs() <= 3)
    assert torch.equal(masks.grow(point, 3, False)[0] > 0, torch.maximum(rows.abs(), columns.abs()) <= 3)
    assert torch.equal(masks.grow(masks.grow(point, 3), -3), point)


def test_growing_far_ends_when_nothing_changes() -> None:
    point = torch.zeros(1, 64, 64)
    point[0, 0, 0] = 1.0
    assert torch.equal(masks.grow(point, 16384), torch.ones(1, 64, 64))
    assert torch.equal(masks.grow(point, -16384), torch.zeros(1, 64, 64))


def test_feather_is_the_same_from_both_sides() -> None:
    made = masks.feather(torch.ones(1, 4, 10), left=4, top=0, right=4, bottom=2)
    columns = torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    rows = torch.tensor([1, 1, 1, 0.5])
    assert torch.allclose(made[0], rows[:, None] * columns)


def test_a_feather_longer_than_the_mask_is_cut_to_it() -> None:
    made = masks.feather(torch.ones(1, 1, 4), left=100, top=0, right=0, bottom=0)
    assert torch.allclose(made[0, 0], torch.tensor([0.25, 0.5, 0.75, 1.0]))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("multiply", [0.0, 0.16, 0.48, 0.8]),
        ("add", [0.2, 0.8, 1.0, 1.0]),
        ("subtract", [0.0, 0.0, 0.0, 0.2]),
        ("and", [0.0, 0.0, 1.0, 1.0]),
        ("or", [0.0, 0.0, 1.0, 1.0]),
        ("xor", [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_combine(operation: str, expected: list[float]) -> None:
    below = torch.tensor([[[0.0, 0.4, 0.6, 1.0]]])
    above = torch.tensor([[[0.2, 0.4, 0.8, 0.8]]])
    assert torch.allclose(masks.combine(below, above, 0, 0, operation), torch.tensor([[expected]]))


def test_logic_differs_where_one_side_is_set() -> None:
    below, above = torch.tensor([[[0.0, 1.0, 1.0]]]), torch.tensor([[[1.0, 0.0, 1.0]]])
    results = {name: masks.combine(below, above, 0, 0, name)[0, 0].tolist() for name in ("and", "or", "xor")}
    assert results == {"and": [0, 0, 1], "or": [1, 1, 1], "xor": [1, 1, 0]}


def test_combine_cuts_off_repeats_and_leaves_its_inputs() -> None:
    below = torch.zeros(3, 4, 4)
    made = masks.combine(below, torch.ones(1, 3, 3), 2, 3, "add")
    assert made.shape == (3, 4, 4)
    assert made.sum(dim=(1, 2)).tolist() == [2.0, 2.0, 2.0]
    assert made[:, 3, 2:].all()
    assert not below.any()
    assert not masks.combine(below, torch.ones(1, 3, 3), 4, 0, "add").any()


def test_crop() -> None:
    mask = torch.arange(12.0).reshape(1, 3, 4)
    assert masks.crop(mask, 1, 2, 2, 512)[0].tolist() == [[9.0, 10.0]]


@pytest.mark.parametrize(("x", "y", "name"), [(4, 0, "x"), (0, 3, "y")])
def test_a_crop_without_area_names_the_input(x: int, y: int, name: str) -> None:
    with pytest.raises(InputError) as caught:
        masks.crop(torch.zeros(1, 3, 4), x, y, 1, 1)
    assert caught.value.problem.input == name


def test_colour_masks_round_to_eight_bits() -> None:
    image = torch.tensor([[[[1.0, 0.5, 0.0], [1.0, 0.51, 0.0], [1.2, 0.5, -0.1]]]])
    assert masks.from_colour(image, 0xFF8000)[0, 0].tolist() == [1.0, 0.0, 1.0]


def test_outside_fades_only_towards_widened_sides() -> None:
    made = masks.outside((8, 10), left=2, top=0, right=0, bottom=0, feathering=3)
    assert made.shape == (1, 8, 12)
    expected = torch.tensor([1, 1, 1, 4 / 9, 1 / 9, 0, 0, 0, 0, 0, 0, 0])
    assert torch.allclose(made[0], expected.expand(8, 12))
    made = masks.outside((8, 10), left=0, top=1, right=0, bottom=1, feathering=2)
    assert torch.allclose(made[0, :, 0], torch.tensor([1, 1, 0.25, 0, 0, 0, 0, 0, 0.25, 1]))


def test_outside_without_room_for_the_fade_is_hard() -> None:
    made = masks.outside((8, 8), left=1, top=0, right=0, bottom=0, feathering=4)
    assert made[0].sum() == 8
    assert not masks.outside((8, 8), 0, 0, 0, 0, 3).any()


def test_masks_of_other_forms() -> None:
    assert mask_batch(torch.zeros(3, 4)).shape == (1, 3, 4)
    assert mask_batch(torch.zeros(2, 1, 3, 4)).shape == (2, 3, 4)
    for shape in ((4,), (2, 3, 4, 5), (1, 0, 4)):
        with pytest.raises(InputError, match="not a mask") as caught:
            mask_batch(torch.zeros(shape), "alpha")
        assert caught.value.problem.input == "alpha"


def test_fit_mask_is_bilinear() -> None:
    made = fit_mask(torch.tensor([[0.0, 1.0]]), 1, 4)
    assert made[0, 0].tolist() == [0.0, 0.25, 0.75, 1.0]


def test_batches_and_channels() -> None:
    a, b = match_batches(torch.arange(2.0), torch.arange(5.0))
    assert a.tolist() == [0, 1, 0, 1, 0]
    assert b.tolist() == [0, 1, 2, 3, 4]
    assert cycle_batch(b, 2).tolist() == [0, 1]
    with pytest.raises(InputError, match="empty"):
        cycle_batch(torch.zeros(0, 3), 2)
    image = torch.full((1, 1, 1, 3), 0.5)
    assert match_channels(image, 4).flatten().tolist() == [0.5, 0.5, 0.5, 1.0]
    assert match_channels(image, 1).shape == (1, 1, 1, 1)
