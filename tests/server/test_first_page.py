"""The page while the server is being loaded: at once, to those whom the guard would let through, the same as later."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_client import ROOT

from engine.server.first_page import FirstPage, is_plain, may_answer
from engine.server.options import ServerOptions

HOSTS = frozenset({"127.0.0.1:8188", "localhost:8188"})


def head(*lines: str, host: str = "Host: 127.0.0.1:8188", first: str = "GET / HTTP/1.1") -> bytes:
    return "".join(f"{line}\r\n" for line in (first, *([host] if host else []), *lines, "")).encode()


@pytest.mark.parametrize(
    "asked",
    [
        head(), head(host="host: LOCALHOST:8188"), head("User-Agent: curl/8", "Accept: */*"),
        head("Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate"),
    ],
)  # fmt: skip
def test_the_plain_question_is_answered(asked: bytes) -> None:
    assert is_plain(asked, HOSTS)


@pytest.mark.parametrize(
    "asked",
    [
        head(host=""), head(host="Host: attacker.example"), head(host="Host: 127.0.0.1:9"),
        head("Host: localhost:8188"),
        head("Origin: null"), head("Origin: http://127.0.0.1:8188"), head("Sec-Fetch-Dest: iframe"),
        head("Upgrade: websocket"), head("Content-Length: 5"), head("Transfer-Encoding: chunked"),
        head(first="GET /queue HTTP/1.1"), head(first="POST / HTTP/1.1"), head(first="GET /?a HTTP/1.1"),
        head(first="GET / HTTP/1.0"), head(first="HEAD / HTTP/1.1"), head()[:-2], head() + b"GET / HTTP/1.1\r\n",
        head(" folded: x"), head("no colon"), head("a: \0"), b"", b"\x16\x03\x01", head().replace(b"\r", b""),
    ],
)  # fmt: skip
def test_s03_to_s06_whatever_else_is_left_to_the_server_and_its_guard(asked: bytes) -> None:
    assert not is_plain(asked, HOSTS)


def test_only_where_nobody_else_can_ask() -> None:
    assert may_answer(ServerOptions()) and may_answer(ServerOptions(listen=("127.0.0.1", "::1")))
    assert not may_answer(ServerOptions(listen=("0.0.0.0",))) and not may_answer(ServerOptions(listen=("10.0.0.1",)))
    assert not may_answer(ServerOptions(tls_certificate=Path("x"))) and not may_answer(ServerOptions(quick_test=True))


@contextlib.contextmanager
def connected(port: int, sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        one.sendall(sent)
        yield one


def read(one: socket.socket) -> bytes:
    return b"".join(iter(lambda: one.recv(65536), b""))


def test_connections_that_are_not_answered_are_handed_over_unread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        page = FirstPage([listener]).start()
        mine = head(host=f"Host: 127.0.0.1:{port}")
        with connected(port, head(first="GET /queue HTTP/1.1")) as other, connected(port, b"GET") as slow:
            with connected(port, mine) as plain:
                told = read(plain)
            assert told.startswith(b"HTTP/1.1 200 OK\r\n") and b"Content-Security-Policy: default-src" in told
            assert b"<title>" in told
            time.sleep(0.05)
            held = page.hand_over()
            assert {one.getpeername() for one in held} == {other.getsockname(), slow.getsockname()}
            assert {one.recv(100)[:10] for one in held} == {b"GET /queue", b"GET"}
            for one in held:
                one.close()


def test_the_program_answers_before_it_is_loaded_and_loses_no_early_request(tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "main.py", "--port", str(port), "--cpu", "--user-directory", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.005)
        host = f"Host: 127.0.0.1:{port}"
        last = "Connection: close"
        questions = [head(last, host=host, first="GET /queue HTTP/1.1"), head(last, host="Host: evil.example")]
        with contextlib.ExitStack() as stack:
            early = [stack.enter_context(connected(port, sent)) for sent in questions]
            with connected(port, head(host=host)) as plain:
                first = read(plain)
            queue, evil = (read(one) for one in early)
        assert b"200 OK" in first and b"queue_running" in queue and b" 403 " in evil.split(b"\r\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as later:
            assert later.read() == first.split(b"\r\n\r\n", 1)[1]
            for name in ("Content-Security-Policy", "X-Content-Type-Options", "Server", "X-Frame-Options"):
                assert f"{name}: {later.headers[name]}\r\n".encode() in first
    finally:
        process.kill()
        process.wait()
