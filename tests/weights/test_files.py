"""Weight files: what is read, and that nothing damaged or dangerous gets through."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import OutputError, WeightError
from engine.weights.files import open_weights, save_safetensors

TENSORS = {
    "a": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "b": torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16),
    "half": torch.tensor([0.25, 3.0], dtype=torch.float16),
    "eight": torch.tensor([0.5, -1.0]).to(torch.float8_e4m3fn),
    "whole": torch.tensor([2**40], dtype=torch.int64),
    "flag": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.5),
    "nothing": torch.empty(0, 4),
}


def write_raw(path: Path, header: Any, data: bytes, length: int | None = None) -> Path:
    """Write a safetensors file with any header, however wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype: str, shape: list[Any], *offsets: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, TENSORS, {"note": "ä"})
    with open_weights(path) as file:
        assert dict(file.shapes) == {name: tuple(tensor.shape) for name, tensor in TENSORS.items()}
        assert dict(file.dtypes) == {name: tensor.dtype for name, tensor in TENSORS.items()}
        assert dict(file.metadata) == {"note": "ä"}
        for name, tensor in TENSORS.items():
            read = file.tensor(name)
            assert read.dtype == tensor.dtype
            assert torch.equal(read.float(), tensor.float())


def test_a_file_that_takes_the_place_of_another_is_read_anew(tmp_path: Path) -> None:
    """Headers are kept, for the file that they were read from."""
    path = tmp_path / "x.safetensors"
    for name in ("one", "two", "six"):
        save_safetensors(path, {name: torch.zeros(3)})
        for _ in range(2):
            with open_weights(path) as file:
                assert list(file.shapes) == [name]
    with path.open("r+b") as raw:  # changed where it lies, to the same size
        raw.seek(path.read_bytes().index(b"six"))
        raw.write(b"ten")
    os.utime(path, ns=(0, 0))
    with open_weights(path) as file:
        assert list(file.shapes) == ["ten"]


def test_reads_and_is_read_by_the_reference_library(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    save_safetensors(ours, TENSORS, {"k": "v"})
    library.save_file(TENSORS, theirs, {"k": "v"})
    with open_weights(theirs) as file:
        assert all(torch.equal(file.tensor(name).float(), tensor.float()) for name, tensor in TENSORS.items())
        assert dict(file.metadata) == {"k": "v"}
    loaded = library.load_file(ours)
    assert all(torch.equal(loaded[name].float(), tensor.float()) for name, tensor in TENSORS.items())


def test_tensors_are_views_and_outlive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"a": torch.arange(1000.0), "b": torch.arange(1000.0, 2000.0)})
    with open_weights(path) as file:
        first, second = file.tensor("a"), file.tensor("b")
        assert second.data_ptr() - first.data_ptr() == 4000  # no copies: they lie as in the file
        file.release(["a", "b"])
        assert first[10] == 10 and second[10] == 1010  # read again
    assert first.sum() == 499500


def test_the_map_never_writes_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"a": torch.zeros(100)})
    before = path.read_bytes()
    with open_weights(path) as file:
        file.tensor("a").fill_(7)
    assert path.read_bytes() == before


def test_unaligned_tensors(tmp_path: Path) -> None:
    header = {"flag": entry("U8", [1], 0, 1), "number": entry("F32", [2], 1, 9)}
    path = write_raw(tmp_path / "x.safetensors", header, b"\x07" + struct.pack("<2f", 1.5, 2.5))
    with open_weights(path) as file:
        assert file.tensor("number").tolist() == [1.5, 2.5]


FOUR = b"\0\0\0\0"
FAULTS: dict[str, tuple[Any, bytes, int | None, str]] = {
    "length of 2**62": ({}, b"", 1 << 62, "makes no sense"),
    "header longer than the file": ({"a": entry("F32", [1], 0, 4)}, FOUR, 5000, "truncated inside its header"),
    "cut data": ({"a": entry("F32", [4], 0, 16)}, FOUR, None, "promises 16 bytes of tensors, 4 are there"),
    "more data than promised": ({"a": entry("F32", [1], 0, 4)}, FOUR * 2, None, "bytes after the last"),
    "overlap": ({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 2, 6)}, FOUR * 2, None, "overlaps"),
    "hole": ({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, FOUR * 3, None, "hole"),
    "same place twice": ({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 0, 4)}, FOUR, None, "overlaps"),
    "shape does not fit": ({"a": entry("F32", [2], 0, 4)}, FOUR, None, "does not fit its place"),
    "enormous shape": ({"a": entry("F32", [1 << 60, 1 << 60], 0, 4)}, FOUR, None, "does not fit its place"),
    "negative shape": ({"a": entry("F32", [-1], 0, 4)}, FOUR, None, "impossible shape"),
    "shape of booleans": ({"a": entry("F32", [True], 0, 4)}, FOUR, None, "impossible shape"),
    "fractional shape": ({"a": entry("F32", [1.0], 0, 4)}, FOUR, None, "impossible shape"),
    "backward offsets": ({"a": entry("F32", [1], 4, 0)}, FOUR, None, "impossible offsets"),
    "negative offsets": ({"a": entry("F32", [1], -4, 0)}, FOUR, None, "impossible offsets"),
    "three offsets": ({"a": entry("F32", [1], 0, 4, 8)}, FOUR, None, "impossible offsets"),
    "unknown dtype": ({"a": entry("F3", [1], 0, 4)}, FOUR, None, "not supported"),
    "no description": ({"a": [1, 2]}, FOUR, None, "not described"),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, b"", None, "metadata"),
    "a list": ([], b"", None, "not a JSON object"),
    "no JSON": (b"{nonsense", b"", None, "no valid JSON"),
    "not UTF-8": (b'{"\xff": 1}', b"", None, "no valid JSON"),
    "NaN": (b'{"a": NaN}', b"", None, "no valid JSON"),
    "deep nesting": (b'{"a":' * 100_000, b"", None, "no valid JSON"),
    "a name twice": (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}', FOUR, None, "twice"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_lying_headers(name: str, tmp_path: Path) -> None:
    header, data, length, said = FAULTS[name]
    path = write_raw(tmp_path / "x.safetensors", header, data, length)
    with pytest.raises(WeightError) as caught:
        open_weights(path)
    problem = caught.value.problem
    assert said in problem.message and "x.safetensors" in problem.message
    assert problem.expected and problem.got and problem.hint


