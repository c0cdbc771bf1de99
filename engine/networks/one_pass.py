"""What a CPU with bfloat16 instructions does in one pass over memory, by way of oneDNN, where torch would take several.

Only in bfloat16 and while nothing is learnt; everywhere else these functions are not for use (`is_for` says so) and
modules compute in the plain way. The plain way is the reference: results differ from it by roundings that are left
out, because what lies between two steps stays in float32.
"""

from __future__ import annotations

import contextlib
import functools
import math
import platform
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["attend", "gated_projection", "is_for", "is_there", "scaled_projection"]

FEW_QUERIES: Final = 512
"""With fewer, calling takes longer than computing."""
SCORES: Final = 1 << 21
"""Scores of one head that are made at a time: 4 MB, which a cache of the processor holds."""
FEWEST_ROWS: Final = 64
COLUMNS: Final = 16
"""Products take whole groups of this many columns."""
MARGIN: Final = 10.0
"""How far below nought the logistic function is the exponential: to e^-10, a hundredth of what bfloat16 rounds off."""
ROUNDING: Final = 2**-6
"""More than all that is rounded before a bound is known, as a share of its parts."""
LEAST_SUM: Final = math.exp(-70)
"""bfloat16 ends at e^-87: above this, what is lost of a row is less than e^-17 of it for each key."""


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


def scaled_projection(x: Tensor, layer: nn.Linear, scale: float) -> Tensor:
    """Return ``layer(x) * scale`` of a layer without bias, rounded once: [..., C] to [..., out]."""
    flat = torch.addmm(x.new_zeros(1), x.flatten(0, -2), layer.weight.t(), beta=0, alpha=scale)
    return flat.view(*x.shape[:-1], -1)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor | None:
    """Return softmax(q k^T) v of [B, heads, N, d] tensors, or None where the fused kernel of torch is as fast.

    The kernel writes the scores, reads them for their greatest, reads them again for the exponentials. Here these are
    made from the sums of the product while they lie in registers. What oneDNN can apply there is the logistic
    function, which is the exponential for what is far below nought: e^x / (1 + e^x). A softmax does not change when a
    number is taken off all scores of a row, so each row is moved until its greatest score is at most `-MARGIN`. By
    Cauchy and Schwarz q k <= q m + |q| |k - m|, with m the mean of all keys, which no shift common to them widens.
    The number is one more column of q, with a column of ones in k; the sums of the rows are more columns of v.

    A row that its bound moves so far that the numbers end (sharp peaks among long keys) is seen by its sum. The fused
    kernel computes it again, and those with numbers that are not finite.
    """
    count, width = query.shape[-2:]
    if count < FEW_QUERIES:
        return None
    mean = key.mean(-2, keepdim=True)
    centre = (query @ mean.mT).float()
    reach = _lengths(query) * _lengths(key - mean).amax(-2, keepdim=True)
    bound = centre + reach + (centre.abs() + reach) * ROUNDING + MARGIN
    rest = -(width + 1) % COLUMNS
    queries = _widened(query, (-bound).to(query.dtype), query.new_zeros(rest))
    keys = _widened(key, key.new_ones(1), key.new_zeros(rest))
    # A sum is rounded as all that is made here; several, of different multiples, are as good as one that is not.
    multiples = 1 + torch.arange(rest + 1, device=query.device) / COLUMNS / 2
    values = _widened(value, multiples.to(value.dtype)).mT.contiguous()
    mixed = query.new_empty(query.shape[0], count, query.shape[1], width).transpose(1, 2)
    for sample in zip(queries, keys, values, mixed, strict=True):
        for head in zip(*sample, strict=True):
            _attend_head(*head, multiples)
    return mixed


def _attend_head(query: Tensor, key: Tensor, value: Tensor, mixed: Tensor, multiples: Tensor) -> None:
    """Write the result of one head into `mixed` [N, d]."""
    kernels: Any = torch.ops.mkldnn
    parts = []
    for rows in torch.split(query, max(FEWEST_ROWS, SCORES // key.shape[0])):
        scores = kernels._linear_pointwise(rows, key, None, "sigmoid", [], "none")
        parts.append(kernels._linear_pointwise(scores, value, None, "none", [], "none"))
    sums = torch.cat(parts).float()
    width = mixed.shape[-1]
    total = (sums[:, width:] / multiples).mean(-1, keepdim=True)
    torch.div(sums[:, :width], total, out=mixed)
    if isinstance(total, FakeTensor) or total.amin() >= LEAST_SUM:
        return
    lost = (~(total >= LEAST_SUM)).nonzero()[:, 0]
    query, key, value = (
        one[None, None] for one in (query[lost, :width], key[:, :width], value[:width].t().contiguous())
    )
    mixed[lost] = scaled_dot_product_attention(query, key, value, scale=1.0)[0, 0]


def _lengths(x: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    return lengths


def _widened(x: Tensor, *columns: Tensor) -> Tensor:
    """Put columns beside [..., N, d]: each [..., N, n], or [n] for all rows alike."""
    return torch.cat([x, *(one.expand(*x.shape[:-1], one.shape[-1]) for one in columns)], -1)


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
