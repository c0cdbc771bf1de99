"""Train the edge ControlNet and the style LoRA of the default model: `python -m engine.training.train_adapters`.

Fetches nothing; docs/default_model.md lists the packages and what was made of them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from engine.training.blueprint import blueprint
from engine.training.concepts import collect_concepts
from engine.training.control_training import ControlRun, edges_of, export_controlnet, train_controlnet
from engine.training.export import load_checkpoint
from engine.training.lora_training import LoraRun, export_lora, train_lora
from engine.training.placed_pictures import PlacedPictures, encode_pictures, placed_pictures
from engine.training.render import load_pictures, render_pictures
from engine.training.sampling import contact_sheet

__all__ = ["main"]

SOURCES = "Fluent Emoji (MIT), flag-icons (MIT) and shapes drawn by code"

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one of the two; return the exit code."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.kind == "control":
        _train_control(options)
    else:
        _train_style(options)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train_adapters", description=__doc__)
    parser.add_argument("--kind", required=True, choices=["control", "style"])
    parser.add_argument("--data", type=Path, required=True, help="folder of unpacked packages")
    parser.add_argument("--work", type=Path, required=True, help="folder for rendered pictures and resumable state")
    parser.add_argument("--start", type=Path, default=Path("models/checkpoints/safelight-emoji-128.safetensors"))
    parser.add_argument("--pictures", type=int, default=8000, help="how many pictures to draw from")
    parser.add_argument("--minutes", type=float, default=40.0, help="training time, over all runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="PNG of some of the training pictures to write")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser.parse_args(arguments)


def _pictures(options: argparse.Namespace, *, plain: bool) -> PlacedPictures:
    cache = options.work / "pictures"
    if not cache.with_suffix(".npz").exists():
        render_pictures(options.data, cache)
    pictures, pixels = load_pictures(cache)
    return placed_pictures(collect_concepts(pictures), pixels, options.pictures, options.seed, plain=plain)


def _write_sheet(options: argparse.Namespace, pictures: np.ndarray) -> None:
    if options.sheet:
        Image.fromarray(contact_sheet(pictures[:64], 8)).save(options.sheet)


def _train_control(options: argparse.Namespace) -> None:
    drawn = _pictures(options, plain=False)
    edges = edges_of(drawn.pixels)
    _write_sheet(options, np.repeat(edges.numpy()[..., None].astype(np.uint8) * 255, 3, axis=-1))
    prompted, autoencoder = load_checkpoint(options.start)
    latents = encode_pictures(autoencoder, drawn.pixels, _report)
    state = options.work / "control_state.safetensors"
    network = train_controlnet(prompted, latents, edges, drawn.captions, state, ControlRun(options.minutes))
    about = f"Follows edges (white on black, as Canny draws them) on Safelight Emoji 128. Trained on {SOURCES}."
    export_controlnet(network, options.out, "Safelight Emoji 128 edges", about)


def _train_style(options: argparse.Namespace) -> None:
    drawn = _pictures(options, plain=True)
    restyled = blueprint(drawn.pixels)
    _write_sheet(options, restyled)
    prompted, autoencoder = load_checkpoint(options.start)
    latents = encode_pictures(autoencoder, restyled, _report)
    state = options.work / "style_state.safetensors"
    adapters = train_lora(prompted, latents, drawn.captions, state, LoraRun(options.minutes))
    about = (
        f"Draws blueprints: white outlines on blue, with Safelight Emoji 128. Trained on {SOURCES}, redrawn by code."
    )
    export_lora(adapters, options.out, "Safelight Emoji 128 blueprint", about)


def _report(done: int) -> None:
    if done % 1600 == 0:
        log.info("encoded %d pictures", done)


if __name__ == "__main__":
    raise SystemExit(main())
