"""What no other test of this folder says of the invariants: decisions that stay, weights that are left alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_cases import LINK, LedgerDevice, phases
from torch import nn

from engine.memory.ledger import Ledger
from engine.memory.phases import Phase
from engine.memory.planning import ResidencyPlan, make_plan, smallest_capacity, whole_plan
from engine.memory.sim_device import SimDevice
from engine.memory.streamed import StreamedWeights
from engine.memory.streaming import carry_out
from engine.memory.streaming_residency import blocks_of_module


class WatchedDevice(LedgerDevice):
    """Notes when it is asked for its capacity."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, LINK)
        self.asked: list[int] = []

    @property
    def capacity(self) -> int:
        self.asked.append(len(self.accesses))
        return self.ledger.capacity


@settings(max_examples=60, deadline=None)
@given(phases(), st.integers(0, 64), st.sets(st.integers(0, 40), max_size=3))
def test_budgets_are_decided_when_a_plan_is_made_and_never_in_between(
    work: list[Phase], spare: int, failing: set[int]
) -> None:
    device = WatchedDevice(Ledger(smallest_capacity(work) + spare, failing))
    carried = carry_out(work, LINK, device)
    assert len(device.asked) == 1 + carried.rungs.count("plan anew")


@settings(max_examples=60, deadline=None)
@given(phases(most_repeats=9), st.integers(0, 64))
def test_typical_sweeps_of_a_phase_keep_the_same(work: list[Phase], spare: int) -> None:
    """No oscillation: from the second sweep on, until the last but one, each keeps what the one before kept."""
    capacity = smallest_capacity(work) + spare
    plan = make_plan(work, capacity, LINK)
    assert isinstance(plan, ResidencyPlan)
    chosen = whole_plan(plan, capacity, LINK).chosen
    if chosen != bytes(bit for bit in _spread(plan)):
        return  # blocks of odd sizes: the plan of single sweeps did not hold for all, and another was made
    at = 0
    for phase in work:
        width = len(phase.accesses)
        sweeps = [chosen[at + number * width : at + (number + 1) * width] for number in range(phase.repeats)]
        if phase.repeats > 4:
            assert len(set(sweeps[1:-1])) == 1
        at += width * phase.repeats


def _spread(plan: ResidencyPlan) -> list[int]:
    bits: list[int] = []
    at, timeline = 0, plan.timeline
    while at < len(timeline):
        width = len(timeline.phases[timeline.phase_of[at]].accesses)
        bits += list(plan.chosen[at : at + width]) * timeline.times[at]
        at += width
    return bits


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(32, 32) for _ in range(6))).requires_grad_(False)


@pytest.mark.parametrize("total", [1 << 20, 12 << 10])
def test_weights_are_never_written_and_never_come_back(total: int) -> None:
    network = small_network()
    before = {name: (tensor.data_ptr(), tensor._version) for name, tensor in network.state_dict().items()}
    values = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights = StreamedWeights(SimDevice(total))
    weights.add("net", blocks_of_module("net", network, 4 << 10))
    for _ in range(3):
        with weights.computing("net", network.state_dict()):
            network(torch.ones(2, 32))
    weights.drop_all()
    after = {name: (tensor.data_ptr(), tensor._version) for name, tensor in network.state_dict().items()}
    assert after == before
    assert all(torch.equal(tensor, values[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("stop_at", range(0, 12, 2))
def test_a_stop_inside_a_network_leaves_nothing(stop_at: int) -> None:
    network = small_network()
    device = SimDevice(12 << 10)
    weights = StreamedWeights(device)
    weights.add("net", blocks_of_module("net", network, 4 << 10))
    calls = iter(range(100))

    def stop(*_: object) -> None:
        if next(calls) == stop_at:
            raise KeyboardInterrupt

    for module in network:
        module.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt), weights.computing("net", network.state_dict()):
        for _ in range(3):
            network(torch.ones(2, 32))
    weights.drop_all()
    assert device.ledger.live == 0
    with weights.computing("net", network.state_dict()):  # and it goes on as if nothing had been
        assert torch.equal(network(torch.ones(2, 32)), network(torch.ones(2, 32)))
