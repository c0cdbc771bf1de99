"""A server process for benchmarks/server.py, and the client's end of it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[1]

LAUNCH = """
import logging, sys
from engine.cli.arguments import build_parser, settings_from
from engine.cli.serve_arguments import serve_options
from engine.server.listening import listen
from engine.server.running import Parts, serve
from engine.settings import read_settings
arguments = build_parser().parse_args(["serve", *sys.argv[1:]])
logging.basicConfig(level="INFO", stream=sys.stderr)
options = serve_options(arguments, ())
parts = Parts(session="server_nodes:BenchmarkSession", warm=False)
sys.exit(serve(read_settings(settings_from(arguments)), options, listen(options), parts=parts))
"""


@dataclasses.dataclass
class Running:
    """A server process, and the client's end."""

    process: subprocess.Popen[str]
    url: str
    began: float
    http: aiohttp.ClientSession

    async def get(self, path: str) -> bytes:
        """Return what a GET is answered."""
        async with self.http.get(self.url + path) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def post(self, path: str, body: Any) -> Any:
        """Return the JSON that a POST is answered, or None."""
        async with self.http.post(self.url + path, json=body) as answer:
            answer.raise_for_status()
            return json.loads(await answer.read() or b"null")

    async def queue(self, kind: str, client: str = "benchmark", **inputs: int) -> str:
        """Queue a job of one node."""
        prompt = {"1": {"class_type": kind, "inputs": inputs}}
        return str((await self.post("/prompt", {"prompt": prompt, "client_id": client}))["prompt_id"])

    def busy_s(self) -> tuple[float, float]:
        """Seconds of processor time that the server has used, and its worker (Linux)."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        workers = [int(one) for task in tasks for one in task.read_text().split()]
        return _busy_s(self.process.pid), sum(map(_busy_s, workers))

    def held_bytes(self) -> int:
        """What memory the server's process holds (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _busy_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def server(*, real: bool = False, port: int = 0) -> AsyncIterator[Running]:
    """Run a server for as long as the context lasts: the program itself, or one with the nodes of `server_nodes`."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:
        for name in ("input", "output", "models", "user", "temp"):
            Path(folder, name).mkdir()
        program = [str(ROOT / "main.py"), "serve"] if real else ["-c", LAUNCH]
        more = ["--base-directory", folder, "--disable-all-custom-nodes"]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *program, "--port", str(port), "--cpu", *more],
            stderr=log, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        try:
            while not (found := re.search(r"listening: (http\S+)", Path(log.name).read_text())):
                assert process.poll() is None, Path(log.name).read_text()
                await asyncio.sleep(0.005)
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as http:
                yield Running(process, found[1], began, http)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def say(what: str, measured: str, aim: str = "") -> None:
    """Print one row of the table."""
    print(f"| {what} | {measured} | {aim} |", flush=True)
