"""Choices that are measured once, and the heap that keeps what is freed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.memory import cpu_choices


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    before = cpu_choices.MEMORY_OF_CHOICES.get("directory")
    cpu_choices.remember_in(tmp_path / "cache")
    yield tmp_path / "cache" / cpu_choices.FILE
    cpu_choices.remember_in(before)


def test_a_choice_is_measured_once_for_a_machine(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[bool] = []

    def measure() -> bool:
        measured.append(True)
        return len(measured) == 1

    assert [cpu_choices.choice("speed", measure) for _ in range(3)] == [True] * 3
    assert len(measured) == 1
    assert list(json.loads(kept.read_text())) == [f"speed, {cpu_choices.machine()}"]
    monkeypatch.setattr(cpu_choices, "machine", lambda: "another one")
    assert not cpu_choices.choice("speed", measure)
    assert len(json.loads(kept.read_text())) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"speed, here": "yes"}'])
def test_a_damaged_file_is_as_good_as_none(kept: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_choices, "machine", lambda: "here")
    kept.parent.mkdir()
    kept.write_text(text)
    assert cpu_choices.choice("speed", lambda: True)
    assert json.loads(kept.read_text()) == {"speed, here": True}


def test_packing_is_never_chosen_where_it_cannot_be(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_choices, "can_pack", lambda: False)
    assert not cpu_choices.packing_pays()
    assert not kept.exists()


def test_packing_is_measured(kept: Path) -> None:
    if not cpu_choices.can_pack():
        pytest.skip("needs a processor with bfloat16 instructions")
    found = cpu_choices.packing_pays()
    assert list(json.loads(kept.read_text()).values()) == [found]


def test_importing_measures_nothing(root: Path) -> None:
    code = "import engine.families.pipeline, engine.memory.cpu_choices as c; assert not c._IN_MEMORY"
    subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"], check=True)


FAULTS = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import torch
from engine.memory.heap import give_memory_back, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(96 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = min(faults() for _ in range(3))
kept = keep_freed_memory()
faults()
print(int(kept), usual, min(faults() for _ in range(12)))
give_memory_back()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked")
def test_freed_blocks_come_back_without_the_system(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS, str(root)], check=True, capture_output=True, text=True)
    kept, usual, after = map(int, done.stdout.split())
    if not kept:
        pytest.skip("another C library")
    assert after < usual / 4
