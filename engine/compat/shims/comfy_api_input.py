"""``comfy_api.input``: names for annotations. They check nothing."""

from __future__ import annotations

from typing import Any

__all__ = ["AudioInput", "ImageInput", "Input", "LatentInput", "MaskInput", "VideoInput"]

ImageInput = Any
MaskInput = Any
LatentInput = Any
AudioInput = Any
VideoInput = Any


class Input:
    """The same names, as ``comfy_api.latest.Input`` has them."""

    Image = Any
    Mask = Any
    Latent = Any
    Audio = Any
    Video = Any
