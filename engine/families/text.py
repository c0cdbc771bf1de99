"""From a prompt to its embedding: chunks of tokens through the text network, then the weights of the prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from engine.families.family import TextEncoding
from engine.families.tokenizer import Token, clip_tokenizer, tokenize_prompt
from engine.networks.clip_text import ClipText, ProjectedClipText, TextEncoders

__all__ = [
    "CLIP_G_READING",
    "CLIP_H_READING",
    "CLIP_L_READING",
    "XL_CLIP_L_READING",
    "Reading",
    "encode_chunks",
    "encode_clip",
    "encode_clip_g",
    "encode_clip_h",
    "encode_clip_l_and_g",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """Say how a family reads a CLIP: what fills chunks (None: the end token), which layer, and if it is normalised."""

    padding: int | None = None
    last_layer: int = -1
    normalise: bool = True

    def at(self, last_layer: int) -> Reading:
        """Return the same reading of another layer; 0 keeps the family's own."""
        return dataclasses.replace(self, last_layer=last_layer) if last_layer else self


CLIP_L_READING: Final = Reading()
"""Stable Diffusion 1."""

CLIP_H_READING: Final = Reading(padding=0, last_layer=-2)
"""Stable Diffusion 2."""

XL_CLIP_L_READING: Final = Reading(last_layer=-2, normalise=False)
CLIP_G_READING: Final = Reading(padding=0, last_layer=-2, normalise=False)
"""Stable Diffusion XL and its refiner."""

Chunks = Sequence[Sequence[Token]]


def encode_clip(network: nn.Module, prompt: str, last_layer: int = 0) -> TextEncoding:
    """Encode a prompt with a CLIP text network: embedding [1, 77 * chunks, D], pooled [1, D] of the first chunk.

    `last_layer` is counted from the end (-1: the last); 0 is the family's own choice, here and below.
    """
    assert isinstance(network, ClipText)
    return _encode(network, prompt, CLIP_L_READING.at(last_layer))


def encode_clip_h(network: nn.Module, prompt: str, last_layer: int = 0) -> TextEncoding:
    """Encode a prompt as Stable Diffusion 2 reads it: OpenCLIP-H, the layer before the last."""
    assert isinstance(network, ClipText)
    return _encode(network, prompt, CLIP_H_READING.at(last_layer))


def encode_clip_g(network: nn.Module, prompt: str, last_layer: int = 0) -> TextEncoding:
    """Encode a prompt as the refiner of Stable Diffusion XL reads it: OpenCLIP-G, with its projected pooled state."""
    assert isinstance(network, ProjectedClipText)
    return _encode(network, prompt, CLIP_G_READING.at(last_layer))


def encode_clip_l_and_g(network: nn.Module, texts: tuple[str, str], last_layer: int = 0) -> TextEncoding:
    """Encode a (prompt for CLIP-L, prompt for CLIP-G) as Stable Diffusion XL reads it.

    Embedding [1, 77 * chunks, D_L + D_G]; pooled [1, P] of CLIP-G. The shorter prompt is filled with empty chunks.
    """
    assert isinstance(network, TextEncoders)
    both = (network.clip_l, XL_CLIP_L_READING.at(last_layer)), (network.clip_g, CLIP_G_READING.at(last_layer))
    chunks = [_chunks(encoder, text, reading) for (encoder, reading), text in zip(both, texts, strict=True)]
    longest = max(map(len, chunks))
    encodings = []
    for (encoder, reading), own in zip(both, chunks, strict=True):
        empty = _chunks(encoder, "", reading)[0]
        encodings.append(encode_chunks(encoder, [*own, *[empty] * (longest - len(own))], empty, reading))
    joined = torch.cat([encoding.embedding for encoding in encodings], dim=-1)
    return TextEncoding(joined, encodings[1].pooled)


def encode_chunks(
    network: ClipText | ProjectedClipText, chunks: Chunks, empty: Sequence[Token], reading: Reading = CLIP_L_READING
) -> TextEncoding:
    """Encode chunks of weighted tokens and join them along the tokens.

    A token of weight w becomes ``e + w * (z - e)``, where z is its embedding and e the embedding at the same place of
    the empty prompt: weight 0 is no prompt, 1 leaves it alone (the ecosystem's rule).
    """
    is_weighted = any(token.weight != 1.0 for chunk in chunks for token in chunk)
    rows = [*chunks, empty] if is_weighted else list(chunks)
    device = next(network.parameters()).device
    ids = torch.tensor([[token.id for token in row] for row in rows], device=device)
    with torch.inference_mode():
        hidden, pooled = network(ids, reading.last_layer, reading.normalise)
        hidden = hidden.float()
        if is_weighted:
            hidden = _weigh(hidden[:-1], hidden[-1:], chunks)
    embedding = hidden.reshape(1, -1, hidden.shape[-1])
    return TextEncoding(embedding.cpu().clone(), pooled[:1].float().cpu().clone())


def _encode(network: ClipText | ProjectedClipText, prompt: str, reading: Reading) -> TextEncoding:
    return encode_chunks(network, _chunks(network, prompt, reading), _chunks(network, "", reading)[0], reading)


def _chunks(network: ClipText | ProjectedClipText, prompt: str, reading: Reading) -> tuple[tuple[Token, ...], ...]:
    return tokenize_prompt(clip_tokenizer(), prompt, network.config.positions, reading.padding)


def _weigh(hidden: Tensor, empty: Tensor, chunks: Chunks) -> Tensor:
    weights = torch.tensor([[token.weight for token in chunk] for chunk in chunks], device=hidden.device)[..., None]
    return torch.where(weights == 1.0, hidden, (hidden - empty) * weights + empty)
