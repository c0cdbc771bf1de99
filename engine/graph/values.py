"""Constants: fitting what a file or a person gives to what a parameter is declared to hold.

The conversions are those that saved files of the ecosystem rely on (a number as text, a whole number as a float);
whatever would silently mean something else is refused.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

from engine.errors import InputError
from engine.graph.api_prompt import VALUE_KEY
from engine.graph.mentions import named_files
from engine.graph.node_types import SET_SUFFIXES, FileSet, FolderChoices, Parameter
from engine.graph.sockets import LINK_ONLY, is_wildcard, members
from engine.paths import SHORT_NAMES

Listing = Callable[[str], Collection[str]]
"""Gives the names of the files in a folder, called by its key (``checkpoints``, ``input`` …)."""

DYNAMIC_CHOICE = "COMFY_DYNAMICCOMBO"
"""What the types of choices begin with that bring further inputs, depending on what is chosen."""

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0", ""})
_ANNOTATIONS = ("input", "output", "temp")


def looked_up_once(listing: Listing | None) -> Listing | None:
    """Return ``listing`` so that each folder is looked at once and asking for a name takes no time."""
    return None if listing is None else cache(lambda folder: dict.fromkeys(listing(folder)))


def unwrap(value: Any) -> Any:
    """Return the list inside ``{"__value__": [...]}``, and anything else as it is."""
    if isinstance(value, dict) and len(value) == 1 and VALUE_KEY in value:
        return value[VALUE_KEY]
    return value


def fit(parameter: Parameter, value: Any, listing: Listing | None = None) -> Any:
    """Return ``value`` as ``parameter`` declares it: type, range and choices.

    ``listing`` names the files of a folder; without it the choices of folders are not checked. Raises `InputError`
    with what was expected, what came and what to do.
    """
    kind = parameter.type
    if type(value) is str:  # the common cases first: a graph has ten inputs for each of its nodes
        if (kind == "STRING" and not parameter.mentions) or (
            kind == "COMBO" and type(parameter.choices) is tuple and value in parameter.choices
        ):
            return value
    elif type(value) is int and kind == "INT":
        return _within(parameter, value)
    value = unwrap(value)
    if value is None:
        if not parameter.required:
            return None
        raise _wrong(parameter, value, described(parameter), code="E-TYPE")
    if kind == "INT":
        return _within(parameter, _integer(parameter, value))
    if kind == "FLOAT":
        return _within(parameter, _number(parameter, value))
    if kind == "STRING":
        return _mentioning(parameter, _text(parameter, value), listing)
    if kind == "BOOLEAN":
        return _boolean(parameter, value)
    if kind == "COMBO" or kind.startswith(DYNAMIC_CHOICE):
        return _choice(parameter, value, listing)
    if is_wildcard(kind) or not members(kind) <= LINK_ONLY:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return _within(parameter, value) if is_number else value
    raise _wrong(
        parameter, value, f"a link to an output of type {kind}", code="E-NEEDS-LINK",
        hint=f"connect an output of type {kind}",
    )  # fmt: skip


def described(parameter: Parameter) -> str:
    """Say in words what ``parameter`` takes, for messages and ``--help``."""
    low, high = parameter.minimum, parameter.maximum
    bounds = ""
    if low is not None and high is not None:
        bounds = f" between {low} and {high}"
    elif low is not None:
        bounds = f" of at least {low}"
    elif high is not None:
        bounds = f" of at most {high}"
    choices = parameter.choices
    match parameter.type:
        case "INT":
            return "a whole number" + bounds
        case "FLOAT":
            return "a number" + bounds
        case "STRING":
            return "text"
        case "BOOLEAN":
            return "true or false"
        case "COMBO":
            if isinstance(choices, FolderChoices):
                return f"the name of a file in the folder {choices.folder}"
            return "one of " + listed(choices) if choices else "one of its choices"
        case kind if kind.startswith(DYNAMIC_CHOICE) and not isinstance(choices, FolderChoices):
            return "one of " + listed(choices) if choices else "one of its choices"
        case kind if bounds:
            return f"a number{bounds}, or a link to an output of type {kind}"
        case kind:
            return f"a link to an output of type {kind}"


def listed(values: Sequence[Any], most: int = 8) -> str:
    """Join ``values`` for a message; after ``most`` of them only the number of the others."""
    shown = ", ".join(str(value) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def closest(name: str, names: Sequence[str], count: int = 3) -> list[str]:
    """Return the ``names`` most like ``name``, best first, whatever their case."""
    by_lower = {one.lower(): one for one in reversed(names)}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=count, cutoff=0.5)
    return [by_lower[one] for one in found]


def did_you_mean(name: str, names: Sequence[str]) -> str | None:
    """Return a hint that offers the nearest of ``names``, or None when nothing is near."""
    near = closest(name, names)
    return "did you mean " + " or ".join(repr(one) for one in near) + "?" if near else None


def shown(value: Any) -> str:
    """Write ``value`` for a message, shortened, as JSON would name it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"an object with {len(value)} keys"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _mentioning(parameter: Parameter, text: str, listing: Listing | None) -> str:
    """Return ``text``. Raises `InputError` where it names a file that the folder does not have."""
    if parameter.mentions and listing is not None:
        names = listing(parameter.mentions)
        endings = ("", *SHORT_NAMES.get(parameter.mentions, ()))
        for name in named_files(text):
            if not any(name.replace("\\", "/") + ending in names for ending in endings):
                raise _wrong(
                    parameter, name, f"the name of a file in the folder {parameter.mentions}", code="E-FILE",
                    message=f"the text names {name!r}, which is not in the folder {parameter.mentions}",
                    hint=did_you_mean(name, list(names))
                    or f"put the file into models/{parameter.mentions}, or take it out of the text",
                )  # fmt: skip
    return text


