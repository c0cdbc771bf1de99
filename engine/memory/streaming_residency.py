"""The owner of weights for a device that holds less than they take: modules lie in RAM, blocks of them pass through."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from engine.memory.blocks import LARGEST_BLOCK, SMALLEST_BLOCK, Block, cut_into_blocks
from engine.memory.devices import DeviceInfo, DtypeName
from engine.memory.gauges import Gauges, ModelBytes
from engine.memory.handles import with_handles
from engine.memory.residency import Build, Measure, Residency
from engine.memory.streamed import StreamedWeights
from engine.memory.weight_devices import WeightDevice
from engine.weights.recipe import ModelRecipe

__all__ = ["StreamingResidency", "blocks_of_module"]

PARTS: Final = 64
"""A block is no larger than this part of the device, so that small devices are streamed through, too."""


class StreamingResidency(Residency):
    """Lend modules that lie in RAM, and stream what they compute with through a device.

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
    ) -> None:
        super().__init__(build, measure, device, dtype=dtype, budget_bytes=budget_bytes, home=home)
        self.streamed = StreamedWeights(weights)
        self.block_bytes = block_bytes or max(1, min(SMALLEST_BLOCK, weights.total_bytes // PARTS))
        self._handled: weakref.WeakKeyDictionary[nn.Module, nn.Module] = weakref.WeakKeyDictionary()

    @contextlib.contextmanager
    def use(self, recipe: ModelRecipe) -> Iterator[nn.Module]:
        """Lend the module of `recipe`; its weights are brought block by block while the block of code computes."""
        with contextlib.ExitStack() as borrowed:
            with _disable_current_modes():  # what is built while another network computes is built in RAM
                module = borrowed.enter_context(self.lend(recipe))
            self.streamed.add(recipe.weights_key, blocks_of_module(recipe.weights_key, module, self.block_bytes))
            with self.streamed.computing(recipe.weights_key, module.state_dict()):
                yield self._computing_form(recipe.weights_key, module)

    def _computing_form(self, key: str, module: nn.Module) -> nn.Module:
        """Return what stands for a module where it computes."""
        if self.streamed.device.counts_activations:
            return module
        if module not in self._handled:
            with _disable_current_modes():
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


def blocks_of_module(key: str, module: nn.Module, smallest: int) -> tuple[Block, ...]:
    """Cut a network's weights into blocks in the order in which it names them; a layer's are never parted."""
    sizes = [(name, tensor.numel() * tensor.element_size()) for name, tensor in module.state_dict().items()]
    layers: Sequence[list[tuple[str, int]]] = [
        list(layer) for _, layer in groupby(sizes, key=lambda one: one[0].rpartition(".")[0])
    ]
    return cut_into_blocks(key, layers, smallest, max(smallest * 2, min(LARGEST_BLOCK, smallest * 4)))
