"""Plans carried out on a device with a ledger and a clock: nothing over, nothing left, whatever goes wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_cases import LINK, LedgerDevice, phases

from engine.memory.ledger import DeviceFull, Ledger
from engine.memory.phases import Phase
from engine.memory.planning import ResidencyPlan, make_plan, smallest_capacity, whole_plan
from engine.memory.streaming import carry_out


def expected_accesses(work: list[Phase]) -> list[object]:
    return [access.block for phase in work for _ in range(phase.repeats) for access in phase.accesses]


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64))
def test_carried_out_as_planned(work: list[Phase], spare: int) -> None:
    capacity = smallest_capacity(work) + spare
    plan = make_plan(work, capacity, LINK)
    assert isinstance(plan, ResidencyPlan)
    plan = whole_plan(plan, capacity, LINK)
    device = LedgerDevice(Ledger(capacity), LINK)
    carried = carry_out(work, LINK, device)
    assert device.ledger.peak <= capacity
    assert device.ledger.live == 0
    assert device.accesses == expected_accesses(work)
    assert device.loaded == carried.loaded_bytes == carried.planned_bytes == plan.outcome.loaded_bytes
    assert device.stalled == pytest.approx(plan.outcome.stall_seconds, abs=1e-6)
    assert not carried.rungs


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64), st.dictionaries(st.integers(0, 40), st.floats(0, 2), max_size=8))
def test_late_copies_change_nothing_but_time(work: list[Phase], spare: int, delays: dict[int, float]) -> None:
    capacity = smallest_capacity(work) + spare
    device = LedgerDevice(Ledger(capacity), LINK, delays=delays)
    prompt = LedgerDevice(Ledger(capacity), LINK)
    carry_out(work, LINK, device)
    carry_out(work, LINK, prompt)
    assert device.ledger.peak <= capacity
    assert device.accesses == prompt.accesses == expected_accesses(work)
    assert device.loaded == prompt.loaded
    assert device.now >= prompt.now - 1e-9


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64), st.sets(st.integers(0, 60), max_size=6))
def test_allocations_that_fail_are_got_over(work: list[Phase], spare: int, failing: set[int]) -> None:
    capacity = smallest_capacity(work) + spare
    device = LedgerDevice(Ledger(capacity, failing), LINK)
    carried = carry_out(work, LINK, device)
    assert device.ledger.peak <= capacity
    assert device.ledger.live == 0
    assert device.accesses == expected_accesses(work)
    if device.loaded != carried.planned_bytes:
        assert carried.rungs  # more was loaded than planned, and it says why


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64), st.dictionaries(st.integers(1, 40), st.integers(1, 60), max_size=4))
def test_memory_taken_meanwhile(work: list[Phase], spare: int, taken: dict[int, int]) -> None:
    """Somebody else takes memory: the rest is planned anew, or it says that it cannot go on; nothing is left behind."""
    capacity = smallest_capacity(work) + spare
    device = LedgerDevice(Ledger(capacity), LINK, taken=taken)
    try:
        carry_out(work, LINK, device)
    except DeviceFull:
        assert sum(taken.values()) > spare
        assert device.accesses == expected_accesses(work)[: len(device.accesses)]
    else:
        assert device.accesses == expected_accesses(work)
    assert device.ledger.live == 0
    assert device.ledger.peak <= capacity


@settings(max_examples=80, deadline=None)
@given(phases(), st.integers(0, 64), st.integers(0, 60))
def test_stopped_anywhere_leaves_nothing(work: list[Phase], spare: int, cancel_at: int) -> None:
    device = LedgerDevice(Ledger(smallest_capacity(work) + spare), LINK, cancel_at=cancel_at)
    if cancel_at < len(expected_accesses(work)):
        with pytest.raises(KeyboardInterrupt):
            carry_out(work, LINK, device)
    else:
        carry_out(work, LINK, device)
    assert device.ledger.live == 0


def test_a_device_that_is_too_small_says_how_much_is_needed() -> None:
    work = [Phase("decode", (), 100)]
    with pytest.raises(DeviceFull) as caught:
        carry_out(work, LINK, LedgerDevice(Ledger(99), LINK))
    assert caught.value.wanted == 100