def _wrong(
    parameter: Parameter, value: Any, expected: str, *, code: str, message: str = "", hint: str | None = None
) -> InputError:
    return InputError(
        message or "the value is of the wrong kind",
        code=code,
        input=parameter.name,
        expected=expected,
        got=shown(value),
        hint=hint,
    )


def _integer(parameter: Parameter, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        if isinstance(value, float):
            return int(value)
        if isinstance(value, str):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise _wrong(parameter, value, described(parameter), code="E-TYPE")


def _number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise _wrong(parameter, value, described(parameter), code="E-TYPE")


def _within(parameter: Parameter, value: Any) -> Any:
    low, high = parameter.minimum, parameter.maximum
    if (low is None or value >= low) and (high is None or value <= high):
        return value
    nearest = low if low is not None and value < low else high
    raise _wrong(
        parameter, value, described(parameter), code="E-RANGE", message="the value is out of range",
        hint=f"the nearest allowed value is {nearest}",
    )  # fmt: skip


def _text(parameter: Parameter, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise _wrong(parameter, value, described(parameter), code="E-TYPE")


def _boolean(parameter: Parameter, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return bool(value)
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise _wrong(parameter, value, described(parameter), code="E-TYPE")


def _choice(parameter: Parameter, value: Any, listing: Listing | None) -> Any:
    choices = parameter.choices
    if choices is None:
        return value
    if isinstance(choices, FolderChoices):
        return value if listing is None else _file(parameter, choices, value, listing)
    if isinstance(value, list) and (parameter.options.get("multiselect") or parameter.options.get("multi_select")):
        return [_one_choice(parameter, choices, one) for one in value]
    return _one_choice(parameter, choices, value)


def _one_choice(parameter: Parameter, choices: tuple[Any, ...], value: Any) -> Any:
    if value in choices and not isinstance(value, bool):
        return value
    for choice in choices:  # a number may have been saved as text
        if not isinstance(value, (list, dict)) and str(choice) == str(value):
            return choice
    raise _wrong(
        parameter, value, "one of " + listed(choices), code="E-CHOICE", message="the value is not among the choices",
        hint=did_you_mean(str(value), [str(one) for one in choices]),
    )  # fmt: skip


def _file(parameter: Parameter, choices: FolderChoices, value: Any, listing: Listing) -> Any:
    if not isinstance(value, str):
        raise _wrong(parameter, value, described(parameter), code="E-TYPE")
    if value in choices.extra:
        return value
    wanted = choices.set_named(value)
    if wanted is not None:
        return _set(parameter, wanted, value, listing)
    name, folder = _annotated(value, choices.folder)
    names = listing(folder)
    if name in names:
        return value
    slashed = name.replace("\\", "/")  # as systems with other slashes save it
    if slashed in names:
        return value.replace("\\", "/")
    offered = choices.offered_in(listing)
    if offered:
        hint = did_you_mean(slashed, offered) or f"put the file into the folder {folder}, or choose: {listed(offered)}"
    else:
        hint = f"the folder {folder} is empty: put the file there"
    raise _wrong(
        parameter, value, f"a file in the folder {folder}", code="E-FILE",
        message=f"there is no such file in the folder {folder}", hint=hint,
    )  # fmt: skip


def _set(parameter: Parameter, wanted: FileSet, value: str, listing: Listing) -> str:
    if wanted.found_in(listing(wanted.folder)) is not None:
        return value
    files = " and ".join(f"{stem}{SET_SUFFIXES[0]}" for stem in wanted.stems)
    raise _wrong(
        parameter, value, f"{files} in the folder {wanted.folder}", code="E-FILE",
        message=f"not all files of {value} are in the folder {wanted.folder}",
        hint=f"put {files} into the folder {wanted.folder}",
    )  # fmt: skip


def _annotated(value: str, folder: str) -> tuple[str, str]:
    """Split ``name [output]``, by which a file of another folder is named where pictures are chosen."""
    if folder in _ANNOTATIONS:
        for other in _ANNOTATIONS:
            if value.endswith(f" [{other}]"):
                return value[: -len(other) - 3], other
    return value, folder
