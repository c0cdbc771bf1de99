"""Asking the planner: one process beside the worker, started when first asked, ended when nobody asks any more.

A plan loads torch and runs the nodes of a workflow without their models, so it is made neither in the event loop nor in
the worker, which may be busy for hours. One that takes too long is ended with its process; what it learnt of networks
until then is on the disk, and the next one begins there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from engine.errors import PathError
from engine.graph.api_prompt import graph_to_api
from engine.graph.model import Graph
from engine.graph.node_types import FolderChoices
from engine.jobs.records import settings_record
from engine.memory.measured import measured_directory
from engine.server.catalogue import Catalogue
from engine.server.machine import devices
from engine.server.prompts import Refusal, refusal
from engine.settings import Settings

PLAN_S: Final = 45.0
"""A plan that is not made by then is given up; the first of a large model reads much and takes some seconds."""
STOP_S: Final = 1.0
"""So long a plan that nobody waits for any more may take to stop, before its process is ended."""
IDLE_S: Final = 120.0
MAX_WAITING: Final = 8
KEPT: Final = 64
FAILED_S: Final = 300.0
"""So long it is believed that what failed would fail again: a process may have died by chance."""
HIDDEN: Final = dict.fromkeys(("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"), "")
"""The planner sees no card: what a pack would put there is the worker's."""
LONGEST_LINE: Final = 64 << 20
CARD_WORDS: Final = ("card", "vram", "link")
_START: Final = "'safelight planner'; import sys; sys.path[:] = {path!r}; from engine.jobs.planner import main; main()"


class PlanTooSlow(Exception):
    """Say that a plan was given up."""


class Crowded(Exception):
    """Say that too many plans are being waited for."""


