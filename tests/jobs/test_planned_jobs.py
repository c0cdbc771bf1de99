"""Jobs in a worker keep to a plan where their device is streamed to, as runs in this process do."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from job_desk import Desk, Heard
from tiny_checkpoint import make_base_directory, text_to_image, write_tiny_checkpoint
from tiny_families import write_tiny_family

from engine.families import memory_plan
from engine.jobs.following import PlannedRuns
from engine.jobs.options import SupervisorOptions
from engine.jobs.previews import PreviewOptions
from engine.jobs.records import JobReport, JobRequest
from engine.jobs.supervisor import Supervisor
from engine.session import Session
from engine.settings import Settings

SMALL = "sim:6MiB"
LARGE = "sim:1GiB"
NAMES = ("tiny.safetensors", "other.safetensors")
OUTSIDE = """
class AskElsewhere:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    CATEGORY = "test"
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"image": ("IMAGE",)}}}}
    async def go(self, image):
        return write(image)

class Write(AskElsewhere):
    def go(self, image):
        return write(image)

class WriteAndGive(Write):
    OUTPUT_NODE = True

def write(image):
    with open({log!r}, "a") as file:
        file.write("x")
    return (image,)

NODE_CLASS_MAPPINGS = {{"AskElsewhere": AskElsewhere, "Write": Write, "WriteAndGive": WriteAndGive}}
"""


@pytest.fixture
def base(root: Path, tmp_path: Path) -> Path:
    return make_base_directory(tmp_path, root)


@pytest.fixture
def make_desk(base: Path) -> Any:
    made: list[Supervisor] = []

    def make(device: str, **changed: Any) -> Desk:
        settings = Settings(
            base, output_directory=base / "out", device=device, disk_cache_bytes=1 << 30, cache_directory=base / "kept"
        )
        options = SupervisorOptions(previews=PreviewOptions(size=0))
        made.append(Supervisor(dataclasses.replace(settings, **changed), options))
        return Desk(made[-1])

    yield make
    for one in made:
        one.close()


def done(desk: Desk, prompt: dict[str, Any], **more: Any) -> JobReport:
    report = desk.submit(prompt, **more).result(120)
    assert report.state == "done", report.problems
    return report


def picture(report: JobReport) -> str:
    (file,) = report.nodes["9"]["files"]
    return str(file["sha256"])


def kept_to(report: JobReport) -> int:
    """Return the bytes that a job moved, which were those that were planned."""
    plan = report.plan
    assert plan is not None and plan["reason"] is None
    assert plan["replans"] == 0
    assert plan["planned_bytes"] == plan["moved_bytes"]
    return int(plan["moved_bytes"])


def test_a_job_moves_what_was_planned(make_desk: Any) -> None:
    whole = done(make_desk("cpu"), text_to_image(Sampler__steps=3))
    assert whole.plan is None
    desk = make_desk(SMALL, cache_mode="none")
    first = done(desk, text_to_image(Sampler__steps=3))
    assert picture(first) == picture(whole)
    assert kept_to(first) > 0


@pytest.mark.parametrize("device", [SMALL, LARGE])
def test_what_a_job_left_on_the_device_is_not_moved_again(make_desk: Any, device: str) -> None:
    desk = make_desk(device, cache_mode="none")
    cold, warm, again = (kept_to(done(desk, text_to_image(Sampler__steps=3, Sampler__seed=seed))) for seed in (1, 2, 3))
    assert max(warm, again) < cold
    assert (warm == again == 0) == (device == LARGE)


def test_checkpoints_that_take_turns_stay_where_there_is_room_for_both(make_desk: Any, base: Path) -> None:
    one = base / "models/checkpoints"
    write_tiny_family(one / "other.safetensors", "sdxl")
    desk = make_desk(LARGE, cache_mode="none")
    prompts = [
        text_to_image(Sampler__steps=1),
        text_to_image(Sampler__steps=1, Checkpoint__ckpt_name="other.safetensors"),
    ]
    moved = [kept_to(done(desk, prompts[number % 2])) for number in range(4)]
    assert moved[0] > 0 and moved[1] > 0 and moved[2:] == [0, 0]


def test_what_is_cached_is_not_planned(make_desk: Any) -> None:
    """Prompts are not encoded again, so their weights are not needed; what is all there moves nothing."""
    desk = make_desk(SMALL)
    first = done(desk, text_to_image(Sampler__steps=3))
    whole, rest = kept_to(first), kept_to(done(desk, text_to_image(Sampler__steps=3, Sampler__seed=2)))
    assert 0 < rest < whole
    again = done(desk, text_to_image(Sampler__steps=3))
    assert kept_to(again) == 0 and picture(again) == picture(first)
    encoded = done(make_desk(SMALL, cache_mode="none"), text_to_image(Sampler__steps=3), outputs=["6"])
    assert 0 < kept_to(encoded) < whole  # of what is not asked for nothing is planned


def test_a_run_that_cannot_be_planned_goes_on_all_the_same(
    base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(Settings(base, output_directory=base / "out", device=SMALL, cache_mode="none"))
    runs, graph = PlannedRuns(session), session.load(text_to_image(Sampler__steps=2))

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("no plans today")

    monkeypatch.setattr(memory_plan, "plan_memory", fails)
    result, plan = runs.run(graph)
    assert not result.made.errors
    assert plan is not None and "no plans today" in plan["reason"]
    assert plan["policy"] == "recency" and plan["planned_bytes"] is None
    assert plan["moved_bytes"] > 0 and plan["replans"] == 0
    assert any("no plans today" in record.getMessage() for record in caplog.records)


def test_a_budget_that_is_too_small_is_refused_before_anything_runs(make_desk: Any) -> None:
    heard = Heard()
    report = make_desk("sim:100KiB").submit(text_to_image(), heard).result(120)
    assert report.state == "failed" and report.exit_code == 2 and not report.nodes
    assert "cannot hold even one block" in report.problems[0].message
    assert "node_started" not in heard.names()


def test_a_cancelled_job_ends_as_one(make_desk: Any) -> None:
    """Also one that is stopped while it is planned."""
    desk, heard = make_desk(SMALL), Heard()
    job = desk.submit(text_to_image(Sampler__steps=10_000), heard)
    heard.wait_for("job_started", timeout=60)
    desk.supervisor.cancel(job.id)
    assert job.result(60).state == "cancelled"


def test_the_command_run_reports_the_same_plan_from_here_and_from_a_worker(base: Path, root: Path) -> None:
    workflow = base / "prompt.json"
    workflow.write_text(json.dumps(text_to_image(Sampler__steps=3)))

    def run(*more: str) -> dict[str, Any]:
        command = [sys.executable, "main.py", "run", str(workflow), "--base-directory", str(base), "--json", *more]
        made = subprocess.run(
            [*command, "--cache-none", "--disk-cache-bytes", "0"], capture_output=True, text=True, cwd=root, check=True
        )
        found: dict[str, Any] = json.loads(made.stdout)
        return found

    whole, here, apart = run("--device", "cpu"), run("--device", SMALL), run("--device", SMALL, "--isolated")
    assert whole["plan"] is None
    assert here["plan"] == apart["plan"]
    assert apart["plan"]["planned_bytes"] == apart["plan"]["moved_bytes"] > 0
    files = [one["outputs"][0]["files"][0]["sha256"] for one in (whole, here, apart)]
    assert files[0] == files[1] == files[2]


def test_what_comes_next_decides_what_stays(make_desk: Any, base: Path) -> None:
    """Two checkpoints take turns on a device that holds one of them and a part of the other."""
    write_tiny_checkpoint(base / "models/checkpoints/other.safetensors", seed=5)
    prompts = [
        text_to_image(Sampler__steps=1, Checkpoint__ckpt_name=name)
        for name in ("tiny.safetensors", "other.safetensors")
    ]

    def moved(told: bool) -> int:
        desk = make_desk("sim:12MiB", cache_mode="none", disk_cache_bytes=0)
        jobs = [prompts[number % 2] for number in range(5)]
        coming = [JobRequest("next", one) if told else None for one in jobs[1:]]
        reports = [desk.submit(one, coming=then) for one, then in zip(jobs, [*coming, None], strict=True)]
        return sum(kept_to(one.result(120)) for one in reports)

    assert moved(told=True) < moved(told=False)


def test_what_comes_next_may_be_anything(make_desk: Any) -> None:
    """A workflow that cannot be read, or lacks its model, is its own job's to tell."""
    desk = make_desk(SMALL, cache_mode="none")
    for document in (
        b"no workflow",
        {"1": {"class_type": "Nothing", "inputs": {}}},
        text_to_image(Checkpoint__ckpt_name="-"),
    ):
        kept_to(done(desk, text_to_image(Sampler__steps=1), coming=JobRequest("next", document)))


def test_nodes_of_packs_are_not_run_to_plan(make_desk: Any, base: Path) -> None:
    """They run once; what they give is not known before, so there is no plan."""
    (base / "custom_nodes").mkdir(exist_ok=True)
    (base / "custom_nodes" / "outside.py").write_text(OUTSIDE.format(log=str(base / "log")))
    desk = make_desk(SMALL, cache_mode="none", trust_packs=True)
    for kind in ("AskElsewhere", "Write", "WriteAndGive"):
        prompt = text_to_image(Sampler__steps=1)
        prompt["30"] = {"class_type": kind, "inputs": {"image": ["8", 0]}}
        prompt["9"]["inputs"]["images"] = ["30", 0]
        (base / "log").unlink(missing_ok=True)
        report = done(desk, prompt)
        assert (base / "log").read_text() == "x"
        assert report.plan is not None and "run by runs alone" in report.plan["reason"]
        kept_to(done(desk, text_to_image(Sampler__steps=1)))
