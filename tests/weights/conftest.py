"""The names and shapes of a real checkpoint."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_shapes(reference: Path) -> dict[str, tuple[int, ...]]:
    """Stable Diffusion 1.5, single file."""
    with gzip.open(reference / "checkpoint_shapes" / "sd15.json.gz", "rt") as file:
        return {name: tuple(shape) for name, shape in json.load(file)["tensors"].items()}
