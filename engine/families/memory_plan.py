"""From the calls of a rehearsal to a plan of the memory, node by node, for a card that need not be here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Literal

from engine.families.building import empty_module
from engine.families.corrections import corrected, work_facts
from engine.families.profiles import NetworkCall, profile_call
from engine.families.ram_plan import RamChoice, choose_ram
from engine.families.rehearsal import NotedCall, Rehearsal, UnknownWork
from engine.memory.accesses import accesses_of, blocks_of
from engine.memory.around import phase_after, phase_before
from engine.memory.blocks import SMALLEST_BLOCK, Block
from engine.memory.budgets import NO_BUDGETS, Budgets
from engine.memory.cards import Card
from engine.memory.measured import MeasuredStore
from engine.memory.phases import Access, Link, Phase
from engine.memory.planning import Misfit, ResidencyPlan, make_plan, smallest_capacity, whole_plan
from engine.memory.profile import Profile, ProfileStore
from engine.memory.ram_tier import RamPlan
from engine.memory.stream_plan import StreamPlan, stream_plan
from engine.memory.streaming_residency import blocks_of_module
from engine.weights.recipe import ModelRecipe

__all__ = ["Around", "Basis", "MemoryPlan", "NodeMemory", "plan_memory"]

Basis = Literal["predicted", "measured", "unknown"]
"""How it is known what a node takes."""

LONGEST_PATTERN: Final = 8
COPY_LATENCY_S: Final = 20e-6
TILES: Final = (1024, 512, 256)
"""Sides in pixels that a VAE's work is cut into where a picture does not fit whole."""
NOTHING: Final = Block("", 0, 0)
"""Stands where a node works without a weight that anybody knows of: what stays meanwhile is decided there, too."""


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """What a node takes, in bytes and seconds.

    `activation_bytes` are set aside beside weights; `weight_bytes` are all that it uses, `resident_bytes` the most of
    them on the card at a time; `peak_bytes` is the most of both together, `needed_bytes` the least it could do with;
    `moved_bytes` are brought to the card. What only a plan can tell is None where nothing fits, and `peak_bytes` is
    then what is needed. `ways` say what would make a node fit that does not. `basis` says how it is known what
    it takes: predicted, measured in its last run (nodes of packs), or not at all (such a node before its first run).
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
    basis: Basis = "predicted"


@dataclass(frozen=True, slots=True)
class Around:
    """What a run finds and what comes after it: blocks that are on the device, by model, and the work of the next run
    as far as anybody knows it."""

    resident: Mapping[str, Sequence[Block]] = field(default_factory=dict)
    coming: Sequence[NotedCall | UnknownWork] = ()


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A plan for a whole run. `smallest_bytes` is the smallest memory of a card that could do it.

    `capacities` are what weights and activations may take together in each phase; `optional` are the phases of nodes
    that may do something else, `own` those of the run, which has others around it where it is one of several. `chosen`
    is what the machine's own memory and its disk do, `work` under which facts it is kept what nodes are measured to
    take.
    """

    card: Card
    nodes: tuple[NodeMemory, ...]
    smallest_bytes: int
    plan: ResidencyPlan | None
    blocks: Mapping[str, tuple[Block, ...]]
    capacities: tuple[int, ...] = ()
    optional: frozenset[int] = frozenset()
    chosen: RamChoice | None = None
    work: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    own: range | None = None

    @property
    def ram(self) -> RamPlan | None:
        """Return the plan of the machine's own memory."""
        return None if self.chosen is None else self.chosen.ram

    @property
    def fits(self) -> bool:
        """Say whether everything can run."""
        return self.plan is not None

    def to_follow(self) -> StreamPlan | None:
        """Return what streaming keeps to; None where nothing fits."""
        if self.plan is None or self.chosen is None:
            return None
        whole = whole_plan(self.plan, self.capacities, self.chosen.link)
        return stream_plan(whole, self.blocks, self.optional, self.own)


