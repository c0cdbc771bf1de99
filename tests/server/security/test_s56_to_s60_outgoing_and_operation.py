"""S56 to S60: what goes out, what is said when something fails, what lies on the disk. And TLS and the tokens' file."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from security_app import Server, running

from engine.cli import main
from engine.errors import Cancelled, GraphError, InputError, MediaError, OutputError, PathError, Problem
from engine.execution.tiered_cache import open_disk_cache
from engine.paths import make_folders
from engine.server.security import Limits, Policy, Role, tls_context, token_file
from engine.server.security.answers import without_paths
from engine.server.security.logs import CleanRecords, clean_logs, one_line, without_secrets
from engine.server.security.outgoing import OutgoingRefused, OutgoingRules, check_url, fetch, is_public
from engine.server.security.tokens import add_token, find_record, read_tokens, remove_token
from engine.session import Session
from engine.settings import Settings

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")


def test_s56_a_run_opens_no_connection(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (root / "models/checkpoints/safelight-emoji-128.safetensors").is_file():
        pytest.skip("the small model is not there")

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    with pytest.raises(AssertionError):
        socket.create_connection(("127.0.0.1", 1))
    settings = Settings(root, output_directory=tmp_path, temp_directory=tmp_path, user_directory=tmp_path, device="cpu")
    workflow = Session(settings).open(root / "workflows/text_to_image_api.json")
    result = workflow.set("KSampler.steps", 1).run()
    result.raise_for_failure()
    assert len(result.files) == 1


INWARD = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.000.000.001/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://localhost/",
    "https://0.0.0.0/",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "https://172.16.0.1/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[fe80::1]/",
    "https://[ff02::1]/",
]


@pytest.mark.parametrize("url", INWARD)
def test_s57_addresses_that_lead_inwards(url: str) -> None:
    """Refused though the host is in the list: it is the address that counts."""
    host = re.sub(r"^https://\[?([^\]/]+)\]?/.*$", r"\1", url)
    with pytest.raises(OutgoingRefused):
        asyncio.run(fetch(url, OutgoingRules(frozenset({host}), total_s=5)))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/",
        "file:///etc/passwd",
        "ftp://api.example/",
        "gopher://api.example/",
        "data:text/plain,x",
        "//api.example/",
        "https://user:pass@api.example/",
        "https://api.example@evil.example/",
        "https://evil.example/",
        "https://api.example.evil.example/",
        "https://api.example:8443/",
        "https://api.example\\@evil.example/",
        "https://api.example/\r\nX: y",
        "https://[::1",
        "https://api.example:99999/",
        "https:///x",
        "",
    ],
)
def test_s57_only_https_to_named_hosts(url: str) -> None:
    with pytest.raises(OutgoingRefused):
        check_url(url, OutgoingRules(frozenset({"api.example"})))
    check_url("https://API.example/x?y=1", OutgoingRules(frozenset({"api.example"})))
    with pytest.raises(OutgoingRefused):  # none by default
        check_url("https://api.example/", OutgoingRules())


def test_s57_public_addresses() -> None:
    for text in ("93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"):
        assert is_public(ipaddress.ip_address(text)), text
    for text in ("127.0.0.1", "::", "fc00::1", "fec0::1", "198.18.0.1", "192.0.2.1", "2001:db8::1", "240.0.0.1"):
        assert not is_public(ipaddress.ip_address(text)), text


def test_s57_a_name_that_means_another_place_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that is connected to is the one that was looked at: there is one look-up for each request."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        if host != "rebind.example":
            return real(host, port, *arguments, **named)
        asked.append(next(answers))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (asked[-1], port))]

    reached: list[tuple[str, int]] = []

    async def connect(self: Any, sock: socket.socket, address: tuple[str, int]) -> None:
        reached.append(address[:2])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", connect)
    rules = OutgoingRules(frozenset({"rebind.example"}), total_s=5)
    for _ in range(2):
        with pytest.raises(OutgoingRefused):
            asyncio.run(fetch("https://rebind.example/", rules))
    assert asked == ["93.184.216.34", "127.0.0.1"]
    assert set(reached) <= {("93.184.216.34", 443)}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for this machine, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(chain)], check=True, capture_output=True)
    key.chmod(0o600)
    return key, chain


@contextlib.contextmanager
def rude_server(certificate: tuple[Path, Path], answer: bytes, *, drip: bool = False) -> Iterator[int]:
    """A TLS server that answers everything with the same bytes, all at once, without end, or one by one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connection.settimeout(2)
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(65536)
                        tls.sendall(answer)
                        while drip and not stop.wait(0.1):
                            tls.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join(5)


