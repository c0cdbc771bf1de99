"""Time and memory of a whole picture, Safelight against diffusers, on the same checkpoint, threads and number format.

    python benchmarks/against_diffusers.py CHECKPOINT.safetensors --threads 1 --cpus 0 --rounds 3

Every run is a process of its own: start, imports, loading, two prompts, sampling (256x256, 4 Euler steps, CFG 7),
VAE, PNG. Runs of the contestants alternate, so that what else the machine does meets all of them; medians are
reported, of the clock and of processor time, which hardly depends on the company. Peak memory is the process's
largest resident set. The diffusers script builds its pipeline from configs, empty, and assigns the checkpoint's
tensors: the fastest way that needs no network.

`--load-only` measures loading alone: seconds and peak memory against the bytes of the weights.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
POSITIVE, NEGATIVE = "a red cat on a table, masterpiece", "blurry, low quality"
SIZE, STEPS, CFG, SEED = 256, 4, 7.0, 1234
CONTESTANTS = ("diffusers float32", "safelight float32", "safelight bfloat16")
LOADS = ("import", "load float32", "load bfloat16", "load auto")


def main() -> None:
    arguments = _arguments()
    if arguments.worker:
        _work(arguments)
        return
    names = LOADS if arguments.load_only else CONTESTANTS
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in range(arguments.rounds):
            for name in names:
                run = _measure(arguments, name, Path(folder) / f"{name.replace(' ', '_')}.npz")
                runs[name].append(run)
                print(
                    f"round {number + 1}, {name}: {run['seconds']:.1f} s, {run['peak_bytes'] / 1e9:.2f} GB", flush=True
                )
        report = _report(arguments, runs, Path(folder))
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="a Stable Diffusion 1.5 single file (.safetensors)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpus", help="processors to stay on, such as 0 or 0,1 (Linux)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the report here, too")
    parser.add_argument("--load-only", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(arguments: argparse.Namespace, name: str, out: Path) -> dict[str, Any]:
    """Run one contestant in a process of its own; return its seconds, peak bytes and what it reported."""
    command = [sys.executable, __file__, str(arguments.checkpoint), "--worker", name, "--out", str(out)]
    command += ["--threads", str(arguments.threads)]
    command += ["--cpus", arguments.cpus] if arguments.cpus else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return {"seconds": seconds, **json.loads(done.stdout.splitlines()[-1])}


def _report(arguments: argparse.Namespace, runs: dict[str, list[dict[str, Any]]], folder: Path) -> dict[str, Any]:
    rows = {
        name: {
            "seconds": round(statistics.median(run["seconds"] for run in several), 2),
            "all_seconds": [round(run["seconds"], 2) for run in several],
            "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in several), 2),
            "peak_gb": round(statistics.median(run["peak_bytes"] for run in several) / 1e9, 3),
            "parts": several[-1]["parts"],
        }
        for name, several in runs.items()
    }
    report: dict[str, Any] = {"threads": arguments.threads, "rounds": arguments.rounds, "runs": rows}
    if arguments.load_only:
        weights = arguments.checkpoint.stat().st_size
        base = rows["import"]["peak_gb"]
        report["checkpoint_gb"] = round(weights / 1e9, 3)
        report["peak_over_process"] = {
            name: round((row["peak_gb"] - base) / (weights / 1e9), 3) for name, row in rows.items() if name != "import"
        }
        return report
    reference = rows["diffusers float32"]
    report["time_ratio"] = {name: round(row["seconds"] / reference["seconds"], 3) for name, row in rows.items()}
    report["cpu_ratio"] = {name: round(row["cpu_seconds"] / reference["cpu_seconds"], 3) for name, row in rows.items()}
    report["memory_ratio"] = {name: round(row["peak_gb"] / reference["peak_gb"], 3) for name, row in rows.items()}
    report["psnr_db"] = _quality(folder)
    return report


def _quality(folder: Path) -> dict[str, float]:
    """Compare what came out with Safelight's own float32: peak signal-to-noise ratio of latents and pictures."""
    import numpy as np

    made = {name: np.load(folder / f"{name.replace(' ', '_')}.npz") for name in CONTESTANTS}
    exact = made["safelight float32"]
    found = {}
    for name in ("safelight bfloat16", "diffusers float32"):
        for kind in ("latent", "picture"):
            a, b = exact[kind].astype(np.float64), made[name][kind].astype(np.float64)
            error = float(((a - b) ** 2).mean())
            found[f"{name}, {kind}"] = round(10 * math.log10(float(np.ptp(a)) ** 2 / max(error, 1e-30)), 2)
    return found


def _work(arguments: argparse.Namespace) -> None:
    """Be one contestant: do the work, write latent and picture, print facts as the last line."""
    if arguments.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in arguments.cpus.split(",")})
    sys.path.insert(0, str(ROOT))
    import torch

    torch.set_num_threads(arguments.threads)
    kind, dtype = (*arguments.worker.split(), "")[:2]
    work = {"diffusers": _diffusers, "safelight": _safelight, "load": _load, "import": _import}[kind]
    parts = work(arguments.checkpoint, dtype, arguments.out)
    print(json.dumps({"peak_bytes": peak_bytes(), "cpu_seconds": time.process_time(), "parts": parts}))


def peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.is_file():  # of this program alone; getrusage also counts what forked it
        return int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Stopwatch:
    """Note how long each part took, in seconds."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, name: str) -> None:
        now = time.perf_counter()
        self.parts[name] = round(now - self._last, 2)
        self._last = now


def _save(out: Path, latent: Any, picture: Any) -> None:
    import numpy as np
    from PIL import Image

    Image.fromarray(picture).save(out.with_suffix(".png"))
    np.savez(out, latent=latent, picture=picture)


def _safelight(checkpoint: Path, dtype: str, out: Path) -> dict[str, float]:
    import numpy as np

    watch = Stopwatch()
    from engine.diffusion.latents import empty_latent
    from engine.diffusion.sampling import KSamplerSettings
    from engine.families import pipeline
    from engine.weights.recipe import file_ref

    models = pipeline.make_models("cpu", dtype)  # type: ignore[arg-type]  # from the list of contestants
    model, clip, vae = pipeline.load_checkpoint(file_ref(checkpoint))
    watch.note("import and detect")
    positive = pipeline.encode_prompt(models, clip, POSITIVE)
    negative = pipeline.encode_prompt(models, clip, NEGATIVE)
    watch.note("text")
    with models.use(model):
        watch.note("load denoiser")
    guidance = pipeline.Guidance(positive, negative, CFG)
    settings = KSamplerSettings(SEED, STEPS, "euler", "normal")
    latent = pipeline.sample_latent(models, model, settings, guidance, empty_latent(SIZE, SIZE))
    watch.note("sample")
    pixels = pipeline.decode_latent(models, vae, latent)
    watch.note("decode")
    _save(out, latent.samples.numpy(), (pixels[0].numpy() * 255).astype(np.uint8))
    return watch.parts


def _diffusers(checkpoint: Path, dtype: str, out: Path) -> dict[str, float]:
    import numpy as np
    import torch

    watch = Stopwatch()
    pipe = diffusers_pipeline(checkpoint, getattr(torch, dtype), watch)
    noise = torch.randn(1, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(SEED))
    made: dict[str, Any] = {}

    def remember(_: Any, __: int, ___: Any, values: dict[str, Any]) -> dict[str, Any]:
        made["latent"] = values["latents"]
        return values

    pipe.set_progress_bar_config(disable=True)
    picture = pipe(
        POSITIVE,
        negative_prompt=NEGATIVE,
        height=SIZE,
        width=SIZE,
        num_inference_steps=STEPS,
        guidance_scale=CFG,
        latents=noise.to(pipe.unet.dtype),
        callback_on_step_end=remember,
    ).images[0]
    watch.note("text, sample and decode")
    _save(out, made["latent"].float().numpy() / 0.18215, np.asarray(picture))
    return watch.parts


def diffusers_pipeline(checkpoint: Path, dtype: Any, watch: Stopwatch) -> Any:
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
    from safetensors.torch import load_file
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    watch.note("import")
    stored = load_file(checkpoint)
    channels = [320, 640, 1280, 1280]
    blocks = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            cross_attention_dim=768, block_out_channels=channels, down_block_types=blocks[0], up_block_types=blocks[1]
        )
        vae = AutoencoderKL(
            block_out_channels=[128, 256, 512, 512],
            layers_per_block=2,
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            latent_channels=4,
            sample_size=512,
        )
    text = CLIPTextModel(
        CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    )
    assign(unet, convert_ldm_unet_checkpoint(dict(stored), unet.config), dtype)
    assign(vae, convert_ldm_vae_checkpoint(dict(stored), vae.config), dtype)
    prefix = "cond_stage_model.transformer."
    names = set(text.state_dict())
    words = {key[len(prefix) :]: value for key, value in stored.items() if key.startswith(prefix)}
    if not any(name.startswith("text_model.") for name in names):  # transformers 5 dropped a level
        words = {key.removeprefix("text_model."): value for key, value in words.items()}
    text.load_state_dict({key: value.to(dtype) for key, value in words.items()}, strict=False, assign=True)
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="linspace"
    )
    pipe = StableDiffusionPipeline(
        vae, text.eval(), _tokenizer(CLIPTokenizer), unet, scheduler, None, None, requires_safety_checker=False
    )
    watch.note("load")
    return pipe


def assign(module: Any, tensors: dict[str, Any], dtype: Any) -> None:
    module.load_state_dict({key: value.to(dtype) for key, value in tensors.items()}, strict=True, assign=True)
    module.eval().requires_grad_(False)


def _tokenizer(tokenizer_class: Any) -> Any:
    """Make diffusers' tokenizer from the same vocabulary file."""
    import gzip

    from engine.families.tokenizer import MERGES, clip_tokenizer, find_vocabulary

    lines = gzip.decompress(find_vocabulary().read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
    vocabulary = clip_tokenizer().vocabulary
    end = "<|endoftext|>"
    merges = [tuple(line.split()) for line in lines]
    return tokenizer_class(vocab=vocabulary, merges=merges, unk_token=end, pad_token=end, model_max_length=77)


def _load(checkpoint: Path, dtype: str, out: Path) -> dict[str, float]:
    watch = Stopwatch()
    from engine.families import pipeline
    from engine.weights.recipe import file_ref

    models = pipeline.make_models("cpu", dtype)  # type: ignore[arg-type]  # from the list of contestants
    recipes = pipeline.load_checkpoint(file_ref(checkpoint))
    watch.note("import and detect")
    for recipe in recipes:
        with models.use(recipe):
            watch.note(f"load {recipe.part}")
    return {**watch.parts, "weights_gb": round(models.resident_bytes / 1e9, 3)}


def _import(checkpoint: Path, dtype: str, out: Path) -> dict[str, float]:
    watch = Stopwatch()
    import engine.families.pipeline  # noqa: F401

    watch.note("import")
    return watch.parts


if __name__ == "__main__":
    main()
