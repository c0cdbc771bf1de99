"""What the tests of jobs share: a listener that keeps what it hears, short ways to submit, graphs in a line."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.jobs.job import Job
from engine.jobs.options import SupervisorOptions
from engine.jobs.previews import PreviewOptions
from engine.jobs.records import JobRequest
from engine.jobs.supervisor import Supervisor

OPTIONS = SupervisorOptions(session="worker_nodes:make_session", previews=PreviewOptions(interval_s=0.01, size=16))


class Heard:
    """A listener that keeps what it hears and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.data: list[bytes] = []
        self._changed = threading.Condition()

    def __call__(self, event: Mapping[str, Any], data: bytes | None) -> None:
        with self._changed:
            self.events.append(dict(event))
            if data:
                self.data.append(data)
            self._changed.notify_all()

    def names(self) -> list[str]:
        return [event["event"] for event in self.events if event["event"] != "log"]

    def lines(self) -> list[tuple[str, str]]:
        return [(event["stream"], event["text"]) for event in self.events if event["event"] == "log"]

    def wait_for(self, name: str, node: str | None = None, timeout: float = 30.0) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [e for e in self.events if e["event"] == name and (node is None or e.get("node_id") == node)]

        with self._changed:
            assert self._changed.wait_for(found, timeout), f"{name} was not heard: {self.events}"
            return found()[0]


class Desk:
    """A supervisor with short ways to give it jobs."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._number = 0

    def submit(self, prompt: Mapping[str, Any], heard: Heard | None = None, **more: Any) -> Job:
        self._number += 1
        return self.supervisor.submit(JobRequest(f"job-{self._number}", prompt, **more), heard)

    def begin(self, prompt: Mapping[str, Any], node: str, **more: Any) -> tuple[Job, Heard]:
        """Submit a job and wait until ``node`` has begun."""
        heard = Heard()
        job = self.submit(prompt, heard, **more)
        heard.wait_for("node_started", node)
        return job, heard


def prompt(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Build an API prompt; the text ``"name:slot"`` is a link when there is a node of that name."""

    def value(text: Any) -> Any:
        if isinstance(text, str) and ":" in text and text.split(":")[0] in nodes:
            source, slot = text.split(":")
            return [source, int(slot)]
        return text

    return {
        id: {
            "class_type": kind,
            "inputs": {name: value(v) for name, v in inputs.items()},
            "_meta": {"title": f"My {id}"},
        }
        for id, (kind, inputs) in nodes.items()
    }


def gone_within(pid: int, seconds: float) -> bool:
    """Say whether a process ends within so many seconds; one that only waits to be collected has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False
