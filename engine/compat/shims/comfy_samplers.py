"""``comfy.samplers``: the names of samplers and schedules."""

from __future__ import annotations

from engine.diffusion.names import SAMPLERS, SCHEDULES

__all__ = ["KSAMPLER_NAMES", "SAMPLER_NAMES", "SCHEDULER_NAMES", "KSampler"]

SAMPLER_NAMES: list[str] = list(SAMPLERS)
SCHEDULER_NAMES: list[str] = list(SCHEDULES)
KSAMPLER_NAMES: list[str] = [name for name in SAMPLERS if name not in ("ddim", "uni_pc", "uni_pc_bh2")]


class KSampler:
    """Holds the names; sampling is done by the node ``KSampler`` (``nodes.NODE_CLASS_MAPPINGS``)."""

    SAMPLERS = SAMPLER_NAMES
    SCHEDULERS = SCHEDULER_NAMES
