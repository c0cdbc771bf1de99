"""What a CPU with bfloat16 instructions does in one pass over memory, by way of oneDNN, where torch would take several.

Only in bfloat16 and while nothing is learnt; everywhere else these functions are not for use (`is_for` says so) and
modules compute in the plain way. The plain way is the reference: results differ from it by roundings that are left
out, because what lies between two steps stays in float32.
"""

from __future__ import annotations

import contextlib
import functools
import platform
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["attend_to_few", "gated_projection", "is_for", "is_there"]

PACKED_KEYS: Final = 16
"""The fused attention of a CPU rearranges keys in groups of this many; other counts take a way of half the speed."""
FEW_KEYS: Final = 512


def is_for(x: Tensor, layer: nn.Linear | None = None) -> bool:
    """Say whether `x`, and `layer` with it, is computed with here: bfloat16 on such a CPU, and no gradient is wanted.

    A layer with hooks is to be called as a module, so it is not.
    """
    if x.dtype != torch.bfloat16 or x.device.type != "cpu" or torch.is_grad_enabled() or not is_there():
        return False
    return layer is None or (layer.weight.dtype == torch.bfloat16 and not layer._forward_hooks)


def gated_projection(x: Tensor, layer: nn.Linear) -> Tensor:
    """Return the first half of ``layer(x)`` times the exact GELU of the second: [..., C] to [..., hidden]."""
    value, gate = layer.weight.chunk(2)
    value_bias, gate_bias = (None, None) if layer.bias is None else layer.bias.chunk(2)
    kernels: Any = torch.ops.mkldnn
    opened = kernels._linear_pointwise(x, gate, gate_bias, "gelu", [], "none")
    result: Tensor = kernels._linear_pointwise.binary(x, opened, value, value_bias, "mul")
    return result


def attend_to_few(query: Tensor, key: Tensor, value: Tensor) -> Tensor | None:
    """Return softmax(q k^T / sqrt(d)) v of [B, heads, N, d] tensors, or None where there is nothing to gain.

    A prompt has 77 tokens, a number that the kernel cannot pack: keys that weigh nothing are added up to one that it
    can, which halves the time.
    """
    count = key.shape[-2]
    more = -count % PACKED_KEYS
    if not more or count > FEW_KEYS or query.shape[-2] < FEW_KEYS:
        return None
    mask = query.new_zeros(count + more)
    mask[count:] = float("-inf")
    key, value = (functional.pad(one, (0, 0, 0, more)) for one in (key, value))
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask.expand(query.shape[-2], -1))


@functools.cache
def is_there() -> bool:
    """Say whether torch has these operations and they were tried on this kind of processor (x86 with AVX-512)."""
    mkldnn: Any = torch.backends.mkldnn
    if platform.machine().lower() not in ("x86_64", "amd64") or not mkldnn.is_available():
        return False
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    # torch can say what shape comes out of all of them but this one, which dry runs need.
    with contextlib.suppress(RuntimeError):  # a later torch can
        torch.library.register_fake(torch.ops.mkldnn._linear_pointwise.binary, _shape_of_linear)
    return True


def _shape_of_linear(x: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, attr: str) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0]))
