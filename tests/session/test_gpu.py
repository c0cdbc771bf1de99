"""The same workflows on a card. They have not run yet: whoever has one runs ``pytest -m gpu`` and reports.

What to measure first: that the picture is the CPU's within rounding (float32), that half precision stays close, and
that the weights are gone from the card when they are dropped.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.session import Session
from engine.settings import Settings

pytestmark = pytest.mark.gpu


@pytest.fixture
def on_cpu(root: Path, tmp_path: Path) -> Settings:
    """The checkout, saving elsewhere, in float32 on the CPU."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return Settings(root, output_directory=tmp_path / "out", temp_directory=tmp_path, device="cpu", dtype="float32")


def drawn(settings: Settings, file: str) -> np.ndarray:
    result = Session(settings).open(settings.base_directory / "workflows" / file).run()
    (pictures,) = [found for found in result.images.values() if found][:1]
    return np.asarray(pictures[0], dtype=np.int16)


@pytest.mark.parametrize("file", ["text_to_image.json", "inpaint.json", "hires_two_pass.json"])
def test_a_card_draws_what_the_cpu_draws(on_cpu: Settings, file: str) -> None:
    expected = drawn(on_cpu, file)
    exact = drawn(dataclasses.replace(on_cpu, device="cuda"), file)
    assert np.abs(exact - expected).mean() < 1.0
    half = drawn(dataclasses.replace(on_cpu, device="cuda", dtype="auto"), file)
    assert np.abs(half - expected).mean() < 4.0


def test_dropped_weights_leave_the_card(on_cpu: Settings) -> None:
    import torch

    session = Session(dataclasses.replace(on_cpu, device="cuda"))
    before = torch.cuda.memory_allocated()
    session.open(on_cpu.base_directory / "workflows" / "text_to_image.json").run().raise_for_failure()
    session.services.models.drop_unused()
    assert torch.cuda.memory_allocated() - before < 8 << 20
