"""The text half of CLIP (Radford et al., 2021, arXiv:2103.00020), which turns tokens into the prompt's embedding.

Parameter names are those of Hugging Face's ``text_model``, as Stable Diffusion 1 checkpoints store them; OpenCLIP's
encoders (Stable Diffusion 2 and XL) are the same network under other names. It is small enough to own: importing it
from transformers costs more than encoding a prompt does.

It computes in the number format of its normalisations. Matrices may be stored in a narrower one, as half-precision
files have them: each is widened while it multiplies, so that no wider copy of the network is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Activation", "ClipText", "ClipTextConfig", "ProjectedClipText", "TextEncoders"]

Activation = Literal["quick_gelu", "gelu"]

QUICK_GELU_SLOPE = 1.702


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """Sizes of a `ClipText`; the defaults are CLIP ViT-L/14, which Stable Diffusion 1 reads prompts with."""

    vocabulary: int = 49408
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    positions: int = 77
    activation: Activation = "quick_gelu"


class ClipText(nn.Module):
    """Encode tokens [B, T] to hidden states [B, T, width] with a causal transformer."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.width, eps=1e-5)

    def forward(
        self, tokens: Tensor, last_layer: int = -1, normalise: bool = True, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return hidden states [B, T, width] and the pooled state [B, width] of tokens [B, T].

        `last_layer` -1 is the last layer, -2 the one before it, and so on; the final normalisation is applied to
        whichever is taken, unless `normalise` is off. Numbers that go back further than there are layers mean the last
        one, normalised in either case. The pooled state is that of the first end token (the vocabulary's last) after
        the last layer. Tokens from the vocabulary's size on are the rows of `extra` [N, width], which take the place of
        token embeddings (textual inversion).
        """
        depth = len(self.encoder.layers)
        is_there = -depth <= last_layer < 0
        taken = depth + last_layer if is_there else depth - 1
        hidden = self.embeddings(tokens, extra, self.final_layer_norm.weight.dtype)
        chosen = hidden
        for index, layer in enumerate(self.encoder.layers):
            hidden = layer(hidden)
            if index == taken:
                chosen = hidden
        place = (tokens == self.config.vocabulary - 1).int().argmax(dim=-1)
        last = self.final_layer_norm(hidden)
        pooled = last[torch.arange(len(tokens), device=tokens.device), place]
        if is_there and not normalise:
            return chosen, pooled
        return self.final_layer_norm(chosen) if taken != depth - 1 else last, pooled


class ProjectedClipText(nn.Module):
    """A `ClipText` whose pooled state goes through CLIP's projection into the space of pictures, where it has one."""

    def __init__(self, config: ClipTextConfig, projected: int | None = None) -> None:
        super().__init__()
        self.config = config
        self.text_model = ClipText(config)
        self.text_projection = None if projected is None else _Linear(config.width, projected, bias=False)

    def forward(
        self, tokens: Tensor, last_layer: int = -1, normalise: bool = True, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return hidden states as `ClipText` does, and the projected pooled state [B, projected]."""
        hidden, pooled = self.text_model(tokens, last_layer, normalise, extra)
        return hidden, pooled if self.text_projection is None else self.text_projection(pooled)


class TextEncoders(nn.Module):
    """Hold the two text encoders of a model that reads every prompt with both."""

    def __init__(self, clip_l: ProjectedClipText, clip_g: ProjectedClipText) -> None:
        super().__init__()
        self.clip_l = clip_l
        self.clip_g = clip_g


class _Linear(nn.Linear):
    """A linear layer whose weight is widened to what it multiplies."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight.to(input.dtype), self.bias)


class _Embeddings(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.position_embedding = nn.Embedding(config.positions, config.width)

    def forward(self, tokens: Tensor, extra: Tensor | None, dtype: torch.dtype) -> Tensor:
        found: Tensor
        if extra is None:
            found = self.token_embedding(tokens).to(dtype)
        else:
            known = self.token_embedding.num_embeddings
            found = self.token_embedding(tokens.clamp(max=known - 1)).to(dtype)
            rows = extra.to(found)[(tokens - known).clamp(min=0)]
            found = torch.where((tokens >= known)[..., None], rows, found)
        result: Tensor = found + self.position_embedding.weight[: tokens.shape[1]].to(dtype)
        return result


class _Encoder(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))


class _Layer(nn.Module):
    """Causal self-attention and a perceptron, each normalised first and added on."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=1e-5)
        self.self_attn = _SelfAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=1e-5)
        self.mlp = _Perceptron(config)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))
        result: Tensor = hidden + self.mlp(self.layer_norm2(hidden))
        return result


class _SelfAttention(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = _Linear(config.width, config.width)
        self.k_proj = _Linear(config.width, config.width)
        self.v_proj = _Linear(config.width, config.width)
        self.out_proj = _Linear(config.width, config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        query, key, value = (
            projection(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        result: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return result


class _Perceptron(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.is_quick = config.activation == "quick_gelu"
        self.fc1 = _Linear(config.width, config.hidden)
        self.fc2 = _Linear(config.hidden, config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.fc1(hidden)
        hidden = hidden * torch.sigmoid(QUICK_GELU_SLOPE * hidden) if self.is_quick else functional.gelu(hidden)
        result: Tensor = self.fc2(hidden)
        return result
