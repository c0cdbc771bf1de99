"""The text under ``parameters`` in a picture: the prompt, the negative prompt, and one line of ``Key: value`` pairs.

a cat
Negative prompt: dog
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

NEGATIVE: Final = "Negative prompt:"
LEAST_PAIRS: Final = 3
"""The last line counts as settings from so many pairs on; with fewer it is part of the prompt."""
DEFAULTS: Final[Mapping[str, str]] = {
    "Clip skip": "1",
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": "32",
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
}
"""What a missing key means."""

_KEY = re.compile(r"\s*(\w[\w \-/]*):\s*")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])*"')
_SIZE = re.compile(r"(\d+)x(\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class PictureText:
    """What such a text says; ``settings`` are the pairs as texts, in their order."""

    prompt: str
    negative_prompt: str = ""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def write_parameters(prompt: str, negative_prompt: str, settings: Mapping[str, Any]) -> str:
    """Write the text. Settings that are None are left out."""
    pairs = [
        key if str(value) == key else f"{key}: {_quote(_number(value))}"
        for key, value in settings.items()
        if value is not None
    ]
    lines = [prompt, *([f"{NEGATIVE} {negative_prompt}"] if negative_prompt else []), ", ".join(pairs)]
    return "\n".join(lines)


def read_parameters(text: str) -> PictureText:
    """Read such a text; one without a line of settings is all prompt."""
    *lines, last = text.strip().split("\n")
    pairs = list(_pairs(last))
    if len(pairs) < LEAST_PAIRS:
        lines, pairs = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] | None = None
    for line in lines:
        line = line.strip()
        if negative is None and line.startswith(NEGATIVE):
            negative, line = [], line[len(NEGATIVE) :].strip()
        (prompt if negative is None else negative).append(line)
    return PictureText("\n".join(prompt).strip(), "\n".join(negative or ()).strip(), dict(pairs))


def as_fields(found: PictureText) -> dict[str, Any]:
    """Return prompt, negative prompt and settings in one mapping: sizes split in two, what is missing filled in."""
    fields: dict[str, Any] = {"Prompt": found.prompt, "Negative prompt": found.negative_prompt}
    for key, value in found.settings.items():
        size = _SIZE.fullmatch(value)
        if size:
            fields |= {f"{key}-1": size[1], f"{key}-2": size[2]}
        else:
            fields[key] = value
    return {**fields, **{key: value for key, value in DEFAULTS.items() if key not in fields}}


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a line; what is no pair, such as a key that is its own value, is passed over."""
    place = 0
    while place < len(line):
        key = _KEY.match(line, place)
        if key is None:
            place = _after_comma(line, place)
            continue
        quoted = _QUOTED.match(line, key.end())
        if quoted and line[quoted.end() : quoted.end() + 1] in ("", ","):
            yield key[1], _unquote(quoted[0])
            place = quoted.end() + 1
        else:
            end = _after_comma(line, key.end())
            yield key[1], line[key.end() : end].removesuffix(",").strip()
            place = end


def _after_comma(line: str, place: int) -> int:
    comma = line.find(",", place)
    return len(line) if comma < 0 else comma + 1


def _number(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",\n:") else text


def _unquote(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text
