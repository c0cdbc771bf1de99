"""The comparison of policies: our row is the best, at a size that a test can wait for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


def benchmark(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    spec = importlib.util.spec_from_file_location("residency_benchmark", root / "benchmarks/residency.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_our_row_is_best(root: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark(root, monkeypatch)
    assert not module.table(
        {"W2L": (module.alternating(6, "sdxl b1", 4), 8), "2": (module.flux("fp8", "fp8", 1, 6), 8)}
    )
    assert "| K |" in capsys.readouterr().out


def test_less_room_in_sweeps_than_between_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLUX passes through the card in each sweep, T5 comes between: fewer bytes than C, G, I, and no longer waits."""
    module = benchmark(root, monkeypatch)
    cells = module.compare(module.flux("fp8", "fp8", 3, 4), 8 * module.GIB - module.GIB * 55 // 100)
    for row in "CGI":
        assert cells["K"].loaded < cells[row].loaded
        assert all(mine < other + 0.05 for mine, other in zip(cells["K"].stalls, cells[row].stalls, strict=True))