def ask(certificate: tuple[Path, Path], answer: bytes, *, drip: bool = False, **rules: Any) -> Any:
    trust = ssl.create_default_context(cafile=str(certificate[1]))
    with rude_server(certificate, answer, drip=drip) as port:
        known = OutgoingRules(frozenset({f"localhost:{port}"}), is_allowed=lambda address: address.is_loopback, **rules)
        return asyncio.run(fetch(f"https://localhost:{port}/x", known, tls=trust))


def test_s57_an_honest_answer(certificate: tuple[Path, Path]) -> None:
    got = ask(certificate, b"HTTP/1.1 200 OK\r\nX-A: b\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok")
    assert (got.status, got.body, got.headers["x-a"]) == (200, b"ok", "b")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s57_no_answer_sends_us_elsewhere(certificate: tuple[Path, Path], status: int) -> None:
    answer = f"HTTP/1.1 {status} Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(OutgoingRefused, match="elsewhere"):
        ask(certificate, answer)


def test_s57_endless_slow_and_broken_answers(certificate: tuple[Path, Path]) -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n" + bytes(3 << 20)
    with pytest.raises(OutgoingRefused, match="too large"):
        ask(certificate, endless, max_bytes=1 << 20)
    with pytest.raises(OutgoingRefused, match="too slow"):
        ask(certificate, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", drip=True, total_s=0.6)
    for broken in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", b"nonsense\r\n\r\n"):
        with pytest.raises(OutgoingRefused):
            ask(certificate, broken, total_s=3)
    with rude_server(certificate, b"") as port, pytest.raises(OutgoingRefused):  # a certificate that nobody vouches for
        rules = OutgoingRules(frozenset({f"localhost:{port}"}), is_allowed=lambda address: True, total_s=3)
        asyncio.run(fetch(f"https://localhost:{port}/", rules))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("SECRET in /home/somebody/models/x.ckpt"), 500, "E-INTERNAL"),
        (FileNotFoundError(2, "SECRET", "/home/somebody/x"), 500, "E-INTERNAL"),
        (InputError("the value in /home/somebody/x.yaml is wrong", got="C:\\Users\\somebody\\x"), 400, "E-INPUT"),
        (PathError("SECRET leads outside", got="/home/somebody/x"), 404, "E-PATH"),
        (MediaError("x.png is damaged"), 400, "E-MEDIA"),
        (OutputError("x was not saved: the disk is full", got="/home/somebody/output"), 500, "E-OUTPUT"),
        (Cancelled(), 409, "E-CANCELLED"),
        (GraphError([Problem("E-A", "a is wrong", "3"), Problem("E-B", "b /home/somebody/z")]), 400, "E-A"),
        (GraphError([]), 400, "E-GRAPH"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_s58_what_a_client_hears_of_an_error(
    server: Server, caplog: pytest.LogCaptureFixture, error: Exception, status: int, code: str
) -> None:
    server.desk.to_raise = error
    answer = server.request("GET", "/boom")
    assert answer.status == status
    said = answer.json
    assert said["error"]["type"] == code
    assert said["problems"][0]["code"] == code
    for hidden in ("SECRET", "somebody", "Traceback", "/home", "engine/", ".py"):
        assert hidden not in answer.body.decode()
    if code == "E-INTERNAL":
        number = said["error"]["extra_info"]["id"]
        assert number in said["error"]["message"]
        assert number in caplog.text
        assert "SECRET" in caplog.text and "Traceback" in caplog.text  # there, for whoever runs the server


def test_s58_paths_are_shortened_and_other_slashes_kept() -> None:
    cases = {
        "in /home/a/b.png, then": "in …/b.png, then",
        "'/srv/x/y'": "'…/y'",
        "C:\\Users\\me\\x.png": "…\\x.png",
        "\\\\host\\share\\x": "…\\x",
        "C:/Users/me/x.png": "…\\x.png",
        "a/b/c and 1/2": "a/b/c and 1/2",
        "POST /prompt": "POST /prompt",
        "see https://example.com/a/b": "see https://example.com/a/b",
        "models/vae/x.pt": "models/vae/x.pt",
    }
    assert {text: without_paths(text) for text in cases} == cases


def test_s58_lines_of_the_log_cannot_be_forged(server: Server) -> None:
    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(self.format(record))

    handler = Keep()
    clean_logs(handler)
    clean_logs(handler)
    assert len(handler.filters) == 1
    logging.getLogger().addHandler(handler)
    try:
        server.request("GET", "/%0d%0aERROR%20forged", {"Origin": "null"})
        server.request("GET", "/queue", {"Origin": "http://x\x85y.example"})
        logging.getLogger("x").warning("asked for %s", "a\r\nERROR forged \x1b[31m \u202e \u2028")
        logging.getLogger("x").warning("header Authorization: Bearer %s", "sl_0123456789ab_" + "x" * 43)
        try:
            raise ValueError("the token=verysecret was wrong")
        except ValueError:
            logging.getLogger("x").exception("failed with api_key=%s", "verysecret")
    finally:
        logging.getLogger().removeHandler(handler)
    assert len(records) >= 4
    assert "verysecret" not in "".join(records) and "x" * 43 not in "".join(records)
    assert all("\n" not in record for record in records if "Traceback" not in record)
    assert not any(record.startswith("ERROR forged") for record in records)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc.def-ghi", "abc"),
        ("GET /ws?token=abcdef&x=1", "abcdef"),
        ('{"api_key": "abcdef"}', "abcdef"),
        ("Cookie: safelight_session=abcdef; b=c", "abcdef"),
        ("sl_0123456789ab_abcdefghi", "abcdefghi"),
        ("http://127.0.0.1:8188/login#" + "a" * 43, "a" * 43),
        ("auth_token_comfy_org=abcdef", "abcdef"),
        ("PASSWORD: hunter2", "hunter2"),
    ],
)
def test_s58_secrets_are_masked(text: str, left: str) -> None:
    assert left not in without_secrets(text)


