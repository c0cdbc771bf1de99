"""Node types that behave badly, for a worker to run: it loads `make_session` of this module by its name."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.execution.context import Services
from engine.graph.node_types import NodeResult, NodeType, Output, Parameter
from engine.graph.registry import EMPTY_REGISTRY, Registry
from engine.session import Session


class BareSession(Session):
    """A session of the nodes below that never needs torch."""

    @property
    def registry(self) -> Registry:  # type: ignore[override]
        return REGISTRY

    @property
    def services(self) -> Services:  # type: ignore[override]
        return Services(folders=self.folders, settings=self.settings)


def make_session(settings: Any) -> Session:
    return BareSession(settings)


class FailingSession(BareSession):
    def run(self, *arguments: Any, **more: Any) -> Any:
        raise LookupError("a fault of the engine itself")


def broken_session(settings: Any) -> Session:
    print("this worker will not start")
    raise RuntimeError("no session today")


KINDS: list[NodeType] = []


def kind(inputs: str = "", output: bool = True, outputs: str = "INT", **facts: Any) -> Callable[[Any], Any]:
    """Declare a node type; ``inputs`` are names with their socket types, ``"a:INT b:STRING"``."""

    def declare(run: Callable[..., Any]) -> Callable[..., Any]:
        parameters = tuple(Parameter(*one.split(":")) for one in inputs.split())
        slots = tuple(Output(one, one) for one in outputs.split())
        name = run.__name__.title().replace("_", "")
        described = NodeType(
            name, name, "test", parameters, slots, run, version="1", output_node=output, wants_context=True, **facts
        )
        KINDS.append(described)
        return run

    return declare


@kind("value:INT", output=False)
def number(context: Any, *, value: int) -> int:
    return value


@kind("value:INT", output=False)
def add_one(context: Any, *, value: int) -> int:
    return value + 1


@kind("value:INT")
def show(context: Any, *, value: int) -> NodeResult:
    return NodeResult((value,), ui={"text": [f"it is {value}"], "odd": [float("nan"), object()]})


@kind("value:INT", output=False, cacheable=False)
def count_up(context: Any, *, value: int) -> int:
    """Count how often this process came here: says whether the worker is the same one."""
    CALLS.append(value)
    return len(CALLS)


CALLS: list[int] = []


@kind("value:INT steps:INT pause:FLOAT")
def steps(context: Any, *, value: int, steps: int, pause: float) -> int:
    """Report each step with a picture, as a sampler does."""
    import numpy as np

    for step in range(steps):
        time.sleep(pause)
        context.progress(step + 1, steps, lambda step=step: np.full((1, 32, 48, 3), step / steps, np.float32))
    return value


@kind("seconds:INT")
def sleep_in_c(context: Any, *, seconds: int) -> int:
    """Sleep in C, holding the interpreter's lock: nothing of Python runs in this process meanwhile."""
    ctypes.PyDLL(None).sleep(seconds)
    return 0


@kind("seconds:INT")
def sleep(context: Any, *, seconds: int) -> int:
    """Sleep, in C as well, but with the lock let go."""
    time.sleep(seconds)
    return 0


@kind()
def spin(context: Any) -> int:
    while True:
        pass


@kind("seconds:FLOAT")
async def nap(context: Any, *, seconds: float) -> int:
    """Wait beside the other nodes."""
    for _ in range(5):
        await asyncio.sleep(seconds / 5)
        print("napping")
    return 0


@kind("value:INT")
def fail(context: Any, *, value: int) -> int:
    raise ValueError(f"no good: {value}")


@kind("how:STRING")
def die(context: Any, *, how: str) -> int:
    """End the process in one of the ways that no interpreter survives."""
    match how:
        case "exit":
            os._exit(7)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "close":
            os.closerange(3, 256)
            time.sleep(60)
    return 0


@kind("code:INT")
def leave(context: Any, *, code: int) -> int:
    sys.exit(code)


@kind("mark:STRING then:STRING")
def fork(context: Any, *, mark: str, then: str) -> int:
    """Fork a process that writes its id to the file ``mark`` and sleeps, comes back, or leaves the group and sleeps."""
    sys.stdout.flush()
    if os.fork() == 0:
        if then == "detach":
            os.setsid()
        Path(mark).write_text(str(os.getpid()))
        print("printed by the copy")
        if then == "return":
            return 1
        time.sleep(60)
        os._exit(0)
    while not Path(mark).exists():
        time.sleep(0.01)
    if then == "return":
        os.wait()
        return 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.01)
        if then == "polite":
            context.check_cancelled()
    return 0


@kind("mib:INT")
def grow(context: Any, *, mib: int) -> int:
    """Take memory in small pieces and touch it."""
    held = []
    for _ in range(mib // 4):
        held.append(bytearray(b"x") * (4 << 20))
        time.sleep(0.002)
    return len(held)


@kind("gib:INT")
def grab(context: Any, *, gib: int) -> int:
    """Take memory in one piece, without touching it."""
    return len(bytearray(gib << 30))


@kind("mib:INT", outputs="BYTES")
def keep(context: Any, *, mib: int) -> bytes:
    """Make a large result."""
    return b"x" * (mib << 20)


@kind("value:INT")
def talk(context: Any, *, value: int) -> int:
    """Write to standard output and error in every way there is."""
    print("by print", value)
    print("unfinished", end="")
    print("to stderr", file=sys.stderr)
    os.write(1, b"past the interpreter\n")
    subprocess.run(["echo", "by a child"], check=True)
    logging.getLogger("pack.talk").warning("by logging")
    sys.stdout.buffer.write(b"\x00\x00\x00\x05{bytes\xff}\n")
    sys.stdout.flush()
    return value


@kind("lines:INT")
def raw_chatter(context: Any, *, lines: int) -> int:
    for _ in range(lines):
        os.write(1, b"y" * 99 + b"\n")
    return lines


@kind("value:INT")
def pool(context: Any, *, value: int) -> int:
    """Compute in processes of its own, forked and spawned."""
    import concurrent.futures
    import multiprocessing

    for method in ("fork", "spawn"):
        made = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=made) as pool:
            value = sum(pool.map(abs, [value, -1]))
    return value


@kind("lines:INT")
def chatter(context: Any, *, lines: int) -> int:
    for number in range(lines):
        print("line", number, "x" * 200)
    return lines


@kind("mark:STRING")
def touch(context: Any, *, mark: str) -> int:
    """Say that this node is running, then wait a while, reporting nothing."""
    with contextlib.suppress(OSError):
        Path(mark).write_text(str(os.getpid()))
    time.sleep(0.05)
    return 0


REGISTRY = EMPTY_REGISTRY.with_types(KINDS)
