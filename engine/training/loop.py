"""The loop that every training stage shares: descend, average, report, save, stop when the time is spent."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.training.state import TimedRun

__all__ = ["Losses", "train_until_spent"]

LOG_EVERY = 100

log = logging.getLogger(__name__)

Losses = Callable[[float], tuple[Tensor, ...]]
"""``losses(progress)``, progress from 0 to 1: what to descend, then further numbers to watch."""


def train_until_spent(
    timed: TimedRun, peak_rate: float, losses: Losses, names: tuple[str, ...], save_every: float = 60.0
) -> nn.Module:
    """Train until the minutes of `timed` are spent, resuming from its file; return the averaged model.

    `names` are those of the numbers that `losses` gives, for the log.
    """
    log.info("resumed=%s at step %d", timed.resume(), timed.step)
    saved = timed.clock.spent
    seen = torch.zeros(len(names))
    progress = timed.begin_step(peak_rate)
    while progress < 1:
        made = losses(progress)
        made[0].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        timed.end_step()
        seen += torch.stack([value.detach().float() for value in made])
        if timed.step % LOG_EVERY == 0:
            means = ", ".join(f"{name} {value:.4f}" for name, value in zip(names, seen / LOG_EVERY, strict=True))
            log.info("step %d, %.0f s, %s", timed.step, timed.clock.spent, means)
            seen.zero_()
        progress = timed.begin_step(peak_rate)
        if timed.clock.spent - saved > save_every:
            saved = timed.clock.spent
            timed.save()
    timed.save()
    return timed.average.module