def test_s58_ordinary_lines_stay(caplog: pytest.LogCaptureFixture) -> None:
    for text in ("queued 3 jobs for client 5", "tokens are counted: 77", "Bearer", "ünïcödé 漢字 🍎"):
        assert without_secrets(text) == text
        assert one_line(text) == text
    broken = logging.LogRecord("x", logging.INFO, "x.py", 1, "broken %d", ("token=abc",), None)
    assert CleanRecords().filter(broken)
    assert broken.getMessage() == "broken %d ('token=[hidden]',)"
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s and %s", ("a", "b"), None)
    assert CleanRecords().filter(record)
    assert record.getMessage() == "a and b"


@posix
def test_s60_files_are_for_their_owner(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        path = token_file(tmp_path / "user")
        add_token(path, "a", Role.VIEW)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        settings = Settings(tmp_path, disk_cache_bytes=1 << 20)
        cache = open_disk_cache(settings, make_folders(tmp_path))
        assert cache.directory.stat().st_mode & 0o077 == 0
        cache.close()
    finally:
        os.umask(old)


@posix
def test_s60_a_file_of_tokens_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    add_token(path, "a", Role.VIEW)
    path.chmod(0o644)
    with pytest.raises(InputError, match="others"):
        read_tokens(path)


def test_tokens_are_stored_as_hashes_and_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = token_file(tmp_path)
    token = add_token(path, "phone", Role.RUN)
    secret = token.rpartition("_")[2]
    assert secret not in path.read_text() and token not in path.read_text()
    (record,) = read_tokens(path)
    assert (record.name, record.role) == ("phone", Role.RUN)
    assert find_record([record], token) == record
    assert find_record([record], token[:-2] + "xx") is None
    assert find_record([], token) is None
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError):
        add_token(path, "second", Role.RUN)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": 3}', '{"tokens": [{}]}', '{"tokens": [{"token_id": 3}]}'])
