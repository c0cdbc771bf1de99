"""Files that a prompt names: ``embedding:name`` stands for a file of models/embeddings.

The name ends at a space, a comma, a colon (a weight follows) or a parenthesis; ``\\(`` and ``\\)`` are parentheses of
the name. A full stop, semicolon, question mark, exclamation mark or quotation mark at its end belongs to the sentence.
The ending of the file may be left out, and sub-folders are written with a slash. ``embedding:`` before a space is
plain text, and so is a number before a parenthesis, as in ``(embedding:1.2)``: there it is a weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["EMBEDDINGS", "Mention", "mentions", "named_files"]

EMBEDDINGS: Final = "embeddings"
"""The folder of the files that prompts name."""

_PARENTHESIS = re.compile(r"\\([()])")
_MENTION = re.compile(r"(?<!\w)embedding:(?![-+.\d]+\s*\))((?:\\[()]|[^\s,:()])+)")
_SENTENCE = ".;!?\"'"


@dataclass(frozen=True, slots=True)
class Mention:
    """Say that the text from `start` to `end` names the file `name`."""

    name: str
    start: int
    end: int


def mentions(text: str) -> Iterator[Mention]:
    """Yield what a prompt, weights and all, names; in order."""
    for found in _MENTION.finditer(text):
        written = found[1].rstrip(_SENTENCE)
        if written:
            yield Mention(_PARENTHESIS.sub(r"\1", written), found.start(), found.start(1) + len(written))


def named_files(text: Any) -> tuple[str, ...]:
    """Return the different names in a prompt, in order; none where the value is no text."""
    return tuple(dict.fromkeys(one.name for one in mentions(text))) if isinstance(text, str) else ()
