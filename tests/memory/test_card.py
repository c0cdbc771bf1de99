"""What a card has to say about predictions. It has not been asked yet: run ``pytest -m gpu --junit-xml=FILE`` and
report what the file says.

First: allocated and reserved bytes of a U-Net's and a VAE's call against the dry run; what the link moves, from pinned
memory, through the staging ring and from ordinary memory; whether copies go on while it computes; and the same bits and
the kept limit when a network is streamed through a part of the card.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from engine.memory.blocks import Block
from engine.memory.card_device import CardDevice
from engine.memory.cuda_streams import CudaStreams
from engine.memory.dry_run import dry_run
from engine.memory.handles import with_handles
from engine.memory.profile import Profile
from engine.memory.streamed import StreamedWeights
from engine.memory.streaming_residency import blocks_of_module
from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
from engine.networks.unet import UNet, UNetConfig
from engine.weights.loading import empty_construction

pytestmark = pytest.mark.gpu
HALF = torch.float16


@pytest.fixture(autouse=True)
def card() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.cuda.empty_cache()


def denoise(network: nn.Module, place: torch.device) -> object:
    x, context = torch.zeros(2, 4, 64, 64, dtype=HALF, device=place), torch.zeros(2, 77, 768, dtype=HALF, device=place)
    return network(x, torch.zeros(2, device=place), context)


def decode(network: nn.Module, place: torch.device) -> object:
    assert isinstance(network, Autoencoder)
    return network.decode(torch.zeros(1, 4, 128, 128, dtype=HALF, device=place))


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, torch.device], object]]] = {
    "unet": (lambda: UNet(UNetConfig()), denoise),
    "vae": (lambda: Autoencoder(AutoencoderConfig()), decode),
}


def predicted(name: str) -> Profile:
    make, call = CASES[name]
    with torch.device("meta"), empty_construction():
        network = make().to(HALF)
    return dry_run(network, call, "cuda")


@pytest.mark.parametrize("name", list(CASES))
def test_peaks(name: str, record_property: Callable[[str, object], None]) -> None:
    make, call = CASES[name]
    place = torch.device("cuda", 0)
    network = make().to(place, HALF).eval()
    with torch.no_grad():
        call(network, place)  # libraries take their own memory once
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call(network, place)
        torch.cuda.synchronize()
    measured = torch.cuda.max_memory_allocated() - before
    made = predicted(name)
    for fact, value in (
        ("measured", measured),
        ("predicted", made.live_bytes),
        ("taken", torch.cuda.memory_reserved()),
    ):
        record_property(f"{name} {fact} bytes", value)
    assert measured == pytest.approx(made.live_bytes, rel=0.05)


def test_the_link_moves_what_plans_assume(record_property: Callable[[str, object], None]) -> None:
    host = torch.empty(256 << 20, dtype=torch.uint8, pin_memory=True)
    there = torch.empty_like(host, device="cuda")
    torch.cuda.synchronize()
    begin = time.perf_counter()
    there.copy_(host, non_blocking=True)
    torch.cuda.synchronize()
    speed = host.numel() / (time.perf_counter() - begin)
    record_property("link bytes a second", speed)
    assert speed > 3e9


def card_driver(total: int) -> CardDevice:
    return CardDevice(CudaStreams(torch.device("cuda", 0)), total)


def test_the_ring_reaches_what_the_link_can(record_property: Callable[[str, object], None]) -> None:
    """Blocks of 64 MiB from ordinary memory, through the ring, against copies without it."""
    sources = {str(number): torch.randn(16 << 20) for number in range(8)}
    blocks = [Block("m", number, 64 << 20, (str(number),)) for number in range(8)]
    device = card_driver(2 << 30)
    for _ in range(2):  # the first round touches all memory for the first time
        begin = time.perf_counter()
        for block in blocks:
            device.begin_load(block, sources)
        for block in blocks:
            device.wait(block)
        torch.cuda.synchronize()
        taken = time.perf_counter() - begin
        for block in blocks:
            assert torch.equal(device.tensor(block, block.tensors[0]).cpu(), sources[block.tensors[0]])
            device.drop(block)
    there = torch.empty(16 << 20, device="cuda")
    begin = time.perf_counter()
    for source in sources.values():
        there.copy_(source)
    torch.cuda.synchronize()
    record_property("ring bytes a second", (512 << 20) / taken)
    record_property("the device's own measure", device.link_speed)
    record_property("ordinary copies bytes a second", (512 << 20) / (time.perf_counter() - begin))


def test_copies_go_on_while_it_computes(record_property: Callable[[str, object], None]) -> None:
    matrix = torch.randn(8192, 8192, device="cuda", dtype=HALF)
    sources = {str(number): torch.randn(16 << 20) for number in range(6)}
    blocks = [Block("m", number, 64 << 20, (str(number),)) for number in range(6)]

    def seconds(compute: bool, copy: bool) -> float:
        device = card_driver(4 << 30)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for block in blocks:
            if copy:
                device.begin_load(block, sources)
            for _ in range(8 if compute else 0):
                matrix @ matrix
        for block in blocks if copy else ():
            device.wait(block)
        torch.cuda.synchronize()
        return time.perf_counter() - begin

    seconds(True, True)
    computing, copying, both = seconds(True, False), seconds(False, True), seconds(True, True)
    overlap = (computing + copying - both) / min(computing, copying)
    for name, value in (("computing", computing), ("copying", copying), ("both", both), ("overlap", overlap)):
        record_property(f"{name}", value)
    assert overlap > 0.5


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25, 0.1])
def test_streamed_is_the_same(share: float, record_property: Callable[[str, object], None]) -> None:
    make, call = CASES["unet"]
    place = torch.device("cuda", 0)
    torch.manual_seed(0)
    network = make().to(HALF).eval().requires_grad_(False)
    here = make().to(HALF).eval().requires_grad_(False)
    here.load_state_dict(network.state_dict())
    here.to(place)
    weight_bytes = sum(one.numel() * one.element_size() for one in network.state_dict().values())
    with torch.inference_mode():
        whole = call(here, place)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        base = torch.cuda.memory_allocated()
        call(here, place)
        activations = torch.cuda.max_memory_allocated() - base
        del here
        torch.cuda.empty_cache()
        total = torch.cuda.memory_allocated() + int(1.1 * activations) + max(int(share * weight_bytes), 200 << 20)
        weights = StreamedWeights(card_driver(total))
        weights.add("net", blocks_of_module("net", network, 32 << 20))
        handled = with_handles("net", network, place)
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            begin = time.perf_counter()
            with weights.computing("net", network.state_dict()):
                streamed = call(handled, place)
            torch.cuda.synchronize()
            taken = time.perf_counter() - begin
    assert isinstance(whole, torch.Tensor) and isinstance(streamed, torch.Tensor)
    assert torch.equal(streamed, whole)
    assert torch.cuda.max_memory_allocated() <= total
    record_property(f"seconds at {share}", taken)
    record_property(f"bytes at {share}", weights.device.loaded_bytes)
    record_property(f"rungs at {share}", list(weights.rungs))
    weights.drop_all()
