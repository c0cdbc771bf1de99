"""The heap keeps what is freed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
