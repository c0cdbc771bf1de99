"""One step of Stable Diffusion 1.5 with guidance, and decoding its picture, on this CPU: Safelight against diffusers.

    python benchmarks/cpu.py CHECKPOINT.safetensors            # 512x512, all threads; weights may be random
    python benchmarks/cpu.py CHECKPOINT.safetensors --lora LORA --controlnet CONTROLNET --profile
    python benchmarks/cpu.py --small                           # small networks that it makes itself; what CI runs

Safelight runs as it does by default (its choice of number format, layout and memory), diffusers in float32 and in
bfloat16 (the latter only where the processor multiplies it). Each contestant is a process of its own and keeps its
networks; they take turns, one call each, so that what else the machine does meets all of them. "sample" is eight steps
of Euler through the sampler of each. Printed are the median and the least seconds of a call, and the medians of the
ratios within a round: of the clock, and of processor time, which counts waiting threads, too. "gemm" is the product of
two square matrices in the same number format, measured in every round; the fraction says how much of that speed a step
reaches, all its other work included.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
SMALL: Final = {"model_channels": 64, "channel_mult": (1, 2), "num_res_blocks": (1, 1), "transformer_depth": (0, 1)}
STEPS, CFG = 8, 7.0
REFERENCES = ("diffusers float32", "diffusers bfloat16")
Calls = Mapping[str, Callable[[], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="a Stable Diffusion 1.5 single file")
    parser.add_argument("--small", action="store_true", help="small networks with random weights")
    parser.add_argument("--pixels", type=int, help="the side of the picture: 512, or 256 with --small")
    parser.add_argument("--lora", type=Path, help="also measure Safelight's step with this LoRA")
    parser.add_argument("--controlnet", type=Path, help="also measure Safelight's step with this ControlNet")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's choice")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--part", choices=("step", "sample", "decode"), help="only this one")
    parser.add_argument("--profile", action="store_true", help="print where a step's time goes")
    parser.add_argument("--without", action="append", default=[], choices=REFERENCES, help="leave a reference out")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.pixels = arguments.pixels or (256 if arguments.small else 512)
    if not arguments.small and arguments.checkpoint is None:
        parser.error("a checkpoint is needed; or say --small")
    if arguments.worker:
        _serve(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.small and arguments.checkpoint is None:
            arguments.checkpoint = _small_checkpoint(Path(folder) / "small.safetensors")
        _compare(arguments)


def _compare(arguments: argparse.Namespace) -> None:
    workers = {name: _Worker(arguments, name) for name in ("safelight", *REFERENCES) if name not in arguments.without}
    try:
        ours = workers["safelight"]
        names = [name for name in ours.hello["calls"] if name != "gemm"]
        present = {name: worker for name, worker in workers.items() if worker.hello["calls"]}
        for name in [one for one in names if arguments.part in (None, one.partition(" ")[0])]:
            rounds: list[dict[str, dict[str, float]]] = []
            for number in range(arguments.rounds + 1):
                taken = {who: worker.ask(_theirs(name, who)) for who, worker in present.items()}
                if name == "step":
                    taken["gemm"] = ours.ask("gemm")
                if number:  # the first is for warming up
                    rounds.append(taken)
            print(json.dumps({"call": name, **_summary(rounds, ours.hello)}, indent=2), flush=True)
        if arguments.profile:
            print(ours.ask("profile")["table"])
        print(json.dumps({who: worker.ask("peak") for who, worker in present.items()}))
    finally:
        for worker in workers.values():
            worker.end()


def _theirs(call: str, who: str) -> str:
    """Return what a reference is asked for beside our `call`: a step with a LoRA costs it the same as one without."""
    return call if who == "safelight" else call.partition(" ")[0]


def _summary(rounds: list[dict[str, dict[str, float]]], facts: Mapping[str, Any]) -> dict[str, Any]:
    def median(values: list[float]) -> float:
        return round(statistics.median(values), 3)

    made: dict[str, Any] = {
        "pixels": facts["pixels"],
        "dtype": facts["dtype"],
        "threads": facts["threads"],
        "rounds": len(rounds),
    }
    for who in rounds[0]:
        walls = [one[who]["wall"] for one in rounds]
        made[who] = {"median_s": round(statistics.median(walls), 4), "least_s": round(min(walls), 4)}
        if who not in ("safelight", "gemm"):
            made[f"ratio to {who}"] = {
                kind: median([one["safelight"][kind] / one[who][kind] for one in rounds]) for kind in ("wall", "cpu")
            }
    if "gemm" in rounds[0]:
        speeds = [facts["gemm_flops"] / one["gemm"]["wall"] for one in rounds]
        steps = [facts["step_flops"] / one["safelight"]["wall"] for one in rounds]
        made |= {
            "gemm TFLOP/s": {"median": median([one / 1e12 for one in speeds]), "most": round(max(speeds) / 1e12, 3)},
            "step TFLOP": round(facts["step_flops"] / 1e12, 3),
            "fraction of gemm": median([step / speed for step, speed in zip(steps, speeds, strict=True)]),
        }
    return made


class _Worker:
    """One contestant, in a process of its own, which does one call when it is asked."""

    def __init__(self, arguments: argparse.Namespace, name: str) -> None:
        command = [sys.executable, __file__, "--worker", name, str(arguments.checkpoint.resolve())]
        command += ["--threads", str(arguments.threads), "--pixels", str(arguments.pixels)]
        command += ["--small"] if arguments.small else []
        command += ["--part", arguments.part] if arguments.part else []
        for option in ("lora", "controlnet"):
            given = getattr(arguments, option)
            command += [f"--{option}", str(given.resolve())] if given else []
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
        )

    @functools.cached_property
    def hello(self) -> dict[str, Any]:
        """What it says once it is ready; all of them get ready at the same time."""
        return self._answer()

    def ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(what, file=self._process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print, too
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit("a contestant ended; what it said stands above")


def _serve(arguments: argparse.Namespace) -> None:
    """Be one contestant."""
    sys.path.insert(0, str(ROOT))
    import torch
    from against_diffusers import peak_bytes

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    kind, _, dtype = arguments.worker.partition(" ")
    facts, calls = _safelight(arguments) if kind == "safelight" else _diffusers(arguments, dtype)
    print(json.dumps({**facts, "calls": [*calls], "threads": torch.get_num_threads()}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            asked = line.strip()
            if asked == "peak":
                answer: dict[str, Any] = {"peak_gb": round(peak_bytes() / 1e9, 2)}
            elif asked == "profile":
                answer = {"table": _profile(calls["step"])}
            else:
                wall, cpu = time.perf_counter(), time.process_time()
                calls[asked]()
                answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            print(json.dumps(answer), flush=True)


def _profile(call: Callable[[], Any]) -> str:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        call()
    rows = sorted(seen.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in rows)
    lines = [f"{'operation':46} {'calls':>6} {'ms':>8} {'share':>6}"]
    for one in rows[:14]:
        share = one.self_cpu_time_total / total
        lines.append(f"{one.key[:46]:46} {one.count:6} {one.self_cpu_time_total / 1e3:8.1f} {share:6.1%}")
    return "\n".join(lines)


def _inputs(pixels: int, dtype: Any) -> tuple[Any, Any, Any, Any]:
    """Return latents, timesteps and prompts of a step with guidance, and the latent to decode."""
    import torch

    side, generator = pixels // 8, torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, side, side, generator=generator).to(dtype)
    context = torch.randn(2, 77, 768, generator=generator).to(dtype)
    return x.repeat(2, 1, 1, 1), torch.tensor([500.0, 500.0]), context, x


def _safelight(arguments: argparse.Namespace) -> tuple[dict[str, Any], Calls]:
    import torch

    from engine.diffusion.conditioning import ConditioningEntry
    from engine.diffusion.latents import Latent
    from engine.diffusion.sampling import KSamplerSettings
    from engine.families import pipeline
    from engine.families.control import load_controlnet
    from engine.memory.devices import probe_device
    from engine.memory.heap import keep_freed_memory
    from engine.weights.recipe import Patch, file_ref

    keep_freed_memory()  # as a session does
    bfloat16 = probe_device("cpu").kind == "cpu_bf16"
    models = pipeline.make_models("cpu", "bfloat16" if arguments.small and bfloat16 else "auto")
    model, _, vae = pipeline.load_checkpoint(file_ref(arguments.checkpoint))
    dtype = models.dtype_for(model)
    x, timesteps, context, latent = _inputs(arguments.pixels, torch.float32)

    def step(recipe: Any = model, control: Any = None) -> Any:
        with models.use(recipe) as network:
            return pipeline.predict_with(network)(x, timesteps, context, control=control)

    def decode() -> Any:
        with models.use(vae) as network:
            return pipeline.decode_one(network, latent)

    side = 2048
    left = torch.randn(side, side).to(dtype)
    right = torch.randn(side, side).to(dtype)
    calls: dict[str, Callable[[], Any]] = {"step": step}
    if arguments.lora:
        patched = model.with_patch(Patch(file_ref(arguments.lora), 1.0))
        calls["step with LoRA"] = lambda: step(patched)
    if arguments.controlnet:
        calls["step with ControlNet"] = _controlled(arguments, models, step, load_controlnet)
    latent_in = Latent(latent)
    prompts = [(ConditioningEntry(one[None], None),) for one in context]
    guidance = pipeline.Guidance(*prompts, CFG)  # type: ignore[arg-type]  # two prompts

    def sample() -> Any:
        settings = KSamplerSettings(1, STEPS, "euler", "normal")
        return pipeline.sample_latent(models, model, settings, guidance, latent_in)

    calls |= {"sample": sample, "decode": decode, "gemm": lambda: left @ right}
    with torch.inference_mode():
        for _ in range(3):
            left @ right
    facts = {
        "pixels": arguments.pixels,
        "dtype": str(dtype),
        "step_flops": _step_flops(model, arguments.pixels),
        "gemm_flops": 2 * side**3,
    }
    return facts, calls


def _controlled(arguments: argparse.Namespace, models: Any, step: Any, load: Any) -> Callable[[], Any]:
    import torch

    from engine.families.control import Steering
    from engine.weights.recipe import file_ref

    recipe = load(file_ref(arguments.controlnet)).model
    x, timesteps, context, _ = _inputs(arguments.pixels, models.dtype_for(recipe))
    with torch.inference_mode(), models.use(recipe) as network:
        hint = network.encode_hint(torch.zeros(1, 3, 8 * x.shape[-2], 8 * x.shape[-1], dtype=x.dtype))

    def call() -> Any:
        with models.use(recipe) as network:
            residuals = network(x, timesteps, context, hint)
        return step(control=Steering(list(residuals)))

    return call


def _step_flops(model: Any, pixels: int) -> int:
    """Count multiplications and additions of a step, on tensors without data."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from engine.families.building import empty_module
    from engine.memory.devices import probe_device

    network = empty_module(model, probe_device("cpu"), torch.float32)
    x, timesteps, context, _ = (one.to("meta") for one in _inputs(pixels, torch.float32))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x, timesteps, context)
    return counter.get_total_flops()


