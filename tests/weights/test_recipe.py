"""Recipes and the keys of their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import WeightError
from engine.weights.recipe import FileRef, ModelRecipe, file_ref

FILE = FileRef(Path("a.safetensors"), "a.safetensors", "id")


def test_identity_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(bytes(5_000_000))
    os.utime(path, ns=(0, 0))
    first = file_ref(path, "sub/x.safetensors")
    assert first == file_ref(path, "sub/x.safetensors")
    assert (first.name, first.nbytes) == ("sub/x.safetensors", 5_000_000)
    seen = {first.identity}
    for place in (0, 1_048_575, 3_000_000, 4_999_999):
        changed = bytearray(5_000_000)
        changed[place - place % 4096 : place + 65536] = b"\1" * len(changed[place - place % 4096 : place + 65536])
        path.write_bytes(changed)
        os.utime(path, ns=(0, 0))  # the content alone must do
        seen.add(file_ref(path).identity)
    assert len(seen) == 5


def test_identity_follows_the_time(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"1234")
    os.utime(path, ns=(0, 0))
    first = file_ref(path).identity
    os.utime(path, ns=(1, 1))
    assert file_ref(path).identity != first


def test_small_and_missing_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    assert file_ref(empty).nbytes == 0
    with pytest.raises(WeightError, match=r"gone\.safetensors"):
        file_ref(tmp_path / "gone.safetensors")


def test_keys() -> None:
    clip = ModelRecipe(FILE, "sd1", "text")
    skipped = clip.with_option("last_layer", -2)
    assert clip.option("last_layer", -1) == -1
    assert skipped.option("last_layer", -1) == -2
    assert skipped.weights_key == clip.weights_key
    assert skipped.content_key != clip.content_key
    assert skipped.with_option("last_layer", -2) == skipped
    assert len({recipe.weights_key for recipe in (clip, ModelRecipe(FILE, "sd1", "vae"))}) == 2


def test_keys_do_not_tell_where_the_file_lies() -> None:
    moved = FileRef(Path("elsewhere/b.safetensors"), "b.safetensors", "id")
    assert ModelRecipe(moved, "sd1", "vae").content_key == ModelRecipe(FILE, "sd1", "vae").content_key


def test_keys_of_equal_looking_options_differ() -> None:
    clip = ModelRecipe(FILE, "sd1", "text")
    keys = {clip.with_option("a", value).content_key for value in (1, 1.0, "1", True)}
    assert len(keys) == 4
