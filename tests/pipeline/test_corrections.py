"""What a run took corrects the next plan of the same work, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import make_base_directory, text_to_image

from engine.families.memory_plan import MemoryPlan
from engine.jobs.following import SIM_MARGIN, Learner, follow_plan
from engine.session import Session
from engine.settings import Settings


@pytest.fixture
def base(root: Path, tmp_path: Path) -> Path:
    return make_base_directory(tmp_path, root)


def run(base: Path, device: str, **changed: Any) -> tuple[MemoryPlan, Any, Session]:
    """Plan, run and learn as the command ``run`` does, in a session of its own."""
    settings = Settings(
        base, output_directory=base / "out", cache_mode="none", device=device, disk_cache_bytes=1 << 30,
        cache_directory=base / "kept",
    )  # fmt: skip
    session = Session(settings)
    graph = session.load(text_to_image(**{"Sampler__steps": 3, **changed}))
    made = follow_plan(session, graph)
    assert made is not None
    learner = Learner(session, made)
    result = session.run(graph, listener=learner)
    result.raise_for_failure()
    learner.keep()
    return made, result, session


def test_the_next_plan_believes_what_was_measured(base: Path) -> None:
    first, result, session = run(base, "sim:100MiB")
    assert {node.basis for node in first.nodes} == {"predicted"}
    second, _, _ = run(base, "sim:100MiB")
    assert {node.basis for node in second.nodes} == {"measured"}
    by_id = {node.node_id: node for node in second.nodes}
    peak = session.services.models.streamed.most_made
    largest = max(node.activation_bytes for node in second.nodes)
    assert largest == pytest.approx(peak * (1 + SIM_MARGIN), rel=1e-3)
    sampler = result.made.nodes["3"].seconds
    assert by_id["3"].compute_seconds == pytest.approx(sampler, rel=0.3, abs=0.05)
    assert second.plan is not None and second.plan.outcome.loaded_bytes == first.plan.outcome.loaded_bytes  # type: ignore[union-attr]


def test_other_sizes_are_predicted(base: Path) -> None:
    run(base, "sim:100MiB")
    wide, _, _ = run(base, "sim:100MiB", Size__width=96)
    bases = {node.node_id: node.basis for node in wide.nodes}
    assert bases["3"] == bases["8"] == "predicted"
    assert bases["6"] == bases["7"] == "measured"  # a prompt is encoded as before


def test_what_was_tried_again_teaches_nothing(base: Path) -> None:
    made, _, session = run(base, "sim:1GiB", Size__width=384, Size__height=384, Sampler__steps=1)
    small = int(0.7 * session.services.models.streamed.most_made)
    _, result, _ = run(base, f"sim:{small}", Size__width=392, Size__height=384, Sampler__steps=1)
    assert result.made.nodes["8"].retries
    again, _, _ = run(base, "sim:1GiB", Size__width=392, Size__height=384, Sampler__steps=1)
    bases = {node.node_id: node.basis for node in again.nodes}
    assert bases["8"] == "predicted" and bases["3"] == "measured"
    assert made.fits
