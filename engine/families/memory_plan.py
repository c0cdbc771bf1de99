"""From the calls of a rehearsal to a plan of the memory, node by node, for a card that need not be here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from engine.families.profiles import NetworkCall, profile_call
from engine.families.rehearsal import NotedCall, Rehearsal
from engine.memory.accesses import accesses_of, blocks_of
from engine.memory.blocks import SMALLEST_BLOCK, Block
from engine.memory.cards import Card
from engine.memory.phases import Access, Link, Phase
from engine.memory.planning import Misfit, ResidencyPlan, make_plan, smallest_capacity, whole_plan
from engine.memory.profile import Profile, ProfileStore
from engine.memory.streamed import StreamPlan, stream_plan

__all__ = ["MemoryPlan", "NodeMemory", "plan_memory"]

LONGEST_PATTERN: Final = 8
COPY_LATENCY_S: Final = 20e-6
TILES: Final = (1024, 512, 256)
"""Sides in pixels that a VAE's work is cut into where a picture does not fit whole."""


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """What a node takes, in bytes and seconds.

    `activation_bytes` are set aside beside weights; `weight_bytes` are all that it uses, `resident_bytes` the most of
    them on the card at a time; `peak_bytes` is the most of both together, `needed_bytes` the least it could do with;
    `moved_bytes` are brought to the card. What only a plan can tell is None where nothing fits, and `peak_bytes` is
    then what is needed. `ways` say what would make a node fit that does not.
    """

    node_id: str
    models: tuple[str, ...]
    calls: int
    activation_bytes: int
    weight_bytes: int
    needed_bytes: int
    peak_bytes: int
    resident_bytes: int | None
    moved_bytes: int | None
    compute_seconds: float
    stall_seconds: float | None
    fits: bool
    ways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A plan for a whole run. `smallest_bytes` is the smallest memory of a card that could do it."""

    card: Card
    nodes: tuple[NodeMemory, ...]
    smallest_bytes: int
    plan: ResidencyPlan | None
    blocks: Mapping[str, tuple[Block, ...]]

    @property
    def fits(self) -> bool:
        """Say whether everything can run."""
        return self.plan is not None

    def to_follow(self) -> StreamPlan | None:
        """Return what streaming keeps to; None where nothing fits."""
        if self.plan is None:
            return None
        whole = whole_plan(self.plan, self.card.usable_bytes, Link(self.card.link_speed, COPY_LATENCY_S))
        return stream_plan(whole, self.blocks)


def plan_memory(rehearsal: Rehearsal, card: Card, store: ProfileStore, block_bytes: int = SMALLEST_BLOCK) -> MemoryPlan:
    """Plan the calls that were rehearsed, with blocks of at least `block_bytes`.

    Profiles that `store` lacks are made, a second or two for each.
    """
    phases: list[Phase] = []
    owners: list[Sequence[NotedCall]] = []
    maker = _Phases(rehearsal, card, store, block_bytes)
    for _, noted in groupby(rehearsal.calls, lambda one: one.node_id):
        for calls, repeats in _patterns(list(noted)):
            phases.append(maker.phase(calls, repeats))
            owners.append(calls)
    link = Link(card.link_speed, COPY_LATENCY_S)
    made = make_plan(phases, card.usable_bytes, link)
    plan = None if isinstance(made, Misfit) else made
    smallest = smallest_capacity(phases) + card.context_bytes
    nodes = [maker.node(one) for one in _by_node(phases, owners, plan)]
    return MemoryPlan(card, tuple(nodes), smallest, plan, maker.by_model)


@dataclass(frozen=True, slots=True)
class _NodePhases:
    node_id: str
    numbers: tuple[int, ...]
    phases: tuple[Phase, ...]
    calls: tuple[Sequence[NotedCall], ...]
    plan: ResidencyPlan | None


def _by_node(
    phases: Sequence[Phase], owners: Sequence[Sequence[NotedCall]], plan: ResidencyPlan | None
) -> Iterator[_NodePhases]:
    """Yield the phases of each node, in the order of their first work."""
    found: dict[str, list[int]] = {}
    for number, calls in enumerate(owners):
        found.setdefault(calls[0].node_id, []).append(number)
    for node_id, numbers in found.items():
        own = tuple(phases[number] for number in numbers)
        yield _NodePhases(node_id, tuple(numbers), own, tuple(owners[number] for number in numbers), plan)


class _Phases:
    """Makes phases of calls; keeps the blocks of each network, which all its calls share."""

    def __init__(self, rehearsal: Rehearsal, card: Card, store: ProfileStore, block_bytes: int) -> None:
        self._rehearsal, self._card, self._store = rehearsal, card, store
        self._block_bytes = block_bytes
        self.by_model: dict[str, tuple[Block, ...]] = {}
        self._blocks: dict[str, tuple[Block, ...]] = {}
        self._accesses: dict[tuple[str, NetworkCall], tuple[Access, ...]] = {}

    def phase(self, calls: Sequence[NotedCall], repeats: int) -> Phase:
        """Return the phase that runs `calls` so many times."""
        accesses = tuple(access for one in calls for access in self.accesses(one))
        most = max(self.profile(one).expandable_bytes for one in calls)
        return Phase(calls[0].node_id, accesses, self._card.set_aside(most), repeats)

    def profile(self, one: NotedCall) -> Profile:
        """Return what a call takes."""
        rehearsal = self._rehearsal
        return profile_call(
            one.recipe, one.call, rehearsal.device, rehearsal.dtype_for(one.recipe), self._store, rehearsal.fake
        )

    def accesses(self, one: NotedCall) -> tuple[Access, ...]:
        """Return the blocks that a call computes with."""
        key = f"{one.recipe.weights_key}:{one.call.kind}"
        if (key, one.call) not in self._accesses:
            profile = self.profile(one)
            if key not in self._blocks:
                self._blocks[key] = blocks_of(key, profile, self._block_bytes, 2 * self._block_bytes)
                own = self.by_model.get(one.recipe.weights_key, ())
                self.by_model[one.recipe.weights_key] = own + self._blocks[key]
            blocks = self._blocks[key]
            self._accesses[key, one.call] = accesses_of(blocks, profile, self._card)
        return self._accesses[key, one.call]

    def node(self, given: _NodePhases) -> NodeMemory:
        """Sum up what the phases of a node take."""
        calls = [one for group in given.calls for one in group]
        usable = self._card.usable_bytes
        needed = max(phase.activation_bytes + phase.largest_block for phase in given.phases)
        weights = {access.block for phase in given.phases for access in phase.accesses}
        outcomes = [given.plan.outcome.phases[number] for number in given.numbers] if given.plan else None
        counted = zip(given.calls, given.phases, strict=True)
        return NodeMemory(
            node_id=given.node_id,
            models=tuple(dict.fromkeys(f"{one.recipe.file.name} ({one.recipe.part})" for one in calls)),
            calls=sum(len(group) * phase.repeats for group, phase in counted),
            activation_bytes=max(phase.activation_bytes for phase in given.phases),
            weight_bytes=sum(block.nbytes for block in weights),
            needed_bytes=needed,
            peak_bytes=max(
                (
                    one.resident_bytes + phase.activation_bytes
                    for one, phase in zip(outcomes, given.phases, strict=True)
                ),
                default=needed,
            )
            if outcomes
            else needed,
            resident_bytes=max(one.resident_bytes for one in outcomes) if outcomes else None,
            moved_bytes=sum(one.loaded_bytes for one in outcomes) if outcomes else None,
            compute_seconds=sum(phase.seconds for phase in given.phases),
            stall_seconds=sum(one.stall_seconds for one in outcomes) if outcomes else None,
            fits=needed <= usable,
            ways=() if needed <= usable else tuple(self._ways(calls, needed)),
        )

    def _ways(self, calls: Sequence[NotedCall], needed: int) -> Iterator[str]:
        """Yield what would help a node that does not fit."""
        yield f"a card with {(needed + self._card.context_bytes) / 2**30:.1f} GiB"
        worst = max(calls, key=lambda one: self.profile(one).expandable_bytes)
        if worst.call.kind in ("decode", "encode"):
            yield from self._tiles(worst)
        if worst.call.batch > 1 and self._fits_as(worst, 1):
            yield "one picture or one side of the guidance at a time (a batch of 1, or cfg 1)"
        elif worst.call.kind not in ("decode", "encode"):
            yield "a smaller picture"

    def _tiles(self, worst: NotedCall) -> Iterator[str]:
        factor = 8 if worst.call.kind == "decode" else 1
        for side in TILES:
            cells = side // factor
            if max(worst.call.height, worst.call.width) > cells and self._fits_as(worst, 1, cells):
                yield f"tiles of {side} pixels, which the engine takes by itself when memory runs out"
                return

    def _fits_as(self, one: NotedCall, batch: int, side: int | None = None) -> bool:
        call = one.call
        smaller = NetworkCall(
            call.kind, batch, side or call.height, side or call.width, call.tokens, call.residuals, call.features
        )
        accesses = self.accesses(one)
        profile = self.profile(NotedCall(one.node_id, one.recipe, smaller))
        largest = max(access.block.nbytes for access in accesses)
        return self._card.set_aside(profile.expandable_bytes) + largest <= self._card.usable_bytes


def _patterns(calls: list[NotedCall]) -> Iterator[tuple[list[NotedCall], int]]:
    """Cut calls into stretches that repeat: yields (the calls of one round, how many rounds)."""
    at = 0
    while at < len(calls):
        best, rounds = 1, 1
        for width in range(1, min(LONGEST_PATTERN, (len(calls) - at) // 2) + 1):
            count = 1
            while calls[at + count * width : at + (count + 1) * width] == calls[at : at + width]:
                count += 1
            if count > 1 and count * width > best * rounds:
                best, rounds = width, count
        yield calls[at : at + best], rounds
        at += best * rounds
