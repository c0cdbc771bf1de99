"""Build the network that a recipe describes: open its file, tell its sizes, make it empty, fill it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn

from engine.errors import WeightError
from engine.families.control_networks import detect_control
from engine.families.family import PartSpec
from engine.families.registry import detect_family, family_of
from engine.families.sizes import NetworkHints, Shapes
from engine.families.taesd import TINY_TITLES, tiny_layout, tiny_part
from engine.families.text_files import pair_layout
from engine.families.upscalers import build_upscaler, empty_upscaler, measure_upscaler
from engine.memory.devices import DeviceInfo
from engine.memory.making import WeightCost
from engine.weights.adapters.applying import merge_sets
from engine.weights.adapters.reading import adapter_costs, read_adapters
from engine.weights.files import WeightFile
from engine.weights.joined import JoinedFile, open_all
from engine.weights.layouts import Layout
from engine.weights.loading import Changes, Target, empty_construction, fill
from engine.weights.recipe import ModelRecipe

__all__ = ["build_module", "empty_module", "measure_module", "parameter_shapes", "weight_costs"]


def build_module(
    recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype, held: Collection[str] | None = None
) -> nn.Module:
    """Return the network of `recipe` with its weights as `dtype` on `device`, in eval mode.

    Patches are added to each weight as it is converted, so that no second copy of the network is ever held. Weights
    that `held` does not name are made anew each time they are copied (`engine.weights.derived`); None holds all, and
    other sets are for networks that have `weight_costs`. Raises `WeightError` where the file is damaged, incomplete, or
    does not hold the part.
    """
    if recipe.part == "upscale":
        return build_upscaler(recipe, device, dtype)
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(_open(recipe))
        found = _locate(recipe, file)
        sources = found.layout.part(found.spec.prefix)
        shapes = {name: source.shape for name, source in sources.items()}
        changes = _changes(recipe, shapes, device)
        made = fill(_empty(recipe, found, shapes), file, sources, _target(recipe, device, dtype), changes, held)
        if held is not None:
            opened.pop_all()  # what is not held is read again, for as long as the network is there
        return made


def empty_module(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> nn.Module:
    """Return the network of `recipe` on the meta device, in the number and memory formats that `build_module` gives it.

    Only headers are read. Raises `WeightError` where the file does not hold the part.
    """
    if recipe.part == "upscale":
        return empty_upscaler(recipe, dtype)
    with _open(recipe) as file:
        found = _locate(recipe, file)
        sources = found.layout.part(found.spec.prefix)
        network = _empty(recipe, found, {name: source.shape for name, source in sources.items()})
        target = _target(recipe, device, dtype)
        ready = {}
        for name, tensor in network.state_dict().items():
            if name not in sources:
                raise WeightError(f"{recipe.file.name}: the tensor {name} is missing", got="an incomplete file")
            stored = torch.empty(tensor.shape, dtype=file.dtypes[sources[name].name], device="meta")
            ready[name] = dataclasses.replace(target, device=stored.device).convert(stored, tuple(tensor.shape))
        network.load_state_dict(ready, strict=True, assign=True)
        return network.requires_grad_(False).eval()


def _empty(recipe: ModelRecipe, found: _Located, shapes: Shapes) -> nn.Module:
    try:
        with torch.device("meta"), empty_construction():
            return found.spec.build(shapes, found.hints)
    except (ValueError, ZeroDivisionError, RuntimeError) as error:
        raise WeightError(
            f"{recipe.file.name}: no {recipe.part} network has these sizes ({error})",
            expected=f"the {recipe.part} part of {found.title}",
            got="tensors of sizes that do not belong together",
            hint="use the original checkpoint",
        ) from error


def measure_module(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> int:
    """Return the bytes that the weights of `recipe` will take, from the file's header. Raises `WeightError`."""
    if recipe.part == "upscale":
        return measure_upscaler(recipe, dtype)
    with _open(recipe) as file:
        found = _locate(recipe, file)
        target = _target(recipe, device, dtype)
        return sum(
            math.prod(source.shape) * target.dtype_of(file.dtypes[source.name], len(source.shape)).itemsize
            for source in found.layout.part(found.spec.prefix).values()
        )


