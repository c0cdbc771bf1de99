"""Checkpoints for the tests of the whole pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.families.pipeline import make_models
from engine.memory.residency import Residency

WEIGHTS_VARIABLE = "SAFELIGHT_TEST_WEIGHTS"


@pytest.fixture(scope="session")
def random_checkpoint(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make the random checkpoints, of gigabytes each, that the reference numbers were made with: sd15, sd21, sdxl.

    They are taken from the folder that SAFELIGHT_TEST_WEIGHTS names, and made there (or in a temporary folder) if need
    be.
    """
    folder = Path(os.environ.get(WEIGHTS_VARIABLE) or tmp_path_factory.mktemp("weights"))

    def make(name: str) -> Path:
        path = folder / f"rand_{name}.safetensors"
        if not path.is_file():
            part = path.with_suffix(".part")
            subprocess.run([sys.executable, shared / "tools" / "random_checkpoint.py", name, part], check=True)
            part.replace(path)
        return path

    return make


@pytest.fixture(scope="session")
def random_sd15(random_checkpoint: Callable[[str], Path]) -> Path:
    """The random checkpoint of Stable Diffusion 1."""
    return random_checkpoint("sd15")


@pytest.fixture(scope="session")
def models() -> Residency:
    """The owner of weights, in float32 on the CPU, as the reference numbers were made."""
    return make_models("cpu", "float32")