def plan_memory(
    rehearsal: Rehearsal,
    card: Card,
    store: ProfileStore,
    block_bytes: int = SMALLEST_BLOCK,
    budgets: Budgets = NO_BUDGETS,
    measured: MeasuredStore | None = None,
    around: Around | None = None,
) -> MemoryPlan:
    """Plan the calls that were rehearsed, with blocks of at least `block_bytes`; see `Around` for a run among others.

    What `measured` knows of the same work on a device of this name is believed more than what is predicted. Of
    `budgets` those of weights count, on the card and in RAM; `card` is what the others leave of it.

    Profiles that `store` lacks are made, a second or two for each.
    """
    maker = _Phases(rehearsal, card, store, block_bytes)
    drafts = list(_drafts(rehearsal.calls))
    made = {draft: maker.phase(draft) for draft in drafts if draft.calls}
    phases = [made[draft] if draft.calls else maker.unknown_phase(draft) for draft in drafts]
    works = _works(drafts, card, maker)
    phases, known = corrected(phases, works, card, measured or MeasuredStore(None))
    smallest = smallest_capacity(phases) + card.context_bytes
    own = range(len(phases))
    if around is not None:
        coming = list(maker.blocks_for(around.coming))
        before = phase_before(around.resident, maker.by_model)
        after = phase_after(coming, phases, before, min(card.usable_bytes, budgets.weight_bytes or card.usable_bytes))
        phases, own = [before, *phases, after], range(1, 1 + len(phases))
    unknown = {number for number, draft in zip(own, drafts, strict=True) if draft.basis == "unknown"}
    capacities = tuple(
        phase.largest_block if number in unknown else _within(card.usable_bytes, phase, budgets.weight_bytes)
        for number, phase in enumerate(phases)
    )
    link = Link(card.link_speed, COPY_LATENCY_S)
    found = make_plan(phases, capacities, link)
    first = None if isinstance(found, Misfit) else found

    def replan(link: Link) -> ResidencyPlan:
        again = make_plan(phases, capacities, link)
        assert not isinstance(again, Misfit)
        return again

    uses, recipes = _uses(drafts)
    chosen = choose_ram(uses, recipes, rehearsal, budgets.ram_bytes, maker.by_model, first, link, replan)
    plan = chosen.plan
    learnt = {draft.node_id for draft, is_known in zip(drafts, known, strict=True) if is_known}
    nodes = [maker.node(one, one.node_id in learnt) for one in _by_node(phases, own, drafts, plan)]
    optional = frozenset(number for number, draft in zip(own, drafts, strict=True) if not draft.calls)
    work = {draft.node_id: facts for draft, facts in zip(drafts, works, strict=True) if facts}
    return MemoryPlan(card, tuple(nodes), smallest, plan, maker.by_model, capacities, optional, chosen, work, own)


def _works(drafts: Sequence[_Draft], card: Card, maker: _Phases) -> list[dict[str, Any]]:
    """Return for each phase the facts of all the work of its node; empty ones where that is not known."""
    calls: dict[str, list[tuple[str, NetworkCall, int]]] = {}
    for draft in drafts:
        made = [(one.recipe.weights_key, one.call, draft.repeats) for one in draft.calls]
        calls.setdefault(draft.node_id, []).extend(made)
    facts = {node: work_facts(card, maker.dtype, made) for node, made in calls.items() if made}
    return [facts.get(draft.node_id, {}) for draft in drafts]


def _uses(drafts: Sequence[_Draft]) -> tuple[list[tuple[str, ...]], dict[str, ModelRecipe]]:
    """Return which networks are needed together, in order, and the recipe of each."""
    uses: list[tuple[str, ...]] = []
    recipes: dict[str, ModelRecipe] = {}
    for draft in drafts:
        used = {one.weights_key: one for one in (*(call.recipe for call in draft.calls), *draft.recipes)}
        recipes |= used
        if used and (not uses or uses[-1] != tuple(used)):
            uses.append(tuple(used))
    return uses, recipes


def _within(usable: int, phase: Phase, weight_bytes: int | None) -> int:
    return usable if weight_bytes is None else min(usable, phase.activation_bytes + weight_bytes)


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """What becomes a phase: calls that are made so many times, or work of which only the models are known.

    `held` are bytes that a node was measured to hold, beside what is predicted for its calls.
    """

    node_id: str
    calls: Sequence[NotedCall]
    repeats: int
    held: int
    recipes: tuple[ModelRecipe, ...]
    basis: Basis


def _drafts(noted: Sequence[NotedCall | UnknownWork]) -> Iterator[_Draft]:
    """Yield drafts in order. Of a node that calls its models through the engine the calls are believed."""
    for node_id, some in groupby(noted, lambda one: one.node_id):
        work = list(some)
        calls = [one for one in work if isinstance(one, NotedCall)]
        unknown = [one for one in work if isinstance(one, UnknownWork)]
        held = max((one.peak_bytes or 0 for one in unknown), default=0)
        for group, repeats in _patterns(calls):
            yield _Draft(node_id, group, repeats, held, (), "predicted")
        if not calls:
            for one in unknown:
                basis: Basis = "unknown" if one.peak_bytes is None else "measured"
                yield _Draft(node_id, (), 1, held, one.recipes, basis)