def _diffusers(arguments: argparse.Namespace, name: str) -> tuple[dict[str, Any], Calls]:
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel

    from engine.memory.devices import probe_device

    dtype = getattr(torch, name)
    if dtype == torch.bfloat16 and probe_device("cpu").kind != "cpu_bf16":
        return {"dtype": str(dtype)}, {}
    sizes: dict[str, Any] = {}
    vae_sizes: dict[str, Any] = {"block_out_channels": [128, 256, 512, 512]}
    if arguments.small:
        sizes = {
            "block_out_channels": [64, 128],
            "layers_per_block": 1,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        }
        vae_sizes["block_out_channels"] = [64, 64, 128, 128]
    levels = len(vae_sizes["block_out_channels"])
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8, **sizes)
        vae = AutoencoderKL(
            layers_per_block=2 if not arguments.small else 1,
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            latent_channels=4,
            **vae_sizes,
        )
    if arguments.part != "decode":
        unet = _with_any_weights(unet, dtype)
    if arguments.part in (None, "decode"):
        vae = _with_any_weights(vae, dtype)
    x, timesteps, context, latent = _inputs(arguments.pixels, dtype)

    def sample() -> Any:
        scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        scheduler.set_timesteps(STEPS)
        now = latent * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            both = scheduler.scale_model_input(now.repeat(2, 1, 1, 1), timestep)
            positive, negative = unet(both, timestep, context).sample.chunk(2)
            now = scheduler.step(negative + CFG * (positive - negative), timestep, now).prev_sample
        return now

    calls = {
        "step": lambda: unet(x, timesteps, context).sample,
        "sample": sample,
        "decode": lambda: vae.decode(latent).sample,
    }
    return {"dtype": str(dtype)}, calls


