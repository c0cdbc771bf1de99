"""Prompts as this interface writes them: networks in angle brackets, styles, and its grammar of weights.

``(x)`` counts 1.1 times, ``[x]`` 1/1.1 times, ``(x:1.3)`` 1.3 times; nested weights multiply; brackets that are never
closed reach to the end. The text is rewritten with one explicit weight for each span, which is what the engine reads.
How a weight changes the encoding is the engine's own way (see docs/compatibility.md).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from engine.server.sdapi.refusals import FieldErrors, refuse_field

UP: Final = 1.1
DOWN: Final = 1 / 1.1

_NETWORK = re.compile(r"<(\w+):([^<>]+)>")
_TOKEN = re.compile(r"\\[()\[\]\\]|[()\[\]]|[^\\()\[\]]+|\\")
_WEIGHT = re.compile(r"^(.*):\s*([+-]?[\d.]+)\s*$", re.DOTALL)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_AND = re.compile(r"\bAND\b")
_SCHEDULED = re.compile(r"\[[^\[\]]*:\s*[\d.]+\s*\]")
_ALTERNATING = re.compile(r"\[[^\[\]]*\|[^\[\]]*\]")


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A LoRA that a prompt asks for by ``name``, with its strengths for text encoder and diffusion model."""

    name: str
    text_strength: float
    model_strength: float


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """A named template: ``{prompt}`` in it is replaced, and without that it is appended."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


def take_networks(text: str, field: str) -> tuple[str, tuple[Network, ...]]:
    """Return the text without its ``<lora:name:te:unet>``, and the networks. Raises `FieldErrors` for other kinds."""
    found = [_network(match[1], match[2].split(":"), field) for match in _NETWORK.finditer(text)]
    return _NETWORK.sub("", text), tuple(found)


def _network(kind: str, parts: list[str], field: str) -> Network:
    if kind not in ("lora", "lyco"):
        raise refuse_field(field, f"networks of the kind <{kind}:…> are not supported; <lora:name:weight> is")
    plain = [part for part in parts if "=" not in part]
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    if not plain or not plain[0].strip() or len(plain) > 3 or not set(named) <= {"te", "unet"}:
        raise refuse_field(field, f"<{kind}:{':'.join(parts)[:80]}> is not <lora:name:text encoder:model>")
    try:
        text = float(named.get("te", plain[1] if len(plain) > 1 else 1.0))
        model = float(named.get("unet", plain[2] if len(plain) > 2 else text))
    except ValueError:
        raise refuse_field(field, f"<{kind}:{':'.join(parts)[:80]}> has a weight that is not a number") from None
    return Network(plain[0].strip(), text, model)


def name_embeddings(text: str, names: Sequence[str]) -> str:
    """Write ``embedding:`` before the words that are names of embeddings, as the engine reads them."""
    if not names:
        return text
    known = {name.lower(): name for name in names}
    longest_first = sorted(known, key=lambda name: (-len(name), name))
    pattern = rf"(?<![\w:/.-])({'|'.join(re.escape(name) for name in longest_first)})(?![\w-])"
    return re.sub(pattern, lambda found: f"embedding:{known[found[1].lower()]}", text, flags=re.IGNORECASE)


def apply_styles(text: str, styles: tuple[str, ...]) -> str:
    """Return a prompt with the templates of styles applied in turn."""
    for style in styles:
        if "{prompt}" in style:
            text = style.replace("{prompt}", text)
        elif style:
            text = ", ".join(part for part in (text.strip(), style.strip()) if part)
    return text


def chunks_of(text: str, field: str) -> tuple[str, ...]:
    """Return the parts between ``BREAK``, each with its weights written as the engine reads them.

    Raises `FieldErrors` for what would be drawn as something else: scheduled and alternating prompts, ``AND``.
    """
    refused: Mapping[str, re.Pattern[str]] = {
        "scheduled prompts ([from:to:when])": _SCHEDULED,
        "alternating prompts ([a|b])": _ALTERNATING,
        "prompts joined by AND": _AND,
    }
    plain = re.sub(r"\\.", "", text)
    errors = [(field, f"{what} are not supported yet") for what, mark in refused.items() if mark.search(plain)]
    if errors:
        raise FieldErrors(errors)
    return tuple(write_spans(spans_of(part)) for part in _BREAK.split(text))


def spans_of(text: str) -> list[tuple[str, float]]:
    """Split a prompt into plain texts with their weights; neighbours of equal weight are joined."""
    spans: list[tuple[str, float]] = []
    round_starts: list[int] = []
    square_starts: list[int] = []
    plain_before = False
    for token in _TOKEN.findall(text):
        closes_plain, plain_before = plain_before, False
        if token == "(":
            round_starts.append(len(spans))
        elif token == "[":
            square_starts.append(len(spans))
        elif token == ")" and round_starts:
            _close_round(spans, round_starts.pop(), closes_plain)
        elif token == "]" and square_starts:
            _multiply(spans, square_starts.pop(), DOWN)
        else:
            escaped = len(token) == 2 and token[0] == "\\"
            spans.append((token[1] if escaped else token, 1.0))
            plain_before = not escaped
    for start in round_starts:
        _multiply(spans, start, UP)
    for start in square_starts:
        _multiply(spans, start, DOWN)
    return list(_joined(spans))


def _close_round(spans: list[tuple[str, float]], start: int, closes_plain: bool) -> None:
    """Apply the weight of a group that ends here: the number directly before its bracket, else 1.1."""
    found = _WEIGHT.match(spans[-1][0]) if closes_plain and len(spans) > start else None
    factor = UP if found is None else _as_number(found[2])
    if found is None or factor is None:
        _multiply(spans, start, UP)
        return
    spans[-1] = (found[1], spans[-1][1])
    _multiply(spans, start, factor)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _multiply(spans: list[tuple[str, float]], start: int, factor: float) -> None:
    for place in range(start, len(spans)):
        spans[place] = (spans[place][0], spans[place][1] * factor)


def _joined(spans: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    text, weight = "", 1.0
    for more, its in spans:
        if more and abs(its - weight) > 1e-9:
            if text:
                yield text, weight
            text, weight = more, its
        else:
            text += more
    if text:
        yield text, weight


def write_spans(spans: list[tuple[str, float]]) -> str:
    """Write spans as the engine reads them: ``(text:1.21)``, brackets of the text itself escaped."""
    written = []
    for text, weight in spans:
        plain = text.replace("(", "\\(").replace(")", "\\)")
        written.append(plain if abs(weight - 1.0) < 1e-9 else f"({plain}:{round(weight, 6)})")
    return "".join(written)
