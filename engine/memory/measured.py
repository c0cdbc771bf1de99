"""What work was measured to take, kept on disk: the next plan believes it more than a prediction.

One small file for each thing measured, in a folder beside the profiles. Several processes may use one directory; a file
that is damaged is as good as none, and a disk that is full costs no run anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.settings import Settings

__all__ = ["Measured", "MeasuredStore", "measured_directory", "profile_directory"]

SUFFIX: Final = ".measured.json"
PROFILES: Final = "profiles"
MEASURED: Final = "measured"


def profile_directory(settings: Settings, user_directory: Path) -> Path | None:
    """Return where it is kept what work takes: beside the stored results, nowhere where none are to be stored."""
    if not settings.disk_cache_bytes:
        return None
    return (settings.cache_directory or user_directory / "cache") / PROFILES


def measured_directory(settings: Settings, user_directory: Path) -> Path | None:
    """Return where it is kept what work was measured to take; its time tells when anything was last."""
    profiles = profile_directory(settings, user_directory)
    return None if profiles is None else profiles / MEASURED


@dataclass(frozen=True, slots=True)
class Measured:
    """Say what something took when it last ran: the most bytes that tensors held beside weights, and seconds.

    `seconds` is None where they were not measured.
    """

    peak_bytes: int
    seconds: float | None = None


class MeasuredStore:
    """Keep what was measured by the facts that it depends on, in a directory (None: in memory alone)."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._known: dict[str, Measured] = {}

    def get(self, facts: Mapping[str, Any]) -> Measured | None:
        """Return what was last measured under `facts` (plain data), by whichever process; None where nothing was."""
        key = _key(facts)
        if (found := self._read(key)) is not None:
            self._known[key] = found
        return self._known.get(key)

    def put(self, facts: Mapping[str, Any], found: Measured) -> None:
        """Keep what was measured in place of what was before."""
        key = _key(facts)
        if self._known.get(key) == found:
            return
        self._known[key] = found
        if self._directory is None:
            return
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            part = self._directory / f"{key}.{os.getpid()}.part"
            part.write_text(json.dumps({"peak_bytes": found.peak_bytes, "seconds": found.seconds}), encoding="utf-8")
            part.replace(self._directory / f"{key}{SUFFIX}")

    def _read(self, key: str) -> Measured | None:
        if self._directory is None:
            return None
        try:
            document = json.loads((self._directory / f"{key}{SUFFIX}").read_text(encoding="utf-8"))
            seconds = document["seconds"]
            return Measured(int(document["peak_bytes"]), None if seconds is None else float(seconds))
        except (OSError, KeyError, TypeError, ValueError):
            return None


def _key(facts: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(dict(facts), sort_keys=True, default=str).encode(), digest_size=20).hexdigest()
