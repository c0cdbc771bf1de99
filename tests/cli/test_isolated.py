"""``run --isolated``: the same files and reports as without, and an end to whatever runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import text_to_image

from engine.errors import InputError, Problem
from engine.execution.events import NodeBlocked, NodeFailed, NodeFinished, RunStarted, Usage
from engine.execution.outcome import NodeOutcome, RunResult, State
from engine.graph.node_types import SavedFile
from engine.jobs.records import JobReport, event_from, event_record, result_record
from engine.settings import parse_bytes, read_settings

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def command(base: Path, tmp_path: Path, prompt: dict[str, Any], *more: str) -> list[str]:
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(prompt))
    folders = ["--base-directory", str(base), "--output-directory", str(tmp_path / "output"), "--device", "cpu"]
    return [sys.executable, "main.py", "run", str(workflow), *folders, *more]


def run(root: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


def test_a_run_in_a_worker_writes_the_same_bytes_and_the_same_report(base: Path, tmp_path: Path, root: Path) -> None:
    both = [
        json.loads(
            run(root, command(base, tmp_path, text_to_image(), "--json", "--set", "Sampler.seed=5", *more)).stdout
        )
        for more in ([], ["--isolated"])
    ]
    for one in both:
        assert one["ok"] and one.pop("peak_memory_bytes") > 10 << 20
        one.pop("seconds")
        for node in one["nodes"]:
            assert node.pop("seconds") >= 0 and node.pop("peak_bytes") != 0
        for file in one["outputs"][0]["files"]:
            file.pop("path"), file.pop("filename")
    assert both[0] == both[1]


def test_errors_and_exit_codes_are_those_of_a_run_in_this_process(base: Path, tmp_path: Path, root: Path) -> None:
    bad = text_to_image(Sampler__steps=0)
    missing = text_to_image()
    del missing["8"]["inputs"]["samples"]
    for prompt in (bad, missing):
        plain = run(root, command(base, tmp_path, prompt))
        isolated = run(root, command(base, tmp_path, prompt, "--isolated"))
        assert (isolated.returncode, isolated.stdout, isolated.stderr) == (2, plain.stdout, plain.stderr)


@POSIX
def test_ctrl_c_ends_a_run_in_a_worker(base: Path, tmp_path: Path, root: Path) -> None:
    prompt = text_to_image(Sampler__steps=10_000, Size__width=256, Size__height=256)
    more = ["--isolated", "--verbose"]
    with subprocess.Popen(
        command(base, tmp_path, prompt, *more), cwd=root, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert any("Sampler: step 2" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            asked = time.monotonic()
            errors = process.stderr.read()
            process.wait(timeout=60)
            took = time.monotonic() - asked
        finally:
            process.kill()
    assert process.returncode == 130
    assert "cancelled" in errors and "Traceback" not in errors
    assert took < 10
    assert not (tmp_path / "output").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_memory_limit_names_the_node(base: Path, tmp_path: Path, root: Path) -> None:
    prompt = text_to_image(Sampler__steps=10_000, Size__width=512, Size__height=512, Size__batch_size=4)
    done = run(root, command(base, tmp_path, prompt, "--max-ram", "330MiB", "--json"))
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["ok"]
    assert report["errors"][0]["code"] == "E-MEMORY"
    assert "--max-ram" in report["errors"][0]["message"] and report["errors"][0]["node_title"]
    assert run(root, command(base, tmp_path, prompt, "--max-ram", "much")).returncode == 2


def test_sizes_are_read_as_people_write_them() -> None:
    sizes = {
        "8GiB": 8 << 30,
        "8g": 8 << 30,
        "1.5 KiB": 1536,
        "500 MB": 500_000_000,
        "1024": 1024,
        "3 b": 3,
        "2T": 2 << 40,
    }
    assert {text: parse_bytes(text) for text in sizes} == sizes
    for text in ("", "much", "-1", "8iB", "8XB", "1e9"):
        with pytest.raises(InputError, match="number of bytes"):
            parse_bytes(text)
    settings = read_settings({"max_ram_bytes": "2GiB"}, {"SAFELIGHT_CANCEL_GRACE_S": "1.5"})
    assert (settings.max_ram_bytes, settings.cancel_grace_s) == (2 << 30, 1.5)
    for given in ({"max_ram_bytes": 0}, {"cancel_grace_s": -1}, {"cancel_grace_s": "soon"}):
        with pytest.raises(InputError):
            read_settings(given, {})


def test_events_come_back_as_they_were() -> None:
    file = SavedFile("/x/a.png", "output", "", "00")
    events = [
        RunStarted(("1",), ("2", "1")),
        NodeFinished("1", 0.5, {"text": ["a"]}, (file,), "0", Usage(7, 8)),
        NodeBlocked("3", None),
        NodeFailed("2", Problem("E-NODE", "no", "2", "Two")),
    ]
    assert [event_from(json.loads(json.dumps(event_record(one)))) for one in events] == events
    assert event_from({"event": "log"}) is None


def test_outcomes_come_back_as_they_were() -> None:
    file = SavedFile("/x/a.png", "output", "", "00")
    done = NodeOutcome(
        State.CACHED, 0.5, {"text": ["a"]}, (file,), retries=("smaller",), usage=Usage(7, 8), tier="disk"
    )
    late = NodeOutcome(State.SKIPPED, because="1")
    made = RunResult(("1", "2"), {"1": done, "2": late}, {}, 1.0)
    record = json.loads(json.dumps(result_record(made)))
    report = JobReport("job", "failed", record["outputs"], record["nodes"], seconds=1.0)
    assert report.as_result() == made
