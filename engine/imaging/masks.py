"""Masks: float32 ``[B, H, W]`` in 0..1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from engine.errors import InputError
from engine.imaging.batches import cycle_batch
from engine.imaging.windows import sliding_maximum, square_maximum


def _both(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Apply a logical operation to masks rounded to 0 or 1."""
    return lambda a, b: combine(a.round().bool(), b.round().bool()).to(a.dtype)


OPERATIONS: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "multiply": torch.mul,
    "add": torch.add,
    "subtract": torch.sub,
    "and": _both(torch.logical_and),
    "or": _both(torch.logical_or),
    "xor": _both(torch.logical_xor),
}
"""Ways to combine the mask below (first) with the mask laid on it (second)."""


def combine(destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> Tensor:
    """Lay ``source`` [b, h, w] on ``destination`` [B, H, W] at ``x``, ``y`` (>= 0) and combine them where they meet.

    The source is repeated to the destination's batch; what lies outside is cut off. Returns values in 0..1.
    """
    made = destination.clone()
    below = made[:, y : y + source.shape[1], x : x + source.shape[2]]
    above = cycle_batch(source, len(made))[:, : below.shape[1], : below.shape[2]].to(made)
    below.copy_(OPERATIONS[operation](below, above))
    return made.clamp_(0, 1)


def crop(mask: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Cut a rectangle out of [B, H, W]; what lies beyond the edges is left out.

    Raises `InputError` when the rectangle lies wholly outside.
    """
    for name, start, size in (("x", x, mask.shape[2]), ("y", y, mask.shape[1])):
        if start >= size:
            raise InputError(
                "nothing of the mask lies in the rectangle",
                input=name,
                expected=f"at most {size - 1}",
                got=str(start),
                hint=f"the mask is {mask.shape[2]} x {mask.shape[1]} pixels; move the rectangle into it",
            )
    return mask[:, y : y + height, x : x + width].clone()


def ramp(length: int, at_start: int, at_end: int) -> Tensor:
    """Return weights [length] that rise linearly from the first item over ``at_start`` items to 1, and the same at
    the end: 1/n, 2/n … 1. A ramp longer than ``length`` is cut to it.
    """
    weights = torch.ones(length)
    for count, order in ((min(at_start, length), 1), (min(at_end, length), -1)):
        rise = torch.arange(1, count + 1) / max(count, 1)
        if order == 1:
            weights[:count] *= rise
        else:
            weights[length - count :] *= rise.flip(0)
    return weights


def feather(mask: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Fade [B, H, W] out towards its edges over as many pixels as given for each side."""
    rows = ramp(mask.shape[1], top, bottom).to(mask)
    columns = ramp(mask.shape[2], left, right).to(mask)
    return mask * rows[:, None] * columns[None, :]


def grow(mask: Tensor, pixels: int, tapered_corners: bool = True) -> Tensor:
    """Widen the bright part of [B, H, W] by ``pixels``, or shrink it where negative.

    Grey dilation (erosion) by a square, or by a diamond where ``tapered_corners``: that many steps to the four
    neighbours. Nothing comes in from outside the picture.
    """
    if pixels < 0:
        return -grow(-mask, -pixels, tapered_corners)
    if not tapered_corners:
        return square_maximum(mask, pixels, pixels)
    for _ in range(pixels):
        wider = torch.maximum(sliding_maximum(mask, -1, 1, 1), sliding_maximum(mask, -2, 1, 1))
        if torch.equal(wider, mask):
            break
        mask = wider
    return mask


def from_colour(image: Tensor, colour: int) -> Tensor:
    """Return 1 where [B, H, W, C >= 3], rounded to 8 bits a channel, is exactly ``colour`` (0xRRGGBB)."""
    levels = (image[..., :3].clamp(0, 1) * 255).round().to(torch.int64)
    wanted = torch.tensor([colour >> 16 & 255, colour >> 8 & 255, colour & 255], device=image.device)
    return (levels == wanted).all(dim=-1).to(image.dtype)


def outside(inner: tuple[int, int], left: int, top: int, right: int, bottom: int, feathering: int) -> Tensor:
    """Return the mask [1, H, W] of what was added around a picture of ``inner`` (height, width): 1 in the border.

    Inside the picture it falls from 1 at each widened side to 0 at a distance of ``feathering`` pixels, as the square
    of the distance left; a picture smaller than twice the feathering gets none.
    """
    height, width = inner
    mask = torch.ones(1, top + height + bottom, left + width + right)
    fade = torch.zeros(height, width)
    if 0 < 2 * feathering < min(height, width):
        far = torch.tensor(float("inf"))
        rows, columns = torch.arange(height), torch.arange(width)
        vertical = torch.minimum(rows if top else far, height - rows if bottom else far)
        horizontal = torch.minimum(columns if left else far, width - columns if right else far)
        distance = torch.minimum(vertical.expand(height)[:, None], horizontal.expand(width)[None, :])
        fade = ((feathering - distance) / feathering).clamp(min=0) ** 2
    mask[:, top : top + height, left : left + width] = fade
    return mask
