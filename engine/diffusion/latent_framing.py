"""Cut, turn, join and lay over each other latents [B, C, H, W]. Sizes are in latent pixels.

What moves pixels moves the noise mask with them: the mask is brought to the latent's size first, as samplers do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.latent_arithmetic import check_channels
from engine.diffusion.latents import Latent, repeat_to_batch
from engine.errors import InputError
from engine.imaging import framing
from engine.imaging.batches import fit_mask
from engine.imaging.compositing import paste
from engine.imaging.masks import ramp

AXES: Final = {"x": -1, "y": -2, "t": -3}
SMALLEST_CROP: Final = 8
"""The corner of a crop stays this far from the far edges, so that something is left."""


def flip(latent: Latent, vertically: bool) -> Latent:
    """Mirror top to bottom, or left to right."""
    return _move(latent, lambda t: framing.flip(t, vertically, height_dim=-2))


def turn(latent: Latent, quarters: int) -> Latent:
    """Turn clockwise by that many quarters of a circle."""
    return _move(latent, lambda t: framing.turn(t, quarters, height_dim=-2))


def crop(latent: Latent, x: int, y: int, width: int, height: int) -> Latent:
    """Cut out a rectangle; its corner is moved so that `SMALLEST_CROP` pixels are left, the rest is cut off."""
    full_height, full_width = latent.samples.shape[-2:]
    x = max(0, min(x, full_width - SMALLEST_CROP))
    y = max(0, min(y, full_height - SMALLEST_CROP))
    return _move(latent, lambda t: t[..., y : y + height, x : x + width].clone())


def cut(latent: Latent, axis: str, start: int, amount: int) -> Latent:
    """Keep ``amount`` columns (x), rows (y) or frames (t) from ``start``, which counts from the end where negative.

    Raises `InputError` for frames of a latent without them.
    """
    dim = _dim(latent.samples, axis)
    size = latent.samples.shape[dim]
    begin = max(0, size + start) if start < 0 else min(start, size - 1)
    kept = slice(begin, begin + amount)
    if axis == "t":
        return dataclasses.replace(latent, samples=latent.samples[..., kept, :, :].clone())
    return _move(latent, lambda t: t[..., kept].clone() if axis == "x" else t[..., kept, :].clone())


def concat(first: Latent, second: Latent, side: str) -> Latent:
    """Join along x, y or t, the second one first where ``side`` begins with a minus; repeat it to the first's batch.

    Raises `InputError` when the other sizes differ, and for frames of a latent without them.
    """
    axis = side.removeprefix("-")
    dim = _dim(first.samples, axis)
    sizes, others = ([n for i, n in enumerate(one.samples.shape) if i and i != one.samples.ndim + dim]
                     for one in (first, second))  # fmt: skip
    if sizes != others:
        raise InputError(
            f"the latents do not fit together along {axis}",
            input="samples2",
            expected=f"the sizes {sizes} beside it",
            got=str(others),
            hint="resize or crop one of them first",
        )
    parts = [first.samples, repeat_to_batch(second.samples, first.samples.shape[0]).to(first.samples)]
    masks = [_mask(first), _mask(second)]
    if side.startswith("-"):
        parts.reverse()
        masks.reverse()
    joined = torch.cat(parts, dim=dim)
    if axis == "t" or (first.noise_mask is None and second.noise_mask is None):
        return dataclasses.replace(first, samples=joined)
    count = max(len(mask) for mask in masks)
    mask = torch.cat([repeat_to_batch(one, count) for one in masks], dim=dim)
    return dataclasses.replace(first, samples=joined, noise_mask=mask)


def composite(below: Latent, above: Latent, x: int, y: int, feather: int) -> Latent:
    """Lay ``above`` on ``below`` at ``x``, ``y``, fading in over ``feather`` pixels at the sides inside ``below``.

    What reaches beyond the edges is cut off.
    """
    check_channels(above.samples, below.samples, "samples_from")
    height, width = below.samples.shape[-2:]
    source = above.samples[..., : max(0, height - y), : max(0, width - x)]
    rows, columns = source.shape[-2:]
    if not rows or not columns:
        return below
    down = ramp(rows, feather if y else 0, feather if y + rows < height else 0)
    across = ramp(columns, feather if x else 0, feather if x + columns < width else 0)
    share = down[None, :, None] * across[None, None, :] if feather else None
    return dataclasses.replace(below, samples=paste(below.samples, source, x, y, share))


def composite_masked(below: Latent, above: Latent, x: int, y: int, resize: bool, mask: Tensor | None) -> Latent:
    """Lay ``above`` on ``below`` at ``x``, ``y`` through ``mask`` (any size, 1 covers); ``resize`` stretches it to
    the size of ``below`` first.
    """
    check_channels(above.samples, below.samples, "source")
    source = above.samples
    if resize:
        flat = source.reshape(source.shape[0], -1, *source.shape[-2:])
        flat = torch.nn.functional.interpolate(flat, size=below.samples.shape[-2:], mode="bilinear")
        source = flat.reshape(*source.shape[:-2], *below.samples.shape[-2:])
    return dataclasses.replace(below, samples=paste(below.samples, source, x, y, mask))


def _dim(samples: Tensor, axis: str) -> int:
    if axis == "t" and samples.ndim != 5:
        raise InputError(
            "these latents have no frames",
            input="dim",
            expected="x or y, or latents of a video [batch, channels, frames, height, width]",
            got=f"t and {list(samples.shape)}",
            hint="choose x or y; LatentBatch joins pictures to a batch",
        )
    return AXES[axis]


def _mask(latent: Latent) -> Tensor:
    """Return the noise mask [b, 1, H, W] in the latent's size; ones where there is none."""
    height, width = latent.samples.shape[-2:]
    if latent.noise_mask is None:
        return torch.ones(1, 1, height, width, device=latent.samples.device)
    return fit_mask(latent.noise_mask, height, width, "samples").unsqueeze(1)


def _move(latent: Latent, change: Callable[[Tensor], Tensor]) -> Latent:
    mask = None if latent.noise_mask is None else change(_mask(latent))
    return dataclasses.replace(latent, samples=change(latent.samples), noise_mask=mask)
