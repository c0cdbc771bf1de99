"""``comfy.comfy_types``: names and helper classes for typed packs."""

from __future__ import annotations

import abc
import enum
from typing import Any, TypedDict

__all__ = [
    "IO",
    "CheckLazyMixin",
    "ComfyNodeABC",
    "FileLocator",
    "HiddenInputTypeDict",
    "InputTypeDict",
    "InputTypeOptions",
    "InputTypes",
]


class IO(enum.StrEnum):
    """Types of sockets. `ANY` is equal to every other type."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    LORA_MODEL = "LORA_MODEL"
    LOSS_MAP = "LOSS_MAP"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    AUDIO = "AUDIO"
    WEBCAM = "WEBCAM"
    POINT = "POINT"
    FACE_ANALYSIS = "FACE_ANALYSIS"
    BBOX = "BBOX"
    SEGS = "SEGS"
    VIDEO = "VIDEO"
    NUMBER = "FLOAT,INT"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"
    ANY = "*"

    def __ne__(self, value: object) -> bool:
        if self is IO.ANY or value == "*":
            return False
        if not isinstance(value, str):
            return True
        return set(str.__str__(self).split(",")).isdisjoint(value.split(","))

    __hash__ = str.__hash__


InputTypeOptions = dict[str, Any]
"""The options of an input."""


class HiddenInputTypeDict(TypedDict, total=False):
    """The hidden inputs of a node."""

    node_id: str
    unique_id: str
    prompt: str
    extra_pnginfo: str
    dynprompt: str


class InputTypeDict(TypedDict, total=False):
    """What ``INPUT_TYPES`` returns."""

    required: dict[str, Any]
    optional: dict[str, Any]
    hidden: HiddenInputTypeDict


InputTypes = InputTypeDict


class FileLocator(TypedDict, total=False):
    """A file that ``ui`` shows."""

    filename: str
    subfolder: str
    type: str


class ComfyNodeABC(abc.ABC):
    """A node with the attributes that a class of a pack may have."""

    DESCRIPTION: str = ""
    CATEGORY: str = ""
    EXPERIMENTAL: bool = False
    DEPRECATED: bool = False
    API_NODE: bool | None = None

    @classmethod
    @abc.abstractmethod
    def INPUT_TYPES(cls) -> InputTypeDict:
        """Return the inputs."""
        return {"required": {}}


class CheckLazyMixin:
    """Asks for every lazy input that is not there yet."""

    def check_lazy_status(self, **kwargs: Any) -> list[str]:
        """Return the names of the inputs that are None."""
        return [name for name, value in kwargs.items() if value is None]
