"""``comfy.cli_args``: how the engine was started, as far as packs may ask."""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any

from engine.compat.host import HOST


class LatentPreviewMethod(enum.Enum):
    """How previews are made."""

    NoPreviews = "none"
    Auto = "auto"
    Latent2RGB = "latent2rgb"
    TAESD = "taesd"


class _Args(SimpleNamespace):
    """The options that packs look at, from the settings of the session."""

    def __getattr__(self, name: str) -> Any:
        settings = HOST.settings
        match name:
            case "base_directory" | "input_directory" | "output_directory" | "temp_directory" | "user_directory":
                value = getattr(settings, name, None)
                return None if value is None else str(value)
            case "cpu":
                return getattr(settings, "device", "auto") == "cpu"
            case "disable_metadata":
                return getattr(settings, "metadata", "full") == "none"
            case "disable_all_custom_nodes":
                return bool(getattr(settings, name, False))
        raise AttributeError(f"args has no option {name!r}")


args: Any = _Args(
    listen="127.0.0.1",
    port=8188,
    preview_method=LatentPreviewMethod.Auto,
    verbose="INFO",
    dont_print_server=False,
    multi_user=False,
    deterministic=True,
    disable_api_nodes=True,
    lowvram=False,
    novram=False,
    highvram=False,
    gpu_only=False,
    force_fp16=False,
    force_fp32=False,
    fast=set(),
)
