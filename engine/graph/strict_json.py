"""Strict, bounded JSON: what a file may hold before anything else looks at it.

Python's own reader accepts NaN, lets the last of two equal keys win and dies of deep nesting. Here each of these is
a `DocumentError` that says so.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from engine.errors import DocumentError

MAX_BYTES = 64 * 2**20
"""Largest text read, in bytes. The largest saved graphs seen in the field are about 5 MB."""

MAX_DEPTH = 128
"""Deepest nesting of objects and lists; saved graphs use about 12, nested subgraphs 4 more each."""

MAX_VALUES = 4_000_000
"""Most values (numbers, strings, lists, objects) in one document."""

_LONE_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_text(text: str | bytes, name: str, *, nan_as_null: bool = False) -> Any:
    """Parse JSON text read from ``name`` (only used in messages) into dicts, lists and constants.

    ``nan_as_null`` reads NaN and infinities as null: pictures written by other engines hold them in fields that
    mean nothing here. Raises `DocumentError` for text that is not JSON, not UTF-8, larger than `MAX_BYTES`, deeper
    than `MAX_DEPTH`, or that has a key twice or a number that is not finite.
    """
    if len(text) > MAX_BYTES:
        raise DocumentError(
            f"{name} is too large for a workflow",
            expected=f"at most {MAX_BYTES // 2**20} MB",
            got=f"{len(text) / 2**20:.0f} MB",
            hint="check that this is the right file",
        )
    decoded = _decode(text, name)

    def constant(token: str) -> float | None:
        return None if nan_as_null else _refuse_number(token, name)

    def number(token: str) -> float | None:
        value = float(token)
        return value if math.isfinite(value) else constant(token)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            seen: set[str] = set()
            twice = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise DocumentError(
                f"{name} has the key {twice!r} twice in one object",
                hint="remove one of the two; which of them counts cannot be known",
            )
        return found

    try:
        data = json.loads(decoded, parse_constant=constant, parse_float=number, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            got=_excerpt(decoded, error.pos),
            hint="save the workflow again, or check the file in a text editor",
        ) from None
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:  # an integer with more digits than the interpreter converts
        raise DocumentError(f"{name} holds a number that is too long", got=str(error)) from None
    _check_bounds(data, name, surrogates=_LONE_SURROGATE_ESCAPE.search(decoded) is not None)
    return data


def _decode(text: str | bytes, name: str) -> str:
    try:
        if isinstance(text, bytes):
            return text.decode("utf-8-sig")
        text.encode("utf-8")
    except UnicodeError as error:
        raise DocumentError(
            f"{name} is not UTF-8 text", got=str(error), hint="a workflow is a JSON file or a picture"
        ) from None
    return text.removeprefix("\ufeff")


def _refuse_number(token: str, name: str) -> NoReturn:
    shown = token if len(token) <= 40 else token[:37] + "..."
    raise DocumentError(
        f"{name} holds the number {shown}, which JSON does not have",
        expected="a finite number",
        got=shown,
        hint=f"replace {shown} in the file by a number",
    )


def _too_deep(name: str) -> DocumentError:
    return DocumentError(
        f"{name} is nested too deep",
        expected=f"at most {MAX_DEPTH} levels of lists and objects",
        hint="this is not a saved workflow, or it is damaged",
    )


def _excerpt(text: str, position: int) -> str:
    around = text[max(0, position - 15) : position + 15]
    return repr(around) if around else "an empty file"


def _check_bounds(data: Any, name: str, *, surrogates: bool) -> None:
    """Walk level by level, so that depth is a loop count and not a call stack."""
    level = [data]
    depth = count = 0
    while level:
        count += len(level)
        if depth > MAX_DEPTH:
            raise _too_deep(name)
        if count > MAX_VALUES:
            raise DocumentError(f"{name} holds too many values", expected=f"at most {MAX_VALUES}")
        if surrogates:
            _check_surrogates(level, name)
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
                if surrogates:
                    _check_surrogates(value, name)
            elif isinstance(value, list):
                below += value
        level = below
        depth += 1


def _check_surrogates(values: Any, name: str) -> None:
    for value in values:
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise DocumentError(
                f"{name} holds half of a surrogate pair, which is no character",
                got=ascii(value[:40]),
                hint="write the character itself, or both halves of its escape",
            )
