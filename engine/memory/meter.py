"""How much memory a piece of work took, and how many bytes of weights were moved for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import torch

from engine.memory.residency import Residency

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Meter:
    """Measure work on one device. Calling it begins; calling what that returns ends, and gives two numbers of bytes.

    The first is the most memory that was held meanwhile: the device's own count where it keeps one, on a CPU all that
    the process holds (Linux alone can tell for a span of time; None elsewhere). The second is what was moved onto the
    device. Work that overlaps is counted in both.
    """

    def __init__(self, models: Residency) -> None:
        self._models = models
        self._cuda = models.device.device.type == "cuda"

    def __call__(self) -> Callable[[], tuple[int | None, int]]:
        """Begin to measure."""
        moved = self._models.moved_bytes
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(self._models.device.device)
        else:
            with contextlib.suppress(OSError):
                _CLEAR.write_text("5")  # forgets the process's high-water mark, see proc(5)
        return lambda: (self._peak(), self._models.moved_bytes - moved)

    def _peak(self) -> int | None:
        if self._cuda:
            return int(torch.cuda.max_memory_allocated(self._models.device.device))
        with contextlib.suppress(OSError, ValueError):
            for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None
