"""Results on disk, seen from whole sessions: what a restart finds, and what must not be found."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoint import WIDTH, make_base_directory, text_to_image, write_tiny_checkpoint

from engine.execution.array_codecs import ArrayReader, ArrayWriter
from engine.execution.cache import Result, ResultCache
from engine.execution.tiered_cache import TieredCache, code_digest, open_cache
from engine.execution.value_codec import decode, encode
from engine.graph.content import content_key
from engine.session import Session
from engine.settings import Settings, read_settings


class Darkroom:
    """Runs prompts, each in a session of its own, as restarts would."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base = base
        self.settings = Settings(
            base, output_directory=folder / "output", temp_directory=folder / "temp", device="cpu",
            disk_cache_bytes=64 << 20, cache_directory=folder / "cache",
        )  # fmt: skip

    def states(self, prompt: dict[str, Any], **settings: Any) -> dict[str, str]:
        """Run and tell what became of each node, by title."""
        session = Session(dataclasses.replace(self.settings, **settings))
        workflow = session.open(prompt)
        made = workflow.run().made
        session.cache.close()
        return {workflow.graph.nodes[id].title or id: str(outcome.state) for id, outcome in made.nodes.items()}


@pytest.fixture
def darkroom(tmp_path: Path, root: Path) -> Darkroom:
    base = make_base_directory(tmp_path / "base", root)
    _write_embedding(base, 1)
    return Darkroom(base, tmp_path)


def _write_embedding(base: Path, seed: int) -> None:
    path = base / "models/embeddings/cat.pt"
    path.parent.mkdir(exist_ok=True)
    torch.save({"string_to_param": {"*": torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(seed))}}, path)


def test_a_new_process_calls_no_node(root: Path, tmp_path: Path) -> None:
    def run() -> dict[str, Any]:
        command = [
            sys.executable, str(root / "main.py"), "run", "workflows/text_to_image.json", "--set", "KSampler.steps=2",
            "--output-directory", str(tmp_path / "output"), "--cache-directory", str(tmp_path / "cache"), "--json",
        ]  # fmt: skip
        environment = {**os.environ, "SAFELIGHT_DISK_CACHE_BYTES": str(1 << 26)}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    first, second = run(), run()
    assert {node["state"] for node in first["nodes"]} == {"done"}
    assert [node["state"] for node in second["nodes"]] == ["cached"]
    assert second["outputs"][0]["files"] == first["outputs"][0]["files"]


def test_only_what_changed_is_made_again_after_a_restart(darkroom: Darkroom) -> None:
    assert set(darkroom.states(text_to_image()).values()) == {"done"}
    assert darkroom.states(text_to_image()) == {"Save": "cached"}
    states = darkroom.states(text_to_image(Sampler__steps=3))
    assert {title for title, state in states.items() if state == "done"} == {"Sampler", "Decode", "Save"}
    assert darkroom.states(text_to_image()) == {"Save": "cached"}, "A, B, A"
    for path in (darkroom.settings.output_directory or Path()).iterdir():
        path.unlink()
    assert darkroom.states(text_to_image()) == {"Decode": "cached", "Save": "done"}


def test_a_replaced_model_file_is_noticed(darkroom: Darkroom) -> None:
    darkroom.states(text_to_image())
    write_tiny_checkpoint(darkroom.base / "models/checkpoints/tiny.safetensors", seed=1)
    states = darkroom.states(text_to_image())
    assert {title for title, state in states.items() if state == "done"} == {
        "Checkpoint", "Prompt", "Negative", "Sampler", "Decode", "Save",
    }  # fmt: skip


def test_a_moved_model_file_is_found_where_it_is(darkroom: Darkroom) -> None:
    """Its content is the same, so its key is; but a recipe that names the old place must not be served."""
    darkroom.states(text_to_image())
    folder = darkroom.base / "models/checkpoints"
    elsewhere = darkroom.base / "elsewhere"
    folder.rename(elsewhere)
    paths = darkroom.base / "extra_model_paths.yaml"
    paths.write_text(f"moved:\n  checkpoints: {elsewhere}\n")
    states = darkroom.states(text_to_image(Prompt__text="another"))
    assert states["Checkpoint"] == "done"
    assert states["Save"] == "done"


