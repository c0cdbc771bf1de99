"""What a CPU does faster, measured once for each machine and remembered: never at import, in less than a second.

Only ways that give the same bits are chosen between, so that a measurement that was disturbed costs time and nothing
else.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

from engine.networks.packed import can_pack, pack

__all__ = ["machine", "packing_pays", "remember_in"]

FILE: Final = "cpu_choices.json"
CHANNELS, SIDE, TURNS = 1280, 8, 5  # a convolution in the middle of a U-Net, where packing matters most
MEMORY_OF_CHOICES: Final[dict[str, Path | None]] = {}
"""Where choices are kept, under "directory". Mutable because whoever builds networks does not know of directories."""


def remember_in(directory: Path | None) -> None:
    """Keep choices in a file of `directory` from now on; None: in this process alone."""
    MEMORY_OF_CHOICES["directory"] = directory


def packing_pays() -> bool:
    """Say whether packed weights are faster here, measuring it where nobody has."""
    if not can_pack():
        return False
    return choice("packing", _measure_packing)


def choice(name: str, measure: Callable[[], bool]) -> bool:
    """Return what was chosen for this machine under `name`, measuring it where nobody has."""
    directory = MEMORY_OF_CHOICES.get("directory")
    key = f"{name}, {machine()}"
    known = _read(directory)
    if not isinstance(known.get(key), bool):
        known[key] = measure()
        _write(directory, known)
    return bool(known[key])


@functools.cache
def machine() -> str:
    """Return what choices depend on: the model of the processor, its threads, and torch."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, IndexError, UnicodeDecodeError):
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = facts.partition("model name")[2].splitlines()[0].strip(" \t:")
    return f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _measure_packing() -> bool:
    with torch.inference_mode():
        weight = torch.full((CHANNELS, CHANNELS, 3, 3), 0.01, dtype=torch.bfloat16)
        layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False, device="meta")
        layer.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        plain, x = layer.weight, torch.ones(2, CHANNELS, SIDE, SIDE, dtype=torch.bfloat16)
        x = x.contiguous(memory_format=torch.channels_last)
        packed = pack(layer)
        return _least_seconds(lambda: packed(x)) < _least_seconds(lambda: functional.conv2d(x, plain, padding=1))


def _least_seconds(call: Callable[[], Any]) -> float:
    found = []
    for _ in range(TURNS):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def _read(directory: Path | None) -> dict[str, Any]:
    if directory is None:
        return _IN_MEMORY
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


_IN_MEMORY: Final[dict[str, Any]] = {}
"""What was chosen where nothing is to be left on disk. Mutable: a process measures once."""


def _write(directory: Path | None, known: dict[str, Any]) -> None:
    if directory is None:
        return
    with contextlib.suppress(OSError):  # it is measured again
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / f"{FILE}.{os.getpid()}.part"
        part.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        part.replace(directory / FILE)
