"""Write files so that a reader never sees half of one, under names that no other writer takes.

A file is written beside its place under a hidden temporary name, flushed to the disk, then given its name in one step.
Numbered outputs (``<prefix>_00001_.png``) are claimed by that same step: when another process was faster, the next
number is tried, so nothing is ever overwritten.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from engine.errors import OutputError, PathError
from engine.paths.folders import Folders, check_name

_PLACEHOLDER = re.compile(r"%(width|height|year|month|day|hour|minute|second|date:[^%]{1,60})%")
_DATE_PART = re.compile(r"yyyy|yy|MM|M|dd|d|hh|h|mm|m|ss|s")
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


ANNOUNCE: ContextVar[Callable[[Path, str], None] | None] = ContextVar("safelight_announce", default=None)
"""Called with path and sha256 of each new file before it gets that name; whoever runs jobs can then undo one."""


@dataclasses.dataclass(frozen=True, slots=True)
class OutputName:
    """A numbered file that may be written next: ``directory/stem_00001_suffix``.

    ``folder`` is the key of the folder (``output`` or ``temp``), ``subfolder`` the part below its root, with ``/``.
    """

    folder: str
    directory: Path
    subfolder: str
    stem: str
    counter: int
    suffix: str

    @property
    def filename(self) -> str:
        """Return the last part of the path."""
        return f"{self.stem}_{self.counter:05}_{self.suffix}"

    @property
    def path(self) -> Path:
        """Return the whole path."""
        return self.directory / self.filename


def next_output_names(
    folders: Folders,
    folder: str,
    prefix: str,
    count: int,
    *,
    suffix: str,
    size: tuple[int, int] = (0, 0),
) -> tuple[OutputName, ...]:
    """Return ``count`` names after the highest number that ``prefix`` has in its directory, by one scan of it.

    ``prefix`` may hold sub-folders and %width% %height% %year% %month% %day% %hour% %minute% %second%
    %date:yyyy-MM-dd% %batch_num%. Raises `PathError` when what comes out leads outside, `OutputError` when the
    directory cannot be made. The names are free now; `write_new_file` settles races.
    """
    expanded = _expand(prefix, size, datetime.datetime.now())
    try:
        parts = check_name(expanded.replace("%batch_num%", "0"))
        subfolders, template = parts[:-1], expanded.replace("\\", "/").rsplit("/", 1)[-1]
    except PathError as error:
        error.problem = dataclasses.replace(error.problem, input="filename_prefix")
        raise
    root = folders.directories(folder)[0]
    directory = root.joinpath(*subfolders)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(directory, error) from error
    if not directory.resolve().is_relative_to(root.resolve()):
        raise PathError(f"the folder of {prefix!r} leads outside {folder}", input="filename_prefix", got=repr(prefix))
    first = _highest_counter(directory, template) + 1
    return tuple(
        OutputName(
            folder,
            directory,
            "/".join(subfolders),
            template.replace("%batch_num%", str(index)),
            first + index,
            suffix,
        )
        for index in range(count)
    )


def write_new_file(name: OutputName, write: Callable[[BinaryIO], object]) -> tuple[OutputName, str]:
    """Write a new file; return the name it got (a later number when ``name`` was taken) and its sha256.

    ``write`` is given the open file. Raises `OutputError` when it cannot be written; nothing is left behind then.
    """
    with _temporary(name.path) as temporary:
        _fill(temporary, write, name.path)
        sha256 = _sha256(temporary)
        announce = ANNOUNCE.get()
        while True:
            try:
                if announce is not None:
                    announce(name.path, sha256)
                _claim(temporary, name.path)
                return name, sha256
            except FileExistsError:
                name = dataclasses.replace(name, counter=name.counter + 1)
            except OSError as error:
                raise output_error(name.path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """Say why ``path`` could not be written and what to do."""
    reasons = {
        errno.ENOSPC: ("the disk is full", "free some space, or choose another --output-directory"),
        errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another --output-directory"),
        errno.EFBIG: ("the file is larger than allowed here", "raise the file size limit, or save a smaller picture"),
        errno.EACCES: ("there is no permission to write there", "choose another --output-directory"),
        errno.EROFS: ("the disk is read-only", "choose another --output-directory"),
    }
    why, hint = reasons.get(error.errno or 0, (error.strerror or str(error), "choose another --output-directory"))
    return OutputError(f"{path.name} was not saved: {why}", got=str(path.parent), hint=hint)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Offer an unguessable name beside ``path`` and remove whatever is left under it, also on Ctrl-C."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _fill(temporary: Path, write: Callable[[BinaryIO], object], final: Path) -> None:
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise output_error(final, error) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _claim(temporary: Path, final: Path) -> None:
    """Give ``temporary`` its final name unless that is taken. Raises `FileExistsError` then."""
    if os.name == "nt":
        temporary.rename(final)
        return
    try:
        os.link(temporary, final)  # fails when the name is taken, which a rename would not
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # this file system has no hard links
        temporary.replace(final)


def _highest_counter(directory: Path, template: str) -> int:
    pattern = re.compile(re.escape(template).replace("%batch_num%", r"\d+") + r"_(\d+)_?(\..*)?$", re.IGNORECASE)
    highest = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            found = pattern.match(entry.name)
            if found:
                highest = max(highest, int(found[1]))
    return highest


def _expand(prefix: str, size: tuple[int, int], now: datetime.datetime) -> str:
    values = {
        "width": str(size[0]),
        "height": str(size[1]),
        "year": str(now.year),
        "month": f"{now.month:02}",
        "day": f"{now.day:02}",
        "hour": f"{now.hour:02}",
        "minute": f"{now.minute:02}",
        "second": f"{now.second:02}",
    }

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return _date(name[5:], now) if name.startswith("date:") else values[name]

    return _PLACEHOLDER.sub(value, prefix)


def _date(form: str, now: datetime.datetime) -> str:
    values = {"yyyy": f"{now.year:04}", "yy": f"{now.year % 100:02}"}
    for letters, number in (("M", now.month), ("d", now.day), ("h", now.hour), ("m", now.minute), ("s", now.second)):
        values[letters] = str(number)
        values[letters * 2] = f"{number:02}"
    return _DATE_PART.sub(lambda found: values[found[0]], form)
