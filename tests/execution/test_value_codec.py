from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.diffusion.conditioning import Area, ConditioningEntry
from engine.diffusion.latent_operations import Sharpen, TonemapReinhard
from engine.diffusion.latents import Latent
from engine.execution.array_codecs import ArrayReader, ArrayWriter
from engine.execution.outcome import State
from engine.execution.value_codec import NotStorable, Outdated, Unreadable, decode, encode
from engine.families.control import Control, ControlNetRecipe
from engine.families.custom_sampling import GuiderRecipe, NoiseRecipe, SamplerRecipe
from engine.graph.content import content_key
from engine.graph.node_types import Blocked, Many
from engine.imaging.regions import Box, Stitch
from engine.weights.recipe import FileRef, ModelRecipe, Patch, file_ref

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.complex64, torch.complex128,
    torch.float8_e4m3fnuz,
]  # fmt: skip
OTHER_FORMATS = {torch.complex128, torch.float8_e4m3fnuz}


def stored(value: Any) -> tuple[Any, bytes]:
    arrays = ArrayWriter()
    text = json.dumps(encode(value, arrays), allow_nan=False)
    held = io.BytesIO()
    if arrays:
        arrays.write(held)
    return json.loads(text), held.getvalue()


def restored(value: Any) -> Any:
    document, data = stored(value)
    return decode(document, ArrayReader(bytearray(data) if data else None))


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    seed = draw(st.integers(0, 1000))
    raw = torch.randint(0, 2 if dtype is torch.bool else 256, (math.prod(shape) * dtype.itemsize,), dtype=torch.uint8,
                        generator=torch.Generator().manual_seed(seed))  # fmt: skip
    made = raw.view(dtype).reshape(shape) if raw.numel() else torch.empty(shape, dtype=dtype)
    form = draw(st.sampled_from(["plain", "transposed", "strided", "expanded"]))
    if form == "transposed" and made.ndim >= 2:
        return made.transpose(0, -1)
    if form == "strided" and made.ndim >= 1 and made[::2].numel() > 1:
        return made[::2]
    if form == "expanded":
        return made.unsqueeze(0).expand(2, *made.shape)
    return made


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from(["<f4", ">f8", "<f2", "|b1", "|u1", "<i8", ">u2", "<c16", "<U3", "<M8[s]"]))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    made = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, shape).astype(dtype)
    made = np.asarray(made, dtype)
    form = draw(st.integers(0, 2))
    return made if form == 0 else made.T if form == 1 else made[()]


