"""Facts about the machine that cost nothing to know: nothing here loads torch."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any


@functools.cache
def version(package: str) -> str | None:
    """Return the installed version of a package, without importing it; None where it is not installed."""
    import importlib.metadata  # reads slowly, and only some answers need it

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def memory_bytes() -> tuple[int, int]:
    """Return the bytes of memory that there are, and that are free."""
    if sys.platform.startswith("linux"):
        facts = {}
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            facts[name] = int(rest.split()[0]) * 1024
        return facts.get("MemTotal", 0), facts.get("MemAvailable", 0)
    import psutil

    memory = psutil.virtual_memory()
    return int(memory.total), int(memory.available)


def devices(device: str, total: int, free: int) -> list[dict[str, Any]]:
    """Describe the computing device. Cards are asked through their driver's own tool, where there is one."""
    if not device.startswith("cpu"):
        cards = _nvidia_cards()
        if cards:
            return cards
    return [_device("cpu", "cpu", 0, total, free)]


def _nvidia_cards() -> list[dict[str, Any]]:
    import shutil
    import subprocess

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = "--query-gpu=index,name,memory.total,memory.free"
    try:
        made = subprocess.run(
            [tool, asked, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    cards = []
    for line in made.stdout.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 4 and all(parts[at].isdecimal() for at in (0, 2, 3)):
            index = int(parts[0])
            cards.append(_device(f"cuda:{index} {parts[1]}", "cuda", index, int(parts[2]) << 20, int(parts[3]) << 20))
    return cards


def _device(name: str, kind: str, index: int, total: int, free: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "index": index,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }
