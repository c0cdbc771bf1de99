"""A node's declaration is checked against its code while it is imported."""

from __future__ import annotations

import sys
import types
from typing import Annotated

import pytest

from engine.graph.declare import (
    Boolean,
    Choice,
    DeclarationError,
    Float,
    Image,
    Int,
    Latent,
    Mask,
    Seed,
    Text,
    node,
)
from engine.graph.node_types import MISSING, NodeType
from engine.graph.registry import EMPTY_REGISTRY, declared_in


def declared(function: object) -> NodeType:
    return function.node_type  # type: ignore[attr-defined]


def test_the_signature_is_the_description() -> None:
    @node("Demo", category="test", display_name="A demo", outputs=("out", "mask"))
    def demo(
        context: object,
        *,
        image: Image,
        seed: Seed = 0,
        amount: Annotated[float, Float(0, 1, step=0.01)] = 0.5,
        mode: Annotated[str, Choice(("a", "b"))],
        flag: Annotated[bool, Boolean()] = False,
        text: Annotated[str, Text(multiline=True)],
        mask: Mask | None = None,
    ) -> tuple[Image, Mask]:
        """Do a thing.

        Twice over.

        amount: How much of it,
            between none and all.
        """

    found = declared(demo)
    assert [p.name for p in found.inputs] == ["image", "seed", "amount", "mode", "flag", "text", "mask"]
    assert [p.type for p in found.inputs] == ["IMAGE", "INT", "FLOAT", "COMBO", "BOOLEAN", "STRING", "MASK"]
    assert [p.required for p in found.inputs] == [True] * 6 + [False]
    assert found.by_name["amount"].help == "How much of it, between none and all."
    assert (found.by_name["seed"].minimum, found.by_name["seed"].maximum) == (0, 2**64 - 1)
    assert found.by_name["mode"].default is MISSING
    assert found.description == "Do a thing.\n\nTwice over."
    assert [(o.name, o.type) for o in found.outputs] == [("out", "IMAGE"), ("mask", "MASK")]
    assert found.wants_context


def wrong_default(*, n: Annotated[int, Int(0, 3)] = 9) -> Image:
    """Help."""


def not_keyword(image: Image) -> Image:
    """Help."""


def no_annotation(*, image) -> Image:  # type: ignore[no-untyped-def]
    """Help."""


def plain_type(*, n: int) -> Image:
    """Help."""


def no_help(*, image: Image) -> Image: ...


def drifted_help(*, image: Image) -> Image:
    """Help.

    picture: This input was renamed.
    """


def default_not_offered(*, mode: Annotated[str, Choice(("a", "b"))] = "c") -> Image:
    """Help."""


def socket_default(*, image: Image = 3) -> Image:
    """Help."""


def tuple_of_one(*, image: Image) -> tuple[Image]:
    """Help."""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (tuple_of_one, "returns the value itself"),
        (wrong_default, "not between 0 and 3"),
        (not_keyword, "keyword-only"),
        (no_annotation, "no annotation"),
        (plain_type, "names no socket type"),
        (no_help, "docstring"),
        (drifted_help, "'picture', which is no input"),
        (default_not_offered, "not one of its choices"),
        (socket_default, "cannot have a default"),
    ],
)
def test_drift_is_refused(function: object, says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        node("Wrong", category="test")(function)  # type: ignore[type-var]


def test_output_names_must_fit() -> None:
    with pytest.raises(DeclarationError, match="2 output names for 1"):

        @node("Wrong", category="test", outputs=("a", "b"))
        def wrong(*, latent: Latent) -> Latent:
            """Help."""


def test_version_follows_code_not_words() -> None:
    def build(source: str) -> str:
        module = types.ModuleType("demo_pack")
        sys.modules["demo_pack"] = module
        text = f"from engine.graph.declare import *\nfrom engine.graph.declare import Latent\n{source}"
        exec(compile(text, "demo_pack.py", "exec"), vars(module))
        return declared_in(module)[0].version

    head = "@node('N', category='c')\ndef n(*, x: Latent) -> Latent:\n"
    assert build(head + "    '''Help.'''\n    return x") == build(
        head + "    '''Other help.'''\n    # why\n    return x"
    )
    assert build(head + "    '''Help.'''\n    return x") != build(head + "    '''Help.'''\n    return x + 1")


def test_an_id_is_taken_once() -> None:
    @node("Twice", category="test")
    def twice(*, latent: Latent) -> Latent:
        """Help."""

    registry = EMPTY_REGISTRY.with_types([declared(twice)])
    with pytest.raises(ValueError, match="already declared"):
        registry.with_types([declared(twice)])
    assert len(registry) == 1
