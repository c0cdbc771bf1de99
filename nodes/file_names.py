"""Values of other nodes in the names of saved files: ``%KSampler.seed%``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"%([^%]{1,200})\.([^%.]{1,100})%")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def insert_values(prefix: str, prompt: Mapping[str, Any]) -> str:
    """Replace each ``%Title.input%`` by that input's value; NODE may be a title, a node type or an id.

    What names no constant of ``prompt`` (an API prompt) stays as it is. A value cannot add folders to the name.
    """

    def value(found: re.Match[str]) -> str:
        for id, entry in prompt.items():
            names = (entry.get("_meta", {}).get("title"), entry["class_type"], id)
            constant = entry["inputs"].get(found[2])
            if found[1] in names and isinstance(constant, (str, int, float)):
                return _NOT_IN_NAMES.sub("_", str(constant))
        return found[0]

    return _PLACEHOLDER.sub(value, prefix)
