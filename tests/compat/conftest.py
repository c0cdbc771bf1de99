"""A session with the test packs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pack_bench import Bench, install

from engine.session import Session
from engine.settings import Settings


@pytest.fixture(scope="session")
def pack_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base directory with the test packs, the same for all tests so that they are imported once."""
    base = tmp_path_factory.mktemp("packs")
    (base / "models").mkdir()
    (base / "input").mkdir()
    install(base, "contract", "schemas")
    return base


@pytest.fixture
def open_session(tmp_path: Path) -> Callable[..., Session]:
    """Open a session on a base directory, trusting its packs."""

    def make(base: Path, **settings: Any) -> Session:
        settings.setdefault("trust_packs", True)
        folders = {f"{name}_directory": tmp_path / name for name in ("output", "temp", "user")}
        return Session(Settings(base, device="cpu", **folders, **settings))

    return make


@pytest.fixture
def bench(pack_base: Path, open_session: Callable[..., Session]) -> Bench:
    """A fresh session with an empty cache."""
    return Bench(open_session(pack_base))
