"""Jobs in a worker process: what is heard and reported, what stays warm, what is captured, how it starts and ends."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from job_desk import Desk, Heard, gone_within, prompt
from PIL import Image

from engine.errors import SafelightError
from engine.jobs.job import listener_in
from engine.jobs.previews import PreviewMaker, PreviewOptions
from engine.jobs.records import JobRequest

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks")


def test_a_job_tells_its_events_in_order_and_reports_once(desk: Desk) -> None:
    heard = Heard()
    report = desk.submit(prompt(a=("Number", {"value": 3}), b=("Show", {"value": "a:0"})), heard).result(30)
    assert heard.names() == [
        "job_started",
        "run_started",
        "node_started",
        "node_finished",
        "node_started",
        "node_finished",
        "run_finished",
        "job_finished",
    ]
    assert report.state == "done"
    assert report.outputs == {"b": "done"}
    assert report.nodes["b"]["ui"]["text"] == ["it is 3"]
    assert report.problems == () and report.running == () and report.exit_code == 0
    assert heard.events[-1]["report"] == report.as_json()
    assert {event["job"] for event in heard.events} == {"job-1"}
    json.dumps([heard.events, report.as_json()], allow_nan=False)  # NaN and objects of a node are plain by now


def test_results_stay_warm_from_job_to_job_and_are_let_go_when_asked(desk: Desk) -> None:
    graph = prompt(a=("Number", {"value": 3}), b=("Show", {"value": "a:0"}))
    assert desk.submit(graph).result(30).outputs == {"b": "done"}
    assert desk.submit(graph).result(30).outputs == {"b": "cached"}
    freed = desk.supervisor.free(models=False).result(30)
    assert freed["before"] > 0 and freed["after"] > 0
    assert desk.submit(graph).result(30).outputs == {"b": "done"}
    assert desk.supervisor.status().starts == 1


def test_a_failing_node_and_a_bad_graph_are_reported_as_without_a_worker(desk: Desk) -> None:
    graph = prompt(a=("Fail", {"value": 1}), b=("Show", {"value": "a:0"}), c=("Show", {"value": 7}))
    report = desk.submit(graph).result(30)
    assert report.state == "failed" and report.exit_code == 1
    assert report.outputs == {"a": "failed", "b": "skipped", "c": "done"}
    assert report.nodes["b"]["because"] == "a"
    (problem,) = report.problems
    assert (problem.node_id, problem.node_title) == ("a", "My a")
    assert "no good: 1" in problem.message
    result = report.as_result()
    assert not result.ok and not result.cancelled
    assert isinstance(result.errors[0], SafelightError) and result.errors[0].problem == problem

    report = desk.submit(prompt(a=("Shew", {"value": 1}))).result(30)
    assert report.state == "failed" and report.exit_code == 2
    assert report.problems[0].code == "E-UNKNOWN-NODE"
    assert desk.submit(prompt(a=("Show", {"value": 1})), outputs=["zz"]).result(30).exit_code == 2
    assert desk.submit({"what": "is this"}).result(30).problems[0].code == "E-DOCUMENT"


def test_an_ordinary_exit_asked_for_by_a_node_is_its_failure(desk: Desk) -> None:
    heard = Heard()
    report = desk.submit(prompt(a=("Leave", {"code": 0}), b=("Show", {"value": 1})), heard).result(30)
    assert report.state == "failed" and report.outputs == {"a": "failed", "b": "done"}
    assert report.problems[0].node_id == "a"
    assert heard.names()[-2:] == ["run_finished", "job_finished"]
    assert desk.submit(prompt(a=("Show", {"value": 1}))).result(30).state == "done"
    assert desk.supervisor.status().starts == 1


@POSIX
def test_whatever_is_printed_is_heard_as_lines_of_its_node(desk: Desk) -> None:
    heard = Heard()
    report = desk.submit(prompt(a=("Talk", {"value": 3}), b=("Show", {"value": "a:0"})), heard).result(30)
    assert report.state == "done"
    assert set(heard.lines()) >= {
        ("stdout", "by print 3"),
        ("stdout", "unfinished"),
        ("stderr", "to stderr"),
        ("raw", "past the interpreter"),
        ("raw", "by a child"),
        ("log", "pack.talk: by logging"),
        ("stdout", "\x00\x00\x00\x05{bytes\ufffd}"),
    }
    assert {event["node_id"] for event in heard.events if event["event"] == "log"} == {"a"}


def test_what_a_coroutine_prints_is_its_own(desk: Desk) -> None:
    heard = Heard()
    graph = prompt(a=("Nap", {"seconds": 0.2}), b=("Steps", {"value": 1, "steps": 20, "pause": 0.02}))
    assert desk.submit(graph, heard).result(30).outputs == {"a": "done", "b": "done"}
    lines = [(event["node_id"], event["text"]) for event in heard.events if event["event"] == "log"]
    assert lines == [("a", "napping")] * 5


@POSIX
def test_a_node_can_compute_in_processes_of_its_own(desk: Desk) -> None:
    report = desk.submit(prompt(a=("Pool", {"value": 3}), b=("Show", {"value": "a:0"}))).result(60)
    assert report.nodes["b"]["ui"]["text"] == ["it is 5"]
    assert desk.supervisor.status().starts == 1


def test_a_fault_of_the_engine_fails_the_job_and_not_the_worker(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk({"session": "worker_nodes:FailingSession"})
    for _ in range(2):
        report = desk.submit(prompt(a=("Show", {"value": 1})), outputs=["a"]).result(30)
        assert (report.state, report.outputs) == ("failed", {"a": "skipped"})
        assert report.problems[0].message == "LookupError: a fault of the engine itself"
    assert desk.supervisor.status().starts == 1


def test_previews_are_small_pictures_and_come_before_the_node_ends(desk: Desk) -> None:
    heard = Heard()
    report = desk.submit(prompt(a=("Steps", {"value": 3, "steps": 5, "pause": 0.03})), heard).result(30)
    assert report.state == "done"
    names = heard.names()
    assert names.count("node_progress") == 5
    assert 2 <= names.count("preview") <= 5
    assert max(i for i, name in enumerate(names) if name == "preview") < names.index("node_finished")
    for data in heard.data:
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (16, 11))


def test_a_preview_that_cannot_be_made_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    maker = PreviewMaker(PreviewOptions(interval_s=0.0))
    assert maker.make(lambda: 1 / 0) is None
    assert maker.make(object()) is None
    assert len(caplog.records) == 1
    assert not PreviewMaker(PreviewOptions(size=0)).due()


@pytest.mark.parametrize("kind", ["Chatter", "RawChatter"])
def test_a_listener_that_is_slow_does_not_hold_up_the_nodes(kind: str, desk: Desk) -> None:
    """20,000 lines and a listener that hears 500 a second: the node must not wait for it."""
    began: list[float] = []
    lines = [0, 0]

    def slow(event: object, data: bytes | None) -> None:
        assert isinstance(event, dict)
        if event["event"] == "node_finished":
            began.append(event["seconds"])
        if event["event"] == "log":
            lines[0] += 1
            lines[1] += event.get("left_out", 0)
            time.sleep(0.002 if lines[0] < 500 else 0)

    report = desk.submit(prompt(a=(kind, {"lines": 20_000})), slow).result(60)  # type: ignore[arg-type]
    assert report.state == "done"
    assert report.nodes["a"]["seconds"] < 5  # to tell all lines would take 40 s
    assert lines[0] < 20_000  # some were left out, and no memory was filled with them


def test_a_listener_that_raises_or_cancels_its_own_job_does_no_harm(desk: Desk) -> None:
    def listener(event: object, data: bytes | None) -> None:
        assert isinstance(event, dict)
        if event["event"] == "node_progress" and event["step"] == 2:
            assert desk.supervisor.cancel(event["job"]) == "running"
        raise RuntimeError("a listener's own fault")

    report = desk.submit(prompt(a=("Steps", {"value": 3, "steps": 500, "pause": 0.02})), listener).result(30)  # type: ignore[arg-type]
    assert report.state == "cancelled" and report.outputs == {"a": "cancelled"}
    assert report.running == ("a",)
    assert report.worker["killed"] is False


def test_jobs_wait_their_turn_and_can_be_awaited(desk: Desk) -> None:
    async def many() -> list[str]:
        jobs = [desk.submit(prompt(a=("Show", {"value": number}))) for number in range(5)]
        with pytest.raises(ValueError, match="already"):
            desk.supervisor.submit(JobRequest(jobs[-1].id, {}))
        return [(await job.wait()).nodes["a"]["ui"]["text"][0] for job in jobs]

    assert asyncio.run(many()) == [f"it is {number}" for number in range(5)]


def test_an_event_loop_hears_a_job_and_is_never_held_up(desk: Desk) -> None:
    """While a node spins, is ended, and the worker starts again, the loop goes on turning."""

    async def watch() -> tuple[float, list[str]]:
        loop, heard, gaps = asyncio.get_running_loop(), [], []

        async def tick() -> None:
            while True:
                began = loop.time()
                await asyncio.sleep(0.005)
                gaps.append(loop.time() - began)

        ticking = asyncio.create_task(tick())
        started = asyncio.Event()

        def hear(event: Mapping[str, Any], data: bytes | None) -> None:
            heard.append(event["event"])
            if event["event"] == "node_started":
                started.set()

        for _ in range(3):
            job = desk.submit(prompt(a=("Spin", {})), listener_in(loop, hear))  # type: ignore[arg-type]
            await started.wait()
            started.clear()
            desk.supervisor.cancel(job.id)
            assert (await job.wait()).state == "cancelled"
        await asyncio.sleep(0.01)
        ticking.cancel()
        return max(gaps), heard

    longest, heard = asyncio.run(watch())
    print(f"the event loop stood still for {longest * 1000:.0f} ms at most")  # noqa: T201
    assert longest < 0.5  # 50 ms is the aim; machines that run tests are shared
    assert heard == ["job_started", "run_started", "node_started", "run_finished", "job_finished"] * 3


def test_two_hundred_jobs_in_a_row(desk: Desk) -> None:
    jobs = [desk.submit(prompt(a=("CountUp", {"value": n}), b=("Show", {"value": "a:0"}))) for n in range(200)]
    began = time.monotonic()
    texts = [job.result(60).nodes["b"]["ui"]["text"][0] for job in jobs]
    print(f"200 jobs: {time.monotonic() - began:.2f} s")  # noqa: T201
    assert texts == [f"it is {n + 1}" for n in range(200)]  # in order, in one process
    assert desk.supervisor.status().starts == 1


def test_a_document_can_be_text_that_only_the_worker_reads(desk: Desk) -> None:
    graph = prompt(a=("Die", {"how": "exit"}))
    report = desk.submit(json.dumps(graph).encode()).result(30)  # type: ignore[arg-type]
    assert report.problems[0].node_title == "My a"
    report = desk.submit(json.dumps({"prompt": prompt(a=("Show", {"value": 1}))}).encode()).result(30)  # type: ignore[arg-type]
    assert report.state == "done"
    for text in (b"{", b"[]", b'{"a": 1, "a": 2}', b"\xff"):
        report = desk.submit(text).result(30)  # type: ignore[arg-type]
        assert (report.state, report.problems[0].code, report.exit_code) == ("failed", "E-DOCUMENT", 2), text
    with pytest.raises(TypeError):
        desk.submit({"a": object()})
    assert desk.submit(prompt(a=("Show", {"value": 1}))).result(30).state == "done"


def test_other_settings_for_a_job_make_another_session(desk: Desk, tmp_path: Path) -> None:
    from engine.settings import Settings

    graph = prompt(a=("Show", {"value": 1}))
    assert desk.submit(graph).result(30).outputs == {"a": "done"}
    other = Settings(tmp_path, device="cpu", metadata="none")
    assert desk.submit(graph, settings=other).result(30).outputs == {"a": "done"}
    assert desk.submit(graph, settings=other).result(30).outputs == {"a": "cached"}


def test_an_eager_worker_is_there_before_the_first_job(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk({"eager": True})
    deadline = time.monotonic() + 30
    while desk.supervisor.status().state != "idle" and time.monotonic() < deadline:
        time.sleep(0.01)
    status = desk.supervisor.status()
    assert status.state == "idle" and status.start_seconds is not None and (status.held_bytes or 1) > 0
    print(f"the worker was ready after {status.start_seconds:.2f} s")  # noqa: T201
    assert desk.supervisor.ping().result(5) == {}
    assert status.pid is not None
    assert desk.submit(prompt(a=("Show", {"value": 1}))).result(30).state == "done"
    os.kill(status.pid, signal.SIGTERM)  # dies while idle: the next one is started at once
    while desk.supervisor.status().starts < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert desk.submit(prompt(a=("Show", {"value": 1}))).result(30).state == "done"


def test_a_worker_that_cannot_start_fails_the_job_and_says_why(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk({"session": "worker_nodes:broken_session", "eager": True})
    for _ in range(2):
        report = desk.submit(prompt(a=("Show", {"value": 1})), outputs=["a"]).result(30)
        assert report.state == "failed" and report.outputs == {"a": "failed"}
        assert report.problems[0].code == "E-WORKER"
        assert "no session today" in (report.problems[0].got or "")


def test_closing_ends_all_that_waits_and_runs_and_the_worker(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    running, _ = desk.begin(prompt(a=("Sleep", {"seconds": 60})), "a")
    waiting = desk.submit(prompt(a=("Show", {"value": 1})), outputs=["a"])
    pid = desk.supervisor.status().pid
    desk.supervisor.close()
    assert running.result(0).state == waiting.result(0).state == "cancelled"
    assert waiting.result(0).outputs == {"a": "cancelled"}
    assert pid is not None and gone_within(pid, 1)
    with pytest.raises(RuntimeError, match="closed"):
        desk.submit(prompt(a=("Show", {"value": 1})))


ORPHAN = """
import sys, threading
sys.path[:0] = {path!r}
from job_desk import Desk, OPTIONS, prompt
from engine.jobs.supervisor import Supervisor
from engine.settings import Settings
from pathlib import Path
desk = Desk(Supervisor(Settings(Path({base!r}), device="cpu"), OPTIONS))
job, heard = desk.begin(prompt(a=({kind!r}, {inputs!r})), "a")
if "mark" in {inputs!r}:
    while not Path({inputs!r}["mark"]).exists():
        pass
print(desk.supervisor.status().pid, flush=True)
threading.Event().wait()
"""


@LINUX
@pytest.mark.parametrize("kind", ["Sleep", "SleepInC", "Fork"])
def test_a_worker_ends_with_its_supervisor(kind: str, tmp_path: Path, root: Path) -> None:
    """Also when a node holds the interpreter's lock, and with what nodes have forked."""
    mark = tmp_path / "mark"
    inputs = {"mark": str(mark), "then": "stay"} if kind == "Fork" else {"seconds": 60}
    path = [str(root), str(root / "tests" / "jobs")]
    script = ORPHAN.format(path=path, base=str(tmp_path), kind=kind, inputs=inputs)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        began = time.monotonic()
        parent.kill()
    assert gone_within(worker, 2)
    print(f"the worker of a dead supervisor was gone after {time.monotonic() - began:.3f} s")  # noqa: T201
    if kind == "Fork":
        assert gone_within(int(mark.read_text()), 2)
