from __future__ import annotations

import dataclasses
import enum
import itertools
import math
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from sample_nodes import graph_of, kind, registry_of

from engine.errors import InputError, PathError
from engine.execution.order import ancestors
from engine.graph.content import content_key
from engine.graph.fingerprint import Fingerprints, digest
from engine.graph.model import Graph
from engine.graph.node_types import FolderChoices, Parameter


@dataclasses.dataclass(frozen=True)
class Recipe:
    file: str
    patches: tuple[Any, ...] = ()
    memo: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class OtherRecipe:
    file: str
    patches: tuple[Any, ...] = ()


@dataclasses.dataclass
class Loose:
    file: str


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Keyed:
    def __init__(self, key: str | None) -> None:
        self.content_key = key


class KeyedByMethod:
    def content_key(self) -> str:
        return "k"


Pair = namedtuple("Pair", "a b")

DIFFERENT: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, "1", "", "None", "T;", "i1;", b"1", b"", 2**64, 2**64 + 1, -(2**64),
    10**5000, math.inf, math.nan, "x" * 64, "x" * 65, "x" * 66, "\ud800", "é",
    [], (), {}, [1], (1,), [[1], 2], [1, [2]], [1, 2], [12], ["1", "2"], ["12"], [True, 2], [1.0, 2],
    {"a": 1}, {"a": 1.0}, {"a": "1"}, {"b": 1}, {1: 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, [("a", 1)],
    frozenset({1}), frozenset({1, 2}), Pair(1, 2), (1, 2), Recipe("a"), Recipe("b"), OtherRecipe("a"),
    Recipe("a", (1,)), Recipe("a", (1.0,)), Colour.RED, Colour.BLUE, PurePosixPath("a"), "a", Keyed("k"), Keyed("l"),
    KeyedByMethod(), np.float32(1), np.float64(1), np.zeros(3, "float32"), np.zeros((3, 1), "float32"),
    np.zeros(12, "uint8"), np.ones(3, "float32"), np.zeros(3, ">f4"), np.zeros(0), np.zeros(()),
]  # fmt: skip


def test_different_values_have_different_keys() -> None:
    keys = [content_key(value) for value in DIFFERENT]
    assert None not in keys
    for (i, a), (j, b) in itertools.combinations(enumerate(keys), 2):
        assert a != b, f"{DIFFERENT[i]!r} and {DIFFERENT[j]!r}"


def test_equal_content_has_equal_keys() -> None:
    same = [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({"a": 1}, MappingProxyType({"a": 1})),
        (frozenset("abcdef"), frozenset("fedcba")),
        (Recipe("a", (1, "x"), memo=5), Recipe("a", (1, "x"), memo=object())),
        (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        (np.arange(10.0)[::2], np.arange(10.0)[::2].copy()),
        (Path("a") / "b", PurePosixPath("a/b")),
    ]
    for one, other in same:
        assert content_key(one) == content_key(other) is not None


def test_what_cannot_be_told_has_no_key() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), Loose("a"), Recipe, len, cyclic, deep, [object()], {"a": object()}, Recipe("a", (len,)),
                  Keyed(None), np.array([object()]), {object(): 1}):  # fmt: skip
        assert content_key(value) is None


def test_tensors_and_pictures_are_known_by_their_bytes() -> None:
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("PIL.Image")
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    different = [
        base, base.reshape(4, 3), base.double(), base.half(), base.bfloat16(), base + 1, base.bool(), base.int(),
        torch.zeros(0), torch.tensor(1.0), torch.tensor([1.0]), base.to(torch.complex64),
        torch.zeros(4, dtype=torch.float8_e4m3fn), torch.float32, torch.float16, torch.device("cpu"),
        image.new("RGB", (2, 2)), image.new("L", (2, 6)), image.new("RGB", (2, 2), "red"), image.new("RGB", (1, 4)),
    ]  # fmt: skip
    keys = [content_key(value) for value in different]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert content_key({"samples": base}) == content_key({"samples": base.t().clone().t()})
    assert content_key(base[:, ::2]) == content_key(base[:, ::2].contiguous())
    assert content_key(base.requires_grad_()) == content_key(base.detach())
    assert content_key(base.to("meta")) is None
    assert content_key(torch.nn.Linear(1, 1)) is None
    conjugated = torch.tensor([1 + 2j]).conj()
    assert content_key(conjugated) == content_key(torch.tensor([1 - 2j]))


def add_type(version: str = "1", default: int = 0) -> Any:
    inputs = (Parameter("a", "INT"), Parameter("b", "INT", required=False, default=default))
    return kind("Add", lambda **_: 0, inputs, version=version)


