"""From what a call takes to what a plan is made of: blocks of its weights, and for how long each is computed with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from engine.memory.blocks import LARGEST_BLOCK, SMALLEST_BLOCK, Block, cut_into_blocks
from engine.memory.cards import Card
from engine.memory.phases import Access
from engine.memory.profile import Profile

__all__ = ["accesses_of", "blocks_of"]


def blocks_of(
    model: str, profile: Profile, smallest: int = SMALLEST_BLOCK, largest: int = LARGEST_BLOCK
) -> tuple[Block, ...]:
    """Cut the weights that a call uses into blocks, in the order of their first use; `model` is their key."""
    return cut_into_blocks(model, _first_uses(profile), smallest, largest)


def accesses_of(blocks: tuple[Block, ...], profile: Profile, card: Card) -> tuple[Access, ...]:
    """Return the blocks that a call computes with, in order, and how long it does on `card`.

    What one operation takes of an earlier block beside its own is accessed before it, for no time.
    """
    owner = {name: block for block in blocks for name in block.tensors}
    steps: list[tuple[Block, float]] = []
    for use in profile.uses:
        needed = list(dict.fromkeys(owner[name] for name in use.tensors))
        steps += [(block, 0.0) for block in needed[:-1]]
        steps.append((needed[-1], sum(card.seconds(flops, nbytes) for flops, nbytes in use.work)))
    return tuple(
        Access(block, sum(seconds for _, seconds in stretch)) for block, stretch in groupby(steps, lambda step: step[0])
    )


def _first_uses(profile: Profile) -> Iterator[list[tuple[str, int]]]:
    """Yield the tensors of each stretch that no earlier one used."""
    sizes = dict(profile.tensors)
    for use in profile.uses:
        group = [(name, sizes.pop(name)) for name in use.tensors if name in sizes]
        if group:
            yield group
