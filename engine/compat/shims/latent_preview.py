"""``latent_preview``: reporting the steps of a sampler."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from engine.compat.shims.comfy_utils import ProgressBar

MAX_PREVIEW_RESOLUTION = 512


def get_previewer(device: Any, latent_format: Any) -> None:
    """Return None: the engine makes previews itself."""
    return None


def prepare_callback(
    model: Any, steps: int, x0_output_dict: MutableMapping[str, Any] | None = None
) -> Callable[[int, Any, Any, int], None]:
    """Return a function ``(step, x0, x, total_steps)`` that reports a step, and keeps the last ``x0``."""
    bar = ProgressBar(steps)

    def callback(step: int, x0: Any, x: Any, total_steps: int) -> None:
        if x0_output_dict is not None:
            x0_output_dict["x0"] = x0
        bar.update_absolute(step + 1, total_steps, None)

    return callback
