"""Latents of packs that say more than the engine's own do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.diffusion.latents import Latent


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PackLatent(Latent):
    """A `Latent` that keeps what else a pack put into its dict, for other nodes of packs."""

    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
