"""Plans: fewest bytes, never over the limits, never slower than simpler ways, and soon made."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan_cases import LINK, phases

from engine.memory import planning
from engine.memory.blocks import Block, cut_into_blocks
from engine.memory.keeping import keep_by_next_use, keep_by_recency
from engine.memory.phases import Access, Link, Phase, Timeline, lay_out
from engine.memory.planning import Misfit, ResidencyPlan, make_plan, smallest_capacity, whole_plan
from engine.memory.queue_order import Job, batched, grouped, order_queue, submitted
from engine.memory.simulation import most_held, schedule_loads, simulate

GIB = 1 << 30
MIB = 1 << 20


def loaded(timeline: Timeline, kept: Sequence[int]) -> int | None:
    """Count the bytes that `kept` makes necessary; None where they do not fit."""
    held, here, total = 0, set(), 0
    for at, block in enumerate(timeline.order):
        size = timeline.sizes[block]
        if block not in here:
            total += size
            held += size
        if held > timeline.limits[at]:
            return None
        if kept[at] and timeline.following[at] < len(timeline):
            here.add(block)
        else:
            here.discard(block)
            held -= size
    return total


@settings(max_examples=80, deadline=None)
@given(phases(uniform=True, most_repeats=1), st.integers(0, 48))
def test_fewest_bytes_of_all_ways(work: list[Phase], spare: int) -> None:
    timeline = lay_out(work, smallest_capacity(work) + spare, whole=True)
    gaps = [at for at in range(len(timeline)) if timeline.following[at] < len(timeline)]
    assume(len(gaps) <= 9)
    ways = []
    for bits in itertools.product((0, 1), repeat=len(gaps)):
        kept = bytearray(len(timeline))
        for at, bit in zip(gaps, bits, strict=True):
            kept[at] = bit
        ways.append(loaded(timeline, kept))
    assert loaded(timeline, keep_by_next_use(timeline)) == min(way for way in ways if way is not None)


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64), st.integers(0, 32))
def test_never_more_than_the_limit(work: list[Phase], spare: int, room: int) -> None:
    timeline = lay_out(work, smallest_capacity(work) + spare, whole=True)
    for kept, depth in ((keep_by_next_use(timeline, room), None), (keep_by_recency(timeline), 2)):
        made = schedule_loads(timeline, kept, depth)
        assert made is not None
        held = most_held(timeline, made.loads)
        assert all(most <= limit for most, limit in zip(held, timeline.limits, strict=True))


@settings(max_examples=80, deadline=None)
@given(phases(uniform=True), st.integers(0, 8))
def test_more_memory_never_moves_more(work: list[Phase], spare: int) -> None:
    least = smallest_capacity(work)
    bytes_at = [
        loaded(t, keep_by_next_use(t)) for t in (lay_out(work, least + 8 * more) for more in (spare, spare + 1))
    ]
    assert bytes_at[1] is not None and bytes_at[0] is not None and bytes_at[1] <= bytes_at[0]


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64))
def test_never_slower_than_simpler_ways(work: list[Phase], spare: int) -> None:
    capacity = smallest_capacity(work) + spare
    plan = make_plan(work, capacity, LINK)
    assert isinstance(plan, ResidencyPlan)
    recency = schedule_loads(plan.timeline, keep_by_recency(plan.timeline), 2)
    assert recency is not None
    tolerance = 1e-3 * plan.timeline.compute_seconds + 1e-9
    assert plan.outcome.stall_seconds <= simulate(plan.timeline, recency.loads, LINK).stall_seconds + tolerance
    assert plan == make_plan(work, capacity, LINK)  # deterministic


@settings(max_examples=60, deadline=None)
@given(phases(), st.integers(0, 60))
def test_more_ways_are_taken_only_where_they_are_better(work: list[Phase], spare: int) -> None:
    capacity = smallest_capacity(work) + spare
    made = make_plan(work, capacity, LINK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "FEW_ACCESSES", -1)
        plain = make_plan(work, capacity, LINK)
    assert isinstance(made, ResidencyPlan) and isinstance(plain, ResidencyPlan)
    assert made.outcome.loaded_bytes <= plain.outcome.loaded_bytes
    if made.room != made.sweep_room:
        assert made.outcome.stall_seconds <= plain.outcome.stall_seconds + 1e-9


def least_recently_used(work: Sequence[Phase], capacity: int) -> int:
    """Return the bytes that whole models loaded on demand move, the one used longest ago giving way."""
    here: OrderedDict[str, int] = OrderedDict()
    moved = 0
    for phase in work:
        name, size = phase.accesses[0].block.model, phase.weight_bytes
        if name not in here:
            while here and sum(here.values()) + size + phase.activation_bytes > capacity:
                here.popitem(last=False)
            moved += size
        here[name] = size
        here.move_to_end(name)
    return moved


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=8), st.integers(0, 8))
def test_never_slower_than_loading_whole_models(jobs: list[tuple[int, int]], spare: int) -> None:
    sweeps = [tuple(Access(Block("abc"[m], i, 8), 0.1) for i in range(2 + m)) for m in range(3)]
    work = [Phase("", sweeps[model], 8 * activations) for model, activations in jobs]
    capacity = max(phase.weight_bytes + phase.activation_bytes for phase in work) + 8 * spare
    plan = make_plan(work, capacity, Link(100.0))
    assert isinstance(plan, ResidencyPlan)
    tolerance = 1e-3 * plan.outcome.compute_seconds
    assert plan.outcome.stall_seconds <= least_recently_used(work, capacity) / 100.0 + tolerance


@settings(max_examples=80, deadline=None)
@given(phases(most_repeats=9), st.integers(0, 64))
def test_typical_sweeps_stand_for_all(work: list[Phase], spare: int) -> None:
    capacity = smallest_capacity(work) + spare
    plan = make_plan(work, capacity, LINK)
    assert isinstance(plan, ResidencyPlan)
    whole = whole_plan(plan, capacity, LINK)
    assert len(whole.timeline) == sum(len(phase.accesses) * phase.repeats for phase in work)
    held = most_held(whole.timeline, whole.loads)
    assert all(most <= limit for most, limit in zip(held, whole.timeline.limits, strict=True))


def cyclic(blocks: int, mib: int, seconds: float, steps: int, activations: int = 0, model: str = "m") -> Phase:
    sweep = tuple(Access(Block(model, i, mib * MIB), seconds / blocks) for i in range(blocks))
    return Phase("sample", sweep, activations, steps)


def test_bytes_of_a_plan_are_those_of_all_sweeps() -> None:
    """A model of 4 GiB swept over 20 times in 3 GiB: what does not fit is loaded each time, and no more."""
    work = [cyclic(128, 32, 2.0, 20)]
    plan = make_plan(work, 3 * GIB, Link(12e9))
    assert isinstance(plan, ResidencyPlan)
    whole = whole_plan(plan, 3 * GIB, Link(12e9))
    assert whole.outcome.loaded_bytes == plan.outcome.loaded_bytes
    assert whole.outcome.stall_seconds == pytest.approx(plan.outcome.stall_seconds, abs=0.02)
    fewest = 4 * GIB + 19 * GIB
    assert fewest <= plan.outcome.loaded_bytes <= fewest * 1.15  # room for loads under way is not for keeping
    assert plan.outcome.stall_seconds < 0.02 * plan.outcome.compute_seconds


def test_recency_knows_only_the_past() -> None:
    """What is loaded until some moment does not depend on what comes after it."""
    past = [cyclic(8, 32, 1.0, 2), cyclic(4, 32, 1.0, 2, model="n"), cyclic(8, 32, 1.0, 2)]
    futures: list[list[Phase]] = [[], [past[0]], [cyclic(6, 32, 1.0, 1, 100 * MIB, model="o"), past[1]]]
    seen = []
    for future in futures:
        timeline = lay_out([*past, *future], 300 * MIB)
        made = schedule_loads(timeline, keep_by_recency(timeline), 2)
        assert made is not None
        seen.append([load for load in made.loads if load.access < len(lay_out(past, GIB))])
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) > 12  # something gave way in between


def test_too_small_for_a_block() -> None:
    work = [cyclic(4, 32, 1.0, 1), cyclic(4, 48, 1.0, 1, activations=100 * MIB, model="n")]
    assert make_plan(work, 147 * MIB, LINK) == Misfit(1, 148 * MIB)
    assert isinstance(make_plan(work, 148 * MIB, LINK), ResidencyPlan)
    assert smallest_capacity(work) == 148 * MIB


def queue(count: int) -> list[Job]:
    """Return jobs that alternate between two checkpoints of SDXL's size: two prompts, 20 steps, a picture."""
    jobs = []
    for number in range(count):
        name = "ab"[number % 2]
        text = cyclic(40, 32, 0.04, 1, 100 * MIB, f"text {name}")
        sample = cyclic(155, 32, 0.76, 20, 500 * MIB, f"unet {name}")
        decode = cyclic(4, 24, 0.52, 1, int(2.4 * GIB), f"vae {name}")
        jobs.append(Job((text, text, sample, decode), 2 * MIB))
    return jobs


