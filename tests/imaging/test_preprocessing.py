"""Pictures for ControlNets: what each preprocessor keeps, what it drops, and that a mark reaches the network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.imaging.preprocessing import coarse, inpaint_hint, scribble, soft_edges, threshold

pytest.importorskip("kornia")
ALL: list[Callable[[Tensor], Tensor]] = [soft_edges, scribble, coarse, threshold]


def halves(left: float = 0.2, right: float = 0.8, channels: int = 3) -> Tensor:
    """A picture [1, 48, 64, C], dark on the left of column 32 and bright from there."""
    image = torch.full((1, 48, 64, channels), left)
    image[:, :, 32:] = right
    return image


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_picture_gives_three_channels_in_range(make: Callable[[Tensor], Tensor], channels: int) -> None:
    torch.manual_seed(0)
    made = make(torch.rand(2, 40, 56, channels))
    assert made.shape == (2, 40, 56, 3)
    assert made.min() >= 0 and made.max() <= 1
    if channels == 4:
        assert torch.equal(made, make(torch.rand(2, 40, 56, 4, generator=torch.Generator().manual_seed(0))))


def test_alpha_is_ignored() -> None:
    image = torch.rand(1, 32, 32, 4)
    for make in ALL:
        assert torch.equal(make(image), make(image[..., :3]))


def test_a_soft_edge_is_brightest_on_the_step_and_dark_away_from_it() -> None:
    made = soft_edges(halves())[0, 24, :, 0]
    assert int(made.argmax()) in (31, 32)
    assert float(made.max()) == pytest.approx(1.0)
    assert made[:16].max() < 0.02 and made[48:].max() < 0.02
    fine, broad = ((soft_edges(halves(), smoothing)[0, 24, :, 0] > 0.5).sum() for smoothing in (0.5, 2.0))
    assert fine < broad


def test_strength_is_relative_to_the_strongest_edge_but_noise_stays_dark() -> None:
    torch.testing.assert_close(soft_edges(halves(0.4, 0.6)), soft_edges(halves(0.2, 0.8)), atol=1e-4, rtol=0)
    flat = 0.5 + 1e-3 * torch.rand(1, 48, 64, 3)
    assert soft_edges(flat).max() < 0.3


def test_a_scribble_is_a_line_as_thick_as_asked() -> None:
    widths = [int(scribble(halves(), thickness)[0, 24, :, 0].sum()) for thickness in (1, 3, 9)]
    assert widths == [widths[0], widths[0] + 2, widths[0] + 8]
    assert set(scribble(halves()).unique().tolist()) == {0.0, 1.0}


def test_coarse_keeps_colour_and_drops_detail() -> None:
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    board = ((x + y) % 2).float()[None, :, :, None] * torch.tensor([1.0, 0.5, 0.0])
    made = coarse(board, 8)
    torch.testing.assert_close(made, torch.tensor([0.5, 0.25, 0.0]).expand_as(made), atol=1e-5, rtol=0)
    assert torch.equal(coarse(board, 1), board)


def test_threshold_and_its_inverse() -> None:
    made = threshold(halves(), 0.5)
    assert made[0, 0, 31].tolist() == [0, 0, 0] and made[0, 0, 32].tolist() == [1, 1, 1]
    assert torch.equal(threshold(halves(), 0.5, invert=True), 1 - made)


def test_an_inpaint_hint_marks_the_mask_whatever_its_size() -> None:
    image, mask = torch.rand(2, 32, 48, 4), torch.zeros(1, 8, 12)
    mask[:, 2:6, 4:8] = 1
    made = inpaint_hint(image, mask)
    assert (made[:, 12:20, 20:28] == -1).all()
    outside = made[:, :4]
    assert torch.equal(outside, image[:, :4, :, :3])
    assert torch.equal(inpaint_hint(image, torch.zeros(1, 32, 48)), image[..., :3])
    assert (inpaint_hint(image, torch.ones(32, 48)) == -1).all()


def test_small_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="too small"):
        soft_edges(torch.rand(1, 8, 64, 3))
