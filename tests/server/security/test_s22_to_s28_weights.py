"""S22 to S28: weight files. tests/weights/test_files.py holds the readers in detail; these are the listed cases."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import WeightError
from engine.weights.files import open_weights, save_safetensors


class Payload:
    """What makes a directory when it is unpickled by a loader that trusts it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def saved(path: Path, value: Any, form: str) -> Path:
    if form == "bare":
        path.write_bytes(pickle.dumps(value, protocol=2))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=form == "zip")
    return path


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ".pth"])
@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_s22_code_in_a_checkpoint(tmp_path: Path, suffix: str, form: str) -> None:
    marker = tmp_path / "ran"
    path = saved(tmp_path / f"x{suffix}", {"w": torch.ones(1), "x": Payload(marker)}, form)
    with pytest.raises(WeightError):
        open_weights(path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if form != "bare" else pickle.loads(path.read_bytes())  # it is a real one
    assert marker.exists()


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_s23_a_pickle_called_safetensors(tmp_path: Path, form: str) -> None:
    marker = tmp_path / "ran"
    path = saved(tmp_path / "x.safetensors", {"w": torch.ones(1), "x": Payload(marker)}, form)
    with pytest.raises(WeightError):
        open_weights(path)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin"])
def test_s23_safetensors_called_a_checkpoint(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    save_safetensors(path, {"w": torch.ones(2)})
    with pytest.raises(WeightError, match="not what its name says"):
        open_weights(path)


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


MANY = b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(10**6)) + b"}"
HEADERS: dict[str, tuple[bytes, int | None]] = {
    "length of 2**62": (b"{}", 1 << 62),
    "overlap": (json.dumps({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 2, 6)}).encode(), None),
    "uncovered": (json.dumps({"a": entry("F32", [1], 0, 4)}).encode(), None),
    "negative shape": (json.dumps({"a": entry("F32", [-1, -2], 0, 8)}).encode(), None),
    "unknown dtype": (json.dumps({"a": entry("F33", [2], 0, 8)}).encode(), None),
    "a million tensors": (MANY, None),
    "deep metadata": (b'{"__metadata__":' + b'{"a":' * 10**5 + b'"b"' + b"}" * (10**5 + 1), None),
}


@pytest.mark.parametrize("name", HEADERS)
def test_s24_headers_that_lie(tmp_path: Path, name: str) -> None:
    text, length = HEADERS[name]
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(8))
    started = time.perf_counter()
    with pytest.raises(WeightError):
        open_weights(path)
    assert time.perf_counter() - started < 2


def test_s24_metadata_may_speak_of_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"w": torch.ones(1)}, {"note": '"data_offsets"' * 1000})
    with open_weights(path) as file:
        assert file.tensor("w").tolist() == [1.0]


def sources(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in ("engine", "nodes"):
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def calls_and_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            yield from (f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in node.keywords)
        elif isinstance(node, ast.Import):
            yield from (f"import {alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"import {node.module}"


UNSAFE = (
    "import pickle",
    "import cloudpickle",
    "import dill",
    "import marshal",
    "import shelve",
    "import joblib",
    "torch.load",
    "torch.jit.load",
    "jit.load",
    "torch.export.load",
    "export.load",
    "allow_pickle=True",
    "weights_only=False",
    "yaml.load",
    "yaml.unsafe_load",
    "instantiate_from_config",
    "np.load",
    "numpy.load",
)


def test_s25_loaders_that_trust_are_in_one_place_or_nowhere(root: Path) -> None:
    allowed = {("engine/weights/files.py", "import pickle"), ("engine/weights/files.py", "torch.load")}
    found = {(name, what) for name, tree in sources(root) for what in calls_and_imports(tree) if what in UNSAFE}
    # The one that reads arrays says that it takes no objects.
    found = {(name, what) for name, what in found if what not in ("np.load", "numpy.load")}
    assert found == allowed
    for name, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert "allow_pickle" not in ast.unparse(node) or "allow_pickle=False" in ast.unparse(node), name
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(node), name


def test_s26_nothing_is_trusted_from_a_hub(root: Path) -> None:
    for name, tree in sources(root):
        found = set(calls_and_imports(tree))
        assert "trust_remote_code=True" not in found, name
        assert not found & {"import huggingface_hub", "hf_hub_download", "snapshot_download"}, name
        hub = [what for what in found if what.endswith(".from_pretrained")]
        assert not hub or name.startswith("engine/training/"), (name, hub)  # of a package's own files, by their path


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.eye(3).to_sparse_csr(),
        torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    ],
    ids=["sparse", "csr", "quantized"],
)
@pytest.mark.filterwarnings("ignore")
def test_s27_only_dense_tensors(tmp_path: Path, tensor: torch.Tensor) -> None:
    torch.save({"w": tensor}, tmp_path / "x.pt")
    with pytest.raises(WeightError):
        open_weights(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt"])
def test_s28_a_digest_that_does_not_match(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, beside = tmp_path / name, tmp_path / f"{name}.sha256"
    tensors = {"w": torch.zeros(3)}
    if name.endswith("ckpt"):
        torch.save(tensors, path)
    else:
        save_safetensors(path, tensors, {})
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    for text in (right, right.upper() + "\n", f"{right}  {name}\n"):
        beside.write_text(text)
        open_weights(path).close()
    opened = []
    for reader in ("MappedFile", "PickledFile"):
        monkeypatch.setattr(f"engine.weights.files.{reader}", lambda *_: opened.append(1))
    for text in ("0" * 64, "", "no digest", right[:-1], right + "00"):
        beside.write_text(text)
        with pytest.raises(WeightError, match=r"declares|holds no digest"):
            open_weights(path)
    beside.write_text(right)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(WeightError, match="declares"):
        open_weights(path)
    assert not opened, "it was read before its digest was compared"
