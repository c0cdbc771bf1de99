"""What is held in RAM and what is made anew: within the room, the most seconds saved, and counted by the clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.memory.blocks import Block
from engine.memory.making import Held, WeightCost, choose_held, made_anew
from engine.memory.phases import Access, Link, Phase
from engine.memory.planning import ResidencyPlan, make_plan
from engine.memory.simulation import simulate

COSTS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(
        WeightCost, st.integers(1, 99), st.integers(1, 99), st.booleans(), st.sampled_from((0, 0, 7)), st.just(10**9)
    ),
    min_size=1,
)


def seconds(costs: dict[str, WeightCost], held: Held) -> float:
    return sum(cost.seconds for name, cost in costs.items() if name not in held.names)


@settings(max_examples=200, deadline=None)
@given(COSTS, COSTS, st.integers(0, 1200))
def test_within_the_room_and_no_more_made_with_more_room(
    one: dict[str, WeightCost], other: dict[str, WeightCost], room: int
) -> None:
    costs = {"one": one, "other": other}
    held = choose_held(costs, room)
    nothing = choose_held(costs, 0)
    if sum(part.nbytes for part in nothing.values()) + max(part.passing_bytes for part in nothing.values()) <= room:
        assert sum(part.nbytes for part in held.values()) + max(part.passing_bytes for part in held.values()) <= room
    for key, part in held.items():
        own = costs[key]
        rest = [cost for name, cost in own.items() if name not in part.names]
        assert part.anew_bytes == sum(cost.nbytes for cost in rest)
        assert part.nbytes == sum(own[name].nbytes for name in part.names) + sum(cost.factor_bytes for cost in rest)
    all_held = choose_held(costs, 1 << 40)
    assert all(part.names == set(costs[key]) and not part.anew_bytes for key, part in all_held.items())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(0, 70))
def test_fewest_seconds_of_all_ways(loads: list[int], room: int) -> None:
    """Weights of one size: every choice is tried."""
    costs = {str(number): WeightCost(10, 10) for number in range(len(loads))}
    times = {("net", name): loads[int(name)] for name in costs}
    held = choose_held({"net": costs}, room, times)["net"]
    count = max(0, room - 10) // 10
    best = min(
        sum(loads[int(name)] for name in costs if name not in chosen)
        for chosen in itertools.combinations(costs, min(count, len(costs)))
    )
    assert sum(loads[int(name)] for name in costs if name not in held.names) == best


def test_what_takes_longer_to_make_is_held_first() -> None:
    costs = {"mapped": WeightCost(10, 10), "patched": WeightCost(10, 10, False, 1, 10**9)}
    assert choose_held({"net": costs}, 31)["net"].names == {"patched"}
    never = choose_held({"net": costs}, 31, {("net", "mapped"): 3})["net"]
    assert never.names == {"mapped"}  # the other is never brought


def test_the_clock_counts_what_is_made() -> None:
    blocks = [Block("net", number, 100, (f"w{number}",)) for number in range(4)]
    costs = {f"w{number}": WeightCost(100, 3_000_000_000) for number in range(4)}
    anew = made_anew(blocks, costs, {"w1", "w2", "w3"})
    assert anew == {blocks[0]: (100, 1.0)}
    phase = Phase("node", tuple(Access(block, 0.1) for block in blocks), repeats=3)
    plain, slow = Link(100.0), Link(100.0, making={blocks[0]: 1.0})
    made = make_plan([phase], 250, plain)
    assert isinstance(made, ResidencyPlan)
    timeline = made.timeline
    delays = [1.0 if timeline.order[load.access] == 0 else 0.0 for load in made.loads]
    outcome = simulate(timeline, made.loads, slow)
    assert outcome == simulate(timeline, made.loads, plain, delays)
    assert outcome.stall_seconds == pytest.approx(made.outcome.stall_seconds + sum(delays))
