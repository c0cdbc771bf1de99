"""The owner of weights for each kind of device: whole models where weights are computed with, or streams of blocks."""

from __future__ import annotations

import dataclasses
from typing import Final

from engine.errors import InputError
from engine.families.building import build_module, measure_module, weight_costs
from engine.memory.budgets import NO_BUDGETS, Budgets
from engine.memory.card_device import CardDevice
from engine.memory.cards import CONTEXT_BYTES
from engine.memory.cuda_streams import CudaStreams, choose_allocator
from engine.memory.devices import DeviceInfo, DtypeName, probe_device
from engine.memory.residency import Residency
from engine.memory.sim_device import SimDevice
from engine.memory.staging import Streams
from engine.memory.streaming_residency import Partly, StreamingResidency
from engine.settings import parse_bytes

__all__ = ["make_models", "streaming_models"]

SIMULATED: Final = "sim:"
"""How the names of devices begin that compute on the CPU and hold no more than they say."""


def make_models(
    device: str = "auto",
    dtype: DtypeName = "auto",
    budget_bytes: int | None = None,
    budgets: Budgets = NO_BUDGETS,
) -> Residency:
    """Return the owner of weights for a device; ``sim:8GiB`` simulates one of that size on the CPU.

    CUDA and ROCm cards are streamed to. MPS shares its memory with the CPU and torch has no pinned memory or streams
    for it; for XPU nobody could try them: both hold whole models, as the CPU does. Raises `InputError` where the device
    is not there. `budget_bytes` bounds the weights on the device, whatever `budgets` say of them.
    """
    if budget_bytes is not None:
        budgets = dataclasses.replace(budgets, weight_bytes=budget_bytes)
    if device.startswith(SIMULATED):
        total = simulated_bytes(device)
        simulated = SimDevice(budgets.of_card(total))
        return _streaming(probe_device("cpu"), probe_device("cpu"), simulated, dtype, budgets)
    found = probe_device(device)
    if found.device.type == "cuda":
        choose_allocator()
        return streaming_models(found, CudaStreams(found.device), dtype, budgets)
    weights = budgets.ram_bytes if found.device.type == "cpu" else budgets.vram_bytes
    given = [one for one in (weights, budgets.weight_bytes) if one is not None]
    return Residency(build_module, measure_module, found, dtype=dtype, budget_bytes=min(given, default=None))


def streaming_models(device: DeviceInfo, streams: Streams, dtype: DtypeName, budgets: Budgets) -> StreamingResidency:
    """Return the owner of weights for a card: modules lie in RAM, blocks of them are copied to it."""
    cpu = probe_device("cpu")
    home = DeviceInfo(cpu.name, device.kind, cpu.total_bytes)  # number formats are the card's
    usable = max(0, budgets.of_card(device.total_bytes) - CONTEXT_BYTES)
    return _streaming(device, home, CardDevice(streams, usable), dtype, budgets)


def _streaming(
    device: DeviceInfo, home: DeviceInfo, weights: CardDevice | SimDevice, dtype: DtypeName, budgets: Budgets
) -> StreamingResidency:
    made = StreamingResidency(
        build_module,
        measure_module,
        device,
        weights,
        home=home,
        dtype=dtype,
        budget_bytes=budgets.ram_bytes,
        partly=Partly(weight_costs, build_module),
    )
    made.streamed.most_weights = budgets.weight_bytes
    return made


def simulated_bytes(device: str) -> int:
    """Return the size of a simulated device from its name, like ``sim:8GiB``. Raises `InputError`."""
    size = parse_bytes(device.removeprefix(SIMULATED), "the size of the simulated device")
    if not size:
        raise InputError("a simulated device needs some memory", expected="like sim:8GiB", got=device)
    return size
