"""The weights grammar of prompts: ``(text)`` counts 1.1 times as much, ``(text:1.3)`` exactly 1.3 times.

Parentheses nest and their factors multiply; an explicit number replaces the product of those around it. ``\\(`` and
``\\)`` are plain characters. Parentheses without a partner are plain text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["WeightedText", "parse_weights"]

EMPHASIS: Final = 1.1
STAND_INS: Final = {"\\(": "\x00\x01", "\\)": "\x00\x02"}


@dataclass(frozen=True, slots=True)
class WeightedText:
    """A piece of a prompt and how much it counts."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    weight: float
    is_group: bool


def parse_weights(prompt: str) -> tuple[WeightedText, ...]:
    """Split a prompt into pieces of equal weight, in order. Time grows with the length, however deep the nesting."""
    text = prompt
    for written, stand_in in STAND_INS.items():
        text = text.replace(written, stand_in)
    closings = _closings(text)
    pieces: list[WeightedText] = []
    pending = [_Span(0, len(text), 1.0, is_group=True)]  # a stack; its top comes next in reading order
    while pending:
        span = pending.pop()
        if span.is_group:
            pending.extend(reversed(list(_split(text, span, closings))))
        else:
            pieces.append(WeightedText(_unescape(text[span.start : span.end]), span.weight))
    return tuple(pieces)


def _closings(text: str) -> dict[int, int]:
    """Map the place of every "(" that has a partner to the place of its ")"."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for place, character in enumerate(text):
        if character == "(":
            opened.append(place)
        elif character == ")" and opened:
            found[opened.pop()] = place
    return found


def _split(text: str, span: _Span, closings: Mapping[int, int]) -> Iterator[_Span]:
    """Yield the plain pieces and the groups directly inside a span.

    A surplus ")" makes the next "(" plain, too: the two cancel out, as in the ecosystem.
    """
    place = begin = span.start
    surplus = 0
    while place < span.end:
        character = text[place]
        if character == "(" and not surplus:
            if begin < place:
                yield _Span(begin, place, span.weight, is_group=False)
            after = closings.get(place, span.end) + 1
            if after > span.end:  # no partner: the rest is one piece, a group only if it happens to end like one
                yield _rest(text, place, span)
                return
            yield _inside(text, place, after, span.weight)
            place = begin = after
            continue
        if character == ")":
            surplus += 1
        elif character == "(":
            surplus -= 1
        place += 1
    if begin < span.end:
        yield _Span(begin, span.end, span.weight, is_group=False)


def _rest(text: str, start: int, span: _Span) -> _Span:
    if span.end - start > 1 and text[span.end - 1] == ")":
        return _inside(text, start, span.end, span.weight)
    return _Span(start, span.end, span.weight, is_group=False)


def _inside(text: str, start: int, end: int, outer: float) -> _Span:
    """Return what a group "(...)" or "(...:1.3)" holds, with its weight."""
    first, last = start + 1, end - 1
    colon = text.rfind(":", first, last)
    if colon > first:
        try:
            weight = float(text[colon + 1 : last])
        except ValueError:
            weight = math.nan
        if math.isfinite(weight):
            return _Span(first, colon, weight, is_group=True)
    return _Span(first, last, outer * EMPHASIS, is_group=True)


def _unescape(text: str) -> str:
    for written, stand_in in STAND_INS.items():
        text = text.replace(stand_in, written[1:])
    return text
