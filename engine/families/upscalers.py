"""Upscale models: single networks from picture to larger picture, recognised and built by spandrel.

What travels on an UPSCALE_MODEL wire names the file; the network is built where it is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from engine.errors import InputError, WeightError
from engine.memory.devices import DeviceInfo
from engine.weights.files import open_weights
from engine.weights.recipe import FileRef

__all__ = ["UpscaleModel", "upscale"]


@dataclasses.dataclass(frozen=True, slots=True)
class UpscaleModel:
    """Name the file of an upscale model."""

    file: FileRef

    @property
    def content_key(self) -> str:
        """Return the key of everything that decides what the model makes of a picture."""
        return f"upscale/{self.file.identity}"


def upscale(
    model: UpscaleModel, images: Tensor, device: DeviceInfo, before_each: Callable[[int], None] = lambda index: None
) -> Tensor:
    """Enlarge pictures [B, H, W, 3] in 0..1 to [B, H * scale, W * scale, 3], one after the other, in float32.

    ``before_each`` is called with the index of each picture before it is computed, and may raise to stop. Raises
    `WeightError` where the file is damaged or of no architecture that spandrel knows.
    """
    network = _build(model.file)
    if images.shape[-1] != network.input_channels:
        raise InputError(
            f"{model.file.name} takes pictures with {network.input_channels} channels",
            input="image",
            expected=f"[B, H, W, {network.input_channels}]",
            got=str(list(images.shape)),
        )
    network.to(device.device)
    enlarged = []
    with torch.inference_mode():
        for index, image in enumerate(images):
            before_each(index)
            planes = image.movedim(-1, 0).unsqueeze(0).to(device.device, torch.float32)
            enlarged.append(network(planes)[0].clamp(0, 1).movedim(0, -1).cpu().clone())
    return torch.stack(enlarged)


def _build(file: FileRef) -> Any:  # spandrel's descriptor
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except ImportError as error:
        raise InputError(
            "upscale models need the package spandrel, which is not installed", hint="pip install spandrel"
        ) from error
    with open_weights(file.path) as opened:
        tensors = {name: opened.tensor(name).clone() for name in opened.shapes}
    try:
        network = ModelLoader().load_from_state_dict(tensors)
    except UnsupportedModelError as error:
        raise WeightError(
            f"{file.name} is of no upscaler architecture that is known",
            expected="ESRGAN, Compact, SwinIR, DAT or another that spandrel knows",
            got=f"{len(tensors)} tensors such as {', '.join(list(tensors)[:3])}",
            hint="choose a file from models/upscale_models",
        ) from error
    if not isinstance(network, ImageModelDescriptor):
        raise WeightError(f"{file.name} is no upscaler of single pictures", got=type(network).__name__)
    return network.eval().float()
