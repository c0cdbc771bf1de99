"""Turn, cut, pad and join pictures ``[B, H, W, C]``."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import pad

from engine.imaging.batches import match_channels
from engine.imaging.masks import outside

COLOURS: Final[dict[str, tuple[float, float, float]]] = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
}


def solid(batch: int, height: int, width: int, colour: int) -> Tensor:
    """Return [batch, height, width, 3] of one ``colour`` (0xRRGGBB)."""
    levels = torch.tensor([colour >> 16 & 255, colour >> 8 & 255, colour & 255], dtype=torch.float32) / 255
    return levels.repeat(batch, height, width, 1)


def flip(tensor: Tensor, vertically: bool, height_dim: int = 1) -> Tensor:
    """Mirror top to bottom, or left to right. ``height_dim``: 1 for pictures, -2 where height and width come last."""
    return tensor.flip(height_dim if vertically else height_dim + 1)


def turn(tensor: Tensor, quarters: int, height_dim: int = 1) -> Tensor:
    """Turn clockwise by that many quarters of a circle; ``height_dim`` as for `flip`."""
    return torch.rot90(tensor, quarters, (height_dim + 1, height_dim)).contiguous()


def crop(image: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Cut out a rectangle. Its corner is moved into the picture; what reaches beyond is left out."""
    x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, y : y + height, x : x + width].clone()


def pad_for_outpaint(
    image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """Add a grey (0.5) border. Returns the picture and the mask [1, H, W] of what to paint, see `outside`."""
    edges = (0, 0, left, right, top, bottom)
    mask = outside((image.shape[1], image.shape[2]), left, top, right, bottom, feathering)
    return pad(image, edges, value=0.5), mask


def pad_to(image: Tensor, height: int, width: int, value: float) -> Tensor:
    """Centre the picture on a canvas [B, height, width, C], not smaller than it, filled with ``value``."""
    across, down = width - image.shape[2], height - image.shape[1]
    edges = (0, 0, across // 2, across - across // 2, down // 2, down - down // 2)
    return pad(image, edges, value=value)


def contain(size: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int]:
    """Return the largest (height, width) of ``size``'s shape that fits into ``frame``, at least 1 x 1."""
    (height, width), (most_height, most_width) = size, frame
    if width * most_height >= height * most_width:
        return max(1, height * most_width // width), most_width
    return most_height, max(1, width * most_height // height)


def hold_last(image: Tensor, count: int) -> Tensor:
    """Repeat the last picture of a batch until there are ``count``."""
    missing = count - image.shape[0]
    return image if missing <= 0 else torch.cat([image, image[-1:].repeat(missing, 1, 1, 1)])


def stitch(first: Tensor, second: Tensor, direction: str, spacing: int, colour: str) -> Tensor:
    """Put ``second`` beside ``first``: right, down, left or up of it, with ``spacing`` pixels of ``colour`` between.

    The shorter batch holds its last picture; missing channels are 1; across the direction the smaller one is centred
    on black. An odd spacing is made even.
    """
    count, channels = max(len(first), len(second)), max(first.shape[-1], second.shape[-1])
    sideways = direction in ("left", "right")
    height = max(first.shape[1], second.shape[1])
    width = max(first.shape[2], second.shape[2])
    parts = []
    for image in (first, second):
        whole = match_channels(hold_last(image, count), channels).to(first)
        parts.append(pad_to(whole, height if sideways else whole.shape[1], whole.shape[2] if sideways else width, 0.0))
    if direction in ("left", "up"):
        parts.reverse()
    if spacing:
        thick = spacing + spacing % 2
        shape = (count, height, thick, 1) if sideways else (count, thick, width, 1)
        rgb = torch.tensor(COLOURS[colour]).to(first)
        parts.insert(1, match_channels(rgb.repeat(*shape), channels))
    return torch.cat(parts, dim=2 if sideways else 1)
