"""Compute with weights that are not all on the device: each block comes when an operation is about to need it.

Operations are watched as they are called. Where one takes a weight, the block that the weight belongs to is brought,
and the operation gets the device's tensor in place of the host's; nothing in the network knows. What stays is decided
by the plan, as long as blocks are asked for in its order; otherwise by recency: of models that are not in use the one
that was used longest ago gives way first, of those in use a beginning stays and the rest passes through.

What an operation makes is counted as it is made. Where it does not fit, blocks give way, those loaded ahead first;
where that is not enough, `torch.OutOfMemoryError` is raised, as a device would.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from engine.errors import SafelightError
from engine.memory.blocks import Block
from engine.memory.handles import Handle
from engine.memory.ledger import DeviceFull
from engine.memory.stream_plan import Follower, StreamPlan
from engine.memory.streaming import Rung
from engine.memory.weight_devices import WeightDevice
from engine.weights.derived import Derived

__all__ = ["StreamedWeights"]

log = logging.getLogger(__name__)
NAMES: Final = ("device", "simulated device")


@dataclass(slots=True)
class _Model:
    """A network whose weights can be asked for: the block of each, and while it is in use, where they lie."""

    owner: dict[str, Block]
    sources: Mapping[str, Tensor] = field(default_factory=dict)
    users: int = 0
    blocks: list[Block] = field(default_factory=list)
    """Those that are on the device, in the order in which they came."""


class StreamedWeights:
    """Stream the weights of networks through a device. One thread at a time computes."""

    def __init__(self, device: WeightDevice) -> None:
        self.device = device
        self.replans = 0
        """How often something else happened than was planned."""
        self.rungs: list[Rung] = []
        """What was done, since somebody last emptied the list, where memory fell short."""
        self._models: OrderedDict[str, _Model] = OrderedDict()  # least recently used first
        self._home: dict[str, str] = {}  # what blocks call their model -> the model
        self._weights: dict[int, tuple[str, str]] = {}  # address -> model, tensor
        self._current: Block | None = None
        self._pinned: frozenset[Block] = frozenset()  # what one operation takes together
        self._deferred: list[Block] = []
        self._ahead: set[Block] = set()  # loaded and not used yet
        self.most_made = 0
        """The most bytes that operations of one use have made and held at a time."""
        self.lately_made = 0
        """The same since somebody set this to 0; always 0 for devices that count by themselves."""
        self.most_weights: int | None = None
        """What weights may take of the device; None bounds them with all else alone."""
        self.planned_bytes = 0
        """What the plan that is followed loads in all; 0 without one."""
        self.made_bytes = 0
        """The bytes of weights that were made anew to be loaded, because RAM does not hold them."""
        self._plan: Follower | None = None
        self._mode = _Watching(self)
        self._turn = threading.RLock()
        self._depth = 0

    def add(self, model: str, blocks: Sequence[Block]) -> None:
        """Say in which blocks the weights of a network come; those that no block names are used where they lie."""
        if model not in self._models:
            self._models[model] = _Model({name: block for block in blocks for name in block.tensors})
            self._home |= dict.fromkeys((block.model for block in blocks), model)

    def resident(self) -> dict[str, tuple[Block, ...]]:
        """Return the blocks of each model that are on the device, in the order in which they came."""
        return {name: tuple(model.blocks) for name, model in self._models.items() if model.blocks}

    def follow(self, plan: StreamPlan | None) -> None:
        """Keep to a plan from now on, for as long as it fits what happens; to none with None. Nothing may be in use.

        Of what is on the device the plan's `resident` stays.
        """
        self._plan, self.planned_bytes = None, 0
        if plan is None:
            return
        self._drop_but(plan.resident)
        staying = self.resident()
        self._models = OrderedDict((name, self._models[name]) for name in staying if name not in plan.blocks)
        for model, blocks in plan.blocks.items():
            self.add(model, blocks)
            self._models[model].blocks += staying.get(model, ())
        self._plan = Follower(plan)
        self.planned_bytes = plan.loaded_bytes
        log.info("keeping to a plan of %d uses of blocks, %d bytes to load", len(plan.order), plan.loaded_bytes)

    @contextlib.contextmanager
    def computing(self, model: str, sources: Mapping[str, Tensor]) -> Iterator[None]:
        """Stream the weights of `model`, which lie in `sources`, and count what is made, while the block runs."""
        with self._turn:
            known = self._models[model]
            known.users += 1
            known.sources = sources
            self._models.move_to_end(model)
            addresses: dict[int, tuple[str, str]] = {}
            if self.device.counts_activations and not any(isinstance(one, Derived) for one in sources.values()):
                named = (name for name in known.owner if sources[name].numel())
                addresses = {sources[name].data_ptr(): (model, name) for name in named}
            else:  # the network has handles, and what lies in RAM cannot be computed with
                self._own_rest(model, sources)
            hidden = {address: self._weights[address] for address in addresses if address in self._weights}
            self._weights |= addresses
            self._depth += 1
            try:
                with self._mode if self._depth == 1 else contextlib.nullcontext():
                    yield
            finally:
                for address in addresses:
                    self._weights.pop(address, None)
                self._weights |= hidden
                self._depth -= 1
                known.users -= 1
                if not self._depth:
                    self._pinned = frozenset()
                    if self._plan is None or self._plan.pauses():  # else the next use may begin with the same block
                        self._finish()
                    self.most_made = max(self.most_made, self._mode.peak)
                    self.lately_made = max(self.lately_made, self._mode.peak)
                    self._mode.let_go()
                if not known.users:
                    known.sources = {}

    def _own_rest(self, model: str, sources: Mapping[str, Tensor]) -> None:
        """Make a block of each weight that no block names."""
        owner, rest = self._models[model].owner, f"{model}:rest"
        for number, (name, tensor) in enumerate(sources.items()):
            if name not in owner:
                owner[name] = Block(rest, number, tensor.numel() * tensor.element_size(), (name,))
                self._home[rest] = model

    def bytes_by_model(self) -> dict[str, int]:
        """Return the bytes of the blocks of each model that are on the device."""
        held = {name: sum(block.nbytes for block in model.blocks) for name, model in self._models.items()}
        return {name: nbytes for name, nbytes in held.items() if nbytes}

    def drop_all(self) -> None:
        """Let go of every block."""
        self._drop_but(frozenset())

    def _drop_but(self, staying: frozenset[Block]) -> None:
        self._current = None
        self._deferred.clear()
        self._ahead.clear()
        for model in self._models.values():
            for block in [block for block in model.blocks if block not in staying]:
                self._drop(block)

    def given(self, tensors: Sequence[Tensor]) -> dict[int, Tensor]:
        """Bring the weights among the inputs of an operation; returns the device's tensor for the id of each."""
        found = [(tensor, self._found(tensor)) for tensor in tensors]
        wanted = [(tensor, known) for tensor, known in found if known is not None]
        blocks = dict.fromkeys(self._models[model].owner[name] for _, (model, name) in wanted)
        self._pinned = frozenset(blocks)
        for block in blocks:
            self._reach(block)
        return {
            id(tensor): self.device.tensor(self._models[model].owner[name], name) for tensor, (model, name) in wanted
        }

    def make_room(self, nbytes: int) -> None:
        """Drop blocks until `nbytes` are free, those loaded ahead first. Raises `DeviceFull` where none is left."""
        if self.device.free < nbytes:
            self._drop_ahead()
        if self.device.free < nbytes and not self.device.counts_activations:
            self._climbed("empty cache")
            self.device.empty_cache()
        while self.device.free < nbytes:
            block = next(self._droppable(), None)
            if block is None:
                raise DeviceFull(nbytes, self.device.free, self.device.total_bytes)
            if self._plan is not None:
                self._leave_plan()
            self._drop(block)

    def give_way(self) -> Iterator[None]:
        """Do ever more for an operation that found the device full; it is to be tried again after each."""
        if self._drop_ahead():
            yield
        self._climbed("empty cache")
        self.device.empty_cache()
        yield
        blocks = list(self._droppable())
        if blocks:
            if self._plan is not None:
                self._leave_plan()
            self._climbed("drop all")
            for block in blocks:
                self._drop(block)
            self.device.empty_cache()
            yield

    def _drop_ahead(self) -> bool:
        """Drop blocks that were loaded before their time; they are loaded again when it comes."""
        ahead = [block for block in self._ahead if block in self.device and not self._is_needed(block)]
        self._ahead.clear()
        for block in ahead:
            self._drop(block)
        if ahead:
            self._climbed("drop loads ahead")
        return bool(ahead)

    def _climbed(self, rung: Rung) -> None:
        self.rungs.append(rung)
        log.info("memory fell short: %s", rung)

    def _found(self, tensor: Tensor) -> tuple[str, str] | None:
        if isinstance(tensor, Handle):
            return tensor.of_model, tensor.of_name
        return self._weights.get(tensor.data_ptr()) if tensor.layout == torch.strided else None

    def _reach(self, block: Block) -> None:
        """Make `block` the one that is computed with: bring it, and let go of the last one unless it stays."""
        if block == self._current:
            return
        self._finish()
        for late in [late for late in self._deferred if late not in self._pinned]:
            self._deferred.remove(late)
            if late in self.device:
                self._drop(late)
        if self._plan is not None:
            is_planned = self._plan.advance(block)
            for passed in self._plan.passed:
                if passed in self.device and passed not in self._pinned:
                    self._drop(passed)
            if not is_planned:
                self._leave_plan()
        if block not in self.device:
            self._load(block)
        self._ahead.discard(block)
        try:
            self.device.wait(block)
        except SafelightError:
            self._forget(block)
            raise
        self._current = block
        for ahead in self._plan.due() if self._plan is not None else ():
            model = self._models.get(self._home.get(ahead.model, ""))
            if ahead not in self.device and ahead.nbytes <= self.device.free and model is not None and model.sources:
                self._load(ahead)
                self._ahead.add(ahead)

    def _load(self, block: Block) -> None:
        while self._excess(block.nbytes) > 0 and (given := next(self._droppable(), None)) is not None:
            self._drop(given)
        self.make_room(block.nbytes)
        model = self._models[self._home[block.model]]
        self.device.begin_load(block, model.sources)
        anew = (model.sources[name] for name in block.tensors if isinstance(model.sources[name], Derived))
        self.made_bytes += sum(one.numel() * one.element_size() for one in anew)
        model.blocks.append(block)

    def _finish(self) -> None:
        """Decide about the block that was computed with until now."""
        block, self._current = self._current, None
        if block is None or block not in self.device:
            return
        if self._plan is not None:
            stays = self._plan.stays()
        else:
            room = self._room_for(block)
            stays = self.device.free >= room and self._excess(self._largest(block)) <= 0
        if not stays and block in self._pinned and self._depth:
            self._deferred.append(block)
        elif not stays:
            self._drop(block)

    def _room_for(self, block: Block) -> int:
        """Return what must be free for a block to stay: the next one, and what the network may yet make."""
        return self._largest(block) + max(0, self._mode.peak - self._mode.now)

    def _largest(self, block: Block) -> int:
        """Return the bytes of the largest block of the network that `block` belongs to."""
        return max((one.nbytes for one in self._models[self._home[block.model]].owner.values()), default=0)

    def _excess(self, more: int) -> int:
        """Return by how much weights would be over their own bound with `more` bytes of them."""
        return 0 if self.most_weights is None else self.device.held_bytes + more - self.most_weights

    def _droppable(self) -> Iterator[Block]:
        """Yield blocks that may go: of networks not in use, then of those in use, the last kept first."""
        for in_use in (False, True):
            for model in self._models.values():
                if bool(model.users) == in_use:
                    yield from (block for block in reversed(model.blocks) if not self._is_needed(block))

    def _is_needed(self, block: Block) -> bool:
        return block == self._current or (block in self._pinned and self._current in self._pinned)

    def _drop(self, block: Block) -> None:
        self.device.drop(block)
        self._forget(block)

    def _forget(self, block: Block) -> None:
        self._models[self._home[block.model]].blocks.remove(block)
        self._ahead.discard(block)

    def _leave_plan(self) -> None:
        self._plan = None
        self.replans += 1
        self._climbed("plan anew")
        log.info("something else happened than was planned; from now on what was used last stays")


