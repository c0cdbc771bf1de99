"""What device there is and which number format each part of a model runs in on it.

A device is looked at once; what was found is a frozen `DeviceInfo`. The choice of dtype is a table over kinds of
device, so a new kind is a new row.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch

from engine.errors import InputError
from engine.weights.recipe import Part

__all__ = ["DeviceInfo", "DtypeName", "choose_dtype", "free_bytes", "probe_device"]

DeviceKind = Literal["cpu", "cpu_bf16", "cuda", "cuda_old", "mps", "xpu"]
DtypeName = Literal["auto", "float32", "float16", "bfloat16"]

SMALL_FILE: Final = 128 << 20
AMPERE: Final = 8  # the first compute capability whose tensor cores take bfloat16


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Describe a device: `name` as torch takes it, its row of the dtype table, and its memory in bytes."""

    name: str
    kind: DeviceKind
    total_bytes: int

    @property
    def device(self) -> torch.device:
        """Return torch's handle."""
        return torch.device(self.name)


# What each part computes in. The text encoder is small and its output steers every step, so on a CPU it keeps full
# precision. The autoencoder loses nothing that 8 bits could show: decoding in bfloat16 is 59 dB (at most 2 of 255)
# from float32 on a trained model, 52 dB on random weights, in a fifth of the time. In float16 some overflow. A
# ControlNet computes in the format of the diffusion model that it steers. What the
# table leaves out (upscalers, whose rounding would show) computes in float32.
DTYPES: Final[Mapping[DeviceKind, Mapping[Part, torch.dtype]]] = {
    "cpu": {
        "diffusion": torch.float32,
        "control": torch.float32,
        "text": torch.float32,
        "vae": torch.float32,
        "upscale": torch.float32,
    },
    "cpu_bf16": {
        "diffusion": torch.bfloat16,
        "control": torch.bfloat16,
        "text": torch.float32,
        "vae": torch.bfloat16,
        "upscale": torch.float32,
    },
    "cuda": {
        "diffusion": torch.float16,
        "control": torch.float16,
        "text": torch.float16,
        "vae": torch.bfloat16,
        "upscale": torch.float32,
    },
    "cuda_old": {
        "diffusion": torch.float16,
        "control": torch.float16,
        "text": torch.float16,
        "vae": torch.float32,
        "upscale": torch.float32,
    },
    "mps": {
        "diffusion": torch.float16,
        "control": torch.float16,
        "text": torch.float32,
        "vae": torch.float32,
        "upscale": torch.float32,
    },
    "xpu": {
        "diffusion": torch.bfloat16,
        "control": torch.bfloat16,
        "text": torch.bfloat16,
        "vae": torch.bfloat16,
        "upscale": torch.float32,
    },
}
CONTAINER_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MEMORY_FACTS: Final = Path("/proc/meminfo")
FORCED: Final[Mapping[str, torch.dtype]] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def probe_device(wanted: str = "auto") -> DeviceInfo:
    """Look at a device ("auto", "cpu", "cuda", "cuda:1", "mps", "xpu"); "auto" takes the first accelerator there is.

    Raises `InputError` where it is not there.
    """
    if wanted == "auto":
        wanted = next((name for name in ("cuda", "xpu", "mps") if _is_there(name)), "cpu")
    family, _, number = wanted.partition(":")
    if (
        family not in ("cpu", "cuda", "mps", "xpu")
        or (number and not number.isdecimal())
        or not _is_there(family, int(number or 0))
    ):
        there = ["cpu", *(name for name in ("cuda", "xpu", "mps") if _is_there(name))]
        raise InputError(
            f"the device {wanted} is not there",
            expected=", ".join(there),
            got=wanted,
            hint="choose one of these, or leave the choice to Safelight (auto)",
        )
    return _probe(family, int(number or 0))


def choose_dtype(device: DeviceInfo, part: Part, wanted: DtypeName = "auto", file_bytes: int = 0) -> torch.dtype:
    """Return what `part` computes in on `device`; anything but "auto" is obeyed, save float16 on a CPU.

    CPUs multiply float16 by way of float32, many times slower than either; there it means float32. Models from files
    smaller than `SMALL_FILE` (`file_bytes`, 0: not known) stay in float32 on a CPU: they are no slower in it, and
    their pictures are then the same on every processor.
    """
    if wanted == "auto":
        is_small = 0 < file_bytes < SMALL_FILE and device.kind.startswith("cpu")
        return torch.float32 if is_small else DTYPES[device.kind].get(part, torch.float32)
    forced = FORCED[wanted]
    return torch.float32 if forced == torch.float16 and device.kind.startswith("cpu") else forced


def free_bytes(device: DeviceInfo) -> int:
    """Return the memory of a device that nobody uses now, or a quarter of all where nobody says."""
    if device.device.type == "cuda":
        return int(torch.cuda.mem_get_info(device.device)[0])
    if device.device.type == "cpu" and MEMORY_FACTS.is_file():
        found = re.search(r"MemAvailable:\s+(\d+) kB", MEMORY_FACTS.read_text(encoding="ascii"))
        if found:
            return min(int(found[1]) << 10, device.total_bytes or sys.maxsize)
    return device.total_bytes // 4


def _is_there(family: str, index: int = 0) -> bool:
    if family == "cuda":
        return torch.cuda.is_available() and index < torch.cuda.device_count()
    if family == "xpu":
        return torch.xpu.is_available() and index < torch.xpu.device_count()
    if family == "mps":
        return torch.backends.mps.is_available() and index == 0
    return index == 0


@functools.cache  # the hardware does not change while the process runs
def _probe(family: str, index: int) -> DeviceInfo:
    if family == "cuda":
        facts = torch.cuda.get_device_properties(index)
        return DeviceInfo(f"cuda:{index}", "cuda" if facts.major >= AMPERE else "cuda_old", int(facts.total_memory))
    if family == "xpu":
        return DeviceInfo(f"xpu:{index}", "xpu", int(torch.xpu.get_device_properties(index).total_memory))
    if family == "mps":
        return DeviceInfo("mps", "mps", int(torch.mps.recommended_max_memory()))
    return DeviceInfo("cpu", "cpu_bf16" if _cpu_multiplies_bfloat16() else "cpu", _ram_bytes())


def _cpu_multiplies_bfloat16() -> bool:
    """Say whether the processor has instructions for it (AMX or AVX-512 BF16 on x86, BF16 on Arm) that torch uses."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16")):
        return True
    if capabilities.get("bf16") and capabilities.get("architecture") == "aarch64":
        return True
    probes = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(probe() for probe in probes if probe is not None)


def _ram_bytes() -> int:
    """Return the memory of the machine, or of the container it runs in where that is less; 0 where nobody says."""
    files = [limit.read_text(encoding="ascii").strip() for limit in CONTAINER_LIMITS if limit.is_file()]
    return min([_machine_ram_bytes(), *(int(text) for text in files if text.isdecimal())])


def _machine_ram_bytes() -> int:
    if sys.platform == "win32":
        return _windows_ram_bytes()
    if "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0


def _windows_ram_bytes() -> int:
    """Ask GlobalMemoryStatusEx; its answer is a structure of 64 bytes with the total as the second 64-bit number."""
    status = ctypes.create_string_buffer(struct.pack("<L60x", 64), 64)
    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009 (only there on Windows)
    return int(struct.unpack_from("<Q", status, 8)[0]) if kernel.GlobalMemoryStatusEx(status) else 0
