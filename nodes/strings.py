"""Nodes on texts, and one that shows any value as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from engine.errors import InputError
from engine.graph.declare import Anything, Boolean, Choice, Int, Text, node
from engine.graph.node_types import NodeResult

Lines = Annotated[str, Text(multiline=True)]
Line = Annotated[str, Text()]
YesNo = Annotated[bool, Boolean()]
Place = Annotated[int, Int()]
Amount = Annotated[int, Int(0, 100)]

_CASES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"UPPERCASE": str.upper, "lowercase": str.lower, "Capitalize": str.capitalize, "Title Case": str.title}
)
_TRIMS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}
)
_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType(
    {"Starts With": str.startswith, "Ends With": str.endswith, "Equal": str.__eq__}
)
MAX_SHOWN = 20_000


@node("StringConcatenate", display_name="Concatenate", category="utils/string")
def concatenate(*, string_a: Lines, string_b: Lines, delimiter: Line = "") -> Line:
    """Put two texts together.

    string_a: the first text.
    string_b: the second text.
    delimiter: what stands between them.
    """
    return f"{string_a}{delimiter}{string_b}"


@node("StringSubstring", display_name="Substring", category="utils/string")
def substring(*, string: Lines, start: Place, end: Place) -> Line:
    """Take a part of a text.

    string: the text.
    start: the place of the first character, from 0; negative counts from the end.
    end: the place after the last one; negative counts from the end.
    """
    return string[start:end]


@node("StringLength", display_name="Length", category="utils/string", outputs=["length"])
def length(*, string: Lines) -> Place:
    """Count the characters of a text.

    string: the text.
    """
    return len(string)


@node("CaseConverter", display_name="Case Converter", category="utils/string")
def convert_case(*, string: Lines, mode: Annotated[str, Choice(tuple(_CASES))]) -> Line:
    """Write a text in large or small letters.

    string: the text.
    mode: which letters become large.
    """
    return _CASES[mode](string)


@node("StringTrim", display_name="Trim", category="utils/string")
def trim(*, string: Lines, mode: Annotated[str, Choice(tuple(_TRIMS))]) -> Line:
    """Take the white space from the ends of a text.

    string: the text.
    mode: from which ends.
    """
    return _TRIMS[mode](string)


@node("StringReplace", display_name="Replace", category="utils/string")
def replace(*, string: Lines, find: Lines, replace: Lines) -> Line:
    """Replace every occurrence of one text in another.

    string: the text to look in.
    find: what to look for.
    replace: what to put there.
    """
    return string.replace(find, replace)


@node("StringContains", display_name="Contains", category="utils/string", outputs=["contains"])
def contains(*, string: Lines, substring: Lines, case_sensitive: YesNo = True) -> YesNo:
    """Say whether a text holds another.

    string: the text to look in.
    substring: what to look for.
    case_sensitive: whether large and small letters differ.
    """
    if case_sensitive:
        return substring in string
    return substring.casefold() in string.casefold()


@node("StringCompare", display_name="Compare", category="utils/string")
def compare(
    *, string_a: Lines, string_b: Lines, mode: Annotated[str, Choice(tuple(_COMPARISONS))], case_sensitive: YesNo = True
) -> YesNo:
    """Compare two texts.

    string_a: the first text.
    string_b: the second text.
    mode: what to ask of the first.
    case_sensitive: whether large and small letters differ.
    """
    if not case_sensitive:
        string_a, string_b = string_a.casefold(), string_b.casefold()
    return bool(_COMPARISONS[mode](string_a, string_b))


@node("RegexMatch", display_name="Regex Match", category="utils/string", outputs=["matches"])
def regex_match(
    *,
    string: Lines,
    regex_pattern: Lines,
    case_insensitive: YesNo = True,
    multiline: YesNo = False,
    dotall: YesNo = False,
) -> YesNo:
    """Say whether a regular expression is found in a text.

    string: the text to look in.
    regex_pattern: the expression, as Python writes them.
    case_insensitive: large and small letters are the same.
    multiline: ^ and $ are the ends of lines, too.
    dotall: a dot is a line's end, too.
    """
    return _pattern(regex_pattern, case_insensitive, multiline, dotall).search(string) is not None


@node("RegexExtract", display_name="Regex Extract", category="utils/string")
def regex_extract(
    *,
    string: Lines,
    regex_pattern: Lines,
    mode: Annotated[str, Choice(("First Match", "All Matches", "First Group", "All Groups"))],
    case_insensitive: YesNo = True,
    multiline: YesNo = False,
    dotall: YesNo = False,
    group_index: Annotated[int, Int(0, 100)] = 1,
) -> Line:
    """Take what a regular expression finds in a text; all of it, one on each line. Nothing found gives nothing.

    string: the text to look in.
    regex_pattern: the expression, as Python writes them.
    mode: the first or all, and the whole match or a group of it.
    case_insensitive: large and small letters are the same.
    multiline: ^ and $ are the ends of lines, too.
    dotall: a dot is a line's end, too.
    group_index: which group; 0 is the whole match.
    """
    pattern = _pattern(regex_pattern, case_insensitive, multiline, dotall)
    group = group_index if mode.endswith(("Group", "Groups")) else 0
    if group > pattern.groups:
        return ""
    found = (match.group(group) or "" for match in pattern.finditer(string))
    return next(found, "") if mode.startswith("First") else "\n".join(found)


@node("RegexReplace", display_name="Regex Replace", category="utils/string")
def regex_replace(
    *,
    string: Lines,
    regex_pattern: Lines,
    replace: Lines,
    case_insensitive: YesNo | None = True,
    multiline: YesNo | None = False,
    dotall: YesNo | None = False,
    count: Amount | None = 0,
) -> Line:
    """Replace what a regular expression finds in a text.

    string: the text to look in.
    regex_pattern: the expression, as Python writes them.
    replace: what to put there; \\1 is the first group.
    case_insensitive: large and small letters are the same.
    multiline: ^ and $ are the ends of lines, too.
    dotall: a dot is a line's end, too.
    count: how many to replace; 0 replaces all.
    """
    pattern = _pattern(regex_pattern, bool(case_insensitive), bool(multiline), bool(dotall))
    try:
        return pattern.sub(replace, string, count=count or 0)
    except (re.error, IndexError) as error:
        raise InputError(f"the replacement does not fit: {error}", input="replace", got=repr(replace)) from None


def _pattern(text: str, case_insensitive: bool, multiline: bool, dotall: bool) -> re.Pattern[str]:
    flags = (re.IGNORECASE * case_insensitive) | (re.MULTILINE * multiline) | (re.DOTALL * dotall)
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise InputError(
            f"the regular expression cannot be read: {error}", input="regex_pattern", got=repr(text)
        ) from None


@node("PreviewAny", display_name="Preview Any", category="utils", output_node=True)
def preview_any(*, source: Anything) -> NodeResult:
    """Show any value as text.

    source: the value.
    """
    text = _shown(source)
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}\n… {len(text) - MAX_SHOWN} more characters"
    return NodeResult((), {"text": (text,)})


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except (TypeError, ValueError):
        return repr(value)
