"""Files that are no weights, chosen in the loaders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import write_tiny_checkpoint

from engine.errors import WeightError
from engine.families import control, pipeline, upscalers
from engine.families.lora import add_lora
from engine.families.text_files import load_clip_pair
from engine.weights.recipe import FileRef, file_ref


def load_unet(file: FileRef) -> Any:
    return pipeline.load_part(file, "diffusion")


def load_clip(file: FileRef) -> Any:
    return pipeline.load_part(file, "text")


def load_two_clips(file: FileRef) -> Any:
    return load_clip_pair([file, file])


@pytest.mark.parametrize(
    "load",
    [
        control.load_controlnet,
        upscalers.load_upscaler,
        pipeline.load_checkpoint,
        pipeline.load_vae,
        load_unet,
        load_clip,
        load_two_clips,
    ],
)
def test_text_named_as_weights_is_refused_by_name(load: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_text("These are notes, not weights.\n" * 20)
    with pytest.raises(WeightError, match=r"notes\.safetensors"):
        load(file_ref(path, path.name))


def test_text_named_as_a_lora_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_text("These are notes, not weights.\n" * 20)
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    model, _, _ = pipeline.load_checkpoint(file_ref(tmp_path / "tiny.safetensors"))
    with pytest.raises(WeightError, match=r"notes\.safetensors"):
        add_lora([(model, 1.0)], file_ref(path, path.name))
