"""Measure how well the shipped edge ControlNet follows edges, and show it.

    python benchmarks/edge_control.py --data packages --work work [--count 32] [--sheet edges.png]

Pictures of the model's concepts are put to places and sizes that its training never saw (another random seed; the
plain model draws everything in the middle). Their Canny edges are the control image. Each is drawn with and without
the ControlNet, from the same noise and prompt, by the nodes' own code: 20 Euler steps, CFG 4. The edges of what came
out are compared with the edges given: F-score of precision and recall, a pixel counting as found within 2 pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import max_pool2d

from engine.diffusion.latents import empty_latent
from engine.diffusion.sampling import KSamplerSettings
from engine.families.control import Control, apply_control, load_controlnet
from engine.families.pipeline import Guidance, decode_latent, encode_prompt, load_checkpoint, make_models, sample_latent
from engine.training.concepts import collect_concepts
from engine.training.control_training import edges_of
from engine.training.placed_pictures import placed_pictures
from engine.training.render import load_pictures, render_pictures
from engine.training.sampling import contact_sheet
from engine.weights.recipe import file_ref

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = ROOT / "models" / "checkpoints" / "safelight-emoji-128.safetensors"
CONTROLNET = ROOT / "models" / "controlnet" / "safelight-emoji-128-edges.safetensors"
REACH = 2
UNSEEN_SEED = 987_654
STEPS, CFG = 20, 4.0


def f_score(found: Tensor, given: Tensor, reach: int = REACH) -> float:
    """Return the F-score of edges [H, W] against given ones; a pixel is matched by one within `reach` pixels."""

    def widened(edges: Tensor) -> Tensor:
        return max_pool2d(edges[None, None].float(), 2 * reach + 1, stride=1, padding=reach)[0, 0] > 0

    if not found.any() or not given.any():
        return 0.0
    precision = float((found & widened(given)).sum() / found.sum())
    recall = float((given & widened(found)).sum() / given.sum())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def draw(options: argparse.Namespace, prompts: list[str], edges: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures uint8 [N, 128, 128, 3] drawn with and without the ControlNet."""
    models = make_models("cpu")
    model, clip, vae = load_checkpoint(file_ref(options.model))
    network = load_controlnet(file_ref(options.controlnet))
    negative = encode_prompt(models, clip, "")
    made: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for index, (prompt, given) in enumerate(zip(prompts, edges, strict=True)):
        positive = encode_prompt(models, clip, prompt)
        hint = given[None, :, :, None].float().expand(-1, -1, -1, 3)
        steered = apply_control(Control(network, hint, options.strength), positive, negative)
        for pictures, (wanted, unwanted) in zip(made, (steered, (positive, negative)), strict=True):
            settings = KSamplerSettings(seed=index, steps=STEPS)
            latent = sample_latent(models, model, settings, Guidance(wanted, unwanted, CFG), empty_latent(128, 128))
            pictures.append((decode_latent(models, vae, latent)[0].numpy() * 255).round().astype(np.uint8))
    return np.stack(made[0]), np.stack(made[1])


def main() -> None:
    """Print the F-scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of unpacked packages")
    parser.add_argument("--work", type=Path, required=True, help="folder for the rendered pictures")
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--controlnet", type=Path, default=CONTROLNET)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="PNG to write: edges, with, without")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cache = options.work / "pictures"
    if not cache.with_suffix(".npz").exists():
        options.work.mkdir(parents=True, exist_ok=True)
        render_pictures(options.data, cache)
    pictures, pixels = load_pictures(cache)
    concepts = collect_concepts(pictures)
    chosen = [concepts[index * len(concepts) // options.count] for index in range(options.count)]
    edges = edges_of(placed_pictures(chosen, pixels, options.count, UNSEEN_SEED).pixels)
    steered, plain = draw(options, [concept.name.lower() for concept in chosen], edges)
    scores = [
        [f_score(found, given) for found, given in zip(edges_of(made), edges, strict=True)] for made in (steered, plain)
    ]
    with_it, without = (float(np.mean(each)) for each in scores)
    print(f"{options.count} pictures, strength {options.strength}: edge F-score {with_it:.3f} with the ControlNet, ")
    print(f"{without:.3f} without: {with_it / without:.2f} times")
    print(
        "lowest: "
        + ", ".join(f"{c.name} {s:.2f}" for s, c in sorted(zip(scores[0], chosen, strict=True), key=lambda p: p[0])[:5])
    )
    if options.sheet:
        shown = np.repeat(edges.numpy()[..., None].astype(np.uint8) * 255, 3, axis=-1)
        rows = np.stack([shown, steered, plain], axis=1).reshape(-1, *shown.shape[1:])
        Image.fromarray(contact_sheet(rows, 12)).save(options.sheet)


if __name__ == "__main__":
    main()
