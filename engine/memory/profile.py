"""What one call of a network takes, as found by a dry run: which weights it uses when, its work, its peaks of memory.

A profile knows no device: its work is counted in operations and bytes, and `engine.memory.cards` makes seconds of them.
Profiles are kept on disk, because the same networks run at the same few sizes again and again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Profile", "ProfileStore", "Use"]

FORM: Final = 1
"""Raised whenever what a profile says, or how a dry run counts, changes."""


@dataclass(frozen=True, slots=True)
class Use:
    """A stretch of a call that begins with the first work on some tensors.

    `work` lists (floating-point operations, bytes read and written) of each operation until the next stretch;
    operations without multiplications are one entry together.
    """

    tensors: tuple[str, ...]
    work: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Describe one call. `tensors` are (name, bytes) of the weights in the order of their first use.

    `live_bytes` is the most that tensors made meanwhile hold at a time, scratch memory of kernels included where the
    device is one that takes it from the same pool; `tensor_bytes` is that without scratch memory. `reserved_bytes` is
    what the device's caching allocator takes from the system for it, `expandable_bytes` that with expandable segments.
    `output_bytes` is what the call returns.
    """

    tensors: tuple[tuple[str, int], ...]
    uses: tuple[Use, ...]
    tensor_bytes: int
    live_bytes: int
    reserved_bytes: int
    expandable_bytes: int
    output_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the profile as plain data."""
        return {
            "tensors": [list(one) for one in self.tensors],
            "uses": [[list(use.tensors), [list(one) for one in use.work]] for use in self.uses],
            "peaks": [
                self.tensor_bytes,
                self.live_bytes,
                self.reserved_bytes,
                self.expandable_bytes,
                self.output_bytes,
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` described. Raises KeyError, TypeError or ValueError where it is none."""
        tensors = tuple((str(name), int(nbytes)) for name, nbytes in document["tensors"])
        uses = tuple(
            Use(tuple(map(str, names)), tuple((int(flops), int(nbytes)) for flops, nbytes in work))
            for names, work in document["uses"]
        )
        tensor_bytes, live, reserved, expandable, output = map(int, document["peaks"])
        return cls(tensors, uses, tensor_bytes, live, reserved, expandable, output)


class ProfileStore:
    """Keep profiles in a directory (None: in memory alone), one small file for each.

    Several processes may use one directory. A file that is damaged is as good as none.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._known: dict[str, Profile] = {}
        self.made = 0
        """How many profiles had to be made."""

    def get(self, facts: Mapping[str, Any], make: Callable[[], Profile]) -> Profile:
        """Return the profile kept under `facts` (plain data), making and keeping it where there is none."""
        text = json.dumps({**facts, "form": FORM}, sort_keys=True, default=str)
        key = hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
        found = self._known.get(key) or self._read(key)
        if found is None:
            found = make()
            self.made += 1
            self._write(key, found)
        self._known[key] = found
        return found

    def _read(self, key: str) -> Profile | None:
        if self._directory is None:
            return None
        try:
            return Profile.from_json(json.loads((self._directory / f"{key}.json").read_text(encoding="utf-8")))
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def _write(self, key: str, profile: Profile) -> None:
        if self._directory is None:
            return
        with contextlib.suppress(OSError):  # a disk that is full costs the next run a second
            self._directory.mkdir(parents=True, exist_ok=True)
            part = self._directory / f"{key}.{os.getpid()}.part"
            part.write_text(json.dumps(profile.to_json(), separators=(",", ":")), encoding="utf-8")
            part.replace(self._directory / f"{key}.json")
