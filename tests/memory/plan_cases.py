"""Random work for the planner, and a device that keeps a ledger and a clock instead of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

from engine.memory.blocks import Block
from engine.memory.ledger import Ledger
from engine.memory.phases import Access, Link, Phase

LINK = Link(100.0, 0.01)


@st.composite
def phases(draw: st.DrawFn, uniform: bool = False, most_repeats: int = 5) -> list[Phase]:
    """Draw up to six phases over up to three models, whose sweeps may skip and repeat blocks."""
    models = [
        [Block(name, index, 8 if uniform else draw(st.integers(1, 16))) for index in range(draw(st.integers(1, 6)))]
        for name in "abc"[: draw(st.integers(1, 3))]
    ]
    made = []
    for number in range(draw(st.integers(1, 6))):
        blocks = draw(st.lists(st.sampled_from(draw(st.sampled_from(models))), min_size=1, max_size=8))
        seconds = draw(st.lists(st.floats(0, 0.3), min_size=len(blocks), max_size=len(blocks)))
        accesses = tuple(Access(block, time) for block, time in zip(blocks, seconds, strict=True))
        activations = 8 * draw(st.integers(0, 3)) if uniform else draw(st.integers(0, 24))
        made.append(Phase(f"phase {number}", accesses, activations, draw(st.integers(1, most_repeats))))
    return made


@dataclass
class LedgerDevice:
    """Carry out loads and accesses by a virtual clock. `delays` are seconds by which single loads come late."""

    ledger: Ledger
    link: Link
    delays: Mapping[int, float] = field(default_factory=dict)
    taken: Mapping[int, int] = field(default_factory=dict)
    """Bytes that somebody else takes before the access of this number."""
    cancel_at: int = -1
    now: float = 0.0
    loaded: int = 0
    stalled: float = 0.0
    accesses: list[Block] = field(default_factory=list)
    _copied: float = 0.0
    _ready: dict[Block, float] = field(default_factory=dict)
    _loads: int = 0

    @property
    def capacity(self) -> int:
        return self.ledger.capacity

    def begin_load(self, block: Block) -> None:
        self.ledger.allocate(block, block.nbytes)
        self._copied = max(self._copied, self.now) + self.link.seconds(block.nbytes) + self.delays.get(self._loads, 0)
        self._ready[block] = self._copied
        self._loads += 1
        self.loaded += block.nbytes

    def wait(self, block: Block) -> None:
        self.stalled += max(0.0, self._ready[block] - self.now)
        self.now = max(self.now, self._ready[block])

    def enter(self, phase: Phase) -> None:
        self.leave()
        self.ledger.allocate("activations", phase.activation_bytes)

    def leave(self) -> None:
        if "activations" in self.ledger:
            self.ledger.release("activations")

    def compute(self, access: Access) -> None:
        assert self.now >= self._ready[access.block], "read before it has come"
        if len(self.accesses) == self.cancel_at:
            raise KeyboardInterrupt
        self.accesses.append(access.block)
        self.now += access.seconds
        if taken := self.taken.get(len(self.accesses)):
            self.ledger.take_away(taken)

    def drop(self, block: Block) -> None:
        self.ledger.release(block)
        del self._ready[block]  # whoever reads it now fails

    def empty_cache(self) -> None:
        pass
