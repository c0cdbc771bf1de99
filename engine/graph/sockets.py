"""Socket types: which output may feed which input.

A type is a string. ``"IMAGE,MASK"`` is a union, ``"*"`` (or the empty string) accepts anything.
"""

from __future__ import annotations

ANY = "*"

WIDGET_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
"""Types whose value may be typed in by hand; every other type needs a link."""


def is_wildcard(socket: str) -> bool:
    """Say whether ``socket`` accepts every type."""
    return socket in (ANY, "")


def members(socket: str) -> frozenset[str]:
    """Split a union into its member types."""
    return frozenset(part.strip() for part in socket.split(",") if part.strip())


def compatible(output: str, input: str) -> bool:
    """Say whether an output of type ``output`` may feed an input of type ``input``.

    Equal types match; unions match when they share a member; a wildcard on either side matches.
    Widgets take any of their kind: a COMBO input accepts a STRING output, as saved graphs rely on.
    """
    if output == input or is_wildcard(output) or is_wildcard(input):
        return True
    if input == "COMBO" and output == "STRING":
        return True
    return not members(output).isdisjoint(members(input))
