"""A plain client of the protocol, and a server process to point it at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


def prompt(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Build an API prompt; the text ``"name:slot"`` is a link. Ids are the names."""
    made = {}
    for id, (kind, inputs) in nodes.items():
        values = {
            name: [text.split(":")[0], int(text.split(":")[1])] if isinstance(text, str) and ":" in text else text
            for name, text in inputs.items()
        }
        made[id] = {"class_type": kind, "inputs": values}
    return made


def simple(value: int = 1) -> dict[str, Any]:
    return prompt(n=("Number", {"value": value}), s=("Show", {"value": "n:0"}))


class ServerProcess:
    """A server as a process: ``main.py``, or the launcher with the nodes of `server_nodes`."""

    def __init__(self, base: Path, *flags: str, real: bool = False) -> None:
        self.base = base
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the server)
        program = [str(ROOT / "main.py")] if real else [str(HERE / "launch.py")]
        folders = ["--base-directory", str(base)]
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *program, "--port", "0", "--cpu", *folders, *flags],
            cwd=ROOT, stderr=self.log, env=environ,
        )  # fmt: skip
        self.url = self._find_url()

    def _find_url(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"listening: (http[^\s\"]+)", self.text())
            if found:
                return found[1]
            assert self.process.poll() is None, self.text()
            time.sleep(0.01)
        raise AssertionError(f"the server did not start: {self.text()}")

    def text(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self.log.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def faults(self) -> list[str]:
        """What the log has of faults; that a request was no HTTP at all is none."""
        return re.findall(r".* ERROR (?!aiohttp\.server: Error handling request).*", self.text())

    def held_bytes(self) -> int:
        """What memory the server's process holds; 0 where the system does not tell."""
        told = Path(f"/proc/{self.process.pid}/statm")
        if not told.exists():
            return 0
        fields = told.read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def get_bytes(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def wait_idle(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while self.get("/prompt")["exec_info"]["queue_remaining"]:
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)


class Ears:
    """One WebSocket of a test, with what it heard."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.frames: list[bytes] = []

    async def next(self, timeout: float = 20) -> dict[str, Any] | None:
        """Return the next JSON message; None when the server closed."""
        while True:
            message = await asyncio.wait_for(self.socket.receive(), timeout)
            if message.type == aiohttp.WSMsgType.BINARY:
                self.frames.append(message.data)
            elif message.type == aiohttp.WSMsgType.TEXT:
                self.heard.append(json.loads(message.data))
                return self.heard[-1]
            else:
                return None

    async def until(self, type: str, **data: Any) -> dict[str, Any]:
        """Read until a message of ``type`` whose data has ``data``; return its data."""
        while True:
            message = await self.next()
            assert message is not None, f"closed before {type}: {self.heard}"
            if message["type"] == type and all(message["data"].get(key) == value for key, value in data.items()):
                return message["data"]

    async def until_end(self, prompt_id: str) -> list[dict[str, Any]]:
        """Read until the job is over; return its messages, as ``(type, data)``."""
        await self.until("executing", node=None, prompt_id=prompt_id)
        return [one for one in self.heard if one["data"].get("prompt_id") == prompt_id]

    def types(self, *kept: str) -> list[str]:
        return [one["type"] for one in self.heard if not kept or one["type"] in kept]


class Caller:
    """An HTTP client with short ways to say things."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str, status: int = 200, /, **query: Any) -> Any:
        async with self.session.get(self.url + path, params=query) as answer:
            assert answer.status == status, (path, answer.status, await answer.text())
            text = await answer.text()
            return json.loads(text) if text and "json" in answer.content_type else text

    async def raw(self, method: str, path: str, **more: Any) -> tuple[int, Mapping[str, str], bytes]:
        async with self.session.request(method, self.url + path, **more) as answer:
            return answer.status, answer.headers, await answer.read()

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        async with self.session.post(self.url + path, json=body) as answer:
            text = await answer.text()
            assert answer.status == status, (path, answer.status, text)
            return json.loads(text) if text and "json" in answer.content_type else text

    async def queue(self, graph: dict[str, Any], client: str | None = "me", **more: Any) -> str:
        body = {"prompt": graph, **({"client_id": client} if client else {}), **more}
        return str((await self.post("/prompt", body))["prompt_id"])

    @contextlib.asynccontextmanager
    async def listen(self, client: str = "me", **query: Any) -> AsyncIterator[Ears]:
        async with self.session.ws_connect(f"{self.url}/ws", params={"clientId": client, **query}) as socket:
            ears = Ears(socket)
            first = await ears.next()
            assert first is not None and first["type"] == "status"
            yield ears

    async def idle(self, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while (await self.get("/prompt"))["exec_info"]["queue_remaining"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
