"""Time and memory of enlarging a picture, Safelight against spandrel used plainly, on the shipped upscale model.

    python benchmarks/upscaling.py [--size 256] [--rounds 3] [--threads 1] [--sheet sheet.png]

Every run is a process of its own: start, imports, loading, one picture of size x size pixels. Runs alternate, and
medians are reported. Peak memory is the process's largest resident set. "tiled" may use a quarter of what the whole
picture takes. The sheet shows the picture enlarged by bicubic interpolation, whole, in small tiles, and the difference
of the last two, 64 times as strong.
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
MODEL = ROOT / "models/upscale_models/realesr-animevideov3-x4.safetensors"
CONTESTANTS = ("spandrel", "safelight", "safelight tiled")
GAIN = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the picture in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="a picture to enlarge (default: a drawn one)")
    parser.add_argument("--sheet", type=Path, help="also write a picture of the results")
    parser.add_argument("--worker", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _work(arguments)
        return
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(arguments.rounds):
        for name in CONTESTANTS:
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", name]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(arguments.threads)}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {name: {key: statistics.median(run[key] for run in of) for key in of[0]} for name, of in runs.items()}
    plain = medians["spandrel"]
    for found in medians.values():
        found |= {f"{key}_ratio": round(found[key] / plain[key], 3) for key in ("seconds", "processor", "peak_bytes")}
    print(json.dumps(medians, indent=2))
    if arguments.sheet:
        _draw(arguments)


def _work(arguments: argparse.Namespace) -> None:
    import resource

    started = time.perf_counter()
    import torch

    torch.set_num_threads(arguments.threads)
    image = _picture(arguments)
    if arguments.worker == "spandrel":
        from spandrel import ModelLoader

        descriptor = ModelLoader().load_from_file(str(MODEL)).eval()
        with torch.inference_mode():
            descriptor(image.movedim(-1, 1))
    else:
        _enlarge(image, arguments.worker.endswith("tiled"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    facts = {"seconds": time.perf_counter() - started, "processor": time.process_time(), "peak_bytes": peak}
    print(json.dumps(facts))


def _enlarge(image: Any, tiled: bool) -> Any:
    from engine.families.pipeline import make_models
    from engine.families.upscalers import Upscaler, load_upscaler, upscale
    from engine.weights.recipe import file_ref

    models, recipe = make_models("cpu", "float32"), load_upscaler(file_ref(MODEL))
    with models.use(recipe) as network:
        assert isinstance(network, Upscaler)
        pixels = image.shape[1] * image.shape[2] / (4 if tiled else 1)
        return upscale(models, recipe, image, tile_bytes=int(network.bytes_per_pixel * pixels) + 1)


def _picture(arguments: argparse.Namespace) -> Any:
    """Return [1, H, W, 3]: the given picture, or circles and stripes on a gradient."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    size = arguments.size
    if arguments.picture:
        drawn = Image.open(arguments.picture).convert("RGB").resize((size, size))
    else:
        drawn = Image.linear_gradient("L").resize((size, size)).convert("RGB")
        pen = ImageDraw.Draw(drawn)
        for step in range(0, size, 24):
            pen.line((step, 0, size - step, size), fill=(200, step % 256, 60), width=2)
            pen.ellipse((step, step // 2, step + 40, step // 2 + 40), outline=(20, 60, 220), width=3)
    return torch.from_numpy(np.asarray(drawn).copy()).float()[None] / 255


def _draw(arguments: argparse.Namespace) -> None:
    sys.path.insert(0, str(ROOT))
    import torch
    from PIL import Image

    image = _picture(arguments)
    whole, tiled = _enlarge(image, False), _enlarge(image, True)
    bicubic = torch.nn.functional.interpolate(image.movedim(-1, 1), scale_factor=4, mode="bicubic").movedim(1, -1)
    difference = ((whole - tiled).abs() * GAIN).clamp(0, 1)
    row = torch.cat([bicubic.clamp(0, 1), whole, tiled, difference], dim=2)[0]
    Image.fromarray((row * 255).round().byte().numpy()).save(arguments.sheet)


if __name__ == "__main__":
    main()
