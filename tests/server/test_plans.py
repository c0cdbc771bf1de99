"""Plans of memory over a real socket, made by a real process: the same as the command line's, and in nobody's way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import make_base_directory, text_to_image, write_tiny_checkpoint

from engine.cli.entry import main
from engine.server.plans import Planning, first_card
from engine.server.running import Parts

REAL = Parts(eager=False, warm=False)
CARD = {"vram": "8GiB", "link": "12GB/s"}
LONG = 10_000


@pytest.fixture
def base(tmp_path: Path, root: Path) -> Path:
    return make_base_directory(tmp_path, root)


def test_it_is_the_plan_of_the_command_line(serve: Any, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To the byte and the tenth of a millisecond; a second question is answered from what is kept."""
    prompt = text_to_image()
    file = base / "prompt.json"
    file.write_text(json.dumps(prompt))
    assert main(["plan", str(file), "--base-directory", str(base), "--json", "--vram", "8GiB", "--link", "12GB/s"]) == 0
    printed = json.loads(capsys.readouterr().out)

    async def journey(caller: Any) -> None:
        first = await caller.post("/plan", {"prompt": prompt, **CARD})
        assert first == printed and first["fits"]
        assert {node["title"] for node in first["nodes"]} == {"Prompt", "Negative", "Sampler", "Decode"}
        began = time.perf_counter()
        assert await caller.post("/plan", {"prompt": prompt, **CARD}) == first
        assert time.perf_counter() - began < 0.2
        longer = await caller.post("/plan", {"prompt": text_to_image(Sampler__steps=40), **CARD})
        assert longer["compute_seconds"] > first["compute_seconds"]
        named = await caller.post("/plan", {"prompt": prompt, "card": "RTX 3060"})
        assert named["card"]["name"] == "rtx3060" and named["card"]["vram_bytes"] == 12 << 30
        small = await caller.post("/plan", {"prompt": prompt, "vram": "600MiB"})
        assert not small["fits"] and any(node["would_fit"] for node in small["nodes"])
        assert await caller.get("/queue") == {"queue_running": [], "queue_pending": []}
        assert caller.state.supervisor.status().starts == 0  # nothing that computes was started

    serve(journey, parts=REAL)
    assert not list((base / "output").iterdir())


def test_it_refuses_what_prompt_refuses_and_cards_that_are_none(serve: Any) -> None:
    async def journey(caller: Any) -> None:
        for body in ({}, {"prompt": {"1": {"class_type": "Nothing", "inputs": {}}}}, []):
            answers = [await caller.raw("POST", path, json=body) for path in ("/plan", "/prompt")]
            assert answers[0][0] == 400
            assert answers[0][2] == answers[1][2]
        wrong = text_to_image(Checkpoint__ckpt_name="gone.safetensors")
        assert "4" in (await caller.post("/plan", {"prompt": wrong}, 400))["node_errors"]
        for card in ({"vram": 8}, {"vram": "much"}, {"vram": "0.5GiB"}, {"link": "fast"}, {"card": "voodoo2"}):
            told = await caller.post("/plan", {"prompt": text_to_image(), **card}, 400)
            assert told["error"]["message"], card

    serve(journey, parts=REAL)


PACK = """
import torch

def log(text):
    with open({log!r}, "a") as file:
        file.write(text + "\\n")

log("imported")

class Polish:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    CATEGORY = "test"
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"image": ("IMAGE",), "model": ("MODEL",)}}}}
    def go(self, image, model):
        log("ran")
        return (image * torch.ones(1 << 20).mean(),)

class Ask(Polish):
    async def go(self, image, model):
        log("asked")
        return (image,)

class Fail(Polish):
    def go(self, image, model):
        log("failed")
        raise ValueError("not today")

class Leave(Polish):
    def go(self, image, model):
        import os
        log("left")
        os._exit(3)

NODE_CLASS_MAPPINGS = {{"Polish": Polish, "Ask": Ask, "Fail": Fail, "Leave": Leave}}
"""


