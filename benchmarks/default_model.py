"""Score the default model: does it draw what the prompt says, in the right colour, and how fast?

    python benchmarks/default_model.py --data PACKAGES --work CACHE [--sheet sheet.png]

PACKAGES is the folder of unpacked packages that docs/default_model.md describes; CACHE keeps the rendered pictures.
Every concept is drawn with two seeds; the drawing counts as right when, of all concepts' pictures (each passed through
the autoencoder, on white), the nearest in mean squared distance of 4x4-pixel averages is its own.
"""

from __future__ import annotations

import argparse
import colorsys
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from engine.networks.autoencoder import Autoencoder  # noqa: E402  # after the path to the checkout is set
from engine.training.autoencoder_training import psnr  # noqa: E402
from engine.training.concepts import Concept, collect_concepts  # noqa: E402
from engine.training.dataset import BACKGROUNDS, composite, held_out  # noqa: E402
from engine.training.diffusion_training import PromptedUNet  # noqa: E402
from engine.training.export import load_checkpoint  # noqa: E402
from engine.training.latents import SCALE  # noqa: E402
from engine.training.render import load_pictures, render_pictures  # noqa: E402
from engine.training.sampling import contact_sheet, decode_pixels, sample, seeded_noise  # noqa: E402
from engine.training.shapes import COLOURS  # noqa: E402
from engine.training.tokens import Tokenizer  # noqa: E402

CHECKPOINT = ROOT / "models" / "checkpoints" / "safelight-emoji-128.safetensors"
BATCH = 32
HUES_ASKED = ("red", "green", "blue", "yellow", "purple")
HUE_TOLERANCE = 30.0  # degrees
SHEET_PROMPTS = (
    *("a cat", "a dog", "panda", "penguin", "frog", "fox", "owl", "butterfly", "fish", "whale", "octopus", "turtle"),
    *("sunflower", "rose", "cactus", "mushroom", "red apple", "banana", "strawberry", "pizza", "hamburger", "doughnut"),
    *("birthday cake", "ice cream", "coffee", "house", "castle", "car", "bus", "rocket", "sailboat", "sun"),
    *(
        "crescent moon",
        "rainbow",
        "snowman",
        "umbrella",
        "guitar",
        "key",
        "light bulb",
        "gift",
        "Christmas tree",
        "crown",
    ),
    *(
        "red heart",
        "blue star",
        "green triangle",
        "yellow circle",
        "purple square",
        "pink heart",
        "number 3",
        "number 8",
    ),
    *("flag of Japan", "flag of France", "flag of Canada", "flag of Ukraine", "a puppy", "a bunny", "lightning bolt"),
    *("a kitten", "a burger", "a dog, blue background", "red apple, green background"),
    *("small red circle", "red circle on the left", "blue square and yellow star"),
)


@dataclass(frozen=True, slots=True)
class Model:
    """The networks of a checkpoint file, and its tokenizer."""

    prompted: PromptedUNet
    autoencoder: Autoencoder
    tokenizer: Tokenizer

    def draw(self, prompts: list[str], noise: Tensor, steps: int) -> NDArray[np.uint8]:
        """Return uint8 pictures [B, 128, 128, 3]."""
        return decode_pixels(self.autoencoder, sample(self.prompted, self.tokenizer, prompts, noise, steps) / SCALE)


def pooled(pictures: NDArray[np.uint8]) -> Tensor:
    """Return the 4x4-pixel averages of pictures [N, H, W, 3], flattened to [N, D]."""
    images = torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float() / 255
    return torch.nn.functional.avg_pool2d(images, 4).flatten(1)


