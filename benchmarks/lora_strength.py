"""Measure what another strength of a LoRA costs beside the first load of the model with it.

    python benchmarks/lora_strength.py CHECKPOINT LORA [--dtype float32]

Seconds of the clock from recipe to network that can compute, each in a fresh owner of weights, median of `--repeats`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from engine.families.lora import add_lora
from engine.families.pipeline import load_checkpoint, make_models
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe, file_ref


def seconds(models: Residency, recipe: ModelRecipe) -> float:
    """Return how long it takes until the network of ``recipe`` is there."""
    started = time.perf_counter()
    with models.use(recipe):
        return time.perf_counter() - started


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("lora", type=Path)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    model = load_checkpoint(file_ref(options.checkpoint))[0]
    firsts, others = [], []
    for _ in range(options.repeats):
        models = make_models("cpu", options.dtype)
        first, again = (add_lora([(model, strength)], file_ref(options.lora))[0] for strength in (1.0, 0.5))
        firsts.append(seconds(models, first))
        others.append(seconds(models, again))
    load, again_s = statistics.median(firsts), statistics.median(others)
    print(f"first load {load:.2f} s, another strength {again_s:.2f} s: {again_s / load:.0%}")


if __name__ == "__main__":
    main()
