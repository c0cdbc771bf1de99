"""What a worker tells of memory: at most twice a second, and nothing where there is nothing to tell."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_checkpoint import make_base_directory, text_to_image

from engine.jobs.gauging import Gauging
from engine.memory.gauges import Gauges
from engine.session import Session
from engine.settings import Settings


def told(events: list[Any]) -> Any:
    return events.append


def test_no_more_than_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    events: list[Any] = []
    gauging = Gauging(told(events))
    models = SimpleNamespace(gauges=lambda: SimpleNamespace(to_json=lambda: {"device_bytes": 1}))
    session = SimpleNamespace(services=SimpleNamespace(models=models))
    for _ in range(100):
        gauging.look(session)
        now[0] += 0.05
    assert 9 <= len(events) <= 11 and events[0] == {"event": "memory", "device_bytes": 1}
    gauging.look(session, at_end=True)
    assert len(events) <= 12
    gauging.look(SimpleNamespace(), at_end=True)  # a session that never ran anything with weights
    assert len(events) <= 12


@pytest.mark.parametrize("device", ["cpu", "sim:24MiB"])
def test_what_is_held_where(device: str, root: Path, tmp_path: Path) -> None:
    base = make_base_directory(tmp_path, root)
    session = Session(Settings(base, output_directory=tmp_path / "out", cache_mode="none", device=device))
    session.run(session.load(text_to_image(Sampler__steps=1))).raise_for_failure()
    models = session.services.models
    made = models.gauges()
    assert made.ram_bytes == models.resident_bytes > 0 and made.ram_limit == models.budget_bytes
    assert sum(one.ram for one in made.models.values()) >= made.ram_bytes
    assert all("(diffusion)" in name or "(text)" in name or "(vae)" in name for name in made.models)
    if device == "cpu":
        assert made.device_bytes == made.device_limit == 0
    else:
        assert 0 < made.device_bytes <= made.device_limit == 24 << 20
        assert sum(one.device for one in made.models.values()) == made.device_bytes
        assert made.loaded_bytes == models.streamed.device.loaded_bytes
    models.drop_unused()
    empty = models.gauges().to_json()
    assert empty["device_bytes"] == empty["ram_bytes"] == 0 and empty["models"] == []


def test_kept_results_are_counted_by_tier(root: Path, tmp_path: Path) -> None:
    base = make_base_directory(tmp_path, root)
    settings = Settings(base, output_directory=tmp_path / "out", cache_bytes=64 << 20, disk_cache_bytes=32 << 20)
    session = Session(settings)
    events: list[Any] = []
    gauging = Gauging(told(events))
    assert gauging.now(session) == {}
    _ = session.cache
    gauging.look(session, at_end=True)
    assert events == []  # a job without weights has nothing to tell; who asks hears of its results
    assert gauging.now(session) == {
        **Gauges("").to_json(),
        "cache_bytes": 0, "cache_limit": 64 << 20, "disk_cache_bytes": 0, "disk_cache_limit": 32 << 20,
    }  # fmt: skip
    session.run(session.load(text_to_image(Sampler__steps=1))).raise_for_failure()
    session.cache.flush()
    gauging.look(session, at_end=True)
    facts = session.cache.facts()
    assert facts.disk is not None and facts.size > 0 and facts.disk.size > 0
    assert (events[0]["cache_bytes"], events[0]["disk_cache_bytes"]) == (facts.size, facts.disk.size)
    assert events[0]["ram_bytes"] > 0
    session.cache.clear()
    after = {name: value for name, value in events[0].items() if name != "event"}
    assert gauging.now(session) == {**after, "cache_bytes": 0}  # weights as they were seen last
