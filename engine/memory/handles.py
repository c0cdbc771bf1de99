"""Stand-ins for weights that are not on the device yet: everything of a tensor but its numbers.

A network that computes on a card has such handles in place of its weights: of the right sizes, strides, number format
and device, so that whatever looks at them decides as it would with the weights. Each operation that takes one is given
the real tensor instead (`engine.memory.streamed`); outside of that they cannot be computed with.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Handle", "with_handles"]


class Handle(Tensor):
    """Name a weight of a model. Made by `with_handles`."""

    of_model: str
    of_name: str

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def of(model: str, name: str, weight: Tensor, device: torch.device) -> Handle:
        """Return the handle of a weight, as it would lie on `device`."""
        made: Handle = torch.Tensor._make_wrapper_subclass(
            Handle, weight.shape, strides=weight.stride(), dtype=weight.dtype, device=device, requires_grad=False
        )
        made.of_model, made.of_name = model, name
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]  # torch's own stub has no name for it
        return f"Handle({self.of_name}, {tuple(self.shape)}, {self.dtype}, {self.device})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's own stub leaves `func` out
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise RuntimeError(f"{func} takes a weight outside of `Residency.use`, where it is not on the device")


def with_handles(model: str, network: nn.Module, device: torch.device) -> nn.Module:
    """Return a network like `network`, which lies in host memory, whose weights are handles on `device`."""
    tensors = network.state_dict()
    handles: dict[int, Tensor] = {}
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name in tensors:
            handles[id(tensor)] = Handle.of(model, name, tensor, device)
        else:  # not a weight: moved once, and small
            handles[id(tensor)] = tensor.to(device)
    return copy.deepcopy(network, handles)  # what the memo names is not copied
