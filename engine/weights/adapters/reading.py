"""Fetch the adapters for a network from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from engine.weights.adapters.applying import Adapter, AdapterSet
from engine.weights.adapters.difference import Difference
from engine.weights.adapters.keys import read_key
from engine.weights.adapters.low_rank import LowRank
from engine.weights.adapters.matching import Matched, match_adapters
from engine.weights.adapters.slots import slots_of
from engine.weights.files import WeightFile, open_weights
from engine.weights.recipe import FileRef, Part

__all__ = ["adapter_costs", "adapter_tensors", "read_adapters"]

Shapes = Mapping[str, tuple[int, ...]]
PEFT_METADATA: Final = "lora_adapter_metadata"
PEFT_PREFIXES: Final = {("diffusion", 0): "unet.", ("text", 1): "text_encoder.", ("text", 2): "text_encoder_2."}


def read_adapters(file: FileRef, part: Part, shapes: Shapes, device: torch.device) -> AdapterSet:
    """Return what a file changes in the network that is a model's `part` and has parameters of `shapes`.

    Tensors are copies on `device`, in the number format of the file. Raises `WeightError` where it cannot be read.
    """
    with open_weights(file.path) as opened:
        match = match_adapters(part, opened.shapes, slots_of(part, shapes))
        adapters: dict[str, list[Adapter]] = {}
        for one in match.matched:
            adapters.setdefault(one.parameter, []).append(_adapter(opened, one, shapes[one.parameter], device))
        return adapters


def adapter_costs(files: Sequence[FileRef], part: Part, shapes: Shapes) -> dict[str, tuple[int, int]]:
    """Map the parameters that files change together to (bytes of adapters, sum of their ranks), from headers.

    What adds numbers one by one has rank 1. Raises `WeightError` where a file cannot be read.
    """
    costs: dict[str, tuple[int, int]] = {}
    for file in files:
        with open_weights(file.path) as opened:
            for one in match_adapters(part, opened.shapes, slots_of(part, shapes)).matched:
                held = [key for role, key in one.tensors.items() if role != "alpha"]
                nbytes, rank = costs.get(one.parameter, (0, 0))
                nbytes += sum(math.prod(opened.shapes[key]) * opened.dtypes[key].itemsize for key in held)
                rank += opened.shapes[one.tensors["down"]][0] if "down" in one.tensors else 1
                costs[one.parameter] = nbytes, rank
    return costs


def adapter_tensors(adapters: AdapterSet) -> list[Tensor]:
    """List the tensors that a set of adapters holds."""
    found: list[Tensor] = []
    for adapter in (adapter for members in adapters.values() for adapter in members):
        if isinstance(adapter, Difference):
            found.append(adapter.values)
        else:
            held = (adapter.up, adapter.down, adapter.mid, adapter.magnitude)
            found.extend(tensor for tensor in held if tensor is not None)
    return found


def _adapter(file: WeightFile, matched: Matched, shape: tuple[int, ...], device: torch.device) -> Adapter:
    tensors = {role: file.tensor(key).to(device, copy=True) for role, key in matched.tensors.items()}
    if matched.kind == "difference":
        (values,) = tensors.values()
        return Difference(values)
    magnitude = tensors.get("magnitude")
    if magnitude is not None and not matched.tensors["magnitude"].endswith("dora_scale"):
        magnitude = magnitude.reshape(-1)  # PEFT's belongs to rows, whatever the shape it is kept in
    alpha = float(tensors["alpha"]) if "alpha" in tensors else _peft_alpha(file, matched, tensors["down"].shape[0])
    return LowRank(tensors["up"], tensors["down"], alpha, tensors.get("mid"), magnitude)


def _peft_alpha(file: WeightFile, matched: Matched, rank: int) -> float | None:
    """Return the alpha that PEFT's settings in the metadata give; they stand there instead of beside each tensor."""
    address = read_key(matched.tensors["down"])
    try:
        settings: Any = json.loads(file.metadata.get(PEFT_METADATA, "{}"))
    except (ValueError, RecursionError):
        return None
    if address is None or not isinstance(settings, dict):
        return None
    prefix = PEFT_PREFIXES.get((address.part, address.encoder), "")
    alpha = settings.get(prefix + "lora_alpha")
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        return None
    return alpha * math.sqrt(rank) if settings.get(prefix + "use_rslora") is True else float(alpha)
