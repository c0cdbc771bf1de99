"""What the pictures of a request say about themselves: the settings in their order, for `parameters`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from engine.server.machine import version
from engine.server.sdapi.requests import Order
from engine.server.sdapi.samplers import AUTOMATIC, Sampling

FILLS: Final = ("fill", "original", "latent noise", "latent nothing")


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What was found out for a request: files by their names, and short hashes."""

    model: str
    model_hash: str
    vae: str
    clip_skip: int
    lora_hashes: Mapping[str, str]
    second_size: tuple[int, int] | None
    masked: bool


def settings_text(order: Order, sampling: Sampling, facts: Facts, seed: int, subseed: int = 0) -> dict[str, Any]:
    """Return the settings of one picture, in the order in which they are written; None is left out.

    They also say where our pictures differ: noise is drawn on the CPU, and the first latent is scaled for the noise
    that the model was trained at.
    """
    hashes = ", ".join(f"{name}: {hash}" for name, hash in facts.lora_hashes.items())
    return {
        "Steps": order.steps,
        "Sampler": sampling.label,
        "Schedule type": sampling.schedule_label,
        "CFG scale": order.cfg,
        "Seed": seed,
        "Size": f"{order.width}x{order.height}",
        "Model hash": facts.model_hash,
        "Model": facts.model,
        "VAE": facts.vae or None,
        "Variation seed": subseed if order.subseed_strength > 0 else None,
        "Variation seed strength": order.subseed_strength or None,
        "Denoising strength": order.denoise if order.second or order.painting else None,
        "Clip skip": facts.clip_skip if facts.clip_skip > 1 else None,
        "RNG": "CPU",
        **_second(order, facts),
        **(_mask(order) if facts.masked else {}),
        "Lora hashes": hashes or None,
        "SGM noise multiplier": True if order.painting is None else None,
        "Version": f"Safelight {version('safelight') or '0.1.0'}",
    }


def _second(order: Order, facts: Facts) -> dict[str, Any]:
    second = order.second
    if second is None or facts.second_size is None:
        return {}
    resized = second.width or second.height
    return {
        "Hires upscale": None if resized else second.scale,
        "Hires resize": f"{second.width}x{second.height}" if resized else None,
        "Hires steps": second.steps or None,
        "Hires upscaler": second.upscaler,
        "Hires sampler": second.sampler or None,
        "Hires schedule type": second.scheduler if second.scheduler not in ("", AUTOMATIC) else None,
        "Hires prompt": second.prompt or None,
        "Hires negative prompt": second.negative_prompt or None,
    }


def _mask(order: Order) -> dict[str, Any]:
    painting = order.painting
    if painting is None:
        return {}
    x, y = painting.mask_blur
    return {
        "Mask mode": "Inpaint not masked" if painting.invert else None,
        "Mask blur": x if x == y else None,
        "Mask blur x": None if x == y else x,
        "Mask blur y": None if x == y else y,
        "Inpaint area": "Only masked" if painting.full_resolution else None,
        "Masked area padding": painting.padding if painting.full_resolution else None,
        "Masked content": FILLS[painting.fill] if painting.fill != 1 else None,
    }
