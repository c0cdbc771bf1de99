"""The supported families, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.families.family import Detected, Family, detect
from engine.families.known import KNOWN
from engine.families.sd1 import SD1
from engine.families.sizes import Shapes

__all__ = ["FAMILIES", "detect_family", "family_of"]

FAMILIES: Final[tuple[Family, ...]] = (SD1,)


def family_of(name: str) -> Family:
    """Return a family by its name, as recipes carry it. Raises KeyError."""
    return {family.name: family for family in FAMILIES}[name]


def detect_family(shapes: Shapes, metadata: Mapping[str, str], name: str = "the file") -> Detected:
    """Find the family of a file from its tensors' shapes and its metadata. Raises `WeightError`, see `detect`."""
    return detect(shapes, metadata, FAMILIES, KNOWN, name)