def weight_costs(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> dict[str, WeightCost] | None:
    """Return what holding each weight of `recipe` takes, and what making it anew does, from headers.

    None where weights cannot be made one by one: upscalers, and files that are not mapped. Raises `WeightError`.
    """
    if recipe.part == "upscale":
        return None
    with _open(recipe) as file:
        if not file.is_mapped:
            return None
        found = _locate(recipe, file)
        sources = found.layout.part(found.spec.prefix)
        target = _target(recipe, device, dtype)
        shapes = {name: source.shape for name, source in sources.items()}
        patched = adapter_costs([one.file for one in recipe.patches], recipe.part, shapes)
        made: dict[str, WeightCost] = {}
        for name, shape in shapes.items():
            stored, count = file.dtypes[sources[name].name], math.prod(shape)
            ready = target.dtype_of(stored, len(shape))
            is_copied = ready != stored or (target.channels_last and len(shape) == 4) or sources[name].transposed
            factor_bytes, rank = patched.get(name, (0, 0))
            made[name] = WeightCost(
                count * ready.itemsize, count * stored.itemsize, is_copied, factor_bytes, 2 * count * rank
            )
        return made


def parameter_shapes(recipe: ModelRecipe) -> dict[str, tuple[int, ...]]:
    """Map the parameters of `recipe`'s network to their shapes, from the file's header. Raises `WeightError`."""
    with _open(recipe) as file:
        found = _locate(recipe, file)
        return {name: source.shape for name, source in found.layout.part(found.spec.prefix).items()}


@dataclass(frozen=True, slots=True)
class _Located:
    """Where the part of a recipe stands in its file and how its network is made."""

    title: str
    spec: PartSpec
    layout: Layout
    hints: NetworkHints


def _open(recipe: ModelRecipe) -> WeightFile:
    return open_all([file.path for file in recipe.files])


def _locate(recipe: ModelRecipe, file: WeightFile) -> _Located:
    if recipe.part == "control":
        control = detect_control(file.shapes, file.metadata, recipe.file.name)
        return _Located(control.title, control.part, control.layout, control.hints)
    if recipe.family in TINY_TITLES:
        return _Located(
            TINY_TITLES[recipe.family], tiny_part(recipe.family), tiny_layout(file, recipe.file.name), NetworkHints()
        )
    if isinstance(file, JoinedFile):
        family = family_of(recipe.family)
        return _Located(family.title, family.parts[recipe.part], pair_layout(file.members), NetworkHints())
    found = detect_family(file.shapes, file.metadata, recipe.file.name)
    return _Located(found.family.title, found.family.parts[recipe.part], found.layout, found.hints)


def _changes(recipe: ModelRecipe, shapes: Shapes, device: DeviceInfo) -> Changes:
    """Return what the patches of `recipe` add to its weights."""
    return merge_sets(
        (read_adapters(one.file, recipe.part, shapes, device.device), one.strength) for one in recipe.patches
    )


def _target(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> Target:
    """Say how the weights of `recipe` are to lie. Patched ones are as wide as they are computed in: a sum is exact."""
    keep_narrow = recipe.part == "text" and not recipe.patches
    return Target(device.device, dtype, _channels_last(recipe, device, dtype), keep_narrow)


def _channels_last(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> bool:
    """Say whether convolutions run faster with channels last.

    Measured on a Xeon with AMX: the autoencoder takes half the time in bfloat16 and a little less in float32. A U-Net
    in bfloat16 (large ones, unless the user says otherwise) takes two thirds of the time for its convolutions and need
    not be rearranged before and after each transformer; in float32 it gains nothing, and a small one loses a quarter.
    """
    if device.device.type != "cpu" or dtype == torch.float16:  # which no CPU computes in
        return False
    return recipe.part == "vae" or (recipe.part in ("diffusion", "control") and dtype == torch.bfloat16)
