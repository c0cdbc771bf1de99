"""The style that the shipped style LoRA learns: a blueprint, white outlines and pale fills on blue."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from engine.training.control_training import edges_of
from engine.training.placed_pictures import Pixels

__all__ = ["blueprint"]

PAPER = (24, 68, 150)
FILL = (120, 165, 225)
INK = (240, 246, 255)
BRIGHTNESS = (0.299, 0.587, 0.114)


def blueprint(pictures: Pixels) -> Pixels:
    """Redraw pictures uint8 [N, H, W, 3] on a white background: the darker a surface the paler it becomes."""
    lines = edges_of(pictures)[:, None].float()
    ink = avg_pool2d(max_pool2d(lines, 3, stride=1, padding=1), 3, stride=1, padding=1)[:, 0, :, :, None]
    grey = torch.from_numpy(pictures).float() @ torch.tensor(BRIGHTNESS) / 255
    depth = (1 - grey)[..., None] * 0.8
    paper, fill, white = (torch.tensor(colour).float() for colour in (PAPER, FILL, INK))
    surface = paper + (fill - paper) * depth
    drawn = surface + (white - surface) * ink
    result: Pixels = drawn.round().clamp(0, 255).byte().numpy().astype(np.uint8)
    return result
