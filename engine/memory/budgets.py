"""What may be taken of a machine's memories, in bytes. All launch flags about memory are such numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from engine.memory.cards import Card
from engine.settings import Settings

__all__ = ["NO_BUDGETS", "Budgets", "budgets_of"]


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bound memory; None does not.

    `vram_bytes` bounds all that is taken of the card, the driver's part included, `reserve_bytes` is left to others,
    `weight_bytes` bounds the weights on it alone, `ram_bytes` the weights in the machine's own memory.
    """

    vram_bytes: int | None = None
    reserve_bytes: int = 0
    weight_bytes: int | None = None
    ram_bytes: int | None = None

    def of_card(self, total_bytes: int) -> int:
        """Return how much of a card may be taken."""
        left = max(0, total_bytes - self.reserve_bytes)
        return left if self.vram_bytes is None else min(left, self.vram_bytes)

    def card(self, card: Card) -> Card:
        """Return what a card is within these budgets."""
        return dataclasses.replace(card, total_bytes=self.of_card(card.total_bytes))


NO_BUDGETS: Final = Budgets()


def budgets_of(settings: Settings) -> Budgets:
    """Return the budgets that the settings name."""
    return Budgets(
        settings.vram_budget_bytes, settings.reserve_vram_bytes, settings.memory_bytes, settings.ram_budget_bytes
    )
