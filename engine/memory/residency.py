"""The one owner of weights: modules are built when a node computes with them, and dropped when others need room.

Weights are never changed once they are loaded, so dropping a module is all there is to evicting it; it can be built
from its file again. Modules in use are pinned. The rule for whom to drop is least recently used.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from engine.memory.devices import DeviceInfo, DtypeName, choose_dtype
from engine.weights.recipe import ModelRecipe

__all__ = ["Build", "Measure", "Residency"]

Build = Callable[[ModelRecipe, DeviceInfo, torch.dtype], nn.Module]
"""Makes the network of a recipe with its weights in this dtype on this device."""

Measure = Callable[[ModelRecipe, torch.dtype], int]
"""Tells how many bytes those weights will take, without reading them."""

UNKNOWN_MEMORY: Final = 8 << 30
CPU_SHARE: Final = 0.7
DEVICE_SHARE: Final = 0.85

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Resident:
    """A module, its size in bytes and how many are using it now. Changed only under the owner's lock."""

    module: nn.Module
    nbytes: int
    users: int = 0


def _share_of(device: DeviceInfo) -> int:
    share = CPU_SHARE if device.name == "cpu" else DEVICE_SHARE
    return int((device.total_bytes or UNKNOWN_MEMORY) * share)


class Residency:
    """Lend modules for recipes and keep them while the budget lasts. Safe to use from several threads.

    `measure` says how much room to make before `build` is called. `budget_bytes` bounds the weights of modules that
    nobody is using; None means a share of the device's memory. What is in use is never dropped, so a single model
    larger than the budget still runs.
    """

    def __init__(
        self,
        build: Build,
        measure: Measure,
        device: DeviceInfo,
        *,
        dtype: DtypeName = "auto",
        budget_bytes: int | None = None,
    ) -> None:
        self.device = device
        self.budget_bytes = _share_of(device) if budget_bytes is None else budget_bytes
        self._build = build
        self._measure = measure
        self._reserved = 0  # bytes of what is being built
        self._dtype = dtype
        self._lock = threading.Lock()
        self._building: dict[str, threading.Lock] = {}
        self._residents: OrderedDict[str, _Resident] = OrderedDict()  # least recently used first

    def dtype_for(self, recipe: ModelRecipe) -> torch.dtype:
        """Return what the network of `recipe` computes in."""
        return choose_dtype(self.device, recipe.part, self._dtype, recipe.file.nbytes)

    @property
    def resident_bytes(self) -> int:
        """Return the bytes of all weights held now."""
        with self._lock:
            return sum(resident.nbytes for resident in self._residents.values())

    @contextlib.contextmanager
    def use(self, recipe: ModelRecipe) -> Iterator[nn.Module]:
        """Lend the module of `recipe`, building it where it is not there; it stays while the block runs.

        Whatever building raises comes through (`WeightError` for a damaged file).
        """
        key = recipe.weights_key
        resident = self._acquire(key) or self._load(key, recipe)
        try:
            yield resident.module
        finally:
            with self._lock:
                resident.users -= 1
                self._make_room()

    def drop_unused(self) -> None:
        """Let go of every module that nobody is using."""
        with self._lock:
            for key in [key for key, resident in self._residents.items() if not resident.users]:
                del self._residents[key]

    def _acquire(self, key: str) -> _Resident | None:
        with self._lock:
            resident = self._residents.get(key)
            if resident is not None:
                resident.users += 1
                self._residents.move_to_end(key)
            return resident

    def _load(self, key: str, recipe: ModelRecipe) -> _Resident:
        """Build a module; a second thread that wants the same one waits for the first instead of building another."""
        with self._lock:
            turn = self._building.setdefault(key, threading.Lock())
        with turn:
            resident = self._acquire(key)
            if resident is not None:
                return resident
            dtype = self.dtype_for(recipe)
            log.debug("loading %s of %s as %s on %s", recipe.part, recipe.file.name, dtype, self.device.name)
            with self._reserve(self._measure(recipe, dtype)):
                module = self._build(recipe, self.device, dtype)
            nbytes = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
            resident = _Resident(module, nbytes, users=1)
            with self._lock:
                self._residents[key] = resident
                self._make_room()
            return resident

    @contextlib.contextmanager
    def _reserve(self, nbytes: int) -> Iterator[None]:
        """Make room for `nbytes` and keep it while the block runs."""
        with self._lock:
            self._reserved += nbytes
            self._make_room()
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= nbytes

    def _make_room(self) -> None:
        """Drop the least recently used idle modules until the rest fits the budget. The lock must be held."""
        held = self._reserved + sum(resident.nbytes for resident in self._residents.values())
        for key in list(self._residents):
            if held <= self.budget_bytes:
                return
            if not self._residents[key].users:
                held -= self._residents.pop(key).nbytes
                log.debug("dropped %s", key)
