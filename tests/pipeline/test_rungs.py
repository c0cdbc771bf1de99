"""Memory that falls short in the middle of a run: the report says what was done, the picture what may show in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import make_base_directory, text_to_image

from engine.execution.events import Event, NodeProgress
from engine.media.metadata import read_metadata
from engine.memory.sim_device import SimDevice
from engine.memory.streaming_residency import StreamingResidency
from engine.session import Result, Session
from engine.settings import Settings

MIB = 1 << 20


@pytest.fixture
def base(root: Path, tmp_path: Path) -> Path:
    return make_base_directory(tmp_path, root)


def drawn(
    base: Path, prompt: dict[str, Any], device: str, listen: Callable[[Session, Event], None] | None = None
) -> tuple[Result, Session]:
    session = Session(Settings(base, output_directory=base / "out", cache_mode="none", device=device))
    heard = None if listen is None else lambda event: listen(session, event)
    result = session.run(session.load(prompt), listener=heard)
    result.raise_for_failure()
    return result, session


def picture(result: Result) -> Any:
    return np.asarray(result.images["Save"][0])


def texts(result: Result) -> dict[str, str]:
    return read_metadata(Path(result.files[0].path))


def test_tiles_that_memory_forced_stand_in_the_picture(base: Path) -> None:
    """A picture of 384 whose decoding does not fit whole: it says in which tiles it was decoded."""
    prompt = text_to_image(Size__width=384, Size__height=384, Sampler__steps=1)
    whole, session = drawn(base, prompt, "sim:1GiB")
    assert "memory" not in texts(whole)
    models = session.services.models
    assert isinstance(models, StreamingResidency)
    small, _ = drawn(base, prompt, f"sim:{int(0.7 * models.streamed.most_made)}")
    said = json.loads(texts(small)["memory"])
    assert list(said) == ["8"] and "tiles" in said["8"]
    assert small.made.nodes["8"].retries[-1] == said["8"]
    assert {key: texts(small)[key] for key in texts(whole)} == texts(whole)


def test_memory_taken_while_a_node_samples(base: Path) -> None:
    """Another process takes memory after the first step: blocks give way, it is recorded, the picture is the same."""
    prompt = text_to_image(Sampler__steps=4)
    whole, _ = drawn(base, prompt, "cpu")
    taken: list[int] = []

    def take(session: Session, event: Event) -> None:
        models = session.services.models
        assert isinstance(models, StreamingResidency) and isinstance(models.streamed.device, SimDevice)
        if isinstance(event, NodeProgress) and event.node_id == "3" and not taken:
            ledger = models.streamed.device.ledger
            taken.append(ledger.free + models.streamed.device.held_bytes // 2)
            ledger.take_away(taken[0])

    from engine.jobs.following import follow_plan

    session = Session(Settings(base, output_directory=base / "out", cache_mode="none", device="sim:24MiB"))
    graph = session.load(prompt)
    follow_plan(session, graph)
    result = session.run(graph, listener=lambda event: take(session, event))
    result.raise_for_failure()
    assert taken
    assert np.array_equal(picture(result), picture(whole))
    assert "plan anew" in [rung for outcome in result.made.nodes.values() for rung in outcome.rungs]
    assert "memory" not in texts(result)  # nothing that shows
    models = session.services.models
    models.drop_unused()
    assert models.streamed.device.ledger.live == 0


def test_all_memory_taken_is_an_error_that_leaves_nothing(base: Path) -> None:
    prompt = text_to_image(Sampler__steps=3)
    session = Session(Settings(base, output_directory=base / "out", cache_mode="none", device="sim:24MiB"))
    models = session.services.models
    ledger = models.streamed.device.ledger

    def take(event: Event) -> None:
        if isinstance(event, NodeProgress) and event.node_id == "3":
            ledger.take_away(24 * MIB)

    graph = session.load(prompt)
    result = session.run(graph, listener=take)
    assert result.made.errors[0].problem.code == "E-MEMORY"
    models.drop_unused()
    assert ledger.live == 0
    ledger.take_away(-10 * 24 * MIB)  # they gave it back
    session.run(graph).raise_for_failure()
