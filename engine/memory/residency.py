"""The one owner of weights: modules are built when a node computes with them, and dropped when others need room.

Weights are never changed once they are loaded, so dropping a module is all there is to evicting it; it can be built
from its file again. Modules in use are pinned. What gives way is what is needed last, where somebody said what will be
needed (`Residency.expect`), else what was used longest ago.

A recipe with patches gets a module of its own that shares every tensor the patches leave alone with the module of the
unpatched recipe. That one and the adapters stay as long as there is room, so another strength, or another LoRA on the
same checkpoint, reads nothing of the checkpoint again; another strength takes over the memory of an idle module that
differs in nothing else. Where the weights do not fit twice, the patched module is built from the file by itself.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from engine.memory.devices import DeviceInfo, DtypeName, choose_dtype
from engine.memory.gauges import Gauges, ModelBytes
from engine.memory.heap import give_memory_back
from engine.memory.ram_tier import Expected, Use, victim
from engine.weights.adapters.applying import AdapterSet, merge_sets, patched_copy, rewrite_copy
from engine.weights.adapters.reading import adapter_tensors, read_adapters
from engine.weights.derived import held_tensors, is_whole
from engine.weights.recipe import ModelRecipe, Patch

__all__ = ["Build", "Left", "Measure", "Residency"]

Build = Callable[[ModelRecipe, DeviceInfo, torch.dtype], nn.Module]
"""Makes the network of a recipe with its weights in this dtype on this device."""

Measure = Callable[[ModelRecipe, DeviceInfo, torch.dtype], int]
"""Tells how many bytes those weights will take, without reading them."""

UNKNOWN_MEMORY: Final = 8 << 30
CPU_SHARE: Final = 0.7
DEVICE_SHARE: Final = 0.85

log = logging.getLogger(__name__)


Held = TypeVar("Held")


@dataclass(slots=True)
class _Resident(Generic[Held]):
    """A module or adapters, the bytes of each tensor by its address, and how many are using it now.

    Changed only under the owner's lock. Tensors that several residents share have one address and count once.
    """

    held: Held
    tensor_bytes: Mapping[int, int]
    users: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """Weights that are left of a module that gave way, by name."""

    weights: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class _Copy:
    """What a patched module is a copy of, and which files changed it, at whatever strengths."""

    base: weakref.ref[nn.Module]
    files: tuple[str, ...]


def _tensor_bytes(held: object) -> dict[int, int]:
    tensors: Iterable[Tensor]
    if isinstance(held, Left):
        tensors = held.weights.values()
    else:
        tensors = held.state_dict().values() if isinstance(held, nn.Module) else adapter_tensors(cast(AdapterSet, held))
    resting = (one for tensor in tensors for one in held_tensors(tensor))
    return {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in resting}


def _bytes_together(residents: Iterable[_Resident[object]]) -> int:
    """Return the bytes of all tensors that some hold."""
    together: dict[int, int] = {}
    for resident in residents:
        together.update(resident.tensor_bytes)
    return sum(together.values())


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
        home: DeviceInfo | None = None,
    ) -> None:
        self.device = device
        self.home = home or device
        """Where modules are built and lie, which need not be where they compute."""
        self.budget_bytes = _share_of(self.home) if budget_bytes is None else budget_bytes
        self._build = build
        self._measure = measure
        self._reserved = 0  # bytes of what is being built
        self.moved_bytes = 0
        """Bytes of all weights that were brought to the device so far."""
        self._expected: Expected | None = None
        self._names: dict[str, str] = {}  # what people call the networks that were lent
        self._dtype = dtype
        self._lock = threading.Lock()
        self._building: dict[str, threading.Lock] = {}
        self._copies: weakref.WeakKeyDictionary[nn.Module, _Copy] = weakref.WeakKeyDictionary()
        # least recently used first; what is held under a key is what `_lend` was told to make for it
        self._residents: OrderedDict[str, _Resident[object]] = OrderedDict()

    def expect(self, uses: Sequence[Use]) -> None:
        """Say which networks will be needed, by `ModelRecipe.weights_key`, in which order and company.

        What is needed last gives way from now on, for as long as it comes like that; otherwise what was used longest
        ago.
        """
        with self._lock:
            self._expected = Expected(uses) if uses else None

    def dtype_for(self, recipe: ModelRecipe) -> torch.dtype:
        """Return what the network of `recipe` computes in."""
        return choose_dtype(self.device, recipe.part, self._dtype, recipe.nbytes)

    @property
    def resident_bytes(self) -> int:
        """Return the bytes of all weights held now."""
        with self._lock:
            return self._held_bytes()

    @contextlib.contextmanager
    def use(self, recipe: ModelRecipe) -> Iterator[nn.Module]:
        """Lend the module of `recipe`, building it where it is not there; it stays while the block runs.

        Whatever building raises comes through (`WeightError` for a damaged file).
        """
        with self.lend(recipe) as module:
            yield module

    @contextlib.contextmanager
    def lend(self, recipe: ModelRecipe) -> Iterator[nn.Module]:
        """Lend the module of `recipe` as it lies in memory, to read its weights; `use` is for computing with it."""
        key = recipe.weights_key
        with self._lock:
            if self._expected is not None and not self._expected.reach(key) and key not in self._residents:
                self._expected = None
        with self._lend_module(recipe) as module:
            yield module

    def _lend_module(self, recipe: ModelRecipe) -> contextlib.AbstractContextManager[nn.Module]:
        self._names[recipe.weights_key] = f"{recipe.file.name} ({recipe.part})"
        return self._lend(recipe.weights_key, lambda: self._make(recipe))

    def gauges(self) -> Gauges:
        """Return what is held now."""
        with self._lock:
            held = {key: sum(resident.tensor_bytes.values()) for key, resident in self._residents.items()}
            total = self._held_bytes()
        here = self.home.device.type == "cpu"
        models = self._by_name(held)
        return Gauges(
            device=self.device.name,
            device_bytes=0 if here else total,
            device_limit=0 if here else self.budget_bytes,
            ram_bytes=total if here else 0,
            ram_limit=self.budget_bytes if here else 0,
            models={name: ModelBytes(0, nbytes) if here else ModelBytes(nbytes, 0) for name, nbytes in models.items()},
        )

    def _by_name(self, held: Mapping[str, int]) -> dict[str, int]:
        """Sum bytes up by what people call their networks; a patched one has its base's name."""
        found: dict[str, int] = {}
        for key, nbytes in held.items():
            name = self._names.get(key, "adapters")
            found[name] = found.get(name, 0) + nbytes
        return found

    def take_rungs(self) -> tuple[str, ...]:
        """Return what was done where memory fell short since this was last asked; whole modules are simply dropped."""
        return ()

    def drop_unused(self) -> None:
        """Let go of every module that nobody is using."""
        with self._lock:
            for key in [key for key, resident in self._residents.items() if not resident.users]:
                del self._residents[key]
        give_memory_back()

    @contextlib.contextmanager
    def _lend(self, key: str, make: Callable[[], Held]) -> Iterator[Held]:
        """Lend what `make` makes, which is held under `key`."""
        resident = self._acquire(key) or self._load(key, make)
        try:
            yield cast(Held, resident.held)
        finally:
            with self._lock:
                resident.users -= 1
                self._make_room()

    def _acquire(self, key: str) -> _Resident[object] | None:
        with self._lock:
            resident = self._residents.get(key)
            if resident is not None:
                resident.users += 1
                self._residents.move_to_end(key)
            return resident

    def _load(self, key: str, make: Callable[[], object]) -> _Resident[object]:
        """Make what is held under `key`; a second thread that wants the same waits for the first."""
        with self._lock:
            turn = self._building.setdefault(key, threading.Lock())
        with turn:
            resident = self._acquire(key)
            if resident is not None:
                return resident
            held = make()
            resident = _Resident(held, _tensor_bytes(held), users=1)
            with self._lock:
                self.moved_bytes += sum(resident.tensor_bytes.values())
                self._residents[key] = resident
                self._make_room()
            return resident

    def _make(self, recipe: ModelRecipe) -> nn.Module:
        """Make a module, from the unpatched one where both fit together and else from the file."""
        dtype = self.dtype_for(recipe)
        nbytes = self._measure(recipe, self.home, dtype)
        log.debug("loading %s of %s as %s on %s", recipe.part, recipe.file.name, dtype, self.home.name)
        if recipe.patches and self._fits_twice(recipe, nbytes) and (twin := self._patch(recipe)) is not None:
            return twin
        with self._reserve(nbytes):
            return self._build(recipe, self.home, dtype)

    def _fits_twice(self, recipe: ModelRecipe, nbytes: int) -> bool:
        """Say whether a patched module fits beside the unpatched one, the adapters, and what is in use."""
        adapters = sum(patch.file.nbytes for patch in recipe.patches)
        return 2 * nbytes + adapters <= self._room(recipe.unpatched.weights_key)

    def _room(self, besides: str = "") -> int:
        """Return what the budget leaves beside what is in use, that of the key `besides` not counted."""
        with self._lock:
            used = (one for key, one in self._residents.items() if one.users and key != besides)
            return self.budget_bytes - self._reserved - _bytes_together(used)

    def _patch(self, recipe: ModelRecipe) -> nn.Module | None:
        """Make a module that shares with the unpatched one what the patches leave alone; None where that lacks some."""
        with contextlib.ExitStack() as borrowed:
            module = borrowed.enter_context(self._lend_module(recipe.unpatched))
            if not is_whole(module):
                return None
            tensors = module.state_dict()
            shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}

            def adapters(patch: Patch) -> AdapterSet:
                key = f"{patch.file.identity} for {recipe.unpatched.weights_key}"
                read = partial(read_adapters, patch.file, recipe.part, shapes, self.home.device)
                return borrowed.enter_context(self._lend(key, read))

            changes = merge_sets((adapters(patch), patch.strength) for patch in recipe.patches)
            origin = _Copy(weakref.ref(module), tuple(patch.file.identity for patch in recipe.patches))
            dtype = self.dtype_for(recipe)
            twin = self._take_idle(origin)
            with self._reserve(sum(tensors[name].numel() * dtype.itemsize for name in changes)):
                if twin is None:
                    twin = patched_copy(module, changes, dtype)
                else:
                    rewrite_copy(twin, module, changes)
            self._copies[twin] = origin
            return twin

    def _take_idle(self, origin: _Copy) -> nn.Module | None:
        """Let go of an idle module with this origin, and return it to be rewritten for other strengths."""
        with self._lock:
            for key, resident in self._residents.items():
                held = resident.held
                if isinstance(held, nn.Module) and not resident.users and self._copies.get(held) == origin:
                    del self._residents[key]
                    return held
        return None

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
        """Drop idle modules until the rest fits the budget. The lock must be held."""
        while self._reserved + self._held_bytes() > self.budget_bytes:
            next_use = None if self._expected is None else self._expected.next_use
            idle = victim((key for key, resident in self._residents.items() if not resident.users), next_use)
            if idle is None:
                return
            self._give_way(idle, self._reserved + self._held_bytes() - self.budget_bytes)

    def _give_way(self, key: str, excess: int) -> None:
        """Let go of what is held under `key` and nobody uses, `excess` bytes of it at least. The lock must be held."""
        del self._residents[key]
        log.debug("dropped %s", key)

    def _keep(self, key: str, held: object) -> None:
        """Hold what nobody uses, as what gives way first. The lock must be held."""
        self._residents[key] = _Resident(held, _tensor_bytes(held))
        self._residents.move_to_end(key, last=False)

    def _held_bytes(self) -> int:
        """Return the bytes of all tensors that are held. The lock must be held."""
        return _bytes_together(self._residents.values())
