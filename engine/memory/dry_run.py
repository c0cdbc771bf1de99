"""Run a network without computing: on fake tensors, to learn what the real call will use and need.

Fake tensors know shapes, number formats and devices and hold no data, so a call of a network of gigabytes takes a
second and no memory, for a device that this machine need not have. Every operation passes through `_Recorder`, which
follows the storages of all tensors that are made, as a real run could be followed, and therefore counts what a real run
would: to the byte on a CPU.

Two things need help. Without its device, attention would fall back to the form that stores all weights of the softmax:
it is routed by hand to the kernel that the device would choose. And cuDNN runs convolutions by way of copies in another
layout: while one runs, as many bytes as its input, output and weight have are added (measured against published peaks:
within 0.3 %; memory formats with channels last need none).
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from engine.memory.allocator import Event, reserved_by, rounded
from engine.memory.profile import Profile, Use

__all__ = ["FakeDevice", "dry_run", "fused_attention"]

aten = torch.ops.aten
CONVOLUTIONS: Final = frozenset({aten.convolution, aten._convolution, aten.cudnn_convolution})
WIDEST_FLASH_HEAD: Final = 256
HALVES: Final = (torch.float16, torch.bfloat16)

FakeDevice = Literal["cuda", "cpu"]
"""The kind of device to pretend: "cuda" or "cpu"."""


def dry_run(network: nn.Module, call: Callable[[nn.Module, torch.device], object], device: FakeDevice) -> Profile:
    """Call a network once on fake tensors; returns what the call would take on `device`.

    `network` is on the meta device, its weights in the number and memory formats that they will have; it is left
    without them. `call` makes inputs on the device it is given and passes them to the network; it must not look at a
    value.
    """
    place = torch.device(device, 0) if device == "cuda" else torch.device(device)
    with FakeTensorMode(), torch.no_grad():
        _fill_with_fakes(network, place)
        recorder = _Recorder(network, device)
        with fused_attention(device), recorder:
            result = call(network, place)
        return recorder.profile([leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)])


def _fill_with_fakes(network: nn.Module, place: torch.device) -> None:
    for module in network.requires_grad_(False).eval().modules():
        held = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in held:
            fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=place)
            setattr(module, name, nn.Parameter(fake, requires_grad=False) if isinstance(tensor, nn.Parameter) else fake)


class fused_attention(TorchFunctionMode):
    """Send attention to the kernel that a device would choose, where torch cannot ask the device itself."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:
            made = self._route(*args, **kwargs)
            if made is not None:
                return made
        return func(*args, **kwargs)

    def _route(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor | None:
        """Return the result, or None where only the general form is left: rows that do not lie in a row in memory."""
        if any(one.ndim != 4 or one.stride(-1) != 1 for one in (query, key, value)) or enable_gqa:
            return None
        made: Tensor
        if self._device == "cpu":
            kernel = aten._scaled_dot_product_flash_attention_for_cpu
            made = kernel(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]
        elif query.dtype in HALVES and query.shape[-1] <= WIDEST_FLASH_HEAD and attn_mask is None:
            kernel = aten._scaled_dot_product_flash_attention
            made = kernel(query, key, value, dropout_p, is_causal, False, scale=scale)[0]
        else:
            kernel = aten._scaled_dot_product_efficient_attention
            made = kernel(query, key, value, attn_mask, False, dropout_p, is_causal, scale=scale)[0]
        return made


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Follow storages, uses of weights and work of all operations inside the block, in this thread."""

    def __init__(self, network: nn.Module, device: FakeDevice) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._is_cuda = device == "cuda"
        self._weights: dict[int, tuple[str, int, Any]] = {}
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            storage = tensor.untyped_storage()
            self._weights.setdefault(id(storage), (name, _nbytes(tensor), storage))
        self._first_use: dict[str, int] = {}
        self._uses: list[tuple[tuple[str, ...], list[tuple[int, int]], list[int]]] = [((), [], [0])]
        self._known: dict[int, tuple[int, weakref.ref[Any]]] = {}
        self._events: list[Event] = []
        self._count = self._now = self._peak = self._live_peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and func.namespace == "aten":  # what is made of others comes in one piece
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        made = func(*args, **kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        results = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        before = {id(tensor.untyped_storage()) for tensor in given}
        for tensor in results:
            self._follow(tensor.untyped_storage())
        self._peak = max(self._peak, self._now)
        scratch = self._scratch(func, given, results)
        if scratch:
            self._pass_through(scratch)
        self._live_peak = max(self._live_peak, self._now + scratch)
        self._note_use(given)
        if any(id(tensor.untyped_storage()) not in before for tensor in results):  # views move nothing
            self._note_work(func, args, kwargs, made, sum(map(_nbytes, given)) + sum(map(_nbytes, results)))
        return made

    def profile(self, results: Sequence[Tensor]) -> Profile:
        """Return what was seen of a call that gave `results`."""
        uses = tuple(
            Use(names, (*work, *([(0, light[0])] if light[0] else []))) for names, work, light in self._uses if names
        )
        events = self._events
        return Profile(
            tuple(self._first_use.items()),
            uses,
            self._peak,
            self._live_peak,
            reserved_by(events) if self._is_cuda else self._live_peak,
            reserved_by(events, expandable=True) if self._is_cuda else self._live_peak,
            sum({id(tensor.untyped_storage()): tensor.untyped_storage().nbytes() for tensor in results}.values()),
        )

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key in self._known or key in self._weights:
            return
        nbytes = rounded(storage.nbytes()) if self._is_cuda and storage.nbytes() else storage.nbytes()
        number, self._count = self._count, self._count + 1
        self._now += nbytes
        self._events.append((number, nbytes))

        def forget(_: Any) -> None:
            self._known.pop(key, None)
            self._now -= nbytes
            self._events.append((number, -1))

        self._known[key] = (nbytes, weakref.ref(storage, forget))

    def _pass_through(self, nbytes: int) -> None:
        number, self._count = self._count, self._count + 1
        self._events += [(number, nbytes), (number, -1)]

    def _scratch(self, func: Any, given: list[Tensor], results: list[Tensor]) -> int:
        """Return the bytes that a kernel takes for itself while it runs."""
        if not self._is_cuda or func.overloadpacket not in CONVOLUTIONS:
            return 0
        if _is_channels_last(given[1]):
            return 0 if _is_channels_last(given[0]) else _nbytes(given[0])
        return sum(map(_nbytes, [*given[:2], *results]))

    def _note_use(self, given: list[Tensor]) -> None:
        names = []
        for tensor in given:
            found = self._weights.get(id(tensor.untyped_storage()))
            if found is not None and found[0] not in names:
                names.append(found[0])
                self._first_use.setdefault(found[0], found[1])
        if not names:
            return
        last, work, light = self._uses[-1]
        if set(names) <= set(last):
            return
        if not work and (not light[0] or not last):  # only a view was made of it; or nothing had been touched yet
            self._uses[-1] = (tuple(dict.fromkeys((*last, *names))), work, light)
        else:
            self._uses.append((tuple(names), [], [0]))

    def _note_work(self, func: Any, args: Any, kwargs: Any, made: Any, nbytes: int) -> None:
        count = flop_registry.get(func.overloadpacket)
        _, work, light = self._uses[-1]
        if count is None:
            light[0] += nbytes
        else:
            with contextlib.suppress(TypeError, AssertionError, IndexError):
                work.append((int(count(*args, **kwargs, out_val=made)), nbytes))


def _is_channels_last(tensor: Tensor) -> bool:
    if tensor.ndim != 4 or not tensor.is_contiguous(memory_format=torch.channels_last):
        return False
    return not tensor.is_contiguous() or 1 in tensor.shape  # sizes of 1 are both


def _nbytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * tensor.element_size()
