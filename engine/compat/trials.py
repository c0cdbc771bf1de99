"""What came of importing packs in a process made for it, kept by the digest of their files.

A pack can end the interpreter that imports it (``os._exit``, a crash in native code), and nothing can catch that. So
whoever has to stay alive has packs that were never tried imported elsewhere first (`engine.server.pack_trial`). One
that ended its process is not imported again until its files change or it is approved once more.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE_NAME: Final = ".safelight/pack_trials.json"
PASSED: Final = ""
MOST_KEPT: Final = 2000


def read_trials(user_directory: Path) -> dict[str, str]:
    """Return the outcome of each trial by digest: `PASSED`, or how the process ended."""
    try:
        found = json.loads((user_directory / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {digest: how for digest, how in found.items() if isinstance(how, str)}


def note_trials(user_directory: Path, outcomes: Mapping[str, str | None]) -> None:
    """Keep outcomes beside those that are known; None forgets one. Where that cannot be written, it is tried again."""
    known: dict[str, str | None] = {**read_trials(user_directory), **outcomes}
    kept = {digest: how for digest, how in known.items() if how is not None}
    file = user_directory / FILE_NAME
    temporary = file.with_name(f".{secrets.token_hex(8)}.part")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(dict(list(kept.items())[-MOST_KEPT:]), opened)
        temporary.replace(file)
