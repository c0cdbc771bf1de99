"""Cut the masked region out of pictures, enlarge it to work on, and put the result back without touching the rest."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.errors import InputError
from engine.imaging.batches import cycle_batch, fit_mask
from engine.imaging.masks import grow

__all__ = ["Box", "Margins", "Stitch", "crop_region", "stitch_region"]


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; it may reach beyond the picture where that is smaller than what is asked for."""

    x: int
    y: int
    width: int
    height: int


@dataclasses.dataclass(frozen=True, slots=True)
class Margins:
    """Say, in pixels of the picture, how far the mask grows, how wide it fades inside that, and how much is kept around
    it for context.
    """

    grow: int = 0
    feather: int = 0
    context: int = 0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Stitch:
    """Remember what putting a region back takes: the pictures [B, H, W, C], how much of the new to take [b, H, W], and
    where the region stands.
    """

    pictures: Tensor
    share: Tensor
    box: Box


def crop_region(
    pictures: Tensor, mask: Tensor, margins: Margins, size: tuple[int, int]
) -> tuple[Stitch, Tensor, Tensor]:
    """Cut out what the mask covers, with its surroundings, scaled to ``size`` (height, width).

    Returns what `stitch_region` needs, the region [B, height, width, C], and its grown mask [b, height, width]. The
    region has the shape of ``size``, so nothing is stretched; one holds the masks of the whole batch. Where
    the picture is too small for it, its edge is repeated. A mask of another size is scaled to the pictures.

    Raises `InputError` where the mask is empty.
    """
    height, width = pictures.shape[1:3]
    grown = grow(fit_mask(mask, height, width).to(pictures).clamp(0, 1), margins.grow, tapered_corners=False)
    box = _box_around(grown, margins.context, size)
    region = _resize(_cut(pictures, box).movedim(-1, 1), size, "bicubic").movedim(1, -1).contiguous()
    region_mask = _resize(_cut(grown[..., None], box).movedim(-1, 1), size, "bilinear")[:, 0]
    return Stitch(pictures, _faded(grown, margins.feather), box), region, region_mask


def stitch_region(stitch: Stitch, region: Tensor) -> Tensor:
    """Return the pictures with the region [B, h, w, C], of any size, in its place.

    Pixels that the grown mask leaves out come back bit for bit; so do channels that the region lacks. The shorter of
    the two batches repeats.
    """
    count = max(len(stitch.pictures), len(region))
    made = cycle_batch(stitch.pictures, count).clone()
    box, (height, width) = stitch.box, made.shape[1:3]
    fitted = _resize(region.movedim(-1, 1).to(made), (box.height, box.width), "bicubic").movedim(1, -1)
    top, left = max(box.y, 0), max(box.x, 0)
    bottom, right = min(box.y + box.height, height), min(box.x + box.width, width)
    channels = min(made.shape[-1], region.shape[-1])
    new = cycle_batch(fitted, count)[:, top - box.y : bottom - box.y, left - box.x : right - box.x, :channels]
    old = made[:, top:bottom, left:right, :channels]
    share = cycle_batch(stitch.share, count)[:, top:bottom, left:right, None]
    old.copy_(torch.where(share > 0, old + (new - old) * share, old))
    return made


def _box_around(masks: Tensor, context: int, size: tuple[int, int]) -> Box:
    """Return the box of ``size``'s shape around all of [B, H, W] that is not 0."""
    covered = (masks > 0).any(dim=0)
    if not covered.any():
        raise InputError(
            "the mask is empty, so there is no region to cut out",
            input="mask",
            expected="a mask with something in it",
            got="only zeros",
            hint="paint where to change the picture, or leave this node out to work on all of it",
        )
    height, width = covered.shape
    x, wide = _span(covered.any(dim=0), context)
    y, tall = _span(covered.any(dim=1), context)
    if wide * size[0] >= tall * size[1]:
        new_wide, new_tall = wide, -(-wide * size[0] // size[1])
    else:
        new_wide, new_tall = -(-tall * size[1] // size[0]), tall
    return Box(_moved_in(x, wide, new_wide, width), _moved_in(y, tall, new_tall, height), new_wide, new_tall)


def _span(covered: Tensor, context: int) -> tuple[int, int]:
    """Return (start, length) of what is covered and ``context`` items on both sides, inside the picture."""
    places = covered.nonzero()
    start = max(int(places[0]) - context, 0)
    return start, min(int(places[-1]) + 1 + context, len(covered)) - start


def _moved_in(start: int, length: int, new_length: int, room: int) -> int:
    """Return where a span starts that is made longer around its middle, inside ``room`` as far as it fits."""
    start -= (new_length - length) // 2
    return (room - new_length) // 2 if new_length > room else min(max(start, 0), room - new_length)


def _cut(planes: Tensor, box: Box) -> Tensor:
    """Cut a box out of [B, H, W, C]; beyond the edges they are repeated."""
    rows = torch.arange(box.y, box.y + box.height, device=planes.device).clamp(0, planes.shape[1] - 1)
    columns = torch.arange(box.x, box.x + box.width, device=planes.device).clamp(0, planes.shape[2] - 1)
    return planes[:, rows][:, :, columns]


def _resize(planes: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Resize [B, C, H, W] in 0..1, averaging where it gets smaller."""
    if planes.shape[-2:] == size:
        return planes
    return interpolate(planes, size=size, mode=mode, antialias=True).clamp(0, 1)


def _faded(masks: Tensor, pixels: int) -> Tensor:
    """Let [B, H, W] rise from its rim inwards over as many pixels; not at the picture's own edges."""
    total, inner = masks.clone(), masks
    for _ in range(pixels):
        inner = grow(inner, -1, tapered_corners=False)
        total += inner
    return total / (pixels + 1)
