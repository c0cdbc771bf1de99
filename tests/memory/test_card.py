"""What a card has to say about predictions. It has not been asked yet: run ``pytest -m gpu --junit-xml=FILE`` and
report what the file says.

First: allocated and reserved bytes of a U-Net's and a VAE's call against the dry run, and what the link moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from engine.memory.dry_run import dry_run
from engine.memory.profile import Profile
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