def test_fifty_jobs_are_planned_within_a_second() -> None:
    work = [phase for job in queue(50) for phase in job.phases]
    taken = float("inf")
    for _ in range(3):  # others may be using the machine
        begin = time.process_time()
        plan = make_plan(work, int(7.45 * GIB), Link(12e9))
        taken = min(taken, time.process_time() - begin)
    assert isinstance(plan, ResidencyPlan)
    assert taken < 1.0
    assert taken < 0.01 * plan.outcome.seconds


def test_very_long_queues_are_planned_ever_more_simply(monkeypatch: pytest.MonkeyPatch) -> None:
    work = [phase for job in queue(4) for phase in job.phases]
    ways = []
    for many, most in ((10**6, 10**6), (10, 10**6), (10, 10)):
        monkeypatch.setattr(planning, "MANY_ACCESSES", many)
        monkeypatch.setattr(planning, "MOST_ACCESSES", most)
        plan = make_plan(work, int(7.45 * GIB), Link(12e9))
        assert isinstance(plan, ResidencyPlan)
        ways.append(plan)
    assert [plan.policy for plan in ways] == ["next use", "next use", "recency"]
    assert ways[0].outcome.stall_seconds <= ways[1].outcome.stall_seconds <= ways[2].outcome.stall_seconds


