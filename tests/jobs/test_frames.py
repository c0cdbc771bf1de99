"""The wire: whole frames whatever the pieces, nothing but frames, order, and no waiting for a slow reader."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.frames import BrokenStream, FrameSender, encode_frame, read_frames, take_frames
from engine.jobs.records import plain

FRAMES = st.lists(
    st.tuples(
        st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(), st.none()), max_size=4),
        st.binary(max_size=40),
    ),
    max_size=5,
)


@given(FRAMES, st.integers(1, 17))
def test_frames_come_whole_however_they_are_cut(frames: list[tuple[dict[str, object], bytes]], piece: int) -> None:
    sent = b"".join(encode_frame(message, data) for message, data in frames)
    received, got = bytearray(), []
    for start in range(0, len(sent), piece):
        received += sent[start : start + piece]
        got += take_frames(received)
    assert got == frames
    assert not received


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">II", 2**32 - 1, 0),
        struct.pack(">II", 2, 2**32 - 1),
        struct.pack(">II", 2, 0) + b"[]",
        struct.pack(">II", 2, 0) + b"{]",
        struct.pack(">II", 1, 0) + b"\xff",
    ],
)
def test_what_is_no_frame_is_refused(sent: bytes) -> None:
    with pytest.raises(BrokenStream):
        list(take_frames(bytearray(sent)))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_a_reader_that_sleeps_holds_nobody_up_and_misses_nothing_that_counts(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    sender = FrameSender(ours)
    began = time.monotonic()
    for number in range(4000):
        sender.send({"n": number, "pad": "x" * 1000}, soon=number % 2 == 0)
        sender.send({"left": number}, droppable=True)
    assert time.monotonic() - began < 5
    assert sender.crowded and not sender.idle and sender.left_out > 1000
    left_out = sender.left_out
    got: list[dict[str, object]] = []

    def read() -> None:
        got.extend(message for message, _ in read_frames(theirs))

    reader = threading.Thread(target=read)
    reader.start()
    assert sender.drain(10)
    sender.close()
    ours.shutdown(socket.SHUT_RDWR)
    reader.join(10)
    assert [one["n"] for one in got if "n" in one] == list(range(4000))
    assert len(got) == 8000 - left_out


def test_a_frame_sent_soon_goes_without_another(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sender = FrameSender(ours)
    sender.send({"a": 1}, soon=True)
    assert next(read_frames(theirs)) == ({"a": 1}, b"")
    assert sender.drain(1)


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_copy_of_a_sender_sends_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sender = FrameSender(ours)
    child = os.fork()
    if child == 0:
        sender.send({"from": "the copy"})
        os._exit(0)
    os.waitpid(child, 0)
    sender.send({"from": "the owner"})
    assert next(read_frames(theirs))[0] == {"from": "the owner"}


def test_sending_to_nobody_does_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sender = FrameSender(ours)
    theirs.close()
    for _ in range(3):
        sender.send({"a": 1})
    assert sender.idle


def test_anything_becomes_plain() -> None:
    import numpy as np

    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    value = {
        "nan": float("nan"),
        "np": np.float32(2),
        "array": np.zeros((2, 3)),
        1: {2},
        "big": 1 << 5000,
        "deep": deep,
    }
    got = plain(value)
    assert got["nan"] is None and got["np"] == 2.0 and got["1"] == [2]
    assert got["array"] == "ndarray(float64, [2, 3])" and got["big"] == "int of 5001 bits"
    encode_frame(got)
