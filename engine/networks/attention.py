"""Attention blocks of the denoising U-Net: self-attention, attention to the prompt, gated feed-forward.

Parameter names follow the original single-file layout. Attention runs through torch's fused kernel
(`scaled_dot_product_attention`), which never stores the full attention matrix.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks import one_pass

__all__ = ["Attention", "FeedForward", "SpatialTransformer", "TransformerBlock", "TransformerSize"]

NARROW_HEAD = 32


@dataclass(frozen=True, slots=True)
class TransformerSize:
    """Sizes of one spatial transformer: `heads` must divide `channels`; `depth` counts its blocks."""

    channels: int
    heads: int
    depth: int
    context_dim: int
    linear_projection: bool
    groups: int


class Attention(nn.Module):
    """Multi-head attention of pixels to a context sequence, or to themselves."""

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_dim, channels, bias=False)
        self.to_v = nn.Linear(context_dim, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels), nn.Identity())

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Attend from x [B, N, C] to context [B, T, D] (x itself if None); returns [B, N, C]."""
        source = x if context is None else context
        scale = (self.to_q.out_features // self.heads) ** -0.5
        if one_pass.is_for(x, self.to_q):
            asked, scale = one_pass.scaled_projection(x, self.to_q, scale), 1.0
        else:
            asked = self.to_q(x)
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (asked, self.to_k(source), self.to_v(source))
        )
        mixed = _attend(query, key, value, scale)
        result: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return result


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Return softmax(scale q k^T) v of [B, heads, N, d] tensors.

    Narrow heads go through float32 on a CPU: there the half-precision kernel is three times slower at d = 8.
    """
    if scale == 1.0 and one_pass.is_for(query):
        mixed = one_pass.attend(query, key, value)
        if mixed is not None:
            return mixed
    attention = functools.partial(functional.scaled_dot_product_attention, scale=scale)
    if query.device.type == "cpu" and query.shape[-1] < NARROW_HEAD and query.dtype != torch.float32:
        with torch.autocast("cpu", enabled=False):
            return attention(query.float(), key.float(), value.float()).to(query.dtype)
    return attention(query, key, value)


class GatedProjection(nn.Module):
    """GEGLU (Shazeer, 2020): half of the projection gates the other half through an exact GELU."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, hidden * 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., C] to [..., hidden]."""
        if one_pass.is_for(x, self.proj):
            return one_pass.gated_projection(x, self.proj)
        value, gate = self.proj(x).chunk(2, dim=-1)
        result: Tensor = value * functional.gelu(gate)
        return result


class FeedForward(nn.Module):
    """Gated two-layer perceptron, four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels * 4
        self.net = nn.Sequential(GatedProjection(channels, hidden), nn.Identity(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, C] to [B, N, C]."""
        result: Tensor = self.net(x)
        return result


class TransformerBlock(nn.Module):
    """Self-attention, attention to the prompt and feed-forward, each normalised first and added on."""

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.attn1 = Attention(channels, channels, heads)
        self.ff = FeedForward(channels)
        self.attn2 = Attention(channels, context_dim, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x [B, N, C] and context [B, T, D] to [B, N, C]."""
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        result: Tensor = x + self.ff(self.norm3(x))
        return result


class SpatialTransformer(nn.Module):
    """Run transformer blocks over the pixels of a feature map, as a residual."""

    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        channels = size.channels
        self.linear_projection = size.linear_projection
        self.norm = nn.GroupNorm(size.groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels) if size.linear_projection else nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, size.context_dim, size.heads) for _ in range(size.depth)
        )
        self.proj_out = nn.Linear(channels, channels) if size.linear_projection else nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x [B, C, H, W] and context [B, T, D] to [B, C, H, W]."""
        height, width = x.shape[-2:]
        hidden = self.norm(x)
        if not self.linear_projection:
            hidden = self.proj_in(hidden)
        hidden = hidden.flatten(2).transpose(1, 2)
        if self.linear_projection:
            hidden = self.proj_in(hidden)
        for block in self.transformer_blocks:
            hidden = block(hidden, context)
        if self.linear_projection:
            hidden = self.proj_out(hidden)
        hidden = hidden.transpose(1, 2).unflatten(2, (height, width))
        if not self.linear_projection:
            hidden = self.proj_out(hidden)
        result: Tensor = x + hidden
        return result
