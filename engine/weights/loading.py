"""Fill a network that was built empty (on the meta device) with the tensors of a file.

Bytes go from the file to their final dtype and device in groups, and the file's pages are given back after each group:
at no time does more than the network and one group of the file lie in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from engine.errors import WeightError
from engine.weights.adapters.applying import Strong, patched_weight
from engine.weights.adapters.reading import adapter_tensors
from engine.weights.derived import Derived
from engine.weights.files import WeightFile
from engine.weights.layouts import TensorSource

__all__ = ["Changes", "Target", "empty_construction", "fill"]

Changes = Mapping[str, Sequence[Strong]]
"""What adapters add to parameters, by name."""

GROUP_BYTES: Final = 64 << 20
HALVES: Final = (torch.float16, torch.bfloat16)
NAMED: Final = 5


class empty_construction(TorchFunctionMode):
    """Make modules without drawing first values for weights that a file will fill.

    Beside the work it saves, drawing normal numbers on the meta device makes torch import its whole compiler, which
    takes longer than loading a small model does.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Target:
    """Say where weights are to lie and how: device, number format, and whether convolutions put channels last.

    `keep_narrow` leaves matrices that the file has in a narrower format as they are, for networks that widen them
    while they compute.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool = False
    keep_narrow: bool = False

    def dtype_of(self, stored: torch.dtype, ndim: int) -> torch.dtype:
        """Return the format that a tensor of the file gets. Whole numbers stay such."""
        is_narrow = ndim > 1 and stored.itemsize < self.dtype.itemsize and stored in HALVES
        return stored if not stored.is_floating_point or (self.keep_narrow and is_narrow) else self.dtype

    def convert(self, tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Return `tensor` as wanted, in `shape`; the same memory where nothing changes."""
        dtype = self.dtype_of(tensor.dtype, len(shape))
        if not self.channels_last or len(shape) != 4:
            return tensor.to(device=self.device, dtype=dtype).reshape(shape)
        shaped = tensor.reshape(shape)
        if shaped.device == self.device and shaped.dtype == dtype:
            return shaped.contiguous(memory_format=torch.channels_last)
        # one pass over the memory, not one for the format and one for the layout
        made = torch.empty(shape, dtype=dtype, device=self.device, memory_format=torch.channels_last)
        return made.copy_(shaped)


def fill(
    module: nn.Module,
    file: WeightFile,
    sources: Mapping[str, TensorSource],
    target: Target,
    changes: Changes = MappingProxyType({}),
    held: Collection[str] | None = None,
) -> nn.Module:
    """Give every parameter of `module` its tensor from `file`, made for `target`; returns `module`, in eval mode.

    `sources` maps parameter names to tensors of the file; names that the module does not have are ignored. A tensor
    that is already right is used where it lies in the file's memory map, without a copy. `changes` are added to
    parameters once they are made for `target`. Of the parameters that `held` does not name nothing is read: a `Derived`
    stands for each, and `file` has to stay open; None holds all.

    Raises `WeightError` where tensors are missing or have another shape than the network.
    """
    wanted = module.state_dict()
    _check_present(wanted, sources, file.path.name)
    filled: dict[str, torch.Tensor] = {}
    read = {name: sources[name] for name in wanted if held is None or name in held}
    groups = list(_groups(file, read))
    for group in groups[:1]:
        file.prefetch(sources[name].name for name in group)
    for index, group in enumerate(groups):
        if index + 1 < len(groups):
            file.prefetch(sources[name].name for name in groups[index + 1])
        converted = []
        for name in group:
            stored = file.tensor(sources[name].name)
            filled[name] = _made(stored, sources[name], target, changes.get(name, ()))
            if filled[name].untyped_storage().data_ptr() != stored.untyped_storage().data_ptr():
                converted.append(sources[name].name)
        file.release(converted)
    for name in wanted:
        if name not in read:
            filled[name] = _derived(file, sources[name], target, changes.get(name, ()))
    module.load_state_dict(filled, strict=True, assign=True)
    return module.requires_grad_(False).eval()


def _made(stored: torch.Tensor, source: TensorSource, target: Target, changes: Sequence[Strong] = ()) -> torch.Tensor:
    """Return the parameter that is made of a stored tensor."""
    ready = target.convert(_taken(stored, source), source.shape)
    return patched_weight(ready, changes) if changes else ready


def _derived(file: WeightFile, source: TensorSource, target: Target, changes: Sequence[Strong]) -> Derived:
    """Return what stands for a parameter that is made each time it is copied."""

    @contextlib.contextmanager
    def make() -> Iterator[torch.Tensor]:
        file.prefetch([source.name])
        try:
            yield _made(file.tensor(source.name), source, target, changes)
        finally:
            file.release([source.name])

    stored = torch.empty(file.shapes[source.name], dtype=file.dtypes[source.name], device="meta")
    like = _made(stored, source, replace(target, device=stored.device))
    return Derived.of(like, make, adapter_tensors({source.name: [adapter for adapter, _ in changes]}))


def _taken(stored: torch.Tensor, source: TensorSource) -> torch.Tensor:
    """Return what `source` takes of a stored tensor: all of it, a third of its rows, or a transposed copy."""
    if source.third is not None:
        return stored.chunk(3)[source.third]
    # Made contiguous: matrices multiply to other last bits when they lie the other way round.
    return stored.T.contiguous() if source.transposed else stored


def _groups(file: WeightFile, sources: Mapping[str, TensorSource]) -> Iterator[list[str]]:
    """Yield parameter names in the order of the file, in groups of about `GROUP_BYTES`.

    What comes from one stored tensor is never parted: a group's tensors are given back when it is done.
    """
    place = {name: index for index, name in enumerate(file.shapes)}
    group: list[str] = []
    size = 0
    for name in sorted(sources, key=lambda name: place[sources[name].name]):
        source = sources[name]
        if size >= GROUP_BYTES and source.name != sources[group[-1]].name:
            yield group
            group, size = [], 0
        group.append(name)
        size += torch.Size(source.shape).numel() * file.dtypes[source.name].itemsize
    if group:
        yield group


def _check_present(wanted: Mapping[str, torch.Tensor], sources: Mapping[str, TensorSource], name: str) -> None:
    missing = [key for key in wanted if key not in sources]
    if missing:
        raise WeightError(
            f"{name}: {len(missing)} of {len(wanted)} tensors are missing: {_some(missing)}",
            expected=f"{len(wanted)} tensors",
            got=f"{len(wanted) - len(missing)}",
            hint="the file is incomplete or of another kind; use the complete checkpoint",
        )
    wrong = [
        f"{key} {list(sources[key].shape)} instead of {list(tensor.shape)}"
        for key, tensor in wanted.items()
        if sources[key].shape != tuple(tensor.shape)
    ]
    if wrong:
        raise WeightError(
            f"{name}: {len(wrong)} of {len(wanted)} tensors have another shape than the network: {_some(wrong)}",
            expected="the shapes of one network",
            got="a mixture",
            hint="the file was put together from different models; use the original checkpoint",
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