def test_a_damaged_file_of_tokens_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = token_file(tmp_path)
    token = add_token(path, "a", Role.ADMIN)
    path.write_text(text)
    with pytest.raises(InputError, match="damaged"):
        read_tokens(path)
    path.write_text('{"tokens": []}')
    with running(tmp_path, Policy(token_required=True, token_file=path)) as server:
        path.write_text(text or " ")
        assert server.request("GET", "/queue", {"Authorization": f"Bearer {token}"}).status == 401


def test_the_command_makes_lists_and_removes_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--user-directory", str(tmp_path / "user")]
    assert main(["tokens", "add", "phone", "--role", "view", *place]) == 0
    token = capsys.readouterr().out.strip()
    assert re.fullmatch(r"sl_[0-9a-f]{12}_[\w-]{43}", token)
    assert main(["tokens", "add", "phone", *place]) == 2
    assert main(["tokens", "add", "a b", *place]) == 2
    assert main(["tokens", "add", "x", "--role", "root", *place]) == 2
    capsys.readouterr()
    assert main(["tokens", "list", "--json", *place]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["role"]) for one in listed["tokens"]] == [("phone", "view")]
    assert main(["tokens", "list", *place]) == 0
    assert token not in capsys.readouterr().out
    remove_token(token_file(tmp_path / "user"), "phone")
    assert main(["tokens", "remove", "phone", *place]) == 2
    assert "tokens add" in (main(["tokens", "list", *place]), capsys.readouterr())[1].out


def test_tls(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    context = tls_context(*certificate)
    assert context is not None
    trust = ssl.create_default_context(cafile=str(certificate[1]))
    with running(tmp_path, Policy(scheme="https"), tls=context) as server:

        def ask(client: ssl.SSLContext, origin: str) -> tuple[str | None, bytes]:
            with (
                socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain,
                client.wrap_socket(plain, server_hostname="localhost") as tls,
            ):
                lines = [f"Host: localhost:{server.port}", f"Origin: {origin}", "Connection: close"]
                tls.sendall("\r\n".join(["GET /queue HTTP/1.1", *lines, "", ""]).encode())
                return tls.version(), tls.recv(100).split()[1]

        assert ask(trust, f"https://localhost:{server.port}") == ("TLSv1.3", b"200")
        assert ask(trust, f"http://localhost:{server.port}")[1] == b"403"
        older = ssl.create_default_context(cafile=str(certificate[1]))
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        assert ask(older, f"https://localhost:{server.port}") == ("TLSv1.2", b"200")
        older.set_ciphers("AES128-SHA:AES256-SHA:AES128-GCM-SHA256")
        with pytest.raises(ssl.SSLError):
            ask(older, "")
    assert tls_context(None, None) is None


def test_tls_files_that_cannot_be_used(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    key, chain = certificate
    other, locked, open_key = tmp_path / "other.pem", tmp_path / "locked.pem", tmp_path / "open.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:x"],
        check=True,
        capture_output=True,
    )
    shutil.copy(key, open_key)
    for path in (other, locked):
        path.chmod(0o600)
    open_key.chmod(0o644)
    cases = [
        (key, None),
        (None, chain),
        (other, chain),
        (locked, chain),
        (tmp_path / "gone", chain),
        (key, tmp_path / "gone"),
    ]
    cases += [(chain, chain)] if os.name != "posix" else [(open_key, chain)]
    for given in cases:
        with pytest.raises(InputError) as caught:
            tls_context(*given)
        assert str(tmp_path) not in str(caught.value)


def test_importing_the_guard_needs_no_torch(root: Path) -> None:
    code = "import sys, engine.server.security; assert 'torch' not in sys.modules and 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_limits_have_sane_defaults() -> None:
    limits = Limits()
    assert limits.max_message_bytes == 64 << 10
    assert limits.max_json_bytes == 64 << 20
    assert limits.max_upload_bytes == 100 << 20
