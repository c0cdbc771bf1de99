"""Make the profiles that `residency.py` simulates with, and write them beside it: real networks, run on fake tensors.

    python benchmarks/residency_profiles.py

Needs diffusers, transformers and spandrel for the networks that are not ours. A profile is a list of blocks of weights
[bytes, operations and bytes as seconds on the assumed card], and peaks of activations.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.families.profiles import NetworkCall, call_network
from engine.memory.accesses import accesses_of, blocks_of
from engine.memory.cards import card_named
from engine.memory.dry_run import dry_run
from engine.networks.autoencoder import Autoencoder, AutoencoderConfig
from engine.networks.clip_text import ClipTextConfig, ProjectedClipText, TextEncoders
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.unet import UNet, UNetConfig
from engine.weights.loading import empty_construction

CARD = card_named("rtx4060")
SDXL = UNetConfig(
    channel_mult=(1, 2, 4), num_res_blocks=(2, 2, 2), transformer_depth=(0, 2, 10), middle_depth=10, context_dim=2048,
    num_heads=None, head_channels=64, use_linear_projection=True, adm_channels=2816,
)  # fmt: skip
REFINER = UNetConfig(
    model_channels=384, channel_mult=(1, 2, 4, 4), transformer_depth=(0, 4, 4, 0), middle_depth=4, context_dim=1280,
    num_heads=None, head_channels=64, use_linear_projection=True, adm_channels=2560,
)  # fmt: skip
LARGE = ClipTextConfig(width=1280, layers=32, heads=20, hidden=5120, activation="gelu")


def measured(name: str, make: Callable[[], nn.Module], call: Any, dtype: torch.dtype = torch.float16) -> dict[str, Any]:
    """Return the profile of one call as plain data."""
    with torch.device("meta"), empty_construction():
        network = make().to(dtype)
    made = dry_run(network, call if callable(call) else lambda n, place: call_network(n, call, place), "cuda")
    accesses = accesses_of(blocks_of(name, made), made, CARD)
    return {
        "blocks": [[access.block.index, access.block.nbytes, round(access.seconds, 7)] for access in accesses],
        "live": made.live_bytes,
        "native": made.reserved_bytes,
        "expandable": made.expandable_bytes,
    }


def main() -> None:
    """Make all profiles."""
    side = NetworkCall("denoise", 2, 128, 128)
    steered = NetworkCall("denoise", 2, 128, 128, residuals=True)
    big = NetworkCall("denoise", 2, 192, 192)
    pair = NetworkCall("control", 2, 128, 128)
    found = {
        "sdxl b2": measured("sdxl", lambda: UNet(SDXL), side),
        "sdxl b1": measured("sdxl", lambda: UNet(SDXL), NetworkCall("denoise", 1, 128, 128)),
        "sdxl steered b2": measured("sdxl", lambda: UNet(SDXL), steered),
        "sdxl hires b2": measured("sdxl", lambda: UNet(SDXL), big),
        "control b2": measured("control", lambda: ControlNet(ControlNetConfig(SDXL)), pair),
        "refiner b2": measured("refiner", lambda: UNet(REFINER), side),
        "vae decode": measured("vae", _vae, NetworkCall("decode", 1, 128, 128)),
        "vae decode hires": measured("vae", _vae, NetworkCall("decode", 1, 192, 192)),
        "vae encode hires": measured("vae", _vae, NetworkCall("encode", 1, 1536, 1536)),
        "clip l": measured("clip l", _encoders, NetworkCall("text_l", 1)),
        "clip g": measured("clip g", _encoders, NetworkCall("text_g", 1)),
        **_others(),
    }
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps({"card": CARD.name, "profiles": found}, separators=(",", ":")), encoding="utf-8")
    for name, profile in found.items():
        seconds = sum(time for _, _, time in profile["blocks"])
        weights = sum({index: nbytes for index, nbytes, _ in profile["blocks"]}.values())
        print(f"{name:18} {weights / 2**30:6.2f} GiB {len(profile['blocks']):4} blocks {seconds:7.3f} s", end="")
        print(f"  live {profile['live'] / 2**30:.3f}  native {profile['native'] / 2**30:.3f} GiB")


def _vae() -> Autoencoder:
    return Autoencoder(AutoencoderConfig())


def _encoders() -> TextEncoders:
    return TextEncoders(ProjectedClipText(ClipTextConfig()), ProjectedClipText(LARGE, 1280))


def _others() -> dict[str, Any]:
    """Return the profiles of networks that other packages hold: FLUX.1, T5-XXL, an ESRGAN."""
    from diffusers import FluxTransformer2DModel
    from spandrel.architectures.ESRGAN import ESRGAN
    from transformers import T5Config, T5EncoderModel

    half = torch.bfloat16

    def flux(network: Any, place: torch.device) -> Any:
        make: Any = lambda *shape: torch.zeros(*shape, dtype=half, device=place)  # noqa: E731
        ids = make(4096, 3), make(512, 3)
        given = {"pooled_projections": make(1, 768), "timestep": make(1), "guidance": make(1)}
        return network(make(1, 4096, 64), make(1, 512, 4096), img_ids=ids[0], txt_ids=ids[1], **given)

    sizes = T5Config(
        d_model=4096, d_ff=10240, num_layers=24, num_heads=64, d_kv=64, vocab_size=32128, feed_forward_proj="gated-gelu"
    )

    def t5(network: Any, place: torch.device) -> Any:
        return network(torch.zeros(1, 512, dtype=torch.long, device=place))

    def esrgan(network: Any, place: torch.device) -> Any:
        return network(torch.zeros(1, 3, 512, 512, dtype=torch.float16, device=place))

    found = {
        "flux bf16": measured("flux", lambda: FluxTransformer2DModel(guidance_embeds=True), flux, half),
        "t5 fp16": measured("t5", lambda: T5EncoderModel(sizes), t5),
        "esrgan tile": measured("esrgan", lambda: ESRGAN(), esrgan),
    }
    for name in ("flux bf16", "t5 fp16"):  # in eight bits a block has half the bytes and is widened as it is used
        halved = [[index, nbytes // 2, seconds] for index, nbytes, seconds in found[name]["blocks"]]
        found[name.split()[0] + " fp8"] = {**found[name], "blocks": halved}
    return found


if __name__ == "__main__":
    main()
