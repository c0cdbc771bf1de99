"""Make pictures and masks fit each other: batch, channels, size.

Batches of unequal length are repeated from their start, as the field's nodes do: a mask for one picture serves all.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.errors import InputError


def cycle_batch(tensor: Tensor, count: int) -> Tensor:
    """Repeat along dimension 0 until there are ``count`` items, or keep the first ``count``."""
    if tensor.shape[0] == count:
        return tensor
    if tensor.shape[0] == 0:
        raise InputError("the batch is empty", expected="at least one item", got="none")
    return tensor[torch.arange(count, device=tensor.device) % tensor.shape[0]]


def match_batches(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Repeat all of them to the length of the longest batch."""
    count = max(tensor.shape[0] for tensor in tensors)
    return tuple(cycle_batch(tensor, count) for tensor in tensors)


def match_channels(image: Tensor, channels: int) -> Tensor:
    """Give [B, H, W, C] ``channels`` channels: what is too many is cut off, what is missing is 1 (opaque)."""
    missing = channels - image.shape[-1]
    if missing <= 0:
        return image[..., :channels]
    return torch.cat([image, image.new_ones(*image.shape[:-1], missing)], dim=-1)


def mask_batch(mask: Tensor, input: str = "mask") -> Tensor:
    """Return a mask [H, W], [B, H, W] or [B, 1, H, W] as [B, H, W].

    Raises `InputError`, naming ``input``, for any other shape and for a mask without pixels.
    """
    known = mask.ndim in (2, 3) or (mask.ndim == 4 and mask.shape[1] == 1)
    if not known or 0 in mask.shape:
        raise InputError(
            "this is not a mask",
            input=input,
            expected="[batch, height, width] with at least one pixel",
            got=str(list(mask.shape)),
            hint="turn a picture into a mask with ImageToMask",
        )
    return mask.reshape(-1, *mask.shape[-2:])


def fit_mask(mask: Tensor, height: int, width: int, input: str = "mask") -> Tensor:
    """Return `mask_batch` of the mask, resized bilinearly to [B, height, width] where its size differs."""
    masks = mask_batch(mask, input)
    if masks.shape[-2:] == (height, width):
        return masks
    return interpolate(masks.unsqueeze(1).float(), size=(height, width), mode="bilinear").squeeze(1)
