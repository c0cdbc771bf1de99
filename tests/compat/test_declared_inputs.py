"""Reading what packs declare about inputs, in the many ways that they do."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

from engine.compat.declared_inputs import Sections, parameter, socket_type
from engine.errors import InputError
from engine.graph.content import content_key
from engine.graph.node_types import MISSING
from engine.graph.values import fit


class Never(str):
    def __ne__(self, other: object) -> bool:
        return False


class Always(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Unhashable(str):
    def __eq__(self, other: object) -> bool:
        return True


class Plain(str):
    pass


class Kind(enum.StrEnum):
    IMAGE = "IMAGE"


@pytest.mark.parametrize(
    "declared, socket",
    [
        ("IMAGE", "IMAGE"),
        ("INT,FLOAT", "INT,FLOAT"),
        ("*", "*"),
        (Never("*"), "*"),
        (Never("ANYTHING"), "*"),
        (Always("ANYTHING"), "*"),
        (Unhashable("X"), "*"),
        (Plain("LATENT"), "LATENT"),
        (Kind.IMAGE, "IMAGE"),
        (["a", "b"], "COMBO"),
        (("a", "b"), "COMBO"),
        ({"a": 1}.keys(), "COMBO"),
        ([], "COMBO"),
    ],
)
def test_types(declared: Any, socket: str) -> None:
    found = socket_type(declared)
    assert (found, type(found)) == (socket, str)


@pytest.mark.parametrize(
    "declared, kind, choices",
    [
        ("INT", "INT", None),
        (("INT",), "INT", None),
        (("INT", None), "INT", None),
        (["INT", {"default": 1}], "INT", None),
        ((["a", "b"],), "COMBO", ("a", "b")),
        (([1, 2.5, True],), "COMBO", (1, 2.5, True)),
        (({"a": 1, "b": 2}.keys(),), "COMBO", ("a", "b")),
        (("COMBO", {"options": ["a"]}), "COMBO", ("a",)),
        (("COMBO", {"options": []}), "COMBO", ()),
        (("COMBO", {"remote": {"route": "/x"}}), "COMBO", None),
        (([],), "COMBO", ()),
    ],
)
def test_forms_of_declarations(declared: Any, kind: str, choices: Any) -> None:
    found = parameter("x", declared, True)
    assert (found.type, found.choices) == (kind, choices)


@pytest.mark.parametrize(
    "given, default",
    [
        (3, 3),
        (np.int64(3), MISSING),
        (np.float64(0.5), 0.5),
        (Plain("x"), "x"),
        (Kind.IMAGE, "IMAGE"),
        (None, MISSING),
        (object(), MISSING),
        (["a"], ["a"]),
        ([object()], MISSING),
        ({"a": [1]}, {"a": [1]}),
    ],
)
def test_defaults_are_plain_data_or_none_at_all(given: Any, default: Any) -> None:
    found = parameter("x", ("STRING", {"default": given}), True).default
    assert found == default and type(found) is type(default)
    assert found is MISSING or content_key(found) is not None
    assert parameter("x", ("STRING", {"default": given}), False).default is MISSING


def test_options_that_are_of_the_wrong_kind_are_passed_over() -> None:
    found = parameter("x", ("INT", {"min": "0", "max": None, "step": True, "round": "x", "tooltip": None}), True)
    assert (found.minimum, found.maximum, found.step, found.round, found.help) == (None, None, None, None, "")


@pytest.mark.parametrize("value, made", [("1", 1), (1, 1), ("2.5", 2.5), ("True", True), ("z", None)])
def test_a_choice_may_have_been_saved_as_text(value: Any, made: Any) -> None:
    choice = parameter("x", ([1, 2.5, True],), True)
    if made is None:
        with pytest.raises(InputError):
            fit(choice, value)
    else:
        assert fit(choice, value) == made


def test_sections() -> None:
    found = Sections(
        {
            "required": {"a": ("INT",), "b": ("IMAGE",)},
            "optional": {"c": ("MASK",), "a": ("FLOAT",)},
            "hidden": {"p": "PROMPT", "q": ("UNIQUE_ID",)},
        }
    )
    assert [(one.name, one.type, one.required) for one in found.parameters] == [
        ("a", "INT", True),
        ("b", "IMAGE", True),
        ("c", "MASK", False),
    ]
    assert found.hidden == {"p": "PROMPT", "q": "UNIQUE_ID"}
    assert not found.is_open
    assert Sections({}).parameters == ()
    assert Sections({"required": None, "hidden": None}).parameters == ()


@pytest.mark.parametrize("declared", [None, [], "x", {"required": []}, {"optional": 5}])
def test_what_is_no_declaration(declared: Any) -> None:
    with pytest.raises(TypeError, match="INPUT_TYPES returned"):
        Sections(declared)