class Planning:
    """Owns the planner's process. Used in the event loop alone, but for what it asks of the catalogue's thread."""

    def __init__(self, catalogue: Catalogue, settings: Settings, session: str, seconds: float = PLAN_S) -> None:
        self._catalogue = catalogue
        self.seconds = seconds
        """A plan that is not made by then is given up."""
        self._setup = {"settings": settings_record(settings), "session": session}
        self._device = settings.device
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = self._number = 0
        self._kept: OrderedDict[str, tuple[float, Refusal | dict[str, Any]]] = OrderedDict()
        """Answers, and until when they are believed."""
        self._measured = measured_directory(settings, catalogue.session.folders.directories("user")[0])
        self._found: tuple[str, int] | bool | None = False
        self._ending: asyncio.TimerHandle | None = None

    async def answer(self, body: Mapping[str, Any], user: str | None) -> Refusal | dict[str, Any]:
        """Return the plan of what would be posted to ``/prompt``, as ``main.py plan --json`` prints it; ``{"planned":
        False, "foreign": [ids]}`` where nodes of no known type are in it, ``"packs": [ids]`` where nodes of packs would
        have to be run for it and `body` does not say ``"packs": true``, ``"fault"`` where one failed.

        Raises `PlanTooSlow`, `Crowded`, and `asyncio.CancelledError` when whoever asked has gone.
        """
        card = await self._card(body)
        if isinstance(card, Refusal):
            return card
        read = await self._catalogue.ask(self._read, body, user)
        if isinstance(read, Refusal):
            return read
        prompt, files = read
        asked = {"prompt": prompt, "card": card, "user": user, "packs": body.get("packs") is True}
        facts = json.dumps([asked, files], sort_keys=True)
        key = hashlib.blake2b(facts.encode(), digest_size=20).hexdigest()
        until, made = self._kept.get(key, (0.0, None))
        if made is not None and time.monotonic() < until:
            self._kept.move_to_end(key)
            return made
        made = _answer(await self._ask({"do": "plan", **asked}))
        failed = isinstance(made, Refusal) or "fault" in made
        self._kept[key] = (time.monotonic() + FAILED_S if failed else math.inf, made)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made

    async def _card(self, body: Mapping[str, Any]) -> Refusal | dict[str, Any]:
        given = {name: body[name] for name in CARD_WORDS if body.get(name) is not None}
        wrong = next((name for name, value in given.items() if not isinstance(value, str)), None)
        if wrong is not None:
            return refusal("invalid_card", f"{wrong} is not a text", 'like "rtx4060", "8GiB", "12GB/s"')
        if "card" in given or "vram" in given:
            return given
        if isinstance(self._found, bool):
            self._found = await asyncio.to_thread(first_card, self._device)
        return given if self._found is None else {**given, "found": list(self._found)}

    def _read(self, body: Mapping[str, Any], user: str | None) -> Refusal | tuple[dict[str, Any], list[Any]]:
        """Return the API prompt and what changes when its files do."""
        accepted = self._catalogue.accept(body, user)
        if isinstance(accepted, Refusal):
            return accepted
        if accepted.node_errors:
            error = refusal("prompt_outputs_failed_validation", "Not all outputs can be computed").error
            return Refusal(error, accepted.node_errors)
        assert accepted.graph is not None
        return graph_to_api(accepted.graph), [*self._files(accepted.graph, user), self._last_measured()]

    def _last_measured(self) -> int | None:
        """Return when a run last measured anything that plans are made of, in nanoseconds."""
        with contextlib.suppress(OSError):
            return None if self._measured is None else self._measured.stat().st_mtime_ns
        return None

    def _files(self, graph: Graph, user: str | None) -> list[Any]:
        session, found = self._catalogue.session, []
        folders = session.private.of(user)
        for node in graph.nodes.values():
            for parameter in session.registry.types[node.type].inputs:
                value = node.inputs.get(parameter.name)
                if isinstance(parameter.choices, FolderChoices) and isinstance(value, str):
                    with contextlib.suppress(PathError, OSError):
                        stat = folders.resolve(parameter.choices.folder, value).stat()
                        found.append([parameter.choices.folder, value, stat.st_size, stat.st_mtime_ns])
        return found

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._waiting >= MAX_WAITING:
            raise Crowded()
        self._waiting += 1
        try:
            async with self._turn:
                if self._ending is not None:
                    self._ending.cancel()
                try:
                    return await self._exchange(message)
                finally:
                    self._ending = asyncio.get_running_loop().call_later(IDLE_S, self._end)
        finally:
            self._waiting -= 1

    async def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        try:
            async with asyncio.timeout(self.seconds):
                return await self._talk({**message, "id": number}, number)
        except TimeoutError:
            self._end()
            raise PlanTooSlow() from None
        except asyncio.CancelledError:
            await asyncio.shield(self._stop(number))
            raise

    async def _talk(self, message: dict[str, Any], number: int) -> dict[str, Any]:
        """Say a line and return the answer to it. A process that died is started again, once."""
        for _ in range(2):
            process = await self._started()
            assert process.stdin is not None and process.stdout is not None
            with contextlib.suppress(ConnectionError):
                process.stdin.write(json.dumps(message).encode() + b"\n")
                await process.stdin.drain()
                while line := await process.stdout.readline():
                    told: dict[str, Any] = json.loads(line)
                    if told["id"] == number:
                        return told
            self._end()
        return {"fault": "the planner's process ended"}

    async def _stop(self, number: int) -> None:
        """Stop a plan that nobody waits for; one that does not stop ends with its process."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        try:
            async with asyncio.timeout(STOP_S):
                process.stdin.write(json.dumps({"do": "cancel", "id": number}).encode() + b"\n")
                while line := await process.stdout.readline():
                    if json.loads(line)["id"] == number:
                        return
        except (TimeoutError, ConnectionError):
            pass
        self._end()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 (the working directory stands as "")
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", _START.format(path=path),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True, limit=LONGEST_LINE,
            env={**os.environ, **HIDDEN},
        )  # fmt: skip
        assert made.stdin is not None
        made.stdin.write(json.dumps(self._setup).encode() + b"\n")
        self._process = made
        return made

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def close(self) -> None:
        """End the process."""
        if self._ending is not None:
            self._ending.cancel()
        process = self._process
        self._end()
        if process is not None:
            await process.wait()


def _answer(told: Mapping[str, Any]) -> Refusal | dict[str, Any]:
    if "plan" in told:
        return dict(told["plan"])
    if "problems" in told:
        first = told["problems"][0]
        details = "\n".join(str(one["message"]) for one in told["problems"][:20])
        return refusal("no_plan", str(first["message"]), details, problems=told["problems"][:100])
    return {"planned": False, **{name: told[name] for name in ("foreign", "packs", "fault") if name in told}}


def first_card(device: str) -> tuple[str, int] | None:
    """Return the name and the bytes of the card that would compute; None where there is none."""
    _, _, index = device.partition(":")
    for one in devices(device, 0, 0):
        if one["type"] != "cpu" and (not index.isdecimal() or int(index) == one["index"]):
            return str(one["name"]).partition(" ")[2], int(one["vram_total"])
    return None
