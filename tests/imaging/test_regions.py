"""Cutting the masked region out and putting it back."""

from __future__ import annotations

import pytest
import torch

from engine.errors import InputError
from engine.graph.content import content_key
from engine.imaging.regions import Box, Margins, crop_region, stitch_region
from engine.session import Session

HEIGHT, WIDTH = 100, 160


def pictures(batch: int = 1, channels: int = 3) -> torch.Tensor:
    return torch.rand(batch, HEIGHT, WIDTH, channels, generator=torch.Generator().manual_seed(1))


def mask_of(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, top:bottom, left:right] = 1
    return mask


def test_the_box_has_context_and_the_shape_of_the_target() -> None:
    stitch, region, mask = crop_region(pictures(), mask_of(40, 50, 60, 90), Margins(context=5), (64, 128))
    assert stitch.box == Box(55, 35, 40, 20)
    assert region.shape == (1, 64, 128, 3) and mask.shape == (1, 64, 128)
    stitch, _, _ = crop_region(pictures(), mask_of(0, 10, 150, 160), Margins(grow=2, context=8), (64, 128))
    assert stitch.box == Box(120, 0, 40, 20)  # moved into the picture


def test_without_scaling_the_region_is_the_picture() -> None:
    stitch, region, mask = crop_region(pictures(), mask_of(40, 56, 60, 76), Margins(context=4), (24, 24))
    assert torch.equal(region, pictures()[:, 36:60, 56:80])
    assert torch.equal(mask, mask_of(40, 56, 60, 76)[:, 36:60, 56:80])
    new = torch.ones_like(region)
    made = stitch_region(stitch, new)
    assert torch.equal(made, torch.where(mask_of(40, 56, 60, 76)[..., None] > 0, 1.0, pictures()))


@pytest.mark.parametrize("size", [(128, 128), (64, 192), (16, 16)])
@pytest.mark.parametrize("margins", [Margins(), Margins(6, 6, 20), Margins(3, 9, 0), Margins(0, 4, 200)])
def test_what_is_not_masked_stays_bit_for_bit(size: tuple[int, int], margins: Margins) -> None:
    mask = mask_of(20, 45, 100, 160)
    stitch, region, _ = crop_region(pictures(), mask, margins, size)
    made = stitch_region(stitch, 1 - region)
    grown = mask_of(20 - margins.grow, 45 + margins.grow, 100 - margins.grow, 160)[0] > 0
    assert torch.equal(made[0][~grown], pictures()[0][~grown])
    assert not torch.equal(made[0][grown], pictures()[0][grown])


def test_the_share_fades_inside_the_grown_mask_but_not_at_the_edge_of_the_picture() -> None:
    stitch, _, _ = crop_region(pictures(), mask_of(40, 60, 100, 160), Margins(grow=4, feather=3), (64, 64))
    row = stitch.share[0, 50]
    assert torch.allclose(row[95:101], torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 1.0]))
    assert float(row[-1]) == 1.0


def test_a_picture_that_is_too_small_is_continued_by_its_edge() -> None:
    stitch, region, _ = crop_region(pictures(), mask_of(0, 100, 0, 160), Margins(), (160, 160))
    assert stitch.box == Box(0, -30, 160, 160)
    assert torch.equal(region[:, 0], pictures()[:, 0]) and torch.equal(region[:, 30:130], pictures())
    assert torch.equal(stitch_region(stitch, region), pictures())


def test_batches_channels_and_masks_of_another_size() -> None:
    small = torch.zeros(2, 50, 80)
    small[0, 10:20, 10:20], small[1, 20:30, 10:20] = 1, 1
    stitch, region, mask = crop_region(pictures(2, 4), small, Margins(), (64, 64))
    assert region.shape == (2, 64, 64, 4) and mask.shape == (2, 64, 64)
    assert stitch.box.height >= 40  # both masks
    made = stitch_region(stitch, torch.zeros(6, 32, 32, 3))
    assert made.shape == (6, HEIGHT, WIDTH, 4)
    assert torch.equal(made[..., 3], pictures(2, 4)[..., 3].repeat(3, 1, 1))
    assert float(made[0, 30, 30, :3].abs().max()) == 0.0 and not torch.equal(made[0], made[1])


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(InputError, match="the mask is empty"):
        crop_region(pictures(), torch.zeros(1, HEIGHT, WIDTH), Margins(context=10), (64, 64))


def test_the_stitch_has_a_key_of_its_content() -> None:
    keys = [content_key(crop_region(pictures(), mask_of(40, 50, 60, end), Margins(), (64, 64))[0]) for end in (90, 90)]
    assert keys[0] is not None and keys[0] == keys[1]


def test_the_nodes_and_a_size_that_fits_no_latent() -> None:
    types = Session().registry.types
    crop, stitch = types["InpaintRegionCrop"].run, types["InpaintRegionStitch"].run
    assert crop is not None and stitch is not None
    made, region, _ = crop(image=pictures(), mask=mask_of(40, 50, 60, 90), width=128, height=128)
    assert stitch(stitch=made, image=region).shape == (1, HEIGHT, WIDTH, 3)
    with pytest.raises(InputError, match="the width does not fit latents"):
        crop(image=pictures(), mask=mask_of(40, 50, 60, 90), width=100, height=128)