@torch.no_grad()
def through_autoencoder(model: Autoencoder, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA pixels [N, 128, 128, 4], laid on white, as the autoencoder reconstructs them."""
    results = []
    for start in range(0, len(pixels), BATCH):
        images = composite(pixels[start : start + BATCH], BACKGROUNDS["white"])
        source = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        results.append(decode_pixels(model, model.encode(source)[0]))
    return np.concatenate(results)


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares, 0 to 1, of drawings whose nearest target is right, among the nearest three, of the right family."""

    top1: float
    top3: float
    family: float
    misses: tuple[tuple[str, str], ...]


def score(concepts: list[Concept], targets: Tensor, drawings: Tensor) -> Scores:
    """Compare drawings [seeds * N, D] with targets [N, D]; both in the order of `concepts`."""
    nearest = torch.cdist(drawings, targets).argsort(1)
    own = torch.arange(len(concepts)).repeat(len(drawings) // len(concepts))
    families = [concept.family for concept in concepts]
    first = nearest[:, 0].tolist()
    misses = tuple(
        (concepts[want].name, concepts[got].name) for want, got in zip(own.tolist(), first, strict=True) if want != got
    )
    right_family = [families[want] == families[got] for want, got in zip(own.tolist(), first, strict=True)]
    return Scores(
        top1=float((nearest[:, 0] == own).float().mean()),
        top3=float((nearest[:, :3] == own[:, None]).any(1).float().mean()),
        family=sum(right_family) / len(right_family),
        misses=misses,
    )


def draw_all(model: Model, prompts: list[str], seed: int, steps: int) -> NDArray[np.uint8]:
    """Draw every prompt with one seed, in batches."""
    noise = seeded_noise(seed, len(prompts))
    return np.concatenate(
        [
            model.draw(prompts[start : start + BATCH], noise[start : start + BATCH], steps)
            for start in range(0, len(prompts), BATCH)
        ]
    )


def print_accuracy(
    model: Model, concepts: list[Concept], pixels: NDArray[np.uint8], options: argparse.Namespace
) -> None:
    """Print the nearest-target scores over all concepts, by family, and the misses."""
    shown = np.stack([pixels[concept.picture] for concept in concepts])
    targets = pooled(through_autoencoder(model.autoencoder, shown))
    prompts = [concept.name.lower() for concept in concepts]
    drawings = torch.cat([pooled(draw_all(model, prompts, seed, options.steps)) for seed in range(options.seeds)])
    scores = score(concepts, targets, drawings)
    print(f"concepts {len(concepts)}, seeds {options.seeds}")
    print(f"nearest target: top-1 {scores.top1:.1%}, top-3 {scores.top3:.1%}, right family {scores.family:.1%}")
    if options.missed:
        names = sorted({want for want, _ in scores.misses})
        options.missed.write_text("\n".join(names) + "\n", encoding="utf-8")
    print("misses: " + "; ".join(f"{want} -> {got}" for want, got in scores.misses))


def print_hues(model: Model, steps: int) -> None:
    """Print the hue at the centre of five coloured circles, and how far it is from the colour asked for."""
    prompts = [f"{colour} circle" for colour in HUES_ASKED]
    pictures = model.draw(prompts, seeded_noise(1, len(prompts)), steps)
    for colour, picture in zip(HUES_ASKED, pictures, strict=True):
        red, green, blue = (float(value) for value in picture[56:72, 56:72].reshape(-1, 3).mean(0) / 255)
        wanted = hue(*(int(COLOURS[colour][at : at + 2], 16) / 255 for at in (1, 3, 5)))
        away = abs((hue(red, green, blue) - wanted + 180) % 360 - 180)
        verdict = "right" if away <= HUE_TOLERANCE else "WRONG"
        print(f"{colour} circle: hue {hue(red, green, blue):.0f}, asked {wanted:.0f}, off by {away:.0f}: {verdict}")


def hue(red: float, green: float, blue: float) -> float:
    """Return the hue in degrees of a colour with parts 0 to 1."""
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360


def print_speed(model: Model, steps: int) -> None:
    """Print seconds for one picture, two threads, second run; and whether the same seed gives the same bytes."""
    torch.set_num_threads(2)
    first = model.draw(["a cat"], seeded_noise(1, 1), steps)
    start = time.perf_counter()
    second = model.draw(["a cat"], seeded_noise(1, 1), steps)
    print(f"one picture, {steps} steps, two threads: {time.perf_counter() - start:.2f} s")
    print(f"same seed, same bytes: {bool(np.array_equal(first, second))}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of unpacked packages")
    parser.add_argument("--work", type=Path, required=True, help="folder for the rendered pictures")
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--missed", type=Path, help="file for the names of missed concepts, for the next training run")
    parser.add_argument("--sheet", type=Path, help="PNG of 64 prompts to write")
    parser.add_argument("--sheet-only", action="store_true", help="write the sheet and stop")
    return parser.parse_args()


def main() -> None:
    """Print every acceptance number."""
    options = parse()
    torch.set_num_threads(options.threads)
    cache = options.work / "pictures"
    if not cache.with_suffix(".npz").exists():
        options.work.mkdir(parents=True, exist_ok=True)
        render_pictures(options.data, cache)
    pictures, pixels = load_pictures(cache)
    model = Model(*load_checkpoint(options.model), Tokenizer())
    if options.sheet:
        sheet = contact_sheet(draw_all(model, [prompt.lower() for prompt in SHEET_PROMPTS], 1, options.steps), 8)
        Image.fromarray(sheet).save(options.sheet)
    if options.sheet_only:
        return
    print(f"autoencoder, held-out pictures: PSNR {psnr(model.autoencoder, pixels[held_out(pictures)]):.2f} dB")
    print_hues(model, options.steps)
    print_accuracy(model, collect_concepts(pictures), pixels, options)
    print_speed(model, options.steps)


if __name__ == "__main__":
    main()