@pytest.mark.parametrize("kept", [0, 3, 7, 8, 20])
def test_truncated_anywhere(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightError):
        open_weights(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("gone.safetensors", "gone.ckpt", "folder.safetensors", "folder.pt"):
        with pytest.raises(WeightError):
            open_weights(tmp_path / name)
    with pytest.raises(WeightError, match="not a weight file"):
        open_weights(tmp_path / "picture.png")


def test_pickled_checkpoint(tmp_path: Path) -> None:
    stored = {"state_dict": {"w": torch.ones(2, 3)}, "global_step": 875000, "name": "x"}
    new, old = tmp_path / "new.ckpt", tmp_path / "old.pt"
    torch.save(stored, new)
    torch.save(stored["state_dict"], old, _use_new_zipfile_serialization=False)
    with open_weights(new) as file:
        assert dict(file.shapes) == {"w": (2, 3)}
        assert file.metadata["global_step"] == "875000"
        assert torch.equal(file.tensor("w"), torch.ones(2, 3))
    with open_weights(old) as file:
        assert dict(file.dtypes) == {"w": torch.float32}


class Hostile:
    """An object whose unpickling runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"\"{sys.executable}\" -c \"open(r'{self.marker}', 'w')\"",))


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin"])
@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_pickle_with_code_is_refused(form: str, suffix: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / f"x{suffix}"
    stored = {"w": torch.ones(2), "evil": Hostile(marker)}
    if form == "bare":
        path.write_bytes(pickle.dumps(stored["evil"], protocol=2))
    else:
        torch.save(stored, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightError) as caught:
        open_weights(path)
    assert not marker.exists()
    if form == "zip":
        assert caught.value.problem.code == "E-WEIGHT-CODE"
        assert "system" in str(caught.value.problem.got)


def test_kind_must_match_the_ending(tmp_path: Path) -> None:
    as_zip, as_flat = tmp_path / "zip.safetensors", tmp_path / "flat.ckpt"
    torch.save({"w": torch.ones(2)}, tmp_path / "x.pt")
    as_zip.write_bytes((tmp_path / "x.pt").read_bytes())
    save_safetensors(tmp_path / "x.safetensors", {"w": torch.ones(2)})
    as_flat.write_bytes((tmp_path / "x.safetensors").read_bytes())
    for path in (as_zip, as_flat):
        with pytest.raises(WeightError, match="not what its name says"):
            open_weights(path)


def test_compressed_archive_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, tmp_path / "x.pt")
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(tmp_path / "x.pt") as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info.filename))
    with pytest.raises(WeightError, match="compressed"):
        open_weights(path)


def test_only_plain_tensors_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.ones(2, 2).to_sparse()}, path)
    with pytest.raises(WeightError):
        open_weights(path)
    torch.save({"note": "no tensors here"}, path)
    with pytest.raises(WeightError, match="not what its name says"):
        open_weights(path)
    torch.save([torch.ones(2)], path)
    with pytest.raises(WeightError, match="not what its name says"):
        open_weights(path)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_pickle(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    torch.save({"w": torch.ones(5000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(WeightError):
        open_weights(path)


def test_saving_is_whole_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"a": torch.ones(3)})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="cannot store"):
        save_safetensors(path, {"a": torch.ones(3), "b": torch.ones(3, dtype=torch.complex128)})
    with pytest.raises(OutputError):
        save_safetensors(tmp_path / "nowhere" / "x.safetensors", {"a": torch.ones(3)})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


LOAD = """
import sys, torch
from pathlib import Path
from engine.weights.files import open_weights
from engine.weights.layouts import TensorSource
from engine.weights.loading import Target, fill

class Stack(torch.nn.Module):
    def __init__(self, count):
        super().__init__()
        self.parts = torch.nn.ParameterList(torch.empty(1024, 4096, device="meta") for _ in range(count))

def peak():
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024

path, count = Path(sys.argv[1]), int(sys.argv[2])
before = peak()
with open_weights(path) as file:
    sources = {name: TensorSource(name, shape) for name, shape in file.shapes.items()}
    module = fill(Stack(count), file, sources, Target(torch.device("cpu"), torch.bfloat16))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured and pages are given back on Linux")
def test_peak_memory_of_converting_is_that_of_the_weights(tmp_path: Path, root: Path) -> None:
    count = 48  # 48 x 8 MiB of float16
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {f"parts.{index}": torch.ones(1024, 4096, dtype=torch.float16) for index in range(count)})
    command = [sys.executable, "-c", LOAD, str(path), str(count)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    weights = count * 1024 * 4096 * 2
    # Two groups of 64 MiB lie in memory beside what is converted: 10 % of a file of 2 GB and not more.
    assert weights < int(done.stdout) < weights + (2 * 64 + 48) * 2**20
