"""Where, when and how strongly each condition acts: areas, masks, time ranges, and their weights."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.diffusion.conditioning import Conditioning, ConditioningEntry
from engine.diffusion.latents import repeat_to_batch
from engine.diffusion.prediction import ModelSampling
from engine.errors import InputError

Role = Literal["positive", "negative", "third"]
"""Which side a condition is on; the third one is what guiders with three conditions add."""

Box = tuple[int, int, int, int]
"""(height, width, y, x) in latent pixels."""

FEATHER: Final = 8
"""Width in latent pixels of the soft border inside an area."""
SMALLEST_BOX: Final = 8
"""The least height and width in latent pixels of an area made from a mask's bounds."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Hold one condition, made ready for a latent of one size."""

    role: Role
    source: ConditioningEntry
    """What to show the model."""
    box: Box | None
    weight: Tensor
    """How much its prediction counts: [1 or B, 1, h, w] of the box, or of the latent."""
    sigma_start: float
    sigma_end: float
    control: object | None

    def acts_at(self, sigma: float) -> bool:
        """Say whether the condition is on at this noise level."""
        return self.sigma_end <= sigma <= self.sigma_start

    def crop(self, tensor: Tensor) -> Tensor:
        """Cut the region out of a tensor [..., H, W]."""
        if self.box is None:
            return tensor
        height, width, y, x = self.box
        return tensor[..., y : y + height, x : x + width]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Pair an entry that says where, when and how strongly with the entry whose prompt is used there."""

    where: ConditioningEntry
    source: ConditioningEntry
    box: Box | None
    mask: Tensor | None
    control: object | None


def resolve_regions(
    positive: Conditioning,
    negative: Conditioning,
    like: Tensor,
    sampling: ModelSampling,
    third: Conditioning = (),
) -> tuple[Region, ...]:
    """Make all conditions ready for a latent shaped like ``like`` [B, C, H, W].

    Every area of one side is also evaluated with the other sides' prompts, so that guidance compares like with
    like, and a control meant for all sides is given to the others than the positive one.
    """
    given: dict[Role, Conditioning] = {"positive": positive, "negative": negative, "third": third}
    sides = {role: [_place(entry, like) for entry in entries] for role, entries in given.items()}
    for role in sides:
        for other in sides:
            if other != role:
                sides[other] = _mirror_areas(sides[role], sides[other])
    for role in sides:
        if role != "positive":
            sides[role] = _mirror_control(sides["positive"], sides[role])
    return tuple(_region(role, placed, like, sampling) for role, side in sides.items() for placed in side)


def _place(entry: ConditioningEntry, like: Tensor) -> _Placed:
    height, width = like.shape[-2:]
    box = None if entry.area is None else entry.area.resolve(height, width)
    if box is not None and (min(box) < 0 or 0 in box[:2]):
        raise InputError(
            "an area lies outside the picture",
            expected=f"an area inside {width} x {height} latent pixels (8 picture pixels each)",
            got=str(entry.area),
            hint="make the picture larger or move the area",
        )
    mask = entry.mask
    if mask is not None:
        mask = mask.to(like.device, torch.float32)
        if mask.shape[-2:] != (height, width):
            mask = interpolate(mask.unsqueeze(1), size=(height, width), mode="bilinear").squeeze(1)
        if entry.set_area_to_bounds:
            box = _bounds(mask)
    return _Placed(entry, entry, box, mask, entry.control)


def _bounds(mask: Tensor) -> Box:
    """Return the box around everything above 0 in a mask [B, H, W], at least `SMALLEST_BOX` wide and high."""
    height, width = mask.shape[-2:]
    touched = mask.abs().amax(dim=0) > 0
    rows, columns = touched.any(dim=1).nonzero().flatten(), touched.any(dim=0).nonzero().flatten()
    if not len(rows):
        return min(SMALLEST_BOX, height), min(SMALLEST_BOX, width), 0, 0
    y, x = int(rows[0]), int(columns[0])
    h = max(SMALLEST_BOX, int(rows[-1]) - y + 1)
    w = max(SMALLEST_BOX, int(columns[-1]) - x + 1)
    return min(height - y, h), min(width - x, w), y, x


def _mirror_areas(from_side: list[_Placed], to_side: list[_Placed]) -> list[_Placed]:
    """Add to ``to_side``, for each area of ``from_side``, the prompt that covers it most closely."""
    result = list(to_side)
    for placed in from_side:
        if placed.box is None:
            continue
        cover = _closest_cover(placed.box, result)
        if cover is not None and cover.box != placed.box:
            result.append(dataclasses.replace(placed, source=cover.source))
    return result


def _closest_cover(box: Box, candidates: list[_Placed]) -> _Placed | None:
    """Return the smallest candidate that holds the box; one without an area counts as the whole latent."""
    best: _Placed | None = None
    for candidate in candidates:
        if candidate.box is None:
            best = best or candidate
        elif _holds(candidate.box, box) and (best is None or best.box is None or _size(best) > _size(candidate)):
            best = candidate
    return best


def _holds(outer: Box, inner: Box) -> bool:
    starts_before = inner[2] >= outer[2] and inner[3] >= outer[3]
    return starts_before and outer[0] + outer[2] >= inner[0] + inner[2] and outer[1] + outer[3] >= inner[1] + inner[3]


def _size(placed: _Placed) -> int:
    return 0 if placed.box is None else placed.box[0] * placed.box[1]


def _mirror_control(positive: list[_Placed], negative: list[_Placed]) -> list[_Placed]:
    """Give controls that act on both sides to the negative entries without an area, unless those have their
    own.
    """
    controls = [
        p.control for p in positive if p.where.control_apply_to_uncond and p.box is None and p.control is not None
    ]
    whole = [index for index, placed in enumerate(negative) if placed.box is None]
    if not controls or not whole or any(negative[index].control is not None for index in whole):
        return negative
    result = list(negative)
    for number, control in enumerate(controls):
        target = dataclasses.replace(negative[whole[number % len(whole)]], control=control)
        if number < len(whole):
            result[whole[number]] = target
        else:
            result.append(target)
    return result


def _region(role: Role, placed: _Placed, like: Tensor, sampling: ModelSampling) -> Region:
    where = placed.where
    return Region(
        role=role,
        source=placed.source,
        box=placed.box,
        weight=_weight(placed, like) * where.strength,
        sigma_start=sampling.percent_to_sigma(where.start_percent) if where.start_percent > 0 else float("inf"),
        sigma_end=sampling.percent_to_sigma(where.end_percent) if where.end_percent < 1 else 0.0,
        control=placed.control,
    )


def _weight(placed: _Placed, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    if placed.mask is not None:
        mask = repeat_to_batch(placed.mask, like.shape[0]).unsqueeze(1) * placed.where.mask_strength
        if placed.box is None:
            return mask
        h, w, y, x = placed.box
        return mask[..., y : y + h, x : x + w]
    if placed.box is None:
        return torch.ones(1, 1, height, width, device=like.device)
    h, w, y, x = placed.box
    rows = _feathered(h, y > 0, y + h < height, like)
    columns = _feathered(w, x > 0, x + w < width, like)
    return (rows[:, None] * columns[None, :])[None, None]


def _feathered(length: int, at_start: bool, at_end: bool, like: Tensor) -> Tensor:
    """Return weights [length] that rise to 1 from the sides that lie inside the latent."""
    ramp = min(FEATHER, length // 4)
    weights = torch.ones(length, device=like.device)
    if ramp:
        rise = torch.arange(1, ramp + 1, device=like.device) / ramp
        if at_start:
            weights[:ramp] *= rise
        if at_end:
            weights[length - ramp :] *= rise.flip(0)
    return weights
