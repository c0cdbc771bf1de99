"""Files that are no weights, chosen in the loaders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import WeightError
from engine.families import control, pipeline, upscalers
from engine.families.lora import add_lora
from engine.weights.recipe import file_ref


@pytest.mark.parametrize(
    "load", [control.load_controlnet, upscalers.load_upscaler, pipeline.load_checkpoint, pipeline.load_vae]
)
def test_text_named_as_weights_is_refused_by_name(load: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_text("These are notes, not weights.\n" * 20)
    with pytest.raises(WeightError, match=r"notes\.safetensors"):
        load(file_ref(path, path.name))


def test_text_named_as_a_lora_is_refused_by_name(random_sd15: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_text("These are notes, not weights.\n" * 20)
    model, _, _ = pipeline.load_checkpoint(file_ref(random_sd15, random_sd15.name))
    with pytest.raises(WeightError, match=r"notes\.safetensors"):
        add_lora([(model, 1.0)], file_ref(path, path.name))
