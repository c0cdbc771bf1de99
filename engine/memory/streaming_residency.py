"""The owner of weights for a device that holds less than they take: modules lie in RAM, blocks of them pass through."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from engine.memory.blocks import LARGEST_BLOCK, SMALLEST_BLOCK, Block, cut_into_blocks
from engine.memory.devices import DeviceInfo, DtypeName
from engine.memory.gauges import Gauges, ModelBytes
from engine.memory.handles import with_handles
from engine.memory.making import Held, WeightCost, choose_held
from engine.memory.residency import Build, Left, Measure, Residency
from engine.memory.streamed import StreamedWeights
from engine.memory.weight_devices import WeightDevice
from engine.weights.derived import Derived, is_whole
from engine.weights.recipe import ModelRecipe

__all__ = ["Partly", "StreamingResidency", "blocks_of_module"]

LEFT: Final = " (left)"
"""Ends the keys of what is left of modules that gave way."""
PARTS: Final = 64
"""A block is no larger than this part of the device, so that small devices are streamed through, too."""


@dataclass(frozen=True, slots=True)
class Partly:
    """How networks are made that hold some of their weights: what each weight takes (None: it cannot be done), and the
    network that holds those of some names.
    """

    costs: Callable[[ModelRecipe, DeviceInfo, torch.dtype], Mapping[str, WeightCost] | None]
    build: Callable[[ModelRecipe, DeviceInfo, torch.dtype, Collection[str]], nn.Module]


class StreamingResidency(Residency):
    """Lend modules that lie in RAM, and stream what they compute with through a device.

    A module that has no room in RAM holds a part of its weights, by `partly`, and makes the others anew whenever they
    are brought to the device.

    `streamed` is told of plans. What is beside the weights is counted on the device, too; where it does not fit,
    `torch.OutOfMemoryError` is raised inside the network. `device` says where networks compute; where that is not
    where their weights lie (`home`), they are lent with handles in place of them.
    """

    def __init__(
        self,
        build: Build,
        measure: Measure,
        device: DeviceInfo,
        weights: WeightDevice,
        *,
        home: DeviceInfo | None = None,
        dtype: DtypeName = "auto",
        budget_bytes: int | None = None,
        block_bytes: int | None = None,
        partly: Partly | None = None,
    ) -> None:
        super().__init__(build, measure, device, dtype=dtype, budget_bytes=budget_bytes, home=home)
        self.streamed = StreamedWeights(weights)
        self.block_bytes = block_bytes or max(1, min(SMALLEST_BLOCK, weights.total_bytes // PARTS))
        self._partly = partly
        self.aside_bytes = 0
        """What is left of the RAM for weights while they are made, once something does not hold all of its own."""
        self._divisible: set[str] = set()  # networks whose weights can be made one by one
        self._settled: Mapping[str, Held | None] = {}
        self._handled: weakref.WeakKeyDictionary[nn.Module, nn.Module] = weakref.WeakKeyDictionary()

    def settle(self, held: Mapping[str, Held | None]) -> None:
        """Say what networks are to hold, by `ModelRecipe.weights_key`; None means all.

        Idle ones that hold something else are let go of.
        """
        with self._lock:
            self._settled = held
            for key, resident in list(self._residents.items()):
                if key.removesuffix(LEFT) in held and not resident.users and not _holds(resident.held, held.get(key)):
                    del self._residents[key]
            if all(resident.users == 0 for resident in self._residents.values()):
                self._reserved, self.aside_bytes = self._reserved - self.aside_bytes, 0

    def _make(self, recipe: ModelRecipe) -> nn.Module:
        """Make a module that holds what was settled, or as much as there is room for; what is left of it is used."""
        key, dtype = recipe.weights_key, self.dtype_for(recipe)
        left, held = self._take_left(key), self._held_for(recipe, dtype)
        costs = None if self._partly is None else self._partly.costs(recipe, self.home, dtype)
        if self._partly is None or costs is None:
            return super()._make(recipe)
        self._divisible.add(key)
        if held is None and not left:
            return super()._make(recipe)
        with self._lock:
            more = 0 if held is None else max(0, held.passing_bytes - self.aside_bytes)
            self._reserved, self.aside_bytes = self._reserved + more, self.aside_bytes + more
        names = frozenset(costs) if held is None else held.names
        there = {name: weight for name, weight in left.items() if name in names}
        with self._reserve(sum(cost.nbytes for cost in costs.values()) if held is None else held.nbytes):
            module = self._partly.build(recipe, self.home, dtype, names - there.keys())
            module.load_state_dict(there, strict=False, assign=True)
        with self._lock:  # the whole module is going to be counted
            self.moved_bytes -= sum(weight.numel() * weight.element_size() for weight in there.values())
        return module.requires_grad_(False)

    def _take_left(self, key: str) -> Mapping[str, Tensor]:
        """Return the weights that a module left when it gave way, and hold them no more."""
        with self._lock:
            resident = self._residents.pop(key + LEFT, None)
        return resident.held.weights if resident is not None and isinstance(resident.held, Left) else {}

    def _held_for(self, recipe: ModelRecipe, dtype: torch.dtype) -> Held | None:
        """Return what a module is to hold; None means all."""
        key, room = recipe.weights_key, self._room()
        settled = self._settled.get(key)
        if settled is not None and settled.nbytes + max(0, settled.passing_bytes - self.aside_bytes) <= room:
            return settled
        if self._partly is None or self._measure(recipe, self.home, dtype) <= room:
            return None
        costs = self._partly.costs(recipe, self.home, dtype)
        return None if costs is None else choose_held({key: costs}, room, aside=self.aside_bytes)[key]

    def _give_way(self, key: str, excess: int) -> None:
        """Let go of an idle module, save of weights of the process's own that need not go for `excess` bytes.

        Mapped pages are the system's to keep. What a plan was settled for gives way whole, as was planned.
        """
        resident, network = self._residents[key], key.removesuffix(LEFT)
        super()._give_way(key, excess)
        if network in self._settled or network not in self._divisible:
            return
        with _disable_current_modes():
            own = {name: one for name, one in _held_weights(resident.held).items() if _is_own(one)}
        sizes = {name: one.numel() * one.element_size() for name, one in own.items()}
        freed = sum(resident.tensor_bytes.values()) - sum(sizes.values())
        for name in reversed(sizes):
            if freed >= excess:
                break
            freed += sizes[name]
            del own[name]
        if own:
            self._names[network + LEFT] = self._names[network]
            self._keep(network + LEFT, Left(own))

    @contextlib.contextmanager
    def use(self, recipe: ModelRecipe) -> Iterator[nn.Module]:
        """Lend the module of `recipe`; its weights are brought block by block while the block of code computes."""
        with contextlib.ExitStack() as borrowed:
            with _disable_current_modes():  # what is built while another network computes is built in RAM
                module = borrowed.enter_context(self.lend(recipe))
                weights, computing = module.state_dict(), self._computing_form(recipe.weights_key, module)
                blocks = blocks_of_module(recipe.weights_key, module, self.block_bytes)
            self.streamed.add(recipe.weights_key, blocks)
            with self.streamed.computing(recipe.weights_key, weights):
                yield computing

    def _computing_form(self, key: str, module: nn.Module) -> nn.Module:
        """Return what stands for a module where it computes; nothing must be watching."""
        if self.streamed.device.counts_activations and is_whole(module):
            return module
        if module not in self._handled:
            self._handled[module] = with_handles(key, module, self.device.device)
        return self._handled[module]

    def gauges(self) -> Gauges:
        """Return what is held now, in RAM and on the device."""
        here, device = super().gauges(), self.streamed.device
        there = self._by_name(self.streamed.bytes_by_model())
        names = dict.fromkeys([*here.models, *there])
        return replace(
            here,
            device=self.device.name if not device.counts_activations else "simulated",
            device_bytes=device.held_bytes,
            device_limit=device.total_bytes,
            staging_bytes=device.staging_bytes,
            loaded_bytes=device.loaded_bytes,
            link_speed=device.link_speed,
            models={
                name: ModelBytes(there.get(name, 0), here.models[name].ram if name in here.models else 0)
                for name in names
            },
        )

    def take_rungs(self) -> tuple[str, ...]:
        """Return what was done where the device fell short since this was last asked."""
        taken = tuple(self.streamed.rungs)
        self.streamed.rungs.clear()
        return taken

    def drop_unused(self) -> None:
        """Let go of every block and of every module that nobody is using."""
        self.streamed.drop_all()
        super().drop_unused()


def _holds(module: object, wanted: Held | None) -> bool:
    """Say whether a module holds exactly what is wanted of it."""
    if not isinstance(module, nn.Module):
        return False
    return is_whole(module) if wanted is None else _held_weights(module).keys() == wanted.names


def _held_weights(held: object) -> dict[str, Tensor]:
    """Return the weights that lie in memory of a module, or of what is left of one."""
    if isinstance(held, Left):
        return dict(held.weights)
    weights = held.state_dict() if isinstance(held, nn.Module) else {}
    return {name: weight for name, weight in weights.items() if not isinstance(weight, Derived)}


def _is_own(weight: Tensor) -> bool:
    """Say whether a weight lies in memory of the process's own, and not in a mapped file."""
    return weight.untyped_storage().resizable()


def blocks_of_module(key: str, module: nn.Module, smallest: int) -> tuple[Block, ...]:
    """Cut a network's weights into blocks in the order in which it names them; a layer's are never parted."""
    sizes = [(name, tensor.numel() * tensor.element_size()) for name, tensor in module.state_dict().items()]
    layers: Sequence[list[tuple[str, int]]] = [
        list(layer) for _, layer in groupby(sizes, key=lambda one: one[0].rpartition(".")[0])
    ]
    return cut_into_blocks(key, layers, smallest, max(smallest * 2, min(LARGEST_BLOCK, smallest * 4)))
