"""Where adapters can be put in: the weights and biases of a network, under every name that files call them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.weights.adapters.unet_names import diffusers_unet_modules
from engine.weights.recipe import Part

__all__ = ["Slot", "Slots", "slots_of"]

Shapes = Mapping[str, tuple[int, ...]]
ENCODERS: Final = {"clip_l": 1, "clip_g": 2}


@dataclass(frozen=True, slots=True)
class Slot:
    """Name the parameters of a module and their shapes; None where it has no such parameter."""

    weight: str
    weight_shape: tuple[int, ...]
    bias: str | None = None
    bias_shape: tuple[int, ...] = ()


Slots = Mapping[tuple[int, str], Slot]
"""Slots by text encoder (0 in a diffusion model) and flattened module name."""


def slots_of(part: Part, shapes: Shapes) -> Slots:
    """Return the slots of a network from the shapes of its parameters, which bear our names without a prefix.

    A diffusion model's modules go by their original and by diffusers' names, a text encoder's by Hugging Face's.
    """
    modules = {name.removesuffix(".weight"): _slot(name, shapes) for name in shapes if name.endswith(".weight")}
    if part == "text":
        return {_text_module(module): slot for module, slot in modules.items()}
    slots = {(0, _flat(module)): slot for module, slot in modules.items()}
    for module, name in diffusers_unet_modules(modules).items():
        slots.setdefault((0, _flat(name)), modules[module])
    return slots


def _slot(weight: str, shapes: Shapes) -> Slot:
    bias = weight.removesuffix("weight") + "bias"
    return Slot(weight, shapes[weight], bias if bias in shapes else None, shapes.get(bias, ()))


def _text_module(module: str) -> tuple[int, str]:
    first, _, rest = module.partition(".")
    encoder, path = (ENCODERS[first], rest) if first in ENCODERS else (1, module)
    return encoder, _flat(path.removeprefix("text_model."))


def _flat(module: str) -> str:
    return module.replace(".", "_")
