"""A job among others: what it finds on the device and what comes after it, as phases before and after its own.

So one rule decides what of the former stays and what is kept for the latter. Nothing of these phases is carried out:
what the first one keeps is there already, and what the last one needs and does not find is another plan's to load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.memory.blocks import Block
from engine.memory.phases import Access, Phase

__all__ = ["AFTER", "BEFORE", "phase_after", "phase_before"]

BEFORE, AFTER = "before", "after"


def phase_before(resident: Mapping[str, Sequence[Block]], blocks: Mapping[str, Sequence[Block]]) -> Phase:
    """Return a phase that uses what is `resident`, by model, but for what a job with these `blocks` cuts otherwise."""
    usable = [one for model, some in resident.items() for one in some if one in blocks.get(model, some)]
    return _phase(BEFORE, usable)


def phase_after(coming: Iterable[Block], own: Sequence[Phase], before: Phase, most: int) -> Phase:
    """Return a phase that uses what is `coming`, as far as anybody knows; then what was used, the same job again first.

    Blocks of more than `most` bytes are left out: whoever comes and does not fit is told so then.
    """
    used = (access.block for phase in (*own, before) for access in phase.accesses)
    return _phase(AFTER, [block for block in (*coming, *used) if block.nbytes <= most])


def _phase(name: str, blocks: Iterable[Block]) -> Phase:
    return Phase(name, tuple(Access(block, 0.0) for block in dict.fromkeys(blocks) if block.nbytes))
