"""Measure what another strength of a LoRA costs beside the first load of the checkpoint with it.

    python benchmarks/lora_strength.py CHECKPOINT LORA [--dtype float32] [--cold]

Seconds of the clock until U-Net, text encoder and VAE can compute, each round in a fresh owner of weights, median of
`--repeats`. `--cold` asks the system to forget the files before each first load (Linux).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from engine.families.lora import add_lora
from engine.families.pipeline import load_checkpoint, make_models
from engine.memory.heap import keep_freed_memory
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe, file_ref


def seconds(models: Residency, recipes: list[ModelRecipe]) -> list[float]:
    """Return for each recipe how long it takes until its network is there."""
    taken = []
    for recipe in recipes:
        started = time.perf_counter()
        with models.use(recipe):
            taken.append(time.perf_counter() - started)
    return taken


def forget(path: Path) -> None:
    """Ask the system to drop the file from its cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(what: str, first: list[float], again: list[float]) -> None:
    """Print one line: the first load, another strength, and their ratio."""
    load, rewrite = statistics.median(first), statistics.median(again)
    print(f"{what:16} first load {load:.2f} s, another strength {rewrite:.2f} s: {rewrite / load:.0%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("lora", type=Path)
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    lora = file_ref(options.lora)
    keep_freed_memory()  # as a session does
    model, clip, vae = load_checkpoint(file_ref(options.checkpoint))
    firsts, others = [], []
    for _ in range(options.repeats):
        if options.cold:
            forget(options.checkpoint)
            forget(options.lora)
        models = make_models("cpu", options.dtype)
        first, again = ([*add_lora([(model, strength), (clip, strength)], lora), vae] for strength in (1.0, 0.5))
        firsts.append(seconds(models, first))
        others.append(seconds(models, again))
    report("U-Net", [times[0] for times in firsts], [times[0] for times in others])
    report("whole checkpoint", [sum(times) for times in firsts], [sum(times) for times in others])


if __name__ == "__main__":
    main()
