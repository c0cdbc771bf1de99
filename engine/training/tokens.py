"""Tokens of the default model: CLIP's vocabulary and a table of word vectors to start the text encoder from.

The table is what lets a few thousand captions teach a text encoder words it has hardly seen: every CLIP token gets the
sentence vector that a small pretrained encoder gives its text, reduced by principal components.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.families.tokenizer import clip_tokenizer

__all__ = ["CONTEXT_LENGTH", "Tokenizer", "build_token_table"]

CONTEXT_LENGTH = 77
ENCODER_BATCH = 512

log = logging.getLogger(__name__)


class Tokenizer:
    """Turn captions into rows of 77 CLIP token ids, remembering what it has seen."""

    def __init__(self) -> None:
        self._tokenizer = clip_tokenizer()
        self._seen: dict[str, Tensor] = {}

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Return the ids [B, 77] of `captions`, cut or padded with the end token as Stable Diffusion 1 does."""
        return torch.stack([self._row(caption) for caption in captions])

    def _row(self, caption: str) -> Tensor:
        if caption not in self._seen:
            end = self._tokenizer.end
            ids = [self._tokenizer.start, *self._tokenizer.encode(caption)][: CONTEXT_LENGTH - 1]
            self._seen[caption] = torch.tensor([*ids, *[end] * (CONTEXT_LENGTH - len(ids))])
        return self._seen[caption]


def token_texts(vocabulary: Iterable[str]) -> list[str]:
    """Return the plain text each token stands for; byte fragments that are no text become replacement marks."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    values = {chr(byte): byte for byte in printable}
    hidden = [byte for byte in range(256) if chr(byte) not in values]
    values |= {chr(256 + index): byte for index, byte in enumerate(hidden)}
    texts = []
    for token in vocabulary:
        letters = "" if token.startswith("<|") else token.removesuffix("</w>")
        texts.append(bytes(values[letter] for letter in letters).decode("utf-8", errors="replace"))
    return texts


@torch.no_grad()
def build_token_table(encoder_folder: Path, width: int) -> Tensor:
    """Return a token table [49408, width]: sentence vectors of the tokens' texts, reduced by principal components.

    `encoder_folder` holds a BERT-like sentence encoder (`config.json`, `model.safetensors`, `tokenizer.json`). The
    table is scaled as a whole to a standard deviation of 1.
    """
    from transformers import AutoModel, AutoTokenizer

    texts = token_texts(clip_tokenizer().vocabulary)
    tokenizer = AutoTokenizer.from_pretrained(str(encoder_folder), local_files_only=True)
    encoder = AutoModel.from_pretrained(str(encoder_folder), local_files_only=True).eval()
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    vectors = torch.zeros(len(texts), encoder.config.hidden_size)
    for start in range(0, len(order), ENCODER_BATCH):
        chosen = order[start : start + ENCODER_BATCH]
        inputs = tokenizer([texts[index] for index in chosen], padding=True, return_tensors="pt")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = encoder(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][:, :, None].float()
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        vectors[chosen] = torch.nn.functional.normalize(pooled, dim=-1)
        log.info("token vectors: %d of %d", start + len(chosen), len(order))
    return reduce_vectors(vectors, width)


def reduce_vectors(vectors: Tensor, width: int) -> Tensor:
    """Project vectors [N, D] on their first `width` principal components; returns [N, width] of unit spread."""
    centred = vectors - vectors.mean(0)
    _, components = torch.linalg.eigh(centred.T @ centred)
    reduced = centred @ components[:, -width:].flip(1)
    scaled: Tensor = reduced / reduced.std()
    return scaled