def _with_any_weights(module: Any, dtype: Any) -> Any:
    """Give a module on the meta device small weights, quickly."""
    import torch

    drawn = (torch.rand(1 << 20, generator=torch.Generator().manual_seed(2)) - 0.5) * 0.04
    with torch.no_grad():
        tensors = {
            name: drawn.to(dtype).repeat(one.numel() // len(drawn) + 1)[: one.numel()].clone().reshape(one.shape)
            for name, one in module.state_dict().items()
        }
    module.load_state_dict(tensors, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def _small_checkpoint(path: Path) -> Path:
    """Write a checkpoint of small networks that is recognised as Stable Diffusion 1."""
    sys.path[:0] = [str(ROOT)]
    import torch

    from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
    from engine.networks.clip_text import ClipText, ClipTextConfig
    from engine.networks.unet import UNet, UNetConfig
    from engine.weights.files import save_safetensors
    from engine.weights.layouts import AUTOENCODER, CLIP_TEXT, DENOISER

    torch.manual_seed(0)
    parts: dict[str, Any] = {
        DENOISER: UNet(UNetConfig(context_dim=768, num_heads=8, **SMALL)),  # type: ignore[arg-type]  # sizes
        AUTOENCODER: Autoencoder(AutoencoderConfig(channels=64, channel_mult=(1, 1, 2, 2), num_res_blocks=1)),
        CLIP_TEXT: ClipText(ClipTextConfig(width=768, layers=1, heads=12, hidden=64)),
    }
    tensors = {prefix + name: one for prefix, part in parts.items() for name, one in part.state_dict().items()}
    save_safetensors(path, tensors)
    return path


if __name__ == "__main__":
    main()