def polished(kind: str = "Polish") -> dict[str, Any]:
    prompt = text_to_image(Sampler__steps=2)
    prompt["30"] = {"class_type": kind, "inputs": {"image": ["8", 0], "model": ["4", 0]}}
    prompt["9"]["inputs"]["images"] = ["30", 0]
    return prompt


@pytest.fixture
def pack(base: Path) -> Path:
    """A pack that writes down what it does, approved."""
    (base / "custom_nodes").mkdir(exist_ok=True)
    file = base / "custom_nodes" / "polish.py"
    file.write_text(PACK.format(log=str(base / "log")))
    assert main(["packs", "trust", "polish", "--base-directory", str(base)]) == 0
    return file


def logged(base: Path, word: str) -> int:
    return (base / "log").read_text().split().count(word) if (base / "log").exists() else 0


def test_nodes_of_packs_are_planned_as_on_the_command_line(
    serve: Any, base: Path, pack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known before its first run is measured by it, and the next plan knows."""
    (base / "prompt.json").write_text(json.dumps(polished()))
    monkeypatch.setenv("SAFELIGHT_DISK_CACHE_BYTES", str(1 << 30))
    kept = {"disk_cache_bytes": 1 << 30, "cache_mode": "none"}  # results are not kept, what was measured is

    def printed() -> Any:
        capsys.readouterr()
        options = ["--base-directory", str(base), "--json", "--vram", "8GiB", "--link", "12GB/s"]
        assert main(["plan", str(base / "prompt.json"), *options]) == 0
        return json.loads(capsys.readouterr().out)

    async def journey(caller: Any) -> None:
        for basis in ("unknown", "measured"):
            plan = await caller.post("/plan", {"prompt": polished(), "packs": True, **CARD})
            assert {node["node"]: node["basis"] for node in plan["nodes"]}["30"] == basis
            assert plan == await asyncio.to_thread(printed)
            ran = logged(base, "ran")
            assert await caller.post("/plan", {"prompt": polished(), "packs": True, **CARD}) == plan
            assert logged(base, "ran") == ran
            await ended(caller, (await caller.post("/prompt", {"prompt": polished()}))["prompt_id"])

    serve(journey, parts=REAL, given=kept)


def test_what_was_not_approved_is_not_imported_for_a_plan(serve: Any, base: Path, pack: Path) -> None:
    """Also where it was changed after the server had read it."""

    async def journey(caller: Any) -> None:
        assert "nodes" in await caller.post("/plan", {"prompt": polished(), "packs": True, **CARD})
        pack.write_text(pack.read_text().replace('"imported"', '"sneaked in"'))
        caller.state.planning._end()  # as after two idle minutes
        assert await caller.post("/plan", {"prompt": polished("Ask"), **CARD}) == {"planned": False, "foreign": ["30"]}
        assert "nodes" in await caller.post("/plan", {"prompt": text_to_image(), **CARD})

    serve(journey, parts=REAL)
    assert logged(base, "imported") and not logged(base, "sneaked")


@pytest.mark.parametrize("kind", ["Polish", "Ask"])
def test_nodes_of_packs_are_not_run_for_a_plan_unless_somebody_says_so(
    serve: Any, base: Path, pack: Path, kind: str
) -> None:
    """The editor asks after every change; what a node of a pack writes or pays is for runs."""
    told = {"Polish": "ran", "Ask": "asked"}[kind]

    async def journey(caller: Any) -> None:
        answer = {"planned": False, "packs": ["30"]}
        assert await caller.post("/plan", {"prompt": polished(kind), **CARD}) == answer
        assert logged(base, "imported") and not logged(base, told)
        assert "nodes" in await caller.post("/plan", {"prompt": polished(kind), "packs": True, **CARD})
        assert logged(base, told) == 1
        assert await caller.post("/plan", {"prompt": polished(kind), **CARD}) == answer

    serve(journey, parts=REAL)


def test_what_failed_is_not_tried_at_every_question(serve: Any, base: Path, pack: Path) -> None:
    async def journey(caller: Any) -> None:
        refused = [
            await caller.post("/plan", {"prompt": polished("Fail"), "packs": True, **CARD}, 400) for _ in range(3)
        ]
        assert "not today" in refused[0]["error"]["message"]
        assert refused[1] == refused[2] == refused[0] and logged(base, "failed") == 1
        told = [await caller.post("/plan", {"prompt": polished("Leave"), "packs": True, **CARD}) for _ in range(3)]
        assert told == [{"planned": False, "fault": "the planner's process ended"}] * 3
        assert logged(base, "left") == 2  # it is tried again, once: it may have been chance
        kept = caller.state.planning._kept
        kept.update({key: (0.0, answer) for key, (_, answer) in kept.items()})  # as after five minutes
        await caller.post("/plan", {"prompt": polished("Fail"), "packs": True, **CARD}, 400)
        assert logged(base, "failed") == 2

    serve(journey, parts=REAL)


def test_nodes_of_no_known_type_are_named(serve: Any, base: Path) -> None:
    """The nodes of this session are no native ones: what they would do is not known."""

    async def journey(caller: Any) -> None:
        graph = {
            "n": {"class_type": "Number", "inputs": {"value": 1}},
            "s": {"class_type": "SaveText", "inputs": {"value": ["n", 0]}},
        }
        caller.state.planning._setup["session"] = REAL.session
        assert await caller.post("/plan", {"prompt": graph}) == {"planned": False, "foreign": ["n", "s"]}
        assert not list((base / "output").iterdir())

    serve(journey)


def test_a_plan_that_nobody_waits_for_or_that_takes_too_long_ends(serve: Any) -> None:
    """What asks goes away: the process stops that plan and answers the next one; too slow: it is ended."""

    async def journey(caller: Any) -> None:
        planning: Planning = caller.state.planning
        planning._setup["settings"]["disk_cache_bytes"] = 1 << 30  # what is learnt of networks is kept there
        await caller.post("/plan", {"prompt": text_to_image(), **CARD})
        process = planning._process
        assert process is not None
        long = {"prompt": text_to_image(Sampler__steps=LONG), **CARD}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.post("/plan", long), 0.5)
        began = time.perf_counter()
        beside = asyncio.create_task(caller.get("/queue"))
        await caller.post("/plan", {"prompt": text_to_image(Sampler__cfg=3.0), **CARD})
        assert beside.done()
        assert time.perf_counter() - began < 3
        planning.seconds = 0.3
        told = await caller.post("/plan", {"prompt": text_to_image(Sampler__steps=LONG, Sampler__seed=1), **CARD}, 503)
        assert told["error"]["type"] == "plan_too_slow"
        planning.seconds = 40
        assert (await caller.post("/plan", {"prompt": text_to_image(Sampler__seed=2), **CARD}))["fits"]
        await asyncio.wait_for(process.wait(), 5)
        assert planning._process is not None and planning._process.pid != process.pid

    serve(journey, parts=REAL)


def test_the_card_that_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, NVIDIA GeForce RTX 4060, 8188, 8000'\necho '1, NVIDIA A100, 40960, 40000'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert first_card("auto") == ("NVIDIA GeForce RTX 4060", 8188 << 20)
    assert first_card("cuda:1") == ("NVIDIA A100", 40960 << 20)
    assert first_card("cpu") is None
    from engine.jobs.planner import card_of

    card = card_of({"found": ["NVIDIA GeForce RTX 4060 Ti", 16380 << 20]})
    assert (card.total_bytes, card.memory_speed) == (16380 << 20, 260e9)


def test_what_weights_take_is_told_while_a_job_runs_and_afterwards(serve: Any, base: Path) -> None:
    async def journey(caller: Any) -> None:
        assert await caller.get("/memory") == {}
        async with caller.session.ws_connect(f"{caller.url}/ws?watch=*&since=0") as socket:
            queued = await caller.post("/prompt", {"prompt": text_to_image(Sampler__steps=2)})
            told = []
            while True:
                message = await socket.receive_json()
                told.append(message)
                data = message["data"]
                if message["type"] == "executing" and data.get("node") is None and "prompt_id" in data:
                    assert data["prompt_id"] == queued["prompt_id"]
                    break
        held = [message["data"] for message in told if message["type"] == "memory"]
        assert held and all("n" not in message for message in told if message["type"] == "memory")
        last = await caller.get("/memory")
        assert last == {**held[-1], "time": last["time"]} and last["time"] >= held[-1]["time"]
        assert last["ram_bytes"] > 1 << 20 and last["cache_limit"] > last["cache_bytes"] > 0
        assert sum(model["ram_bytes"] for model in last["models"]) >= last["ram_bytes"]
        _, _, metrics = await caller.raw("GET", "/metrics")
        assert f'safelight_weights_bytes{{tier="ram"}} {last["ram_bytes"]}' in metrics.decode()
        assert f'safelight_cache_bytes{{tier="memory"}} {last["cache_bytes"]}' in metrics.decode()
        assert 'safelight_cache_limit_bytes{tier="disk"} 0' in metrics.decode()  # no disk tier was asked for
        await caller.post("/free", {"unload_models": True, "free_memory": True})
        for _ in range(100):
            last = await caller.get("/memory")
            if not last["cache_bytes"] and not last["ram_bytes"]:
                break
            await asyncio.sleep(0.1)
        assert last["cache_bytes"] == last["ram_bytes"] == 0

    serve(journey, parts=REAL)


async def drawn(caller: Any, base: Path, together: bool) -> list[tuple[str, Any]]:
    """Let two checkpoints take turns, queued together or one after the other: sha256 and plan of each job."""
    await caller.post("/queue", {"pause": together})
    queued, found = [], []
    for number in range(4):
        name = ("tiny.safetensors", "other.safetensors")[number % 2]
        prompt = text_to_image(Sampler__steps=1, Sampler__seed=number, Checkpoint__ckpt_name=name)
        queued.append((await caller.post("/prompt", {"prompt": prompt}))["prompt_id"])
        if not together:
            await ended(caller, queued[-1])
    await caller.post("/queue", {"pause": False})
    for id in queued:
        job = await ended(caller, id)
        (file,) = job["nodes"]["9"]["files"]
        data = (base / "output" / file["subfolder"] / file["filename"]).read_bytes()
        found.append((hashlib.sha256(data).hexdigest(), job["execution_status"].get("plan")))
    return found


async def ended(caller: Any, id: str) -> Any:
    while (job := await caller.get(f"/api/jobs/{id}"))["status"] in ("pending", "in_progress"):
        await asyncio.sleep(0.05)
    assert job["status"] == "completed", job
    return job


def test_jobs_on_a_device_that_is_streamed_to_keep_to_their_plans(serve: Any, base: Path) -> None:
    """The bytes of each are those that were planned; where the next job is known, together they are fewer."""
    write_tiny_checkpoint(base / "models/checkpoints/other.safetensors", seed=5)
    made: dict[tuple[str, bool], list[tuple[str, Any]]] = {}
    for device, together in (("cpu", True), ("sim:12MiB", True), ("sim:12MiB", False)):

        async def journey(caller: Any, device: str = device, together: bool = together) -> None:
            made[device, together] = await drawn(caller, base, together)

        serve(journey, parts=REAL, given={"device": device})
    whole, known, unknown = made.values()
    assert [one for one, _ in whole] == [one for one, _ in known] == [one for one, _ in unknown]
    assert all(plan is None for _, plan in whole)
    for _, plan in (*known, *unknown):
        assert plan["policy"] == "next use" and plan["reason"] is None and plan["replans"] == 0
        assert plan["moved_bytes"] == plan["planned_bytes"]
    assert 0 < sum(plan["moved_bytes"] for _, plan in known) < sum(plan["moved_bytes"] for _, plan in unknown)
