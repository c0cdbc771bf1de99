"""The files of the disk cache: each named by the digest of its bytes, so that what is torn or foreign shows itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, BinaryIO, cast

from engine.execution.value_codec import Unreadable

SUFFIX = ".safetensors"
PART_SUFFIX = ".part"
FREE_BYTES = 256 << 20
"""Disk space that is left to others."""

ABANDONED_SECONDS = 3600.0


class BlobFolder:
    """Writes, reads and removes the files below one directory. Several processes may use it at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self) -> None:
        """Make the directory. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the file of this digest is."""
        return self._directory / digest[:2] / f"{digest}{SUFFIX}"

    def write(self, nbytes: int, write: Callable[[BinaryIO], object]) -> tuple[str, Path, int]:
        """Write a file under a temporary name and flush it; return its digest, that name, and its size.

        Raises OSError, also when less than `FREE_BYTES` would stay free; nothing is left behind then.
        """
        if shutil.disk_usage(self._directory).free < nbytes + FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory))
        temporary = self._directory / f".{secrets.token_hex(8)}{PART_SUFFIX}"
        try:
            with temporary.open("xb") as file:
                hashed = _HashingFile(file)
                write(cast(BinaryIO, hashed))
                file.flush()
                os.fsync(file.fileno())
                return hashed.digest.hexdigest(), temporary, file.tell()
        except BaseException:
            discard(temporary)
            raise

    def place(self, temporary: Path, digest: str) -> None:
        """Give a written file its name, in one step. Raises OSError."""
        final = self.path(digest)
        final.parent.mkdir(exist_ok=True)
        temporary.replace(final)

    def read(self, digest: str) -> bytearray:
        """Return the bytes of a file. Raises `Unreadable` when it is gone or its bytes are not those it is named by."""
        try:
            with self.path(digest).open("rb", buffering=0) as file:
                data = bytearray(os.fstat(file.fileno()).st_size)
                view, got = memoryview(data), 0
                while got < len(data) and (count := file.readinto(view[got:])):
                    got += count
        except OSError as error:
            raise Unreadable(f"the file {digest[:12]} cannot be read: {error.strerror}") from error
        if got < len(data) or hashlib.sha256(data).hexdigest() != digest:
            raise Unreadable(f"the file {digest[:12]} is torn or foreign")
        return data

    def remove(self, digest: str) -> None:
        """Remove a file, if it is there."""
        discard(self.path(digest))

    def sweep(self, known: Set[str]) -> None:
        """Remove every file whose digest is not ``known``, and temporary files that nobody writes any more.

        Nobody may place a file meanwhile.
        """
        for folder in self._directory.iterdir():
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.suffix != SUFFIX or path.stem not in known:
                        discard(path)
            elif folder.suffix == PART_SUFFIX:
                with contextlib.suppress(OSError):
                    if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                        folder.unlink()


def discard(path: Path) -> None:
    """Remove a file if that is possible."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def mark_as_cache(directory: Path) -> None:
    """Let backup programs pass the directory over (https://bford.info/cachedir/)."""
    tag = directory / "CACHEDIR.TAG"
    if not tag.exists():
        tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n", encoding="ascii")


class _HashingFile:
    """Hashes what is written through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)
