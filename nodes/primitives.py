"""Values as nodes, to feed several inputs from one place."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Boolean, Float, Int, Text, node

LARGEST = 2**63 - 1
AnyInteger = Annotated[int, Int(-LARGEST, LARGEST, control_after_generate=True)]
AnyNumber = Annotated[float, Float(-LARGEST, LARGEST)]


@node("PrimitiveString", display_name="String", category="utils/primitive")
def string(*, value: Annotated[str, Text()]) -> Annotated[str, Text()]:
    """Hold one line of text."""
    return value


@node("PrimitiveStringMultiline", display_name="String (Multiline)", category="utils/primitive")
def string_multiline(*, value: Annotated[str, Text(multiline=True)]) -> Annotated[str, Text()]:
    """Hold a text of several lines."""
    return value


@node("PrimitiveInt", display_name="Int", category="utils/primitive")
def integer(*, value: AnyInteger) -> AnyInteger:
    """Hold a whole number."""
    return value


@node("PrimitiveFloat", display_name="Float", category="utils/primitive")
def number(*, value: AnyNumber) -> AnyNumber:
    """Hold a number."""
    return value


@node("PrimitiveBoolean", display_name="Boolean", category="utils/primitive")
def boolean(*, value: Annotated[bool, Boolean()]) -> Annotated[bool, Boolean()]:
    """Hold a yes or no."""
    return value
