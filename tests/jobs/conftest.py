"""Supervisors of real worker processes, closed after each test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from job_desk import OPTIONS, Desk

from engine.jobs.supervisor import Supervisor
from engine.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, device="cpu")


@pytest.fixture
def make_desk(settings: Settings) -> Iterator[Callable[..., Desk]]:
    """Makes supervisors with other settings or options; closes them after the test."""
    made: list[Supervisor] = []

    def make(options: Mapping[str, Any] | None = None, **changed: Any) -> Desk:
        one = Supervisor(dataclasses.replace(settings, **changed), dataclasses.replace(OPTIONS, **(options or {})))
        made.append(one)
        return Desk(one)

    yield make
    for one in made:
        one.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()
