"""Whatever a client sends over the WebSocket: the server does not fail, hang or keep it, and others hear all."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from server_client import Caller, ServerProcess, simple

MASK = b"\x00\x00\x00\x00"
MOST_GROWTH = 150 << 20
COUNT = os.environ.get("FUZZ_SESSIONS")
"""How many sessions; where it is given they are new ones each time."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=20,
)
FLAGS = st.dictionaries(st.sampled_from(["supports_preview_metadata", "supports_event_numbers", "x"]), JSON) | JSON
FEATURES = st.builds(lambda data: json.dumps({"type": "feature_flags", "data": data}), FLAGS)
SHAPES = st.builds(json.dumps, st.dictionaries(st.sampled_from(["type", "data", "n", "sid"]), JSON))
WRONG = st.sampled_from(
    ["", "{", "[" * 60_000, '{"type": ' * 6_000, '{"type": 1e400}', "\ud800".encode("utf-8", "surrogatepass").decode(
        "latin-1"), '{"type": "feature_flags"}', '{"type": "feature_flags", "data": null}', "9" * 60_000, "NaN", "\x00"]
)  # fmt: skip
TEXTS = st.text(max_size=200) | FEATURES | FEATURES | SHAPES | WRONG | st.builds(json.dumps, JSON)


def frame(opcode: int, payload: bytes, *, last: bool = True, bits: int = 0) -> bytes:
    """Build a frame by hand, whatever the protocol thinks of it."""
    head = bytes([(0x80 if last else 0) | bits | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + MASK + payload


def pieces(data: bytes, count: int) -> bytes:
    """Split a text message over many frames."""
    size = max(1, len(data) // count)
    parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    return b"".join(frame(1 if n == 0 else 0, part, last=n == len(parts) - 1) for n, part in enumerate(parts))


SIZES = st.sampled_from([70_000, 3 << 20])
CLAIMS = st.sampled_from([1 << 20, 1 << 40, (1 << 64) - 1])
BITS = st.sampled_from([0, 0x40, 0x70])
FRAMES = st.one_of(
    st.builds(lambda text: frame(1, text.encode()), TEXTS),
    st.builds(lambda data: frame(2, data), st.binary(max_size=300)),
    st.builds(lambda size, opcode: frame(opcode, b"a" * size), SIZES, st.sampled_from([1, 2])),
    st.builds(lambda text, count: pieces(text.encode(), count), TEXTS, st.integers(2, 50)),
    st.builds(lambda size: frame(9, b"p" * size), st.integers(0, 130)),
    st.builds(frame, st.integers(0, 15), st.binary(max_size=50), last=st.booleans(), bits=BITS),
    st.builds(lambda size: b"\x81\xff" + size.to_bytes(8, "big") + MASK, CLAIMS),
    st.just(frame(1, b"\xff\xfe\x80")),
    st.just(frame(8, b"\x03\xe8bye")),
    st.just(frame(8, b"\x00")),
    st.binary(max_size=100),
)  # fmt: skip
SESSIONS = st.lists(FRAMES, min_size=1, max_size=12)
POLITE = st.lists(st.builds(lambda text: frame(1, text.encode()), WRONG | TEXTS), min_size=5, max_size=40)
"""Frames as they should be, so that what is in them is read to the last one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ServerProcess(tmp_path_factory.mktemp("fuzz")) as started:
        yield started


async def say(server: ServerProcess, sent: list[bytes], query: str) -> None:
    """Open a WebSocket by hand, send bytes, and read until the server is silent for a moment or closes."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws{query} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 500 " not in status, status
    try:
        for one in sent:
            writer.write(one)
            await asyncio.wait_for(writer.drain(), 10)
        while await asyncio.wait_for(reader.read(1 << 16), 0.02):
            pass
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.close()


def session_of(server: ServerProcess, sent: list[bytes], query: str) -> None:
    async def whole() -> None:
        await say(server, sent, query)
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/queue") as answer:
            assert answer.status == 200

    asyncio.run(asyncio.wait_for(whole(), 30))


QUERIES = st.sampled_from(
    ["", "?clientId=fuzz", "?since=0", "?since=999999999999999999", "?watch=*", "?clientId=%00%ff"]
)


@settings(
    max_examples=int(COUNT or 150), deadline=None, derandomize=COUNT is None,
    suppress_health_check=list(HealthCheck), database=None, phases=(Phase.generate,),
)  # fmt: skip
@given(SESSIONS | POLITE, QUERIES)
def test_no_frames_bring_the_server_down(server: ServerProcess, sent: list[bytes], query: str) -> None:
    if not hasattr(server, "held"):
        server.held = server.held_bytes()  # type: ignore[attr-defined]
    session_of(server, sent, query)
    assert server.process.poll() is None and not server.faults()
    assert server.held_bytes() - server.held < MOST_GROWTH  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "query", ["?since=abc", "?since=-5", "?since=1e3", "?clientId=" + "x" * 5000, "?watch=" + "%f0" * 900]
)
def test_queries_that_cannot_be_meant(server: ServerProcess, query: str) -> None:
    session_of(server, [frame(1, b'{"type": "feature_flags", "data": {}}')], query)


def test_others_hear_everything_meanwhile(server: ServerProcess) -> None:
    """A message that never ends, ones that end too soon, and one that is too large are each their sender's own loss."""
    bad = [
        [frame(1, b"a" * 60_000, last=False)] + [frame(0, b"a" * 60_000, last=False)] * 100,
        [frame(2, b"a" * (20 << 20))],
        [frame(1, b"{", last=False)],
        [frame(9, b"p")] * 2_000,
        [frame(1, b'{"type": "feature_flags", "data": {}}')] * 2_000,
    ]

    async def journey() -> None:
        async with aiohttp.ClientSession() as session:
            caller = Caller(session, server.url)
            held = server.held_bytes()
            async with caller.listen() as ears:
                noise = [asyncio.create_task(say(server, sent, "")) for sent in bad * 3]
                for value in range(20):
                    told = await ears.until_end(await caller.queue(simple(value)))
                    assert [one["type"] for one in told].count("execution_success") == 1
                await asyncio.gather(*noise)
            assert server.held_bytes() - held < MOST_GROWTH

    asyncio.run(asyncio.wait_for(journey(), 60))
    counted = server.get_bytes("/metrics").decode()
    sockets = next(line for line in counted.splitlines() if line.startswith("safelight_sockets "))
    assert int(sockets.split()[1]) == 0, "sockets that went away are forgotten"
