"""Weights in the order in which oneDNN multiplies with them, so that no call has to rearrange them first.

A packed layer computes the same bits as the plain one: oneDNN rearranges the plain weights to just this order whenever
it is called. That costs little where a weight meets many pixels, and as much as the multiplication itself where it
meets few, as in the middle of a U-Net. Packed weights replace the plain ones; `plain` gives those back exactly, and
`set_weight` packs new ones, as LoRA needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from engine.networks import one_pass
from engine.networks.attention import GatedProjection

__all__ = ["can_pack", "pack", "plain", "set_weight"]

NARROWEST: Final = 16
"""Layers with fewer channels on either side stay as they are: the first convolution also decides the layout."""


class PackedLinear(nn.Linear):
    """A linear layer whose weight is packed; for bfloat16 on a CPU, without gradients."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., C] to [..., D]."""
        kernels: Any = torch.ops.mkldnn
        result: Tensor = kernels._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return result


class PackedConv2d(nn.Conv2d):
    """A convolution whose weight is packed; for bfloat16 on a CPU, channels last, without gradients."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, D, H', W']."""
        kernels: Any = torch.ops.mkldnn
        result: Tensor = kernels._convolution_pointwise(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, "none", [], ""
        )
        return result


_PACKED: Final[Mapping[type[nn.Module], type[nn.Module]]] = {nn.Linear: PackedLinear, nn.Conv2d: PackedConv2d}


def can_pack() -> bool:
    """Say whether this machine has what packed layers need."""
    return one_pass.is_there()


def pack(network: nn.Module) -> nn.Module:
    """Pack the weights of a network in bfloat16 on the CPU, layer by layer, in place; returns it.

    Left plain: narrow layers, and the gates of feed-forwards, whose halves are multiplied apart.
    """
    gates = {module.proj for module in network.modules() if isinstance(module, GatedProjection)}
    for layer in network.modules():
        kind = _PACKED.get(type(layer))
        weight = layer._parameters.get("weight")
        if kind is None or weight is None or layer in gates or min(weight.shape[:2]) < NARROWEST:
            continue
        if weight.dtype == torch.bfloat16 and getattr(layer, "padding_mode", "zeros") == "zeros":
            layer.__class__ = kind
            _put(layer, weight)
    return network


def plain(tensor: Tensor) -> Tensor:
    """Return a packed weight as an ordinary tensor, with the same numbers; any other as it is."""
    return tensor.to_dense() if tensor.is_mkldnn else tensor


def set_weight(network: nn.Module, name: str, weight: Tensor) -> None:
    """Replace the packed parameter `name` of a network by `weight`, which is packed for it."""
    _put(network.get_submodule(name.rpartition(".")[0]), weight)


def _put(layer: nn.Module, weight: Tensor) -> None:
    kernels: Any = torch.ops.mkldnn
    weight = weight.detach()
    if isinstance(layer, PackedConv2d):
        made = kernels._reorder_convolution_weight(
            weight, layer.padding, layer.stride, layer.dilation, layer.groups, None
        )
    else:
        made = kernels._reorder_linear_weight(weight, None)
    layer.register_parameter("weight", nn.Parameter(made, requires_grad=False))