def test_a_changed_embedding_file_is_noticed(darkroom: Darkroom) -> None:
    prompt = text_to_image(Prompt__text="a (embedding:cat:1.2), red")
    darkroom.states(prompt)
    assert darkroom.states(prompt) == {"Save": "cached"}
    _write_embedding(darkroom.base, 2)
    states = darkroom.states(prompt)
    assert (states["Prompt"], states["Sampler"], states["Negative"]) == ("done", "done", "cached")


def test_another_output_directory_gets_files_of_its_own(darkroom: Darkroom, tmp_path: Path) -> None:
    darkroom.states(text_to_image())
    assert darkroom.states(text_to_image(), output_directory=tmp_path / "other")["Save"] == "done"
    assert len(list((tmp_path / "other").iterdir())) == 1


def test_other_code_of_the_engine_finds_nothing(darkroom: Darkroom, monkeypatch: pytest.MonkeyPatch) -> None:
    darkroom.states(text_to_image())
    monkeypatch.setattr("engine.execution.tiered_cache.code_digest", lambda: "0" * 64)
    assert set(darkroom.states(text_to_image()).values()) == {"done"}
    assert len(code_digest()) == 64


def test_a_bare_setting_stores_nothing_and_a_users_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(Session(Settings(tmp_path)).cache) is ResultCache
    monkeypatch.delenv("SAFELIGHT_DISK_CACHE_BYTES")
    session = Session(read_settings({"base_directory": tmp_path}))
    assert isinstance(session.cache, TieredCache)
    assert session.cache.disk.directory == tmp_path / "user" / "cache"
    session.cache.close()


@pytest.mark.parametrize(
    ("mode", "kept"),
    [({"cache_mode": "none"}, []), ({"cache_lru": 2}, ["b", "c"]), ({"cache_mode": "classic"}, ["a", "b", "c"])],
)
def test_the_ecosystems_modes_keep_to_memory(tmp_path: Path, mode: dict[str, Any], kept: list[str]) -> None:
    session = Session(Settings(tmp_path, disk_cache_bytes=1 << 20, **mode))
    cache = open_cache(session.settings, session.folders)
    assert not isinstance(cache, TieredCache)
    for name in "abc":
        cache.put(Result((name,), name), name)
    assert [name for name in "abc" if cache.get(name)] == kept
    cache.start_run(["b", None])
    assert [name for name in "abc" if cache.get(name)] == (["b"] if mode.get("cache_mode") == "classic" else kept)


@pytest.mark.parametrize(
    ("mode", "again", "after_another"),
    [
        ({}, "cached", "cached"),
        ({"cache_lru": 20}, "cached", "cached"),
        ({"cache_mode": "classic"}, "cached", "done"),
        ({"cache_mode": "none"}, "done", "done"),
    ],
    ids=["tiered", "lru", "classic", "none"],
)
def test_what_a_mode_finds_again(darkroom: Darkroom, mode: dict[str, Any], again: str, after_another: str) -> None:
    session = Session(dataclasses.replace(darkroom.settings, **mode))

    def state(steps: int) -> str:
        return str(session.open(text_to_image(Sampler__steps=steps)).run().made.nodes["9"].state)

    assert [state(1), state(1), state(2), state(1)] == ["done", again, "done", after_another]
    session.cache.close()


class Recorder(ResultCache):
    """Remembers everything that is put."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Result] = []

    def put(self, result: Result, *keys: str | None, **facts: Any) -> None:
        super().put(result, *keys, **facts)
        self.made.append(result)


@pytest.mark.parametrize(
    "name", ["text_to_image", "custom_sampler", "controlnet_edges", "lora", "inpaint_region", "upscale", "inpaint_hole"]
)
def test_every_value_of_the_examples_can_be_stored(root: Path, tmp_path: Path, name: str) -> None:
    session = Session(Settings(root, output_directory=tmp_path, temp_directory=tmp_path, device="cpu"))
    session.cache = recorder = Recorder()
    workflow = session.open(root / "workflows" / f"{name}.json")
    for id, node in workflow.graph.nodes.items():
        if "steps" in node.inputs:
            workflow.set(f"{id}.steps", 2)
    workflow.run()
    values = [value for result in recorder.made for value in (*result.values, result.ui)]
    assert len(values) > 8
    for value in values:
        arrays, held = ArrayWriter(), io.BytesIO()
        text = json.dumps(encode(value, arrays), allow_nan=False)
        arrays.write(held)
        restored = decode(json.loads(text), ArrayReader(bytearray(held.getvalue())))
        assert type(restored) is type(value)
        assert content_key(value) is not None
        assert content_key(restored) == content_key(value)
