"""Build the network that a recipe describes: open its file, tell its sizes, make it empty, fill it."""

from __future__ import annotations

import math

import torch
from torch import nn

from engine.errors import WeightError
from engine.families.registry import detect_family
from engine.memory.devices import DeviceInfo
from engine.weights.files import open_weights
from engine.weights.loading import Target, empty_construction, fill
from engine.weights.recipe import ModelRecipe

__all__ = ["build_module", "measure_module"]


def build_module(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> nn.Module:
    """Return the network of `recipe` with its weights as `dtype` on `device`, in eval mode.

    Raises `WeightError` where the file is damaged, incomplete, or does not hold the part.
    """
    with open_weights(recipe.file.path) as file:
        found = detect_family(file.shapes, file.metadata, recipe.file.name)
        spec = found.family.parts[recipe.part]
        sources = found.layout.part(spec.prefix)
        shapes = {name: source.shape for name, source in sources.items()}
        try:
            with torch.device("meta"), empty_construction():
                empty = spec.build(shapes, found.hints)
        except (ValueError, ZeroDivisionError, RuntimeError) as error:
            raise WeightError(
                f"{recipe.file.name}: no {recipe.part} network has these sizes ({error})",
                expected=f"the {recipe.part} part of {found.family.title}",
                got="tensors of sizes that do not belong together",
                hint="use the original checkpoint",
            ) from error
        return fill(empty, file, sources, Target(device.device, dtype, _channels_last(recipe, device)))


def measure_module(recipe: ModelRecipe, dtype: torch.dtype) -> int:
    """Return the bytes that the weights of `recipe` take as `dtype`, from the file's header. Raises `WeightError`."""
    with open_weights(recipe.file.path) as file:
        found = detect_family(file.shapes, file.metadata, recipe.file.name)
        sources = found.layout.part(found.family.parts[recipe.part].prefix)
        return sum(math.prod(source.shape) for source in sources.values()) * dtype.itemsize


def _channels_last(recipe: ModelRecipe, device: DeviceInfo) -> bool:
    """Say whether convolutions run faster with channels last.

    Measured on one core of a Xeon with AMX: the autoencoder takes half the time in bfloat16 and a little less in
    float32; the U-Net gains nothing at 32x32 latents, and a small one loses a quarter.
    """
    return recipe.part == "vae" and device.device.type == "cpu"
