"""From a prompt to its embedding: chunks of tokens through the text network, then the weights of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.families.clip_text import ClipText
from engine.families.family import TextEncoding
from engine.families.tokenizer import Token, clip_tokenizer, tokenize_prompt

__all__ = ["encode_chunks", "encode_clip"]


def encode_clip(network: nn.Module, prompt: str, last_layer: int = -1) -> TextEncoding:
    """Encode a prompt with a CLIP text network: embedding [1, 77 * chunks, D], pooled [1, D] of the first chunk."""
    assert isinstance(network, ClipText)
    tokenizer = clip_tokenizer()
    length = network.config.positions
    chunks = tokenize_prompt(tokenizer, prompt, length)
    empty = tokenize_prompt(tokenizer, "", length)[0]
    return encode_chunks(network, chunks, empty, last_layer)


def encode_chunks(
    network: ClipText, chunks: Sequence[Sequence[Token]], empty: Sequence[Token], last_layer: int = -1
) -> TextEncoding:
    """Encode chunks of weighted tokens and join them along the tokens.

    A token of weight w becomes ``e + w * (z - e)``, where z is its embedding and e the embedding at the same place of
    the empty prompt: weight 0 is no prompt, 1 leaves it alone (the ecosystem's rule).
    """
    is_weighted = any(token.weight != 1.0 for chunk in chunks for token in chunk)
    rows = [*chunks, empty] if is_weighted else list(chunks)
    device = network.final_layer_norm.weight.device
    ids = torch.tensor([[token.id for token in row] for row in rows], device=device)
    with torch.inference_mode():
        hidden, pooled = network(ids, last_layer)
        hidden = hidden.float()
        if is_weighted:
            hidden = _weigh(hidden[:-1], hidden[-1:], chunks)
    embedding = hidden.reshape(1, -1, hidden.shape[-1])
    return TextEncoding(embedding.cpu().clone(), pooled[:1].float().cpu().clone())


def _weigh(hidden: Tensor, empty: Tensor, chunks: Sequence[Sequence[Token]]) -> Tensor:
    weights = torch.tensor([[token.weight for token in chunk] for chunk in chunks], device=hidden.device)[..., None]
    return torch.where(weights == 1.0, hidden, (hidden - empty) * weights + empty)
