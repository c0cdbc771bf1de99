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
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from engine.memory.blocks import Block
from engine.memory.ledger import DeviceFull
from engine.memory.planning import ResidencyPlan
from engine.memory.sim_device import SimDevice

__all__ = ["StreamPlan", "StreamedWeights", "stream_plan"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The order in which blocks will be asked for, whether each stays (``kept``), and loads as (access, after).

    `blocks` are those of each model, by its key. ``optional[i]`` is 1 where it is not known whether access i comes.
    """

    order: Sequence[Block]
    kept: Sequence[int]
    loads: Sequence[tuple[int, int]]
    blocks: Mapping[str, Sequence[Block]]
    optional: Sequence[int] = ()

    @property
    def loaded_bytes(self) -> int:
        """Return the bytes that it loads."""
        return sum(self.order[access].nbytes for access, _ in self.loads)


def stream_plan(
    plan: ResidencyPlan, blocks: Mapping[str, Sequence[Block]], optional: Container[int] = ()
) -> StreamPlan:
    """Return a whole plan as it is followed: nobody can see where a block's use ends and its next one begins.

    In the phases of the numbers `optional` something else may happen than was planned.
    """
    timeline, loads = plan.timeline, {load.access: load.after for load in plan.loads}
    order: list[Block] = []
    kept = bytearray()
    place: list[int] = []  # access of the plan -> access as seen
    begun: list[tuple[int, int]] = []
    may_miss = bytearray()
    for at, number in enumerate(timeline.order):
        block, missing = timeline.blocks[number], timeline.phase_of[at] in optional
        if order and order[-1] == block and may_miss[-1] == missing:
            kept[-1] = plan.kept[at]
        else:
            order.append(block)
            kept.append(plan.kept[at])
            may_miss.append(missing)
            if at in loads:
                after = loads[at]
                begun.append((len(order) - 1, place[after] if after < at else len(order) - 1))
        place.append(len(order) - 1)
    return StreamPlan(tuple(order), bytes(kept), tuple(begun), blocks, bytes(may_miss))


@dataclass(slots=True)
class _Model:
    """A network whose weights can be asked for: the block of each, and while it is in use, where they lie."""

    owner: Mapping[str, Block]
    sources: Mapping[str, Tensor] = field(default_factory=dict)
    users: int = 0
    blocks: list[Block] = field(default_factory=list)
    """Those that are on the device, in the order in which they came."""


class StreamedWeights:
    """Stream the weights of networks through a device. One thread at a time computes."""

    def __init__(self, device: SimDevice) -> None:
        self.device = device
        self.replans = 0
        """How often something else happened than was planned."""
        self._models: OrderedDict[str, _Model] = OrderedDict()  # least recently used first
        self._home: dict[str, str] = {}  # what blocks call their model -> the model
        self._weights: dict[int, tuple[str, str]] = {}  # address -> model, tensor
        self._current: Block | None = None
        self._pinned: frozenset[Block] = frozenset()  # what one operation takes together
        self._deferred: list[Block] = []
        self.most_made = 0
        """The most bytes that operations of one use have made and held at a time."""
        self.planned_bytes = 0
        """What the plan that is followed loads in all; 0 without one."""
        self._plan: _Follower | None = None
        self._mode = _Watching(self)
        self._turn = threading.RLock()
        self._depth = 0

    def add(self, model: str, blocks: Sequence[Block]) -> None:
        """Say in which blocks the weights of a network come; those that no block names are used where they lie."""
        if model not in self._models:
            self._models[model] = _Model({name: block for block in blocks for name in block.tensors})
            self._home |= dict.fromkeys((block.model for block in blocks), model)

    def follow(self, plan: StreamPlan) -> None:
        """Keep to a plan from now on, for as long as it fits what happens. Nothing may be in use."""
        self.drop_all()
        self._models.clear()
        for model, blocks in plan.blocks.items():
            self.add(model, blocks)
        self._plan = _Follower(plan)
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
            addresses = {sources[name].data_ptr(): (model, name) for name in known.owner if sources[name].numel()}
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
                    self._mode.let_go()
                if not known.users:
                    known.sources = {}

    def drop_all(self) -> None:
        """Let go of every block."""
        self._current = None
        self._deferred.clear()
        for model in self._models.values():
            for block in list(model.blocks):
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
        """Drop blocks until `nbytes` are free. Raises `DeviceFull` where nothing is left to drop."""
        while self.device.free < nbytes:
            block = next(self._droppable(), None)
            if block is None:
                raise DeviceFull(nbytes, self.device.free, self.device.total_bytes)
            if self._plan is not None:
                self._leave_plan()
            self._drop(block)

    def _found(self, tensor: Tensor) -> tuple[str, str] | None:
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
        self.device.wait(block)
        self._current = block
        for ahead in self._plan.due() if self._plan is not None else ():
            model = self._models.get(self._home.get(ahead.model, ""))
            if ahead not in self.device and ahead.nbytes <= self.device.free and model is not None and model.sources:
                self._load(ahead)

    def _load(self, block: Block) -> None:
        self.make_room(block.nbytes)
        model = self._models[self._home[block.model]]
        self.device.begin_load(block, model.sources)
        model.blocks.append(block)

    def _finish(self) -> None:
        """Decide about the block that was computed with until now."""
        block, self._current = self._current, None
        if block is None or block not in self.device:
            return
        stays = self._plan.stays() if self._plan is not None else self.device.free >= self._room_for(block)
        if not stays and block in self._pinned and self._depth:
            self._deferred.append(block)
        elif not stays:
            self._drop(block)

    def _room_for(self, block: Block) -> int:
        """Return what must be free for a block to stay: the next one, and what the network may yet make."""
        largest = max((one.nbytes for one in self._models[self._home[block.model]].owner.values()), default=0)
        return largest + max(0, self._mode.peak - self._mode.now)

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
        self._models[self._home[block.model]].blocks.remove(block)

    def _leave_plan(self) -> None:
        self._plan = None
        self.replans += 1
        log.info("something else happened than was planned; from now on what was used last stays")


class _Follower:
    """Goes along a plan, access by access."""

    def __init__(self, plan: StreamPlan) -> None:
        self._plan = plan
        self._at = -1
        self._next = 0
        self.passed: list[Block] = []

    def advance(self, block: Block) -> bool:
        """Go on to the next access; False where it is of another block than planned.

        Those that may be missing are passed over; `passed` are blocks that were to go at one of them.
        """
        order, optional = self._plan.order, self._plan.optional
        self._at += 1
        self.passed = []
        while self._at < len(order) and order[self._at] != block and optional and optional[self._at]:
            if not self._plan.kept[self._at]:
                self.passed.append(order[self._at])
            self._at += 1
        return self._at < len(order) and order[self._at] == block

    def pauses(self) -> bool:
        """Say whether what is next may be missing, so that the use of the present block ends here."""
        after = self._at + 1
        return after < len(self._plan.optional) and bool(self._plan.optional[after])

    def stays(self) -> bool:
        """Say whether the block of this access is kept."""
        return bool(self._plan.kept[self._at])

    def due(self) -> Iterator[Block]:
        """Yield the blocks whose loads may begin now."""
        loads = self._plan.loads
        while self._next < len(loads) and (loads[self._next][1] <= self._at or loads[self._next][0] <= self._at):
            access = loads[self._next][0]
            self._next += 1
            if access > self._at:
                yield self._plan.order[access]


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
            made = func(*args, **kwargs)
            before = {tensor.untyped_storage().data_ptr() for tensor in (*tensors, *given.values())}
            for leaf in tree_leaves(made):
                if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in before:
                    self._follow(leaf.untyped_storage())
        except DeviceFull as full:
            raise torch.OutOfMemoryError(f"simulated device: {full}") from full
        return made

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