@st.composite
def pictures(draw: st.DrawFn) -> Image.Image:
    mode = draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"]))
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    if mode == "P":
        made = Image.effect_noise(size, 50).convert("RGB").quantize(7)
        made.info["transparency"] = 3
        return made
    return Image.effect_noise(size, 50) if mode == "L" else Image.new(mode, size, 1 if mode in "1IF" else 0)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]), max_size=3)
    | st.binary(max_size=600)
    | st.sampled_from([Path("a/b.png"), State.DONE, Blocked("why"), Blocked(), 1 << 70, -(1 << 200), -0.0])
)
BULK = tensors() | arrays() | pictures()
AREAS = st.builds(Area, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans())
FILES = st.builds(FileRef, st.just(Path(__file__)), st.text(), st.text())
MODELS = st.builds(
    ModelRecipe,
    FILES,
    st.text(),
    st.sampled_from(["diffusion", "text", "vae"]),
    st.dictionaries(st.text(), st.integers() | st.text() | st.booleans(), max_size=3).map(
        lambda one: tuple(one.items())
    ),
    st.lists(st.builds(Patch, FILES, st.floats(-2, 2)), max_size=2).map(tuple),
    st.lists(FILES, max_size=2).map(tuple),
)
RECIPES = (
    AREAS
    | MODELS
    | st.builds(SamplerRecipe, st.text(), st.dictionaries(st.text(), st.integers() | st.floats() | st.booleans()))
    | st.builds(Sharpen, st.integers(1, 9), st.floats(0, 9), st.floats(0, 9))
    | st.builds(TonemapReinhard, st.floats(0, 9))
    | st.builds(GuiderRecipe, MODELS, st.just(()), st.none() | st.just(()), st.floats(1, 9))
)
VALUES = st.recursive(
    SCALARS | BULK | RECIPES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(Many)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3).map(MappingProxyType)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
        | st.builds(Latent, tensors(), st.none() | tensors(), st.none() | st.tuples(st.integers(0, 9)))
        | st.builds(Stitch, tensors(), tensors(), st.builds(Box, *[st.integers(-9, 9)] * 4))
        | st.builds(Control, FILES.map(lambda file: ControlNetRecipe(file, "sd1", 768)), tensors(), st.floats(0, 1))
        | st.builds(ConditioningEntry, tensors(), area=AREAS, mask=tensors(), control=inner)
        | st.builds(ConditioningEntry, tensors(), pooled=st.none() | tensors(), extra=st.dictionaries(st.text(), inner))
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> None:
    """Compare more closely than content keys do: types, number formats, shapes and bytes of every part."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert (a.dtype, a.shape, a.device) == (b.dtype, b.shape, b.device)
        raw = [one.clone(memory_format=torch.contiguous_format).reshape(-1) for one in (a, b)]
        assert not a.numel() or torch.equal(raw[0].view(torch.uint8), raw[1].view(torch.uint8))
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, Image.Image):
        assert (a.mode, a.size, a.tobytes(), a.getpalette() if a.mode == "P" else 0) == (
            b.mode, b.size, b.tobytes(), b.getpalette() if b.mode == "P" else 0,
        )  # fmt: skip
        assert a.convert("RGBA").tobytes() == b.convert("RGBA").tobytes() or a.mode in ("I;16", "F", "I", "CMYK")
    elif isinstance(a, Mapping):
        assert list(map(repr, a)) == list(map(repr, b))
        for x, y in zip(a.values(), b.values(), strict=True):
            same(x, y)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, frozenset):
        assert a == b
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            same(getattr(a, field.name), getattr(b, field.name))
    else:
        assert repr(a) == repr(b)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_what_is_read_back_is_what_was_written(value: Any) -> None:
    made = restored(value)
    same(value, made)
    assert content_key(value) is not None
    assert content_key(made) == content_key(value)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_number_format_comes_back(dtype: torch.dtype) -> None:
    raw = torch.arange(6 * dtype.itemsize, dtype=torch.uint8) % (2 if dtype is torch.bool else 250)
    for one in (raw.view(dtype).reshape(2, 3), raw.view(dtype)[0], torch.empty(0, 3, dtype=dtype)):
        same(one, restored(one))
    same((raw.view(dtype), torch.ones(3, dtype=torch.bool), raw.view(dtype)[:1]),
         restored((raw.view(dtype), torch.ones(3, dtype=torch.bool), raw.view(dtype)[:1])))  # fmt: skip


def test_one_element_of_any_stride_comes_back() -> None:
    for dtype in (torch.float32, torch.complex128, torch.bfloat16):
        same(torch.ones(5, dtype=dtype)[:1:3], restored(torch.ones(5, dtype=dtype)[:1:3]))
        same(torch.ones(2, 5, dtype=dtype)[:1, 1:2], restored(torch.ones(2, 5, dtype=dtype)[:1, 1:2]))


def test_the_bulk_is_a_safetensors_file_that_others_read() -> None:
    from safetensors.torch import load

    value = [torch.arange(3) > 1, torch.randn(2, 2, dtype=torch.float64), torch.ones(1).bfloat16()]
    document, data = stored(value)
    found = load(data)
    assert document == ["l", ["tensor", 0], ["tensor", 1], ["tensor", 2]]
    for number, tensor in enumerate(value):
        assert torch.equal(found[str(number)], tensor)


def test_one_tensor_in_two_places_is_kept_once() -> None:
    one = torch.zeros(1000)
    _, data = stored([one, {"a": one}])
    assert len(data) < 5000
    _, data = stored([one[:10], one.clone()])
    assert len(data) < 5000, "a view brings its part of the whole"


def test_recipes_come_back_as_recipes_and_miss_when_their_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    file = file_ref(path, "model")
    recipe = ModelRecipe(file, "sd1", "diffusion", (("last_layer", -2),), (Patch(FileRef(path, "lora", "x"), 0.5),))
    value = GuiderRecipe(recipe, (), None, 7.5), NoiseRecipe(3)
    document, data = stored(value)
    assert not data
    assert decode(document, ArrayReader(None)) == value
    assert content_key(decode(document, ArrayReader(None))) == content_key(value)
    path.write_bytes(b"other weights")
    with pytest.raises(Outdated, match="changed"):
        decode(document, ArrayReader(None))
    path.unlink()
    with pytest.raises(Outdated, match="gone"):
        decode(document, ArrayReader(None))


@dataclasses.dataclass(frozen=True)
class Foreign:
    value: int = 1


class Shouting(str):
    pass


def test_what_cannot_come_back_the_same_is_not_written() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    unfit = [
        object(), Foreign(), Foreign, Shouting("a"), lambda: 1, len, cyclic, torch.nn.Parameter(torch.ones(1)),
        torch.ones(1).to_sparse(), torch.empty(1, device="meta"), np.array([object()]), np.ma.array([1]), io.BytesIO(),
        torch.nn.Linear(1, 1), iter([]), ValueError("x"),
    ]  # fmt: skip
    for value in unfit:
        with pytest.raises(NotStorable):
            stored([value])


@pytest.mark.parametrize(
    "document",
    [
        ["D", "os", "system", {"command": "true"}],
        ["D", "subprocess", "Popen", {"args": ["true"]}],
        ["D", "engine.execution.disk_cache", "DiskCache", {"directory": ["p", "/tmp"], "budget": 1}],
        ["D", "engine.graph.node_types", "Many", {}],
        ["D", "engine.session", "open_workflow", {"source": "x"}],
        ["D", "engine.graph.node_types", "dataclasses.dataclass", {}],
        ["D", "engine..errors", "Problem", {}],
        ["D", "engine.errors", "Problem", {"code": "a", "message": "b", "other": 1}],
        ["D", "engine.errors", "Problem", []],
        ["D", "engine.no_such_module", "X", {}],
        ["e", "engine.execution.outcome", "State", "NO_SUCH"],
        ["e", "engine.execution.outcome", "RunResult", "ok"],
        ["tensor", 7],
        ["tensor", 0, "load", [1], "cpu"],
        ["dtype", "nn"],
        ["array", 0, "|O", [1]],
        ["unknown"],
        [],
        {"a": 1},
        ["m", ["a"]],
        ["m", [["l"], 1]],
        ["b", "not base64!"],
        ["i", "zz"],
        ["l"] + [["l"]] * 2 + [["f", "x"]],
    ],
    ids=str,
)
def test_nothing_but_our_own_records_can_be_named(document: Any) -> None:
    with pytest.raises(Unreadable):
        decode(document, ArrayReader(None))


def test_deeply_nested_json_is_unreadable_rather_than_a_crash() -> None:
    document: Any = 1
    for _ in range(100_000):
        document = ["l", document]
    with pytest.raises(Unreadable):
        decode(document, ArrayReader(None))
