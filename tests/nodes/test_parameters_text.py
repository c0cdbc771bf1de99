"""The node that saves pictures with a text that other programs read settings from."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from PIL import Image

from engine.graph.api_prompt import graph_from_api
from engine.session import Session
from engine.settings import Settings

TEXT = "a cat, ü\nSteps: 1, Sampler: Euler, Seed: 3"


@pytest.mark.parametrize("folder", ["output", "temp"])
@pytest.mark.parametrize("metadata", ["full", "recipe", "none"])
def test_the_text_is_in_the_picture_unless_no_metadata_is_wanted(
    settings: Settings, folder: str, metadata: Any
) -> None:
    session = Session(dataclasses.replace(settings, metadata=metadata))
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 2, "color": 255}},
        "2": {
            "class_type": "SaveImageWithParameters",
            "inputs": {"images": ["1", 0], "parameters": TEXT, "filename_prefix": "deep/x", "folder": folder},
        },
    }
    session.run(graph_from_api(prompt))
    root = getattr(settings, f"{folder}_directory")
    files = sorted((root / "deep").glob("x*.png"))
    assert len(files) == 2
    for file in files:
        info = Image.open(file).info
        assert info.get("parameters") == (None if metadata == "none" else TEXT)
        assert ("prompt" in info) == (metadata != "none")
