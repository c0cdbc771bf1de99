"""Read multipart forms with a bound on everything: parts, headers, names, bytes.

Written here because every count in such a body comes from outside, and an endless preamble, boundary or header must
cost a fixed piece of memory. Form: RFC 7578 over RFC 2046. Parts over 1 MiB lie in an unnamed temporary file.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
import warnings
from collections.abc import AsyncIterator
from types import TracebackType
from typing import IO

from aiohttp import web
from aiohttp.multipart import content_disposition_filename, parse_content_disposition

from engine.errors import InputError
from engine.server.security.bodies import BodyTooLarge, blocks
from engine.server.security.policy import Limits

MEMORY_BYTES = 1 << 20
MAX_NAME_CHARS = 256
MAX_FILE_NAME_CHARS = 1024
MAX_PREAMBLE_BYTES = 1 << 10
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One field of a form. ``file_name`` is what the client calls it (None for plain values), never a path of ours."""

    name: str
    file_name: str | None
    size: int
    file: IO[bytes]

    def read(self) -> bytes:
        """Return all bytes."""
        self.file.seek(0)
        return self.file.read()

    def text(self) -> str:
        """Return the value as text. Raises `InputError` when it is not UTF-8."""
        try:
            return self.read().decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"the field {self.name[:40]!r} is not UTF-8 text") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """The parts of a form in their order. Use as a context manager, or call `close`, to drop its temporary files."""

    parts: tuple[Part, ...]

    def get(self, name: str) -> Part | None:
        """Return the first part called ``name``."""
        return next((part for part in self.parts if part.name == name), None)

    def value(self, name: str, default: str = "") -> str:
        """Return the text of the field ``name``, ``default`` when it is absent. Raises `InputError`."""
        part = self.get(name)
        return default if part is None else part.text()

    def close(self) -> None:
        """Drop what was received."""
        for part in self.parts:
            part.file.close()

    def __enter__(self) -> Form:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def read_form(request: web.Request, limits: Limits) -> Form:
    """Read a ``multipart/form-data`` body. Raises `BodyTooLarge`, `BodyTooSlow`, `InputError` for what is no form."""
    reader = _Reader(blocks(request, limits.max_upload_bytes, limits), _boundary(request))
    parts: list[Part] = []
    try:
        await reader.skip_preamble()
        while await reader.next_part():
            if len(parts) == limits.max_parts:
                raise BodyTooLarge("the form has too many parts", expected=f"at most {limits.max_parts}")
            parts.append(await _read_part(reader, limits))
    except BaseException:
        Form(tuple(parts)).close()
        raise
    return Form(tuple(parts))


async def _read_part(reader: _Reader, limits: Limits) -> Part:
    name, file_name = _names(await reader.headers(limits.max_part_header_bytes))
    file: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - the form owns it from here on
    try:
        size = 0
        async for piece in reader.content():
            file.write(piece)
            size += len(piece)
    except BaseException:
        file.close()
        raise
    return Part(name, file_name, size, file)


class _Reader:
    """Cut a stream at its boundary, holding no more than a block and a boundary of it."""

    def __init__(self, source: AsyncIterator[bytes], boundary: bytes) -> None:
        self._source = source
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # so that a boundary at the very beginning is one like the others

    async def skip_preamble(self) -> None:
        skipped = 0
        async for piece in self.content():
            skipped += len(piece)
            if skipped > MAX_PREAMBLE_BYTES:
                raise _broken("it does not begin with its boundary")

    async def next_part(self) -> bool:
        """Step over what follows a boundary; False after the last one."""
        await self._fill(2)
        ending = bytes(self._buffer[:2])
        if ending == b"--":
            async for _ in self._source:  # what follows is nobody's, but the next request begins after it
                pass
            return False
        if ending != b"\r\n":
            raise _broken("something stands behind a boundary")
        del self._buffer[:2]
        return True

    async def headers(self, limit: int) -> list[bytes]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > limit:
                raise BodyTooLarge("the headers of a part are too long", expected=f"at most {limit} bytes")
            await self._more()
        if end > limit:
            raise BodyTooLarge("the headers of a part are too long", expected=f"at most {limit} bytes")
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        return lines

    async def content(self) -> AsyncIterator[bytes]:
        """Give bytes until the boundary, and take the boundary away."""
        while (at := self._buffer.find(self._delimiter)) < 0:
            keep = len(self._delimiter) - 1
            if len(self._buffer) > keep:
                piece = bytes(self._buffer[:-keep])
                del self._buffer[:-keep]
                yield piece
            await self._more()
        piece = bytes(self._buffer[:at])
        del self._buffer[: at + len(self._delimiter)]
        if piece:
            yield piece

    async def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            await self._more()

    async def _more(self) -> None:
        block = await anext(self._source, b"")
        if not block:
            raise _broken("it ends before its last boundary")
        self._buffer += block


def _boundary(request: web.Request) -> bytes:
    found = re.search(
        r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))(?:;|\s*$)', request.headers.get("Content-Type", "")
    )
    text = (found[1] or found[2]) if found else ""
    if request.content_type != "multipart/form-data" or not _BOUNDARY.fullmatch(text):
        raise _broken("its type names no boundary")
    return text.encode("ascii")


def _names(lines: list[bytes]) -> tuple[str, str | None]:
    values = [
        line.partition(b":")[2].strip().decode("utf-8", "replace")
        for line in lines
        if line.partition(b":")[0].strip().lower() == b"content-disposition"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be read is refused below
        kind, parameters = parse_content_disposition(values[0]) if len(values) == 1 else (None, {})
        file_name = content_disposition_filename(parameters, "filename")
    name = parameters.get("name")
    if kind != "form-data" or name is None:
        raise _broken("a part has no name")
    if len(name) > MAX_NAME_CHARS or len(file_name or "") > MAX_FILE_NAME_CHARS:
        raise BodyTooLarge("a name in the form is too long", expected=f"at most {MAX_NAME_CHARS} characters")
    return name, file_name


def _broken(why: str) -> InputError:
    return InputError(f"the form cannot be read: {why}", expected="multipart/form-data")
