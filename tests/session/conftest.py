"""One base directory for the tests of this folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tiny_checkpoint import make_base_directory

from engine.session import Session
from engine.settings import Settings


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A base directory with a tiny checkpoint."""
    return make_base_directory(tmp_path_factory.mktemp("base"), root)


@pytest.fixture
def settings(base: Path, tmp_path: Path) -> Settings:
    """Settings that save into this test's own folder."""
    return Settings(base, output_directory=tmp_path / "output", temp_directory=tmp_path / "temp", device="cpu")


@pytest.fixture
def session(settings: Settings) -> Session:
    """A fresh session with an empty cache."""
    return Session(dataclasses.replace(settings))
