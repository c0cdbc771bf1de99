"""Decide what lies in RAM: whole networks that give way to one another, or parts of them whose rest is made anew.

Several ways are planned, on the disk and on the device's clock, and the one that takes the fewest seconds is taken:

- whole networks, as long as those that are needed together fit;
- parts of the networks that do not fit beside those they are needed with;
- parts of all, so that nothing is read again that was held once.

What a part holds is chosen by what its weights save, for their bytes, over all loads of their blocks that are planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.families.building import measure_module, weight_costs
from engine.families.rehearsal import Rehearsal
from engine.memory.blocks import Block
from engine.memory.making import DISK_SPEED, Held, WeightCost, choose_held, made_anew
from engine.memory.phases import Link
from engine.memory.planning import ResidencyPlan
from engine.memory.ram_tier import RamPlan, Use, plan_ram
from engine.weights.recipe import ModelRecipe

__all__ = ["RamChoice", "RamPart", "choose_ram"]

Replan = Callable[[Link], ResidencyPlan]
"""Plans the device once more, for loads that take longer."""


@dataclass(frozen=True, slots=True)
class RamPart:
    """What a network holds that does not hold all that is used: bytes held, bytes of the rest, and what making the
    rest takes in bytes and seconds over all loads of its blocks; `blocks_anew` of its `blocks` have weights that are
    made.
    """

    model: str
    held_bytes: int
    anew_bytes: int
    blocks: int
    blocks_anew: int
    made_bytes: int
    made_seconds: float


@dataclass(frozen=True, slots=True)
class RamChoice:
    """What was decided: the plan of RAM and that of the device, and how fast loads are for it.

    `needed_bytes` is the smallest budget of RAM that could do, None where nobody asked: the given one holds what is
    needed. `anew` are the bytes that are made for each load of a
    block, `parts` the networks that hold a part.
    """

    ram: RamPlan
    plan: ResidencyPlan | None
    link: Link
    needed_bytes: int | None = None
    anew: Mapping[Block, int] = field(default_factory=dict)
    parts: tuple[RamPart, ...] = ()


@dataclass(frozen=True, slots=True)
class _Networks:
    """The networks of a plan, by key: bytes as they are computed with, and what each of their weights takes."""

    sizes: Mapping[str, int]
    costs: Mapping[str, Mapping[str, WeightCost]]

    def partial(self, keys: Sequence[str]) -> dict[str, Mapping[str, WeightCost]]:
        """Return the costs of those of some networks that may hold a part."""
        return {key: self.costs[key] for key in dict.fromkeys(keys) if key in self.costs}

    def least(self, uses: Sequence[Use]) -> int:
        """Return the fewest bytes of RAM that do: with nothing but adapters of what need not be whole, or all whole."""
        parts = choose_held(self.costs, 0)
        aside = max((one.passing_bytes for one in parts.values()), default=0)
        least = max(
            (sum(parts[key].nbytes if key in parts else self.sizes[key] for key in use) for use in uses), default=0
        )
        return min(aside + least, max((sum(self.sizes[key] for key in use) for use in uses), default=0))

    def seconds(self, key: str, held: Held | None) -> float:
        """Return how long it takes to bring into RAM what a network holds."""
        if key not in self.costs:
            return self.sizes[key] / DISK_SPEED
        return sum(cost.seconds for name, cost in self.costs[key].items() if held is None or name in held.names)


def choose_ram(
    uses: Sequence[Use],
    recipes: Mapping[str, ModelRecipe],
    rehearsal: Rehearsal,
    limit: int | None,
    blocks: Mapping[str, Sequence[Block]],
    plan: ResidencyPlan | None,
    link: Link,
    replan: Replan,
) -> RamChoice:
    """Choose for networks that are needed as `uses` say, within `limit` bytes of RAM (None: no limit).

    `blocks` are those of each network, `plan` is the device's where loads take what `link` says.
    """
    facts = {key: (recipe, rehearsal.device, rehearsal.dtype_for(recipe)) for key, recipe in recipes.items()}
    sizes = {key: measure_module(*given) for key, given in facts.items()}
    whole = plan_ram(uses, sizes, limit)
    if limit is None or (not whole.over and whole.read_bytes == sum(sizes.values())):
        return RamChoice(whole, plan, link)
    costs = {key: found for key, given in facts.items() if (found := weight_costs(*given)) is not None}
    networks = _Networks(sizes, costs)
    best = RamChoice(whole, plan, link, networks.least(uses))
    if plan is None:
        return best
    fewest = _seconds(networks, whole, plan)
    for held in _ways(networks, uses, limit, _loads(plan, blocks)):
        aside = max((one.passing_bytes for one in held.values()), default=0)
        if aside > limit or (ram := _within(networks, uses, limit - aside, held)).over:
            continue
        anew: dict[Block, tuple[int, float]] = {}
        for key, one in held.items():
            anew |= made_anew(blocks[key], costs[key], one.names)
        slower = replace(link, making={block: seconds for block, (_, seconds) in anew.items()})
        made = replan(slower)
        if best.ram.over or _seconds(networks, ram, made) < fewest:
            bytes_anew = {block: nbytes for block, (nbytes, _) in anew.items()}
            best = replace(best, ram=ram, plan=made, link=slower, anew=bytes_anew)
            fewest = _seconds(networks, ram, made)
    return replace(best, parts=tuple(_parts(best, recipes, blocks)))


def _parts(
    best: RamChoice, recipes: Mapping[str, ModelRecipe], blocks: Mapping[str, Sequence[Block]]
) -> Iterator[RamPart]:
    """Yield what is to be told of the networks that hold a part."""
    assert best.plan is not None
    loads = _block_loads(best.plan)
    for key, held in best.ram.held.items():
        recipe, anew = recipes[key], [block for block in blocks[key] if block in best.anew]
        if anew:
            yield RamPart(
                f"{recipe.file.name} ({recipe.part})",
                held.nbytes,
                sum(best.anew[block] for block in anew),
                len(blocks[key]),
                len(anew),
                sum(loads[block] * best.anew[block] for block in anew),
                sum(loads[block] * best.link.making[block] for block in anew),
            )


def _ways(
    networks: _Networks, uses: Sequence[Use], limit: int, loads: Mapping[tuple[str, str], int]
) -> Iterator[dict[str, Held]]:
    """Yield what networks hold that do not hold all: those that do not fit otherwise, then all."""
    tight: dict[str, Held] = {}
    for use in sorted(uses, key=lambda use: -sum(networks.sizes[key] for key in use)):
        fixed = sum(tight[key].nbytes if key in tight else 0 for key in use)
        open_keys = [key for key in use if key not in tight]
        aside = max((one.passing_bytes for one in tight.values()), default=0)
        if fixed + aside + sum(networks.sizes[key] for key in open_keys) > limit:
            tight |= _shared(networks, open_keys, limit - fixed, loads)
    if tight:
        yield tight
    yield _shared(networks, list(networks.sizes), limit, loads)


def _shared(
    networks: _Networks, keys: Sequence[str], room: int, loads: Mapping[tuple[str, str], int]
) -> dict[str, Held]:
    """Return what networks hold together in `room`, those that have to be whole beside them."""
    whole = sum(networks.sizes[key] for key in keys if key not in networks.costs)
    return choose_held(networks.partial(keys), room - whole, loads)


def _within(networks: _Networks, uses: Sequence[Use], limit: int, held: Mapping[str, Held]) -> RamPlan:
    sizes = {**networks.sizes, **{key: one.nbytes for key, one in held.items()}}
    return replace(plan_ram(uses, sizes, limit), held=held)


def _loads(plan: ResidencyPlan, blocks: Mapping[str, Sequence[Block]]) -> Counter[tuple[str, str]]:
    """Count how often each (network, weight) is brought to the device."""
    network = {block: key for key, own in blocks.items() for block in own}
    counted: Counter[tuple[str, str]] = Counter()
    for block, times in _block_loads(plan).items():
        counted.update({(network[block], name): times for name in block.tensors})
    return counted


def _block_loads(plan: ResidencyPlan) -> Counter[Block]:
    """Count how often each block is brought to the device."""
    timeline = plan.timeline
    counted: Counter[Block] = Counter()
    for load in plan.loads:
        counted[timeline.blocks[timeline.order[load.access]]] += timeline.times[load.access]
    return counted


def _seconds(networks: _Networks, ram: RamPlan, plan: ResidencyPlan) -> float:
    """Return the seconds that a way takes beside computing: bringing into RAM, and waiting on the device."""
    reading = sum(networks.seconds(key, ram.held.get(key)) for read in ram.reads for key in read)
    return reading + plan.outcome.stall_seconds
