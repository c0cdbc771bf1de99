"""A form reads the same however the network cuts it, and never holds more than it must."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.server.security.multipart import _names, _Reader

BOUNDARY = b"xyz"
PIECE = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"\r\n", b"--xyz", b"\r\n--xy", b"\r\n--", b"--", b"\r", b"\n", b"xyz"])
)
CONTENT = st.lists(PIECE, max_size=8).map(b"".join).filter(lambda data: b"\r\n--xyz" not in b"\r\n" + data)


def encoded(parts: list[bytes], preamble: bytes = b"") -> bytes:
    head = b"\r\n--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n"
    whole = preamble + b"".join(head + part for part in parts) + b"\r\n--xyz--\r\n"
    return whole if preamble else whole.removeprefix(b"\r\n")


async def read(body: bytes, cuts: list[int]) -> list[bytes]:
    async def source() -> AsyncIterator[bytes]:
        places = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
        for start, end in itertools.pairwise(places):
            yield body[start:end]

    reader = _Reader(source(), BOUNDARY)
    found = []
    await reader.skip_preamble()
    while await reader.next_part():
        assert _names(await reader.headers(8192)) == ("a", None)
        data = bytearray()
        async for piece in reader.content():
            data += piece
        found.append(bytes(data))
    return found


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(CONTENT, max_size=5),
    preamble=st.sampled_from([b"", b"text", b"\r\n", b"--xy"]),
    cuts=st.lists(st.integers(0, 10_000), max_size=60),
)
def test_cuts_do_not_matter(parts: list[bytes], preamble: bytes, cuts: list[int]) -> None:
    body = encoded(parts, preamble)
    if parts:
        assert asyncio.run(read(body, cuts)) == parts


def test_one_byte_at_a_time() -> None:
    parts = [b"", b"a", b"\r\n--xy", b"--xyz", bytes(range(256))]
    body = encoded(parts)
    assert asyncio.run(read(body, list(range(len(body))))) == parts


@settings(max_examples=300, deadline=None)
@given(body=st.lists(PIECE, max_size=30).map(b"".join), cuts=st.lists(st.integers(0, 2000), max_size=20))
def test_nonsense_is_refused_or_read_but_never_more(body: bytes, cuts: list[int]) -> None:
    try:
        found = asyncio.run(read(body, cuts))
    except (InputError, AssertionError):
        return
    assert sum(map(len, found)) <= len(body)


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_form_that_is_cut_short_is_refused(cut: int) -> None:
    body = encoded([b"abc"])
    with pytest.raises(InputError):
        asyncio.run(read(body[: min(cut, len(body) - 5)], []))
