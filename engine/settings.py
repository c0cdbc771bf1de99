"""Own the one frozen `Settings`: read once at the start, from the environment and the command line, then passed down.

Nothing else in the engine reads environment variables that are ours. A setting named ``device`` is read from
``SAFELIGHT_DEVICE``; a value given in code or on the command line wins over the environment.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from engine.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu", "sim")
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
MetadataLevel = Literal["none", "recipe", "full"]
DTYPES: tuple[str, ...] = get_args(Dtype)
METADATA_LEVELS: tuple[str, ...] = get_args(MetadataLevel)
CacheMode = Literal["tiered", "classic", "none"]
CACHE_MODES: tuple[str, ...] = get_args(CacheMode)
DISK_CACHE_BYTES = 8 << 30
PREFIX = "SAFELIGHT_"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Hold every choice that is made before a workflow runs.

    ``base_directory`` holds ``models/``, ``input/``, ``output/``, ``temp/`` and ``user/``; each of the last four can
    be elsewhere. ``device`` is one of `DEVICES`, or ``cuda:1`` and the like; ``sim:8GiB`` is the CPU with no more than
    that to hold. ``dtype`` is what weights are computed in.
    ``threads`` is the number of CPU threads for tensors (None: the library's choice). ``cache_bytes`` bounds the
    results kept in memory, ``memory_bytes`` the weights on the computing device (None: what the device has),
    ``vram_budget_bytes`` all that is taken of a card, ``ram_budget_bytes`` the weights in the machine's memory;
    ``reserve_vram_bytes`` of a card are left to others.
    ``disk_cache_bytes`` bounds the results kept in ``cache_directory`` (None: ``cache`` in the user's directory); 0
    keeps none. A bare `Settings` leaves nothing on disk; `read_settings`, which people's own choices go through, allows
    `DISK_CACHE_BYTES`. ``cache_mode``: "tiered" keeps results in memory and on disk, "classic" those of the last run in
    memory, "none" none; ``cache_lru`` keeps that many results in memory (0: no such bound).
    ``metadata``: ``none`` writes no recipe into pictures, ``recipe`` the graph, ``full`` also the editor's document.
    ``trust_packs`` loads node packs that were not approved, for this session; ``disable_all_custom_nodes`` loads none
    but those named in ``whitelist_custom_nodes``.
    ``max_ram_bytes`` bounds what a worker process may hold (None: no limit); ``cancel_grace_s`` is how long a cancelled
    job has to stop by itself before its worker is ended. Numbers of bytes can be written like ``8GiB``.
    ``debug`` looks after every node whether it changed what it was given.
    """

    base_directory: Path
    input_directory: Path | None = None
    output_directory: Path | None = None
    temp_directory: Path | None = None
    user_directory: Path | None = None
    extra_model_paths: tuple[Path, ...] = ()
    device: str = "auto"
    dtype: Dtype = "auto"
    threads: int | None = None
    cache_bytes: int = 1 << 30
    disk_cache_bytes: int = 0
    cache_directory: Path | None = None
    cache_mode: CacheMode = "tiered"
    cache_lru: int = 0
    memory_bytes: int | None = None
    vram_budget_bytes: int | None = None
    ram_budget_bytes: int | None = None
    reserve_vram_bytes: int = 0
    metadata: MetadataLevel = "full"
    trust_packs: bool = False
    disable_all_custom_nodes: bool = False
    whitelist_custom_nodes: tuple[str, ...] = ()
    max_ram_bytes: int | None = None
    cancel_grace_s: float = 0.3
    debug: bool = False

    def __post_init__(self) -> None:
        if self.device.split(":")[0] not in DEVICES:
            raise InputError("the device is not known", expected=", ".join(DEVICES), got=repr(self.device))
        if self.dtype not in DTYPES:
            raise InputError("the dtype is not known", expected=", ".join(DTYPES), got=repr(self.dtype))
        if self.metadata not in METADATA_LEVELS:
            expected = ", ".join(METADATA_LEVELS)
            raise InputError("the metadata level is not known", expected=expected, got=repr(self.metadata))
        if self.cache_mode not in CACHE_MODES:
            expected = ", ".join(CACHE_MODES)
            raise InputError("the cache mode is not known", expected=expected, got=repr(self.cache_mode))
        floors = {"threads": 1, "max_ram_bytes": 1}
        for name in (*floors, "cache_bytes", "disk_cache_bytes", "cache_lru", "memory_bytes", "cancel_grace_s",
                     "vram_budget_bytes", "ram_budget_bytes", "reserve_vram_bytes"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < floors.get(name, 0):
                raise InputError(f"{name} is too small", expected="a positive number", got=str(value))


def default_base_directory() -> Path:
    """Return the working directory, unless only the checkout that this file lies in holds ``models/``."""
    here, checkout = Path.cwd(), Path(__file__).resolve().parent.parent
    return checkout if (checkout / "models").is_dir() and not (here / "models").is_dir() else here


def read_settings(given: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from ``given`` (None values mean "not given"), then the environment, then the defaults.

    Raises `InputError` when a name is not a setting or a value cannot be read.
    """
    environ = os.environ if environ is None else environ
    fields = {field.name: field.type for field in dataclasses.fields(Settings)}
    given = {name: value for name, value in (given or {}).items() if value is not None}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise InputError(f"no such setting: {', '.join(unknown)}", expected=", ".join(fields))
    values: dict[str, Any] = {}
    for name, annotation in fields.items():
        if name in given:
            values[name] = _read(name, str(annotation), given[name])
        elif environ.get(PREFIX + name.upper()):
            values[name] = _read(name, str(annotation), environ[PREFIX + name.upper()])
    values.setdefault("disk_cache_bytes", DISK_CACHE_BYTES)
    base = values.setdefault("base_directory", default_base_directory())
    if not base.is_dir():
        raise InputError("the base directory is not there", got=str(base), hint="give a folder that holds models/")
    return Settings(**values)


def _read(name: str, annotation: str, value: Any) -> Any:
    if annotation.startswith("tuple[Path"):
        parts = value.split(os.pathsep) if isinstance(value, str) else value
        return tuple(Path(part).expanduser() for part in parts if str(part))
    if annotation.startswith("tuple[str"):
        return tuple(str(part) for part in (value.split(os.pathsep) if isinstance(value, str) else value) if str(part))
    if annotation == "bool":
        return _read_switch(name, value)
    if annotation.startswith("Path"):
        return Path(value).expanduser().absolute()
    if annotation.startswith(("int", "float")):
        if name.endswith("_bytes") and isinstance(value, str):
            return parse_bytes(value, name)
        kind = int if annotation.startswith("int") else float
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError):
            expected = "a whole number" if kind is int else "a number"
            raise InputError(f"{name} is not a number", expected=expected, got=repr(value)) from None
    return str(value)


def _read_switch(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise InputError(f"{name} is neither on nor off", expected="1 or 0", got=repr(value))
    return text in ("1", "true", "yes", "on")


def parse_bytes(text: str, name: str = "the size") -> int:
    """Read a number of bytes: ``8GiB``, ``8g``, ``500 MB``, ``1073741824``. Raises `InputError` for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if found is None or (found[3] and not found[2]):
        raise InputError(f"{name} is no number of bytes", expected="like 8GiB or 8589934592", got=repr(text))
    # One letter alone means what it does to the system's own tools: powers of 1024.
    decimal = found[2] and not found[3] and text.lower().rstrip().endswith("b")
    return int(float(found[1]) * (1000 if decimal else 1024) ** " kmgt".index(found[2] or " "))
