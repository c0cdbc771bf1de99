"""Prompts as this interface writes them: networks in angle brackets, styles, and its grammar of weights.

``(x)`` counts 1.1 times, ``[x]`` 1/1.1 times, ``(x:1.3)`` 1.3 times; nested weights multiply; brackets that are never
closed reach to the end. The text is rewritten with one explicit weight for each span, which is what the engine reads.
How a weight changes the encoding is the engine's own way (see docs/compatibility.md).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from engine.server.sdapi.refusals import FieldErrors, refuse_field

UP: Final = 1.1
MOST: Final = 1e6
MOST_NESTED: Final = 100
"""Beyond these, weights grow no further."""

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
    texts: list[str] = []
    groups: list[_Group] = []
    round_starts: list[int] = []
    square_starts: list[int] = []
    plain_before = False
    for token in _TOKEN.findall(text):
        closes_plain, plain_before = plain_before, False
        if token == "(":
            round_starts.append(len(texts))
        elif token == "[":
            square_starts.append(len(texts))
        elif token == ")" and round_starts:
            start = round_starts.pop()
            factor = _take_number(texts) if closes_plain and len(texts) > start else None
            groups.append(_Group(start, len(texts), 1 if factor is None else 0, factor))
        elif token == "]" and square_starts:
            groups.append(_Group(square_starts.pop(), len(texts), -1))
        else:
            escaped = len(token) == 2 and token[0] == "\\"
            texts.append(token[1] if escaped else token)
            plain_before = not escaped
    groups += [_Group(start, len(texts), 1) for start in reversed(round_starts)]
    groups += [_Group(start, len(texts), -1) for start in reversed(square_starts)]
    return list(_joined(zip(texts, _weights(len(texts), groups), strict=True)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Group:
    """Texts ``start`` .. ``end`` count 1.1 ** ``power`` times as much, and ``factor`` times if there is one."""

    start: int
    end: int
    power: int
    factor: float | None = None


def _take_number(texts: list[str]) -> float | None:
    """Take the weight off the end of the last text; None where there is none."""
    found = _WEIGHT.match(texts[-1])
    if found is None:
        return None
    try:
        factor = float(found[2])
    except ValueError:
        return None
    texts[-1] = found[1]
    return factor


def _weights(count: int, groups: Sequence[_Group]) -> Iterator[float]:
    """Yield the weight of each text. Groups with a factor nest; ``groups`` holds inner ones before outer ones."""
    powers = [0] * (count + 1)
    factors: list[list[float]] = [[] for _ in range(count + 1)]
    ends = [0] * (count + 1)
    for group in reversed(groups):
        if group.start == group.end:
            continue
        powers[group.start] += group.power
        powers[group.end] -= group.power
        if group.factor is not None:
            factors[group.start].append(group.factor)
            ends[group.end] += 1
    power, products = 0, [1.0]
    for place in range(count):
        power += powers[place]
        if ends[place]:
            del products[-ends[place] :]
        for factor in factors[place]:
            products.append(max(min(products[-1] * factor, MOST), -MOST))
        yield products[-1] * UP ** max(min(power, MOST_NESTED), -MOST_NESTED)


def _joined(spans: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
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
