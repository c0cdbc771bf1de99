"""Inpainting variants of the U-Net families: five more input channels, for a mask and the picture without its hole.

The layout is that of Stable Diffusion's inpainting models (Rombach et al., 2022): the noisy latent, then the mask
(1 where to paint), then the latent of the picture with the hole filled grey.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.diffusion.conditioning import ConditioningEntry
from engine.diffusion.latents import LatentFormat, repeat_to_batch
from engine.diffusion.model_calls import InputsOf, NetworkInputs
from engine.diffusion.regions import Role
from engine.errors import InputError
from engine.families.family import Family
from engine.families.sizes import NetworkHints, Shapes

__all__ = ["CONCAT_LATENT", "CONCAT_MASK", "inpainting_variant"]

CONCAT_LATENT: Final = "concat_latent_image"
CONCAT_MASK: Final = "concat_mask"
"""Names in `ConditioningEntry.extra`: the latent [., C, h, w] with the hole grey, and the mask [., 1, H, W]."""


def inpainting_variant(family: Family, matches: Callable[[Shapes, NetworkHints], bool]) -> Family:
    """Return the family of the inpainting models that were trained from those of `family`."""
    return dataclasses.replace(
        family,
        name=family.name + "_inpaint",
        title=family.title + " inpainting",
        matches=matches,
        inputs=_with_picture(family.inputs, family.latent_format),
    )


def _with_picture(inputs: InputsOf, latent_format: LatentFormat) -> InputsOf:
    def with_picture(entry: ConditioningEntry, like: Tensor, role: Role) -> NetworkInputs:
        picture, mask = entry.extra.get(CONCAT_LATENT), entry.extra.get(CONCAT_MASK)
        if picture is None or mask is None:
            raise InputError(
                "an inpainting model has to be told what to paint over",
                input=role,
                expected="conditioning with a picture and a mask",
                got="a prompt alone",
                hint="put the node InpaintModelConditioning between the prompts and the sampler",
            )
        planes = mask.reshape(-1, 1, *mask.shape[-2:]).float()
        planes = _fit(planes, like).round()
        scaled = latent_format.process_in(_fit(picture.float(), like))
        batch = max(len(planes), len(scaled))
        whole = torch.cat([repeat_to_batch(planes, batch), repeat_to_batch(scaled, batch)], dim=1)
        return dataclasses.replace(inputs(entry, like, role), concat=whole)

    return with_picture


def _fit(planes: Tensor, like: Tensor) -> Tensor:
    return planes if planes.shape[-2:] == like.shape[-2:] else interpolate(planes, like.shape[-2:], mode="bilinear")
