"""Batches of latents: join, repeat, pick, and which noise each item gets.

``Latent.batch_index`` names the place of each item in the batch whose noise it draws from; the functions here keep it
true, so that a picture picked out of a batch is made again as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.diffusion.latent_arithmetic import fit_to
from engine.diffusion.latents import Latent, repeat_to_batch
from engine.imaging.batches import fit_mask


def join(first: Latent, second: Latent) -> Latent:
    """Put two batches after each other; the second is resized to the first, cutting its middle out.

    Every item keeps its noise mask; those without one may change everywhere.
    """
    like = first.samples[:1].expand(second.samples.shape[0], *first.samples.shape[1:])
    samples = torch.cat([first.samples, fit_to(second.samples, like, "samples2")])
    masks = None
    if first.noise_mask is not None or second.noise_mask is not None:
        leading = first.noise_mask if first.noise_mask is not None else second.noise_mask
        assert leading is not None
        height, width = leading.shape[-2:]
        masks = torch.cat([_masks(first, height, width), _masks(second, height, width)])
    return Latent(samples, masks, _indices(first) + _indices(second))


def repeat(latent: Latent, amount: int) -> Latent:
    """Repeat the whole batch ``amount`` times; the repeats draw noise of their own."""
    count = latent.samples.shape[0]
    mask = latent.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = _repeat(repeat_to_batch(mask, count), amount)
    index = latent.batch_index
    if index is not None:
        step = max(index) - min(index) + 1
        index = tuple(one + step * turn for turn in range(amount) for one in index)
    return Latent(_repeat(latent.samples, amount), mask, index)


def pick(latent: Latent, start: int, amount: int) -> Latent:
    """Keep ``amount`` items from ``start``, at least the last one."""
    count = latent.samples.shape[0]
    start = min(start, count - 1)
    kept = slice(start, min(start + amount, count))
    mask = latent.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = repeat_to_batch(mask, count)[kept].clone()
    return Latent(latent.samples[kept].clone(), mask, _indices(latent)[kept])


def rebatch(latents: Sequence[Latent], size: int) -> list[Latent]:
    """Deal the items of all batches out, in order, to batches of at most ``size``, each of one shape.

    Items without a place of their own get the noise of their place among all items.
    """
    groups: list[list[Latent]] = []
    passed = 0
    for latent in latents:
        count = latent.samples.shape[0]
        if latent.batch_index is None:
            latent = dataclasses.replace(latent, batch_index=tuple(range(passed, passed + count)))
        passed += count
        for place in range(count):
            one = pick(latent, place, 1)
            if not groups or len(groups[-1]) == size or groups[-1][0].samples.shape != one.samples.shape:
                groups.append([])
            groups[-1].append(one)
    return [_together(group) for group in groups]


def _together(items: Sequence[Latent]) -> Latent:
    """Put items of one shape into one batch."""
    masked = [item.noise_mask for item in items if item.noise_mask is not None]
    masks = None
    if masked:
        height, width = masked[0].shape[-2:]
        masks = torch.cat([_masks(item, height, width) for item in items])
    return Latent(
        torch.cat([item.samples for item in items]), masks, tuple(place for item in items for place in _indices(item))
    )


def fix_noise(latent: Latent) -> Latent:
    """Give all items the noise of the first."""
    first = latent.batch_index[0] if latent.batch_index else 0
    return dataclasses.replace(latent, batch_index=(first,) * latent.samples.shape[0])


def vary_noise(latent: Latent) -> Latent:
    """Give each item noise of its own, in order."""
    return dataclasses.replace(latent, batch_index=None)


def _indices(latent: Latent) -> tuple[int, ...]:
    return latent.batch_index or tuple(range(latent.samples.shape[0]))


def _masks(latent: Latent, height: int, width: int) -> Tensor:
    """Return one mask [1, height, width] for each item."""
    count = latent.samples.shape[0]
    if latent.noise_mask is None:
        return torch.ones(count, 1, height, width)
    return repeat_to_batch(fit_mask(latent.noise_mask, height, width, "samples").unsqueeze(1), count)


def _repeat(tensor: Tensor, amount: int) -> Tensor:
    return tensor.repeat(amount, *([1] * (tensor.ndim - 1)))
