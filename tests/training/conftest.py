"""Pictures to train on in a test: the shapes that the project draws itself, no package needed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.training.render import Picture
from engine.training.shapes import COLOURS


@pytest.fixture(scope="session")
def discs() -> tuple[list[Picture], NDArray[np.uint8]]:
    """One disc of each colour, uint8 [8, 128, 128, 4], drawn with numpy alone."""
    rows, columns = np.mgrid[:128, :128]
    inside = (rows - 64) ** 2 + (columns - 64) ** 2 < 46**2
    pixels = np.zeros((len(COLOURS), 128, 128, 4), np.uint8)
    for picture, colour in zip(pixels, COLOURS.values(), strict=True):
        picture[inside] = [int(colour[at : at + 2], 16) for at in (1, 3, 5)] + [255]
    return [Picture(f"{colour} circle", (), "shape", -1) for colour in COLOURS], pixels