def test_batched_jobs_load_each_checkpoint_once() -> None:
    jobs = queue(8)
    found = order_queue(jobs, int(7.45 * GIB), Link(12e9), GIB)
    assert not isinstance(found, Misfit)
    as_submitted = make_plan([phase for job in jobs for phase in job.phases], int(7.45 * GIB), Link(12e9))
    assert isinstance(as_submitted, ResidencyPlan)
    once = sum({(a.block): a.block.nbytes for job in jobs for phase in job.phases for a in phase.accesses}.values())
    assert found.plan.outcome.loaded_bytes <= 1.05 * once
    assert as_submitted.outcome.loaded_bytes > 2.9 * once
    assert found.plan.outcome.seconds <= as_submitted.outcome.seconds


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=9), st.integers(0, 6))
def test_orders_run_every_phase_once_after_the_one_before(kinds: list[int], ram: int) -> None:
    works = [(cyclic(2, 1, 1, 1, model="x"),), (cyclic(1, 1, 1, 1, model="y"), cyclic(2, 1, 1, 2, model="x"))]
    works.append((cyclic(1, 1, 1, 1, model="y"),) * 3)
    jobs = [Job(works[kind], 2) for kind in kinds]
    for steps in (submitted(jobs), grouped(jobs), batched(jobs, ram)):
        assert sorted((step.job, step.phase) for step in steps) == [(s.job, s.phase) for s in submitted(jobs)]
        done: dict[int, int] = {}
        waiting, most = 0, 0
        for step in steps:
            assert step.phase == done.get(step.job, 0)
            done[step.job] = step.phase + 1
            waiting += 2 * (step.phase == 0) - 2 * (step.phase == len(jobs[step.job].phases) - 1)
            most = max(most, waiting)
        assert most <= max(ram, 2)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=3), max_size=20), st.integers(1, 30))
def test_blocks_hold_every_tensor_once_in_order(sizes: list[list[int]], smallest: int) -> None:
    groups = [[(f"t{place}.{index}", size) for index, size in enumerate(one)] for place, one in enumerate(sizes)]
    tensors = [tensor for group in groups for tensor in group]
    blocks = cut_into_blocks("m", groups, smallest, 4 * smallest)
    assert [name for block in blocks for name in block.tensors] == [name for name, _ in tensors]
    assert sum(block.nbytes for block in blocks) == sum(size for _, size in tensors)
    assert [block.index for block in blocks] == list(range(len(blocks)))
    for block in blocks:
        inside = {name.partition(".")[0] for name in block.tensors}
        assert block.nbytes <= 4 * smallest or len(inside) == 1
        assert set(block.tensors) == {name for group in groups for name, _ in group if name.split(".")[0] in inside}


def test_replacing_a_phase_changes_only_its_own_limits() -> None:
    work = [cyclic(2, 32, 1.0, 2), cyclic(2, 32, 1.0, 2, model="n")]
    timeline = lay_out([work[0], replace(work[1], activation_bytes=5)], 10)
    assert timeline.limits == (10,) * 4 + (5,) * 4
