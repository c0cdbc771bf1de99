"""The driver for cards, as it is, over streams and events that are threads: transfers early, late and at random."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from fake_cuda import FakeCuda, FakeStreams
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.memory.blocks import Block
from engine.memory.card_device import CardDevice, TransferError
from engine.memory.cuda_streams import choose_allocator
from engine.memory.handles import Handle, with_handles
from engine.memory.ledger import DeviceFull
from engine.memory.staging import StagingRing, bytes_of
from engine.memory.streamed import StreamedWeights
from engine.memory.streaming_residency import blocks_of_module

CPU = torch.device("cpu")


def device_of(cuda: FakeCuda, total: int | None = None, slot: int = 4 << 10, slots: int = 2) -> CardDevice:
    streams = FakeStreams(cuda)
    return CardDevice(streams, total or cuda.total, StagingRing(streams, slot, slots))


def network_of(width: int = 32, layers: int = 6) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(*(nn.Linear(width, width) for _ in range(layers)), nn.Conv1d(2, 3, 3)).requires_grad_(False)
    made[1].to(torch.bfloat16)
    return made


def calls(network: nn.Module) -> torch.Tensor:
    x = torch.linspace(-1, 1, 64).reshape(2, 32)
    for layer in list(network)[:-1]:
        x = torch.tanh(layer(x.to(layer.weight.dtype)).float())
    return network[-1](x[None])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([torch.float32, torch.bfloat16, torch.int64])), max_size=6),
    st.integers(1, 3),
    st.integers(16, 600),
    st.sampled_from(["early", "late", "random"]),
)
def test_every_byte_arrives(shapes: list[tuple[int, torch.dtype]], slots: int, slot: int, timing: str) -> None:
    """Tensors of all sizes, also larger than the ring, empty ones, and ones whose memory is in another order."""
    sources = {str(i): torch.arange(rows * 3).reshape(rows, 3).to(kind) for i, (rows, kind) in enumerate(shapes)}
    sources["last"] = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    sources["gaps"] = torch.randn(9, 4)[:, ::2]
    block = Block("m", 0, sum(one.numel() * one.element_size() for one in sources.values()), tuple(sources))
    cuda = FakeCuda(1 << 20, timing)
    device = device_of(cuda, slot=slot, slots=slots)
    device.begin_load(block, sources)
    device.wait(block)
    for name, source in sources.items():
        there = device.tensor(block, name)
        assert torch.equal(there, source) and there.dtype == source.dtype
    assert device.tensor(block, "last").stride() == sources["last"].stride()
    assert bytes_of(sources["gaps"]).numel() == 9 * 2 * 4


@pytest.mark.parametrize("timing", ["early", "late", "random"])
@pytest.mark.parametrize("total", [1 << 20, 24 << 10])
def test_networks_through_the_driver(timing: str, total: int) -> None:
    network = network_of()
    whole = calls(network)
    cuda = FakeCuda(total, timing)
    weights = StreamedWeights(device_of(cuda))
    weights.add("net", blocks_of_module("net", network, 4 << 10))
    handled = with_handles("net", network, CPU)
    assert all(isinstance(one, Handle) for one in handled.state_dict(keep_vars=True).values())
    for _ in range(4):
        with weights.computing("net", network.state_dict()):
            assert torch.equal(calls(handled), whole)
    assert cuda.peak <= total
    loaded, size = weights.device.loaded_bytes, sum(one.nbytes for one in blocks_of_module("net", network, 4 << 10))
    assert loaded == size if total > 2 * size else loaded > size
    weights.drop_all()
    gc.collect()
    assert cuda.allocated == 0
    assert weights.device.link_speed is None or weights.device.link_speed > 0


def test_weights_that_no_block_names_come_too() -> None:
    network = network_of()
    weights = StreamedWeights(device_of(FakeCuda(1 << 20)))
    weights.add("net", blocks_of_module("net", network, 4 << 10)[:2])
    with weights.computing("net", network.state_dict()):
        assert torch.equal(calls(with_handles("net", network, CPU)), calls(network))


def test_a_handle_says_where_it_must_not_be_used() -> None:
    handled = with_handles("net", network_of(), CPU)
    with pytest.raises(RuntimeError, match="outside of"):
        calls(handled)


def test_dropped_on_its_way() -> None:
    """A block that is dropped before anybody waited for it cannot write into the memory of the next one."""
    sources = {"a": torch.full((4000,), 1.0), "b": torch.full((4000,), 2.0)}
    first, second = Block("m", 0, 16000, ("a",)), Block("m", 1, 16000, ("b",))
    for timing in ("early", "late", "random"):
        device = device_of(FakeCuda(20 << 10, timing))
        for _ in range(5):
            device.begin_load(first, sources)
            device.drop(first)
            device.begin_load(second, sources)
            device.wait(second)
            assert torch.equal(device.tensor(second, "b"), sources["b"])
            device.drop(second)


def test_a_copy_that_fails_is_told_and_leaves_nothing() -> None:
    network = network_of()
    cuda = FakeCuda(1 << 20)
    device = device_of(cuda)

    class BadRing(StagingRing):
        def copy(self, *given: Any) -> Any:
            raise OSError(5, "Input/output error")

    good, device._ring = device._ring, BadRing(FakeStreams(cuda), 1 << 10, 1)
    weights = StreamedWeights(device)
    weights.add("net", blocks_of_module("net", network, 4 << 10))
    handled = with_handles("net", network, CPU)
    with pytest.raises(TransferError, match="Input/output error"), weights.computing("net", network.state_dict()):
        calls(handled)
    weights.drop_all()
    gc.collect()
    assert cuda.allocated == 0
    device._ring = good
    with weights.computing("net", network.state_dict()):
        assert torch.equal(calls(handled), calls(network))


def test_others_take_the_memory() -> None:
    network = network_of()
    whole = calls(network)
    cuda = FakeCuda(64 << 10)
    weights = StreamedWeights(device_of(cuda))
    handles = {}
    for name in ("net", "other"):
        weights.add(name, blocks_of_module(name, network, 4 << 10))
        handles[name] = with_handles(name, network, CPU)
    with weights.computing("net", network.state_dict()):
        assert torch.equal(calls(handles["net"]), whole)
    cuda.taken_by_others = 36 << 10  # what is left is less than the other one takes, which has no room beside the first
    with weights.computing("other", network.state_dict()):
        assert torch.equal(calls(handles["other"]), whole)
    assert cuda.emptied and "empty cache" in weights.rungs
    cuda.taken_by_others = 63 << 10
    weights.drop_all()
    with pytest.raises(torch.OutOfMemoryError), weights.computing("net", network.state_dict()):
        calls(handles["net"])
    weights.drop_all()
    gc.collect()
    assert cuda.allocated == 0


def test_operations_that_find_the_card_full_are_tried_again() -> None:
    network = network_of()
    weights = StreamedWeights(device_of(FakeCuda(1 << 20)))
    weights.add("net", blocks_of_module("net", network, 4 << 10))
    left = iter([False, False, True, True, False])
    whole = calls(network)

    class Full(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.tanh.default and next(left, False):
                raise torch.OutOfMemoryError("the card is full")
            return func(*args, **(kwargs or {}))

    with Full(), weights.computing("net", network.state_dict()):
        assert torch.equal(calls(with_handles("net", network, CPU)), whole)
    assert weights.rungs == ["empty cache", "drop all"]


def test_more_than_there_is_is_refused_at_once() -> None:
    device = device_of(FakeCuda(1 << 20), total=1000)
    with pytest.raises(DeviceFull):
        device.begin_load(Block("m", 0, 4000, ("a",)), {"a": torch.zeros(1000)})
    cuda = FakeCuda(1 << 20)
    cuda.failing = {0}
    with pytest.raises(DeviceFull):
        device_of(cuda).begin_load(Block("m", 0, 4000, ("a",)), {"a": torch.zeros(1000)})


def test_the_allocator_is_asked_to_grow_segments_where_it_can() -> None:
    said: list[str] = []

    class Cuda:
        class memory:
            _set_allocator_settings = said.append

    assert choose_allocator(Cuda, {}, "linux") and said == ["expandable_segments:True"]
    assert not choose_allocator(Cuda, {}, "win32")
    assert choose_allocator(Cuda, {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}, "win32")
    assert not choose_allocator(Cuda, {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:512"}, "linux")
    assert len(said) == 1
