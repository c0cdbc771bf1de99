"""Weight files whose digest is declared beside them (``model.safetensors.sha256``) are checked before they are read.

Such a file holds 64 hexadecimal digits, alone or as ``sha256sum`` writes them, with the name behind.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path
from typing import Final

from engine.errors import WeightError
from engine.weights.safetensors_format import DOWNLOAD_AGAIN

SUFFIX: Final = ".sha256"
MOST_BYTES: Final = 4096
_DIGEST: Final = re.compile(r"\s*([0-9a-fA-F]{64})(?:\s+.*)?\s*", re.DOTALL)


def check_digest(path: Path) -> None:
    """Compare a file with the digest that is declared beside it, if one is. Raises `WeightError` where it differs."""
    beside = path.with_name(path.name + SUFFIX)
    try:
        with beside.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise WeightError(f"{beside.name} cannot be read: {error.strerror}", got=beside.name) from error
    declared = _DIGEST.fullmatch(text)
    if declared is None:
        raise WeightError(f"{beside.name} holds no digest", expected="64 hexadecimal digits", got=repr(text[:80]))
    try:
        facts = path.stat()
        found = _digest(path, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return  # whoever opens it says why it cannot be read
    if found != declared[1].lower():
        raise WeightError(
            f"{path.name} is not the file that {beside.name} declares",
            expected=f"sha256 {declared[1].lower()}",
            got=f"sha256 {found}",
            hint=DOWNLOAD_AGAIN,
        )


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
