"""How long a checkpoint takes from its file to the first use of its weights, beside `cat FILE > /dev/null`.

    python benchmarks/loading.py CHECKPOINT.safetensors [--rounds 5]

"ready" opens the file, recognises it, builds all its networks with the weights in the number format of the file, and
reads every page of them once: what a device that streams weights, or computes in that format, waits for. "converted"
builds them as this CPU computes with them by default. Cold means that the system was told to forget the file's pages
before (`posix_fadvise`, Linux; elsewhere only warm is printed). Each measurement is a process of its own whose imports
are not counted, and takes turns with `cat`. `anonymous` is what the process's own memory grew by, in MB: pages of the
file do not count, they can be dropped at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WAYS = ("ready", "converted")
CHUNK = 1 << 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, action="append", help="only this one")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(_load(arguments.checkpoint, arguments.worker, sys.stdin)), flush=True)
        return
    file = arguments.checkpoint.resolve()
    print(json.dumps({"file": file.name, "gib": round(file.stat().st_size / 2**30, 3)}))
    for way in arguments.way or WAYS:
        for temperature in ("cold", "warm") if hasattr(os, "posix_fadvise") else ("warm",):
            print(json.dumps(_compare(file, way, temperature == "cold", arguments.rounds)), flush=True)


def _compare(file: Path, way: str, cold: bool, rounds: int) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"cat": [], "ours": []}
    cpu, anonymous, parts = [], [], {}
    for _ in range(rounds):
        _prepare(file, cold)
        start = time.perf_counter()
        _cat(file)
        seconds["cat"].append(time.perf_counter() - start)
        found = _measure(file, way, cold)
        seconds["ours"].append(found["seconds"])
        cpu.append(found["cpu"])
        anonymous.append(found["anonymous_mb"])
        parts = found["parts"]
    ratios = [ours / cat for ours, cat in zip(seconds["ours"], seconds["cat"], strict=True)]
    return {
        "way": way,
        "cache": "cold" if cold else "warm",
        **{f"{name} s": [round(one, 3) for one in sorted(values)] for name, values in seconds.items()},
        "ours cpu s": round(statistics.median(cpu), 3),
        "median of ratios": round(statistics.median(ratios), 2),
        "anonymous MB": round(max(anonymous), 1),
        "last parts": parts,
    }


def _prepare(file: Path, cold: bool) -> None:
    """Make the system forget the pages of `file`, or have them all."""
    if not cold:
        _cat(file)
        return
    with file.open("rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _cat(file: Path) -> None:
    """Read a file as cat does: through one small buffer."""
    buffer = bytearray(CHUNK)
    with file.open("rb", buffering=0) as opened:
        while opened.readinto(buffer):
            pass


def _measure(file: Path, way: str, cold: bool) -> dict[str, Any]:
    """Load in a process of its own, which says when it has imported what it needs."""
    command = [sys.executable, __file__, str(file), "--worker", way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        if not worker.stdout.readline():
            raise SystemExit("loading failed; what it said stands above")
        _prepare(file, cold)
        print("go", file=worker.stdin, flush=True)
        found: dict[str, Any] = json.loads(worker.stdout.readline())
        return found


def _load(file: Path, way: str, orders: Any) -> dict[str, Any]:
    """Wait for the word, load, and tell what it took."""
    sys.path.insert(0, str(ROOT))
    from engine.families import pipeline
    from engine.families.building import build_module
    from engine.memory.devices import probe_device
    from engine.weights.files import open_weights
    from engine.weights.recipe import file_ref

    device = probe_device("cpu")
    models = pipeline.make_models("cpu")
    with open_weights(file) as opened:  # only the header, which is read again below
        stored = statistics.mode(opened.dtypes.values())
    print("ready", flush=True)
    orders.readline()
    before, cpu, start = _anonymous_bytes(), time.process_time(), time.perf_counter()
    parts: dict[str, float] = {}
    networks = []
    for recipe in pipeline.load_checkpoint(file_ref(file)):
        dtype = stored if way == "ready" else models.dtype_for(recipe)
        networks.append(build_module(recipe, device, dtype))
        parts[recipe.part] = round(time.perf_counter() - start, 3)
    for network in networks:
        for tensor in network.state_dict().values():
            _touch(tensor)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "anonymous_mb": (_anonymous_bytes() - before) / 1e6,
        "parts": parts,
    }


def _touch(tensor: Any) -> None:
    """Read every page of a tensor."""
    import torch

    pages = torch.empty(0, dtype=torch.uint8).set_(
        tensor.untyped_storage(), tensor.storage_offset() * tensor.element_size(), (-(-tensor.nbytes // 4096),), (4096,)
    )
    pages.any()


def _anonymous_bytes() -> int:
    status = Path("/proc/self/status")
    return int(status.read_text(encoding="ascii").partition("RssAnon:")[2].split()[0]) * 1024 if status.is_file() else 0


if __name__ == "__main__":
    main()
