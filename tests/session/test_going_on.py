"""A sampler that was cancelled, or whose process was killed, goes on where it was and gives the same picture."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import text_to_image

from engine.execution.cancel import CancelToken
from engine.execution.events import Event, NodeProgress
from engine.execution.tiered_cache import TieredCache
from engine.session import Session
from engine.settings import Settings

STEPS = 8


@pytest.fixture
def stored(settings: Settings, tmp_path: Path) -> Settings:
    """Settings that keep results on disk, in this test's own folder."""
    return dataclasses.replace(settings, user_directory=tmp_path / "user", disk_cache_bytes=1 << 30, threads=1)


def workflow(session: Session, sampler: str = "euler_ancestral") -> Any:
    made = session.open(text_to_image())
    return made.set("Sampler.steps", STEPS).set("Sampler.sampler_name", sampler)


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """Count how often a diffusion network computes."""
    from torch.nn.modules.module import register_module_forward_hook

    from engine.networks.unet import UNet

    calls: list[int] = []
    hook = register_module_forward_hook(lambda module, *rest: calls.append(1) if type(module) is UNet else None)
    try:
        yield calls
    finally:
        hook.remove()


def stop_at(session: Session, step: int, sampler: str) -> None:
    token = CancelToken()

    def listen(event: Event) -> None:
        if isinstance(event, NodeProgress) and event.step == step:
            token.cancel()

    result = session.run(workflow(session, sampler).graph, listener=listen, cancel=token)
    assert result.made.cancelled
    session.cache.close()


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m", "dpmpp_sde"])
def test_after_a_cancel_in_a_new_session(settings: Settings, stored: Settings, sampler: str) -> None:
    with counted_calls() as calls:
        whole = np.asarray(workflow(Session(settings), sampler).run().images["Save"][0])
        in_all = len(calls)
        calls.clear()
        stop_at(Session(stored), 5, sampler)
        before = len(calls)
        assert 0 < before < in_all
        calls.clear()
        session = Session(stored)
        made = np.asarray(workflow(session, sampler).run().images["Save"][0])
        assert np.array_equal(made, whole)
        assert len(calls) == in_all - before
    # Done is done: nothing of it is left to go on from.
    assert isinstance(session.cache, TieredCache)
    session.cache.flush()
    session.cache.disk.remove(session.cache.disk.listed())
    session.cache.clear()
    with counted_calls() as calls:
        workflow(session, sampler).run()
        assert len(calls) == in_all


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from engine.diffusion import journal
from engine.execution.tiered_cache import TieredCache
from engine.session import Session
from engine.settings import Settings
from engine.execution.events import NodeProgress
from tiny_checkpoint import text_to_image

journal.Journal.__init__.__defaults__ = (0.0,)  # keep every answer at once
user = Path({user!r})
session = Session(Settings(Path({base!r}), output_directory=user / "o", user_directory=user, device="cpu",
                           disk_cache_bytes=1 << 30, threads=1))
made = session.open(text_to_image()).set("Sampler.steps", {steps})

def listen(event):
    if isinstance(event, NodeProgress):
        print(event.step, flush=True)
        if event.step == 6:
            import time
            time.sleep(60)

session.run(made.graph, listener=listen)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_after_a_kill(settings: Settings, stored: Settings, base: Path, root: Path, tmp_path: Path) -> None:
    assert stored.user_directory is not None
    text = PROGRAM.format(tests=str(root / "tests"), user=str(stored.user_directory), base=str(base), steps=STEPS)
    process = subprocess.Popen([sys.executable, "-c", text], cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        while (line := process.stdout.readline()) and int(line) < 6:
            pass
        time.sleep(0.5)  # what is kept is written beside the run
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with counted_calls() as calls:
        made = Session(settings).open(text_to_image()).set("Sampler.steps", STEPS)
        whole = np.asarray(made.run().images["Save"][0])
        in_all = len(calls)
        calls.clear()
        again = Session(stored).open(text_to_image()).set("Sampler.steps", STEPS)
        assert np.array_equal(np.asarray(again.run().images["Save"][0]), whole)
        assert len(calls) <= in_all // 2
