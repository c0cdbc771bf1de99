"""What every test may rely on: no network, one thread, and where the reference data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test finds results of another, or leaves any with the user: tests of the disk cache name a directory of their own.
os.environ["SAFELIGHT_DISK_CACHE_BYTES"] = "0"

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip("the reference data (../shared/reference) is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def reference(shared: Path) -> Path:
    """The folder of reference numbers."""
    return shared / "reference"
