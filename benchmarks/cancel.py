"""Measure how soon a job is over after it was cancelled, and what a worker process costs.

    python benchmarks/cancel.py [--rounds 20]

Three nodes that never look whether they should stop: one sleeps in C holding the interpreter's lock, one sleeps in C
without it, one computes in a loop; and one that reports each step. Then: the time from starting a worker until it is
ready, and jobs of one trivial node a second. Seconds of the clock, so what else the machine does shows.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from engine.execution.context import Context, Services
from engine.graph.declare import Int, node
from engine.graph.registry import EMPTY_REGISTRY, Registry, declared_in
from engine.jobs.options import SupervisorOptions
from engine.jobs.records import JobRequest
from engine.jobs.supervisor import Supervisor
from engine.session import Session
from engine.settings import Settings

Whole = Annotated[int, Int(0, 10**9)]


@node("SleepHoldingTheLock", category="benchmark", output_node=True)
def sleep_holding_the_lock(*, value: Whole = 60) -> Whole:
    """Sleep in C; no thread of this process runs Python meanwhile."""
    ctypes.PyDLL(None).sleep(value)
    return value


@node("SleepInC", category="benchmark", output_node=True)
def sleep_in_c(*, value: Whole = 60) -> Whole:
    """Sleep in C."""
    time.sleep(value)
    return value


@node("Spin", category="benchmark", output_node=True)
def spin(*, value: Whole = 0) -> Whole:
    """Compute and never end."""
    while True:
        value += 1


@node("Steps", category="benchmark", output_node=True)
def steps(context: Context, *, value: Whole = 10_000) -> Whole:
    """Report a step every 20 ms."""
    for step in range(value):
        time.sleep(0.02)
        context.progress(step + 1, value)
    return value


@node("Add", category="benchmark", output_node=True)
def add(*, value: Whole = 0) -> Whole:
    """Add one."""
    return value + 1


class BenchmarkSession(Session):
    """A session of these nodes alone, which needs no torch."""

    @property
    def registry(self) -> Registry:  # type: ignore[override]
        """The node types of this file."""
        return EMPTY_REGISTRY.with_types(declared_in(sys.modules[__name__]))

    @property
    def services(self) -> Services:  # type: ignore[override]
        """Nothing but the folders."""
        return Services(folders=self.folders, settings=self.settings)


def cancel_once(supervisor: Supervisor, kind: str, number: int) -> float:
    """Return the seconds from the cancel of a job whose node ``kind`` runs to its report."""
    started = threading.Event()

    def listener(event: Mapping[str, Any], data: bytes | None) -> None:
        if event["event"] == "node_started":
            started.set()

    prompt = {"1": {"class_type": kind, "inputs": {}}}
    job = supervisor.submit(JobRequest(f"{kind}-{number}", prompt), listener)
    assert started.wait(60), "the node did not start"
    began = time.perf_counter()
    supervisor.cancel(job.id)
    report = job.result(60)
    took = time.perf_counter() - began
    assert report.state == "cancelled", report
    return took


def main() -> None:
    """Print a table of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    options = SupervisorOptions(session="cancel:BenchmarkSession", eager=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Supervisor(Settings(Path(folder), device="cpu"), options) as supervisor,
    ):
        print(f"{os.cpu_count()} processors; seconds from cancel to report, grace 0.3 s, {rounds} rounds")
        print("| node | median | worst |\n|---|---|---|")
        starts = []
        for kind in ("SleepHoldingTheLock", "SleepInC", "Spin", "Steps"):
            times = []
            for number in range(rounds):
                times.append(cancel_once(supervisor, kind, number))
                starts.append(supervisor.status().start_seconds)
            print(f"| {kind} | {statistics.median(times):.3f} | {max(times):.3f} |")
        known = [seconds for seconds in starts if seconds is not None]
        print(f"\na worker is ready {statistics.median(known):.2f} s after its start (without torch)")
        began = time.perf_counter()
        adds = [{"1": {"class_type": "Add", "inputs": {"value": number}}} for number in range(1000)]
        jobs = [supervisor.submit(JobRequest(f"add-{number}", prompt)) for number, prompt in enumerate(adds)]
        assert all(job.result(60).state == "done" for job in jobs)
        print(f"{1000 / (time.perf_counter() - began):.0f} jobs of one node a second")


if __name__ == "__main__":
    main()
