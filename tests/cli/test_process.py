"""The command line as a process of its own: start-up, signals, limits, and the same bytes every time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import text_to_image

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def command(base: Path, tmp_path: Path, prompt: dict[str, Any], *more: str) -> list[str]:
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(prompt))
    folders = ["--base-directory", str(base), "--output-directory", str(tmp_path / "output")]
    return [sys.executable, "main.py", "run", str(workflow), *folders, *more]


def left_behind(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "output").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["validate", "workflows/text_to_image.json"], ["nodes"]]
)
def test_nothing_heavy_is_imported_to_answer_quickly(root: Path, arguments: list[str]) -> None:
    script = """
import sys
from engine.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "transformers", "numpy", "PIL", "rich", "spandrel", "safetensors"} & set(sys.modules)
print(sorted(heavy), file=sys.stderr)
"""
    run = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, cwd=root, check=True)
    assert done.stderr.strip().endswith("[]")


def test_two_processes_write_the_same_bytes(base: Path, tmp_path: Path, root: Path) -> None:
    run = command(base, tmp_path, text_to_image(Sampler__sampler_name="dpmpp_2m_sde", Size__batch_size=2), "--json")
    reports = [json.loads(subprocess.run(run, capture_output=True, cwd=root, check=True).stdout) for _ in range(2)]
    digests = [[file["sha256"] for file in report["outputs"][0]["files"]] for report in reports]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 2
    assert sorted(left_behind(tmp_path)) == [f"made_0000{index}_.png" for index in (1, 2, 3, 4)]


@POSIX
def test_ctrl_c_stops_within_a_step(base: Path, tmp_path: Path, root: Path) -> None:
    run = command(base, tmp_path, text_to_image(Sampler__steps=10_000, Size__width=256, Size__height=256), "--verbose")
    with subprocess.Popen(run, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_until_sampling(process)
            asked = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            took = time.monotonic() - asked
            errors = process.stderr.read() if process.stderr else ""
        finally:
            process.kill()
    assert process.returncode == 130
    assert "cancelled" in errors
    assert "Traceback" not in errors
    assert took < 20  # a step takes a fraction of a second; the machine may be busy
    assert not (tmp_path / "output").exists()


def _wait_until_sampling(process: subprocess.Popen[str]) -> None:
    """Read the log until the sampler reports its second step."""
    assert process.stderr is not None
    for line in process.stderr:
        if "Sampler: step 2" in line:
            return
    raise AssertionError("the run never began to sample")


@POSIX
def test_a_full_disk_fails_the_save_and_leaves_nothing(base: Path, tmp_path: Path, root: Path) -> None:
    import resource

    run = command(base, tmp_path, text_to_image())
    limited = subprocess.run(
        run,
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert limited.returncode == 1
    assert "not saved" in limited.stderr
    assert 'node 9 "Save"' in limited.stderr
    assert left_behind(tmp_path) == []


@POSIX
def test_a_reader_that_goes_away_is_no_error(root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "main.py", "nodes", "--json"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_standard_input(base: Path, tmp_path: Path, root: Path) -> None:
    run = command(base, tmp_path, {}, "--json")
    run[3] = "-"
    prompt = json.dumps(text_to_image())
    done = subprocess.run(run, input=prompt, capture_output=True, text=True, cwd=root, check=True)
    assert json.loads(done.stdout)["ok"] is True
