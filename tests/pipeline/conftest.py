"""Checkpoints for the tests of the whole pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.families.pipeline import make_models
from engine.memory.residency import Residency

WEIGHTS_VARIABLE = "SAFELIGHT_TEST_WEIGHTS"


@pytest.fixture(scope="session")
def random_sd15(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random checkpoint of 2 GB that the reference numbers were made with.

    It is taken from the folder that SAFELIGHT_TEST_WEIGHTS names, and made there (or in a temporary folder) if need be.
    """
    folder = Path(os.environ.get(WEIGHTS_VARIABLE) or tmp_path_factory.mktemp("weights"))
    path = folder / "rand_sd15.safetensors"
    if not path.is_file():
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, shared / "tools" / "random_checkpoint.py", "sd15", part], check=True)
        part.replace(path)
    return path


@pytest.fixture(scope="session")
def models() -> Residency:
    """The owner of weights, in float32 on the CPU, as the reference numbers were made."""
    return make_models("cpu", "float32")
