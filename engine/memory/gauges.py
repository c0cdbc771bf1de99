"""What is where right now, as numbers that can be shown: bytes by tier and by model, and how fast the link was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Gauges", "ModelBytes"]


@dataclass(frozen=True, slots=True)
class ModelBytes:
    """Say how much of a model is on the device, and how much in RAM."""

    device: int
    ram: int


@dataclass(frozen=True, slots=True)
class Gauges:
    """Bytes of weights, and what bounds them; 0 where there is no such tier or bound.

    `device_bytes` and `ram_bytes` count shared tensors once; `staging_bytes` is pinned memory that copies pass through,
    `loaded_bytes` all that was brought to the device so far, `link_speed` bytes a second of the last copies.
    """

    device: str
    device_bytes: int = 0
    device_limit: int = 0
    ram_bytes: int = 0
    ram_limit: int = 0
    staging_bytes: int = 0
    loaded_bytes: int = 0
    link_speed: float | None = None
    models: Mapping[str, ModelBytes] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        record = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "models"}
        models = [
            {"name": name, "device_bytes": one.device, "ram_bytes": one.ram}
            for name, one in sorted(self.models.items())
        ]
        return {**record, "models": models}
