"""Transfer blocks: the tensors of a network in the order it first uses them, cut into pieces that move as one.

One copy of 32 to 64 MiB runs a link near its full speed; one copy of a bias does not. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["LARGEST_BLOCK", "SMALLEST_BLOCK", "Block", "cut_into_blocks"]

SMALLEST_BLOCK: Final = 32 << 20
LARGEST_BLOCK: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Name bytes of weights that are loaded and dropped together.

    `model` is the key of the weights they belong to, `index` the block's place in it, `tensors` the names inside.
    """

    model: str
    index: int
    nbytes: int
    tensors: tuple[str, ...] = ()


def cut_into_blocks(
    model: str,
    groups: Iterable[Sequence[tuple[str, int]]],
    smallest: int = SMALLEST_BLOCK,
    largest: int = LARGEST_BLOCK,
) -> tuple[Block, ...]:
    """Put groups of (name, bytes) pairs, in their order, into blocks of at least `smallest` bytes, at most `largest`.

    A group, which holds the tensors that one operation takes, is never parted: one larger than `largest` is a block by
    itself. The last block may be smaller, as may one that stands before a group too large to join it.
    """
    blocks: list[Block] = []
    names: list[str] = []
    size = 0

    def close() -> None:
        nonlocal size
        if names:
            blocks.append(Block(model, len(blocks), size, tuple(names)))
            names.clear()
            size = 0

    for group in groups:
        nbytes = sum(count for _, count in group)
        if size + nbytes > largest:
            close()
        names += [name for name, _ in group]
        size += nbytes
        if size >= smallest:
            close()
    close()
    return tuple(blocks)
