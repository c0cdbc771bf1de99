"""What is large is loaded while nobody waits: after the last answer of a page, and in the end in any case."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from server_client import ServerProcess

from engine.server.running import QUIET_S
from engine.server.traffic import Traffic


class Clock:
    """A time that passes while one sleeps; answers are given at set times."""

    def __init__(self, answers: Sequence[float]) -> None:
        self.time = 100.0
        self.answers = [100.0 + at for at in answers]
        self.traffic = Traffic(self.now, self.sleep)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        until = self.time + seconds
        while self.answers and self.answers[0] <= until:
            self.time = self.answers.pop(0)
            await self.traffic.noticed(None, None)  # type: ignore[arg-type]
        self.time = until


@pytest.mark.parametrize(
    ("answers", "quiet_after"),
    [((), 0.5), ((0.1,), 0.6), ((0.2, 0.6, 1.0), 1.5), ((0.2, 0.8), 0.7), ([at / 10 for at in range(100)], 3.0)],
)
def test_quiet_is_half_a_second_after_the_last_answer_or_three_in_any_case(
    answers: Sequence[float], quiet_after: float
) -> None:
    clock = Clock(answers)
    asyncio.run(clock.traffic.quiet(0.5, 3.0))
    assert clock.time - 100 == pytest.approx(quiet_after)


def test_the_worker_is_loaded_once_nobody_asks_any_more(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--disable-all-custom-nodes") as server:
        began = asked = time.monotonic()
        while time.monotonic() - began < 2 * QUIET_S:
            assert server.post("/none", {})[0] == 404  # one that says no is an answer too
            state = server.get("/healthz")["worker"]
            before, asked = asked, time.monotonic()
            if asked - before > QUIET_S / 2:
                pytest.skip("the machine is too busy to ask as often as a page does")
            assert state == "stopped"
        deadline = time.monotonic() + 60
        while server.get("/healthz")["worker"] == "stopped" and time.monotonic() < deadline:
            time.sleep(1.5 * QUIET_S)
        assert server.get("/healthz")["worker"] != "stopped"
