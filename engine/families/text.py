"""From a prompt to its embedding: chunks of tokens through the text network, then the weights of the prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from engine.families.family import TextEncoding
from engine.families.prompt_embeddings import NO_EMBEDDINGS, Embeddings, vectors_for
from engine.families.tokenizer import Token, clip_tokenizer, tokenize_prompt
from engine.networks.clip_text import ClipText, ProjectedClipText, TextEncoders

__all__ = [
    "CLIP_G_READING",
    "CLIP_H_READING",
    "CLIP_L_READING",
    "XL_CLIP_L_READING",
    "CutPrompt",
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


def encode_clip(
    network: nn.Module, prompt: str, last_layer: int = 0, embeddings: Embeddings = NO_EMBEDDINGS
) -> TextEncoding:
    """Encode a prompt with a CLIP text network: embedding [1, 77 * chunks, D], pooled [1, D] of the first chunk.

    `last_layer` is counted from the end (-1: the last); 0 is the family's own choice, here and below. `embeddings` are
    the vectors of what the prompt names; `WeightError` is raised where they are of another width than the network.
    """
    assert isinstance(network, ClipText)
    return _encode(network, prompt, CLIP_L_READING.at(last_layer), embeddings)


def encode_clip_h(
    network: nn.Module, prompt: str, last_layer: int = 0, embeddings: Embeddings = NO_EMBEDDINGS
) -> TextEncoding:
    """Encode a prompt as Stable Diffusion 2 reads it: OpenCLIP-H, the layer before the last."""
    assert isinstance(network, ClipText)
    return _encode(network, prompt, CLIP_H_READING.at(last_layer), embeddings)


def encode_clip_g(
    network: nn.Module, prompt: str, last_layer: int = 0, embeddings: Embeddings = NO_EMBEDDINGS
) -> TextEncoding:
    """Encode a prompt as the refiner of Stable Diffusion XL reads it: OpenCLIP-G, with its projected pooled state."""
    assert isinstance(network, ProjectedClipText)
    return _encode(network, prompt, CLIP_G_READING.at(last_layer), embeddings)


def encode_clip_l_and_g(
    network: nn.Module, texts: tuple[str, str], last_layer: int = 0, embeddings: Embeddings = NO_EMBEDDINGS
) -> TextEncoding:
    """Encode a (prompt for CLIP-L, prompt for CLIP-G) as Stable Diffusion XL reads it.

    Embedding [1, 77 * chunks, D_L + D_G]; pooled [1, P] of CLIP-G. The shorter prompt is filled with empty chunks.
    """
    assert isinstance(network, TextEncoders)
    both = (network.clip_l, XL_CLIP_L_READING.at(last_layer)), (network.clip_g, CLIP_G_READING.at(last_layer))
    vectors = vectors_for(embeddings, [encoder.config.width for encoder, _ in both])
    cut = [
        _cut(encoder, text, reading, own) for (encoder, reading), text, own in zip(both, texts, vectors, strict=True)
    ]
    longest = max(len(one.chunks) for one in cut)
    encodings = [
        encode_chunks(encoder, one.padded(longest), reading) for (encoder, reading), one in zip(both, cut, strict=True)
    ]
    joined = torch.cat([encoding.embedding for encoding in encodings], dim=-1)
    return TextEncoding(joined, encodings[1].pooled)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CutPrompt:
    """Hold a prompt in chunks, the chunk of an empty prompt, and the vectors [N, D] of ids beyond the vocabulary."""

    chunks: Chunks
    empty: Sequence[Token]
    extra: Tensor | None = None

    def padded(self, count: int) -> CutPrompt:
        """Return it with empty chunks at its end, `count` in all."""
        return dataclasses.replace(self, chunks=[*self.chunks, *[self.empty] * (count - len(self.chunks))])


def encode_chunks(
    network: ClipText | ProjectedClipText, prompt: CutPrompt, reading: Reading = CLIP_L_READING
) -> TextEncoding:
    """Encode chunks of weighted tokens and join them along the tokens.

    A token of weight w becomes ``e + w * (z - e)``, where z is its embedding and e the embedding at the same place of
    the empty prompt: weight 0 is no prompt, 1 leaves it alone (the ecosystem's rule).
    """
    chunks = prompt.chunks
    is_weighted = any(token.weight != 1.0 for chunk in chunks for token in chunk)
    rows = [*chunks, prompt.empty] if is_weighted else list(chunks)
    device = next(network.parameters()).device
    ids = torch.tensor([[token.id for token in row] for row in rows], device=device)
    with torch.inference_mode():
        hidden, pooled = network(ids, reading.last_layer, reading.normalise, prompt.extra)
        hidden = hidden.float()
        if is_weighted:
            hidden = _weigh(hidden[:-1], hidden[-1:], chunks)
    embedding = hidden.reshape(1, -1, hidden.shape[-1])
    return TextEncoding(embedding.cpu().clone(), pooled[:1].float().cpu().clone())


def _encode(
    network: ClipText | ProjectedClipText, prompt: str, reading: Reading, embeddings: Embeddings
) -> TextEncoding:
    vectors = vectors_for(embeddings, [network.config.width])[0]
    return encode_chunks(network, _cut(network, prompt, reading, vectors), reading)


def _cut(
    network: ClipText | ProjectedClipText, prompt: str, reading: Reading, vectors: Mapping[str, Tensor]
) -> CutPrompt:
    """Cut a prompt into chunks; the rows of `vectors` get the ids that follow the vocabulary."""
    inserted: dict[str, range] = {}
    first = network.config.vocabulary
    for name, rows in vectors.items():
        inserted[name] = range(first, first + len(rows))
        first += len(rows)
    length, padding = network.config.positions, reading.padding
    empty = tokenize_prompt(clip_tokenizer(), "", length, padding)[0]
    chunks = tokenize_prompt(clip_tokenizer(), prompt, length, padding, inserted)
    return CutPrompt(chunks, empty, torch.cat(list(vectors.values())) if vectors else None)


def _weigh(hidden: Tensor, empty: Tensor, chunks: Chunks) -> Tensor:
    weights = torch.tensor([[token.weight for token in chunk] for chunk in chunks], device=hidden.device)[..., None]
    return torch.where(weights == 1.0, hidden, (hidden - empty) * weights + empty)
