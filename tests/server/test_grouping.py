"""Jobs in the order of their models: fewer loads, the same turns of clients, nobody waits for ever."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_checkpoint import make_base_directory, text_to_image

from engine.graph.registry import load_package
from engine.server.grouping import MOST_OVERTAKEN, Grouping, _model_inputs, models_of
from engine.server.job_rows import QueuedJob
from engine.server.running import Parts
from engine.server.waiting import WaitingJobs

LOADER = {"CheckpointLoaderSimple": {"ckpt_name": "checkpoints"}}


class ByModel(Grouping):
    """Takes the prompt's own word for the model."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs = LOADER


def job(waiting: WaitingJobs, id: str, client: str, model: str, number: float | None = None) -> QueuedJob:
    place = waiting.place({} if number is None else {"number": number}, client)
    prompt = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}}}
    made = QueuedJob(id, place.number, client, json.dumps(prompt), "{}", (), 0.0, turn=place.turn)
    waiting.put(made, shared=place.shared)
    return made


def order(jobs: list[tuple[str, str]], grouped: bool) -> list[str]:
    """Return the ids in which jobs (client, model) run; ids are numbers, as they came."""
    waiting = WaitingJobs()
    waiting.grouping = ByModel() if grouped else None
    for number, (client, model) in enumerate(jobs):
        job(waiting, str(number), client, model)
    ran = []
    while (one := waiting.next()) is not None:
        ran.append(one.id)
    return ran


def changes(jobs: list[tuple[str, str]], ran: list[str]) -> int:
    models = [jobs[int(id)][1] for id in ran]
    return sum(a != b for a, b in itertools.pairwise(models))


JOBS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=24)


@settings(max_examples=100, deadline=None)
@given(JOBS)
def test_each_runs_once_and_clients_keep_their_turns(jobs: list[tuple[str, str]]) -> None:
    plain, grouped = order(jobs, False), order(jobs, True)
    assert sorted(grouped) == sorted(plain)
    assert [jobs[int(id)][0] for id in grouped] == [jobs[int(id)][0] for id in plain]
    for client in "abc":  # of one client and one model the order stays
        for model in "xyz":
            own = [int(id) for id in grouped if jobs[int(id)] == (client, model)]
            assert own == sorted(own)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=20))
def test_one_client_alone_changes_models_as_seldom_as_can_be(models: list[str]) -> None:
    jobs = [("a", model) for model in models]
    assert changes(jobs, order(jobs, True)) == len(set(models)) - 1


def test_nobody_is_passed_over_for_ever() -> None:
    jobs = [("a", "x"), ("a", "y"), *[("a", "x")] * 60]
    assert order(jobs, True).index("1") == 1 + MOST_OVERTAKEN


def test_a_place_that_was_chosen_is_kept() -> None:
    waiting = WaitingJobs()
    waiting.grouping = ByModel()
    for id, model, number in (("1", "x", None), ("2", "y", None), ("3", "x", None), ("4", "y", 0.5), ("5", "x", 0.7)):
        job(waiting, id, "a", model, number)
    assert [one.id for one in iter(waiting.next, None)] == ["4", "5", "1", "3", "2"]


def test_jobs_that_are_taken_back_leave_nothing() -> None:
    waiting = WaitingJobs()
    waiting.grouping = ByModel()
    for number in range(6):
        job(waiting, str(number), "a", "xy"[number % 2])
    assert waiting.next() is not None
    waiting.drop([str(number) for number in range(6)])
    assert not waiting.grouping._known and not waiting.grouping._overtaken and len(waiting) == 0


def test_which_models_a_prompt_names() -> None:
    inputs = _model_inputs(load_package("nodes"))
    prompt = text_to_image(Checkpoint__ckpt_name="a.safetensors")
    prompt["20"] = {"class_type": "LoraLoader", "inputs": {"lora_name": "b.safetensors", "model": ["4", 0]}}
    prompt["21"] = {"class_type": "LoadImage", "inputs": {"image": "c.png"}}
    assert models_of(prompt, inputs) == {("checkpoints", "a.safetensors"), ("loras", "b.safetensors")}
    assert (
        models_of({"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ["2", 0]}}}, inputs) == set()
    )


@pytest.fixture
def base(tmp_path: Path, root: Path) -> Path:
    found = make_base_directory(tmp_path, root)
    checkpoint = next((found / "models/checkpoints").glob("*.safetensors"))
    shutil.copy(checkpoint, checkpoint.with_name("other.safetensors"))
    return found


@pytest.mark.parametrize("order", ["submitted", "models"])
def test_a_real_queue(order: str, serve: Any, base: Path) -> None:
    """Two checkpoints in turn, queued while the queue stands still: grouped or as they came, with the same pictures."""
    names = sorted(path.name for path in (base / "models/checkpoints").glob("*.safetensors"))

    async def journey(caller: Any) -> None:
        await caller.post("/queue", {"pause": True})
        for number in range(6):
            name = names[number % 2]
            prompt = text_to_image(Checkpoint__ckpt_name=name, Sampler__steps=1, Sampler__seed=number // 2)
            await caller.post("/prompt", {"prompt": prompt, "client_id": "me", "prompt_id": f"job{number}"})
        await caller.post("/queue", {"pause": False})
        await caller.idle()
        events = (await caller.get("/events", since=0))["events"]
        started = [one["job"] for one in events if one["type"] == "execution_start"]
        assert [one["job"] for one in events if one["type"] == "execution_success"] == started
        plain = [f"job{number}" for number in range(6)]
        assert started == (plain if order == "submitted" else plain[::2] + plain[1::2])

    serve(journey, parts=Parts(eager=False, warm=False), queue_order=order)


def test_random_queues_with_arrivals_while_it_runs() -> None:
    chance = random.Random(5)
    waiting = WaitingJobs()
    waiting.grouping = ByModel()
    queued, ran = 0, []
    for _ in range(400):
        if chance.random() < 0.55:
            job(waiting, str(queued), chance.choice("ab"), chance.choice("xyz"))
            queued += 1
        elif (one := waiting.next()) is not None:
            ran.append(one.id)
    ran += [one.id for one in iter(waiting.next, None)]
    assert sorted(map(int, ran)) == list(range(queued))