@dataclass(frozen=True, slots=True)
class _NodePhases:
    node_id: str
    numbers: tuple[int, ...]
    phases: tuple[Phase, ...]
    drafts: tuple[_Draft, ...]
    plan: ResidencyPlan | None


def _by_node(
    phases: Sequence[Phase], numbers: range, drafts: Sequence[_Draft], plan: ResidencyPlan | None
) -> Iterator[_NodePhases]:
    """Yield the phases of each node, in the order of their first work; `numbers` are those of the drafts' phases."""
    found: dict[str, list[int]] = {}
    for place, draft in enumerate(drafts):
        found.setdefault(draft.node_id, []).append(place)
    for node_id, places in found.items():
        own = tuple(numbers[place] for place in places)
        of_node = tuple(phases[number] for number in own)
        yield _NodePhases(node_id, own, of_node, tuple(drafts[place] for place in places), plan)


class _Phases:
    """Makes phases of calls; keeps the blocks of each network, which all its calls share."""

    def __init__(self, rehearsal: Rehearsal, card: Card, store: ProfileStore, block_bytes: int) -> None:
        self._rehearsal, self._card, self._store = rehearsal, card, store
        self._block_bytes = block_bytes
        self.by_model: dict[str, tuple[Block, ...]] = {}
        self._blocks: dict[str, tuple[Block, ...]] = {}
        self._accesses: dict[tuple[str, NetworkCall], tuple[Access, ...]] = {}

    def phase(self, draft: _Draft) -> Phase:
        """Return the phase that makes the calls of a draft."""
        accesses = tuple(access for one in draft.calls for access in self.accesses(one))
        most = max(self.profile(one).expandable_bytes for one in draft.calls)
        return Phase(draft.node_id, accesses, self._card.set_aside(max(most, draft.held)), draft.repeats)

    def unknown_phase(self, draft: _Draft) -> Phase:
        """Return the phase of a node that may use all of its models; every known phase must have been made."""
        blocks = [block for recipe in draft.recipes for block in self._blocks_of(recipe)] or [NOTHING]
        held = self._card.set_aside(draft.held) if draft.basis == "measured" else 0
        return Phase(draft.node_id, tuple(Access(block, 0.0) for block in blocks), held)

    def blocks_for(self, work: Sequence[NotedCall | UnknownWork]) -> Iterator[Block]:
        """Yield the blocks that other work will compute with, in order."""
        for one in dict.fromkeys(work):
            if isinstance(one, NotedCall):
                yield from (access.block for access in self.accesses(one))
            else:
                for recipe in one.recipes:
                    yield from self._blocks_of(recipe)

    def _blocks_of(self, recipe: ModelRecipe) -> tuple[Block, ...]:
        """Return the blocks of a network: those of its calls, or all where nobody calls it."""
        key = recipe.weights_key
        if key not in self.by_model:
            network = empty_module(recipe, self._rehearsal.device, self._rehearsal.dtype_for(recipe))
            self.by_model[key] = blocks_of_module(key, network, self._block_bytes)
        return self.by_model[key]

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

    @property
    def dtype(self) -> str:
        """Return the number format that was asked for."""
        return self._rehearsal.wanted_dtype

    def node(self, given: _NodePhases, is_measured: bool) -> NodeMemory:
        """Sum up what the phases of a node take."""
        calls = [one for draft in given.drafts for one in draft.calls]
        recipes = dict.fromkeys(recipe for draft in given.drafts for recipe in draft.recipes)
        usable = self._card.usable_bytes
        needed = max(phase.activation_bytes + phase.largest_block for phase in given.phases)
        weights = {access.block for phase in given.phases for access in phase.accesses}
        outcomes = [given.plan.outcome.phases[number] for number in given.numbers] if given.plan else None
        bases = [draft.basis for draft in given.drafts]
        return NodeMemory(
            node_id=given.node_id,
            models=tuple(
                dict.fromkeys(f"{one.file.name} ({one.part})" for one in (*(call.recipe for call in calls), *recipes))
            ),
            calls=sum(len(draft.calls) * draft.repeats for draft in given.drafts),
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
            basis="unknown"
            if "unknown" in bases
            else "measured"
            if is_measured or "measured" in bases
            else "predicted",
        )

    def _ways(self, calls: Sequence[NotedCall], needed: int) -> Iterator[str]:
        """Yield what would help a node that does not fit."""
        yield f"a card with {(needed + self._card.context_bytes) / 2**30:.1f} GiB"
        if not calls:
            return
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