class _Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Hand operations the device's weights, and count what they make."""

    def __init__(self, streamed: StreamedWeights) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._streamed = streamed
        self._known: dict[int, tuple[int, weakref.ref[Any]]] = {}
        self._count = 0
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        try:
            given = self._streamed.given(tensors)
            if given:
                args, kwargs = tree_map_only(Tensor, lambda one: given.get(id(one), one), (args, kwargs))
            made = self._called(func, args, kwargs)
            if not self._streamed.device.counts_activations:
                return made
            there = (tensor for tensor in (*tensors, *given.values()) if not isinstance(tensor, Handle))
            before = {tensor.untyped_storage().data_ptr() for tensor in there}
            for leaf in tree_leaves(made):
                if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in before:
                    self._follow(leaf.untyped_storage())
        except DeviceFull as full:
            raise torch.OutOfMemoryError(f"{NAMES[self._streamed.device.counts_activations]}: {full}") from full
        return made

    def _called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an operation, again after each thing that is done about a device that is full."""
        ways = self._streamed.give_way()
        while True:
            try:
                return func(*args, **kwargs)
            except torch.OutOfMemoryError:
                if next(ways, self) is self:
                    raise

    def let_go(self) -> None:
        """Count nothing of what was made any more: it has left the device."""
        for number, _ in self._known.values():
            self._streamed.device.let_go(number)
        self._known.clear()
        self.now = self.peak = 0

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, nbytes = id(storage), storage.nbytes()
        if key in self._known or not nbytes:
            return
        number, self._count = self._count, self._count + 1
        self._streamed.make_room(nbytes)
        self._streamed.device.hold(number, nbytes)
        self.now += nbytes
        self.peak = max(self.peak, self.now)

        def forget(_: Any) -> None:
            if self._known.pop(key, None) is not None:
                self._streamed.device.let_go(number)
                self.now -= nbytes

        self._known[key] = (number, weakref.ref(storage, forget))