def key_of(graph: Graph, node_id: str, *types: Any, salt: str = "", identity: Any = None) -> str | None:
    registry = registry_of(*(types or (add_type(),)))
    keys = Fingerprints(registry, identity or (lambda folder, name: ""), salt)
    return keys.derivation_keys(graph, ancestors(graph, [node_id]))[node_id]


def test_derivation_key_depends_on_what_made_the_value_and_on_nothing_else() -> None:
    base = key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0", "b": 2})), "y")
    renamed = graph_of(unused=("Add", {"a": 9}), q=("Add", {"a": 1}), r=("Add", {"b": 2, "a": "q:0"}))
    assert key_of(renamed, "r") == base
    spelled_out = graph_of(x=("Add", {"a": 1, "b": 0}), y=("Add", {"a": "x:0", "b": 2}))
    assert key_of(spelled_out, "y") == base, "a default is the same whether it is written or not"
    changed = [
        key_of(graph_of(x=("Add", {"a": 2}), y=("Add", {"a": "x:0", "b": 2})), "y"),
        key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:1", "b": 2})), "y"),
        key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": 2, "b": "x:0"})), "y"),
        key_of(graph_of(x=("Add", {"a": True}), y=("Add", {"a": "x:0", "b": 2})), "y"),
        key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0", "b": 2})), "y", add_type("2")),
        key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0", "b": 2})), "y", add_type(default=1)),
        key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0", "b": 2})), "y", salt="cuda"),
    ]
    assert len({base, *changed}) == 1 + len(changed)


def test_derivation_key_follows_the_file_and_not_its_name_alone() -> None:
    choices = FolderChoices("loras", extra=("None",))
    load = kind("Load", lambda **_: 0, [Parameter("name", "COMBO", choices=choices)])
    files = {"a": "1", "b": "1"}

    def identity(folder: str, name: str) -> str:
        if name not in files:
            raise PathError(f"no {name}")
        return folder + files[name]

    def key(name: str) -> str | None:
        return key_of(graph_of(x=("Load", {"name": name})), "x", load, identity=identity)

    before = key("a")
    assert before == key("a")
    assert before != key("b"), "the name is an input too: it may be written into results"
    files["a"] = "2"
    assert key("a") != before
    assert key("gone") is None
    assert key("None") is not None


def test_derivation_key_is_unknown_below_what_always_runs() -> None:
    dice = kind("Dice", lambda: 0, cacheable=False)
    graph = graph_of(d=("Dice", {}), x=("Add", {"a": "d:0"}), y=("Add", {"a": "x:0"}), z=("Add", {"a": 1}))
    assert key_of(graph, "y", add_type(), dice) is None
    assert key_of(graph, "z", add_type(), dice) is not None


def test_an_unknown_node_type_is_an_error_with_its_name() -> None:
    with pytest.raises(InputError, match="Nope"):
        key_of(graph_of(x=("Nope", {})), "x")


def test_trace_key_equals_derivation_key_without_links_and_merges_links_with_constants() -> None:
    keys = Fingerprints(registry_of(add_type()), lambda folder, name: "")
    graph = graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0"}))
    derived = keys.derivation_keys(graph, ["x", "y"])
    assert keys.trace_key(graph.nodes["x"], {"a": 1}, {}) == derived["x"]
    linked = keys.trace_key(graph.nodes["y"], {"a": 1}, {"a": content_key(1) or ""})
    assert linked == derived["x"], "a number is the same whether it was typed or came by a link"


SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:]
import test_fingerprint as t
from engine.graph.content import content_key
print([content_key(v) for v in t.DIFFERENT if not isinstance(v, float) or v == v])
print(t.key_of(t.graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0", "b": 2})), "y"))
"""


def test_keys_are_the_same_in_every_process() -> None:
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    printed = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *paths],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert (
        printed.pop().strip().endswith(str(key_of(graph_of(x=("Add", {"a": 1}), y=("Add", {"a": "x:0", "b": 2})), "y")))
    )


def test_the_formula_does_not_drift() -> None:
    """Keys outlive the process on disk; whoever changes the formula has to raise `SCHEME` and this number."""
    assert digest("safelight") == "a5d9137b0ad19b1e410b822aa1ea4e23af2a00c4"
    assert content_key([1, "a", None]) == "#ea7e3ed4fa5ac4f1ee7d223529b90d04f4a54980;"


def test_one_element_of_any_stride_has_a_key() -> None:
    import torch

    assert content_key(torch.ones(5)[:1:3]) == content_key(torch.ones(1)) != content_key(torch.zeros(1))
