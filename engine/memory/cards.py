"""Cards by name: how much they hold, how fast they compute, read their own memory and are fed.

Speeds are what networks reach, not what data sheets promise: about half of the tensor cores' dense peak in half
precision and nine tenths of the memory's. They are assumptions until a card has been measured, and plans say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from engine.errors import InputError

__all__ = ["CARDS", "CONTEXT_BYTES", "Card", "card_like", "card_named"]

GIB: Final = 1 << 30
CONTEXT_BYTES: Final = GIB * 55 // 100
"""What a driver keeps of a card for itself."""


@dataclass(frozen=True, slots=True)
class Card:
    """Describe a device: bytes in all, and floating-point operations, own bytes and link bytes a second.

    `context_bytes` is what the driver keeps for itself; `kind` decides number formats. The margins are set aside beside
    predicted activations, as a share of them and in bytes: kernels differ among versions.
    """

    name: str
    total_bytes: int
    flops: float
    memory_speed: float
    link_speed: float
    context_bytes: int = CONTEXT_BYTES
    kind: Literal["cuda", "cuda_old", "cpu", "cpu_bf16"] = "cuda"
    margin_share: float = 0.05
    margin_bytes: int = 100 << 20

    @property
    def usable_bytes(self) -> int:
        """Return what weights and activations can have together."""
        return max(0, self.total_bytes - self.context_bytes)

    def set_aside(self, nbytes: int) -> int:
        """Return what to keep free for activations that were predicted to take `nbytes`."""
        return int(nbytes * (1 + self.margin_share)) + self.margin_bytes

    def predicted(self, set_aside: int) -> int:
        """Return what was predicted where this is set aside."""
        return max(0, int((set_aside - self.margin_bytes) / (1 + self.margin_share)))

    def seconds(self, flops: int, nbytes: int) -> float:
        """Return how long an operation takes: its arithmetic or its memory traffic, whichever takes longer."""
        return max(flops / self.flops, nbytes / self.memory_speed)


def _card(name: str, gib: int, tera: float, memory: float, link: float) -> Card:
    kind: Literal["cuda", "cuda_old"] = "cuda_old" if name.startswith(("gtx", "rtx20")) else "cuda"
    return Card(name, gib * GIB, tera * 1e12, memory * 1e9, link * 1e9, kind=kind)


CARDS: Final[Mapping[str, Card]] = MappingProxyType(
    {
        card.name: card
        for card in (
            _card("gtx1060", 6, 3, 170, 12),
            _card("gtx1080", 8, 7, 290, 12),
            _card("rtx2060", 6, 20, 300, 12),
            _card("rtx2080", 8, 32, 400, 12),
            _card("rtx3050", 8, 14, 200, 12),
            _card("rtx3060", 12, 25, 325, 24),
            _card("rtx3060ti", 8, 32, 400, 24),
            _card("rtx3070", 8, 40, 400, 24),
            _card("rtx3080", 10, 58, 680, 24),
            _card("rtx3090", 24, 70, 840, 24),
            _card("rtx4060", 8, 25, 250, 12),
            _card("rtx4060ti", 8, 42, 260, 12),
            _card("rtx4070", 12, 56, 450, 24),
            _card("rtx4080", 16, 95, 640, 24),
            _card("rtx4090", 24, 160, 900, 24),
            _card("rtx5060", 8, 45, 400, 24),
            _card("rtx5070", 12, 70, 600, 48),
            _card("rtx5090", 32, 200, 1600, 48),
        )
    }
)
"""Cards by name, in lower case without spaces."""


UNKNOWN: Final = "rtx4060"
"""Cards of other names are taken to be no slower than this."""


def card_named(name: str) -> Card:
    """Return a card, however its name is written ("RTX 4060", "rtx-4060"). Raises `InputError` for one unknown."""
    found = CARDS.get(re.sub(r"[^a-z0-9]", "", name.lower().replace("nvidia", "").replace("geforce", "")))
    if found is None:
        raise InputError(
            f"the card {name} is not known",
            expected=", ".join(CARDS),
            got=name,
            hint="choose the one nearest to it and give its memory with --vram and its link with --link",
        )
    return found


def card_like(name: str, total_bytes: int) -> Card:
    """Return the card that a driver calls `name`, by what is known of its class, else of one that is much like it."""
    short = re.sub(r"[^a-z0-9]", "", name.lower())
    known = next((one for one in sorted(CARDS, key=len, reverse=True) if one in short), UNKNOWN)
    return replace(CARDS[known], name=name, total_bytes=total_bytes)
