"""Time and memory of a ControlNet run and of decoding in tiles, Safelight against diffusers used plainly, in float32.

    python benchmarks/steered.py CHECKPOINT.safetensors CONTROLNET.safetensors --threads 1 --rounds 3

Both contestants take the same Stable Diffusion 1.5 files (`--part vae` needs the checkpoint alone); the weights may be
random. "control" is loading, two prompts and sampling at 256x256 (3 Euler steps, CFG 7) with one ControlNet; "vae" is
loading the VAE and decoding a latent of 768x768 pixels in tiles of 512, by VAEDecodeTiled's defaults here and by
`AutoencoderKL.enable_tiling()` there. Every run is a process of its own; runs of the contestants alternate and medians
are reported, of the clock and of processor time without imports. Peak memory is the process's largest resident set.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from against_diffusers import CFG, NEGATIVE, POSITIVE, SEED, SIZE, Stopwatch, assign, diffusers_pipeline, peak_bytes

ROOT = Path(__file__).resolve().parents[1]
STEPS, PICTURE = 3, 768
CONTESTANTS = ("diffusers", "safelight")
KEYS = ("seconds", "processor", "peak_bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="a Stable Diffusion 1.5 single file")
    parser.add_argument("controlnet", type=Path, nargs="?", help="a ControlNet for it, in the original layout")
    parser.add_argument("--part", choices=("vae", "control"), help="only this one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part != "vae" and arguments.controlnet is None:
        parser.error("a ControlNet is needed; or say --part vae")
    if arguments.worker:
        _work(arguments)
        return
    for part in [arguments.part] if arguments.part else ["vae", "control"]:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
        for _ in range(arguments.rounds):
            for name in CONTESTANTS:
                runs[name].append(_measure(arguments, part, name))
                print(f"{part}, {name}: {runs[name][-1]}", file=sys.stderr, flush=True)
        medians = {name: {key: statistics.median(run[key] for run in of) for key in KEYS} for name, of in runs.items()}
        ratios = {key: round(medians["safelight"][key] / medians["diffusers"][key], 3) for key in KEYS}
        print(json.dumps({"part": part, **medians, "ratio": ratios}, indent=2))


def _measure(arguments: argparse.Namespace, part: str, name: str) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    files = [str(one.resolve()) for one in (arguments.checkpoint, arguments.controlnet) if one]
    command = [sys.executable, __file__, *files, "--part", part, "--worker", name]
    command += ["--threads", str(arguments.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{part}, {name} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _work(arguments: argparse.Namespace) -> None:
    """Be one contestant; print what was measured as the last line."""
    sys.path.insert(0, str(ROOT))
    import torch

    torch.set_num_threads(arguments.threads)
    work: Callable[[argparse.Namespace], Callable[[], Any]] = globals()[f"_{arguments.worker}_{arguments.part}"]
    act = work(arguments)  # imports what it needs
    clock, processor = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        act()
    facts = {"seconds": time.perf_counter() - clock, "processor": time.process_time() - processor}
    print(json.dumps({**{key: round(one, 2) for key, one in facts.items()}, "peak_bytes": peak_bytes()}))


def _latent() -> Any:
    import torch

    return torch.randn(1, 4, PICTURE // 8, PICTURE // 8, generator=torch.Generator().manual_seed(SEED)) / 0.18215


def _hint() -> Any:
    """Return a picture [1, H, W, 3] of a white ring on black."""
    import torch

    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    return (((x**2 + y**2).sqrt() - 0.6).abs() < 0.02).float()[None, ..., None].repeat(1, 1, 1, 3)


def _safelight_vae(arguments: argparse.Namespace) -> Callable[[], Any]:
    from engine.diffusion.latents import Latent
    from engine.families.pipeline import load_vae, make_models
    from engine.families.tiling import Tiling, decode_tiled
    from engine.weights.recipe import file_ref

    def act() -> Any:
        models = make_models("cpu", "float32")
        return decode_tiled(models, load_vae(file_ref(arguments.checkpoint)), Latent(_latent()), Tiling())

    return act


def _diffusers_vae(arguments: argparse.Namespace) -> Callable[[], Any]:
    import torch
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from safetensors import safe_open

    def act() -> Any:
        with torch.device("meta"):
            vae = AutoencoderKL(
                block_out_channels=[128, 256, 512, 512],
                layers_per_block=2,
                down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4,
                latent_channels=4,
                sample_size=512,
            )
        with safe_open(arguments.checkpoint, "pt") as file:
            names = [name for name in file.keys() if name.startswith("first_stage_model.")]  # noqa: SIM118 (no mapping)
            stored = {name: file.get_tensor(name) for name in names}
        assign(vae, convert_ldm_vae_checkpoint(stored, vae.config), torch.float32)
        vae.enable_tiling()
        return vae.decode(_latent()).sample

    return act


def _safelight_control(arguments: argparse.Namespace) -> Callable[[], Any]:
    from engine.diffusion.latents import empty_latent
    from engine.diffusion.sampling import KSamplerSettings
    from engine.families import pipeline
    from engine.families.control import Control, apply_control, load_controlnet
    from engine.weights.recipe import file_ref

    def act() -> Any:
        models = pipeline.make_models("cpu", "float32")
        model, clip, _ = pipeline.load_checkpoint(file_ref(arguments.checkpoint))
        prompts = [pipeline.encode_prompt(models, clip, text) for text in (POSITIVE, NEGATIVE)]
        control = Control(load_controlnet(file_ref(arguments.controlnet)), _hint())
        positive, negative = apply_control(control, *prompts)
        settings = KSamplerSettings(SEED, STEPS, "euler", "normal")
        guidance = pipeline.Guidance(positive, negative, CFG)
        return pipeline.sample_latent(models, model, settings, guidance, empty_latent(SIZE, SIZE))

    return act


def _diffusers_control(arguments: argparse.Namespace) -> Callable[[], Any]:
    import torch
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
    from safetensors.torch import load_file

    def act() -> Any:
        plain = diffusers_pipeline(arguments.checkpoint, torch.float32, Stopwatch())
        with torch.device("meta"):
            controlnet = ControlNetModel(cross_attention_dim=768)
        tensors = convert_controlnet_checkpoint(load_file(arguments.controlnet), dict(controlnet.config))
        assign(controlnet, tensors, torch.float32)
        parts = {name: part for name, part in plain.components.items() if name != "image_encoder"}
        pipe = StableDiffusionControlNetPipeline(controlnet=controlnet, requires_safety_checker=False, **parts)
        pipe.set_progress_bar_config(disable=True)
        return pipe(
            POSITIVE,
            negative_prompt=NEGATIVE,
            image=_hint().movedim(-1, 1),
            num_inference_steps=STEPS,
            guidance_scale=CFG,
            generator=torch.Generator().manual_seed(SEED),
            output_type="latent",
        )

    return act


if __name__ == "__main__":
    main()
