"""Whole workflows on parts from files of their own: the same bytes as on a checkpoint that holds the same weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoint import text_to_image
from tiny_families import encoder, lone_unet, prefixed, tiny_tensors
from torch import Tensor

from engine.families.building import build_module
from engine.families.lora import add_lora
from engine.families.pipeline import load_part
from engine.families.registry import sampling_of
from engine.memory.devices import probe_device
from engine.session import Session
from engine.settings import Settings
from engine.weights.files import save_safetensors
from engine.weights.layouts import AUTOENCODER, CLIP_G, CLIP_L, CLIP_WRAPPER, DENOISER, original_names
from engine.weights.recipe import file_ref

Tensors = dict[str, Tensor]
ATTENTION = "text_model_encoder_layers_0_self_attn_q_proj"


def write(base: Path, name: str, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    path = base / "models" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(path, tensors, metadata or {})
    return path


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def text_encoders(family: str) -> tuple[dict[str, Tensors], Tensors]:
    """Return the files of the text encoders, and the same tensors as a checkpoint holds them."""
    if family == "sdxl":
        files = {"clip_l": encoder(768, False), "clip_g": encoder(1280, True)}
        return files, {**prefixed(CLIP_L, files["clip_l"]), **prefixed(CLIP_G, files["clip_g"])}
    files = {"clip_l": encoder(768, False)}
    return files, prefixed(CLIP_WRAPPER, files["clip_l"])


def write_lora(base: Path, family: str) -> None:
    """Write a LoRA for the U-Net and every text encoder."""
    torch.manual_seed(4)
    stem = "lora_unet_input_blocks_1_0_in_layers_2"
    tensors = {
        f"{stem}.lora_up.weight": torch.randn(32, 2, 1, 1) * 0.3,
        f"{stem}.lora_down.weight": torch.randn(2, 32, 3, 3) * 0.3,
    }
    for name, width in {"sd1": {"te": 768}, "sdxl": {"te1": 768, "te2": 1280}}[family].items():
        tensors[f"lora_{name}_{ATTENTION}.lora_up.weight"] = torch.randn(width, 2)
        tensors[f"lora_{name}_{ATTENTION}.lora_down.weight"] = torch.randn(2, width)
    write(base, "loras/style", tensors)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_parts_draw_what_their_checkpoint_draws(family: str, tmp_path: Path) -> None:
    files, texts = text_encoders(family)
    unet = {name: one.half() for name, one in lone_unet(family).state_dict().items()}
    vae = {name: one.half() for name, one in tiny_tensors("sd2").items() if name.startswith(AUTOENCODER)}
    write(tmp_path, "checkpoints/whole", {**prefixed(DENOISER, unet), **vae, **texts})
    write(tmp_path, "diffusion_models/unet", unet)
    write(tmp_path, "vae/vae", {name.removeprefix(AUTOENCODER): one for name, one in vae.items()})
    for name, tensors in files.items():
        write(tmp_path, f"text_encoders/{name}", tensors)
    write_lora(tmp_path, family)
    folders = {"output_directory": tmp_path, "temp_directory": tmp_path / "temp"}
    # By itself the number format depends on the size of the file: small ones are computed in float32 on a CPU.
    session = Session(Settings(tmp_path, **folders, device="cpu", dtype="float32"))
    names = [f"{name}.safetensors" for name in files]
    texts_from = (
        node("DualCLIPLoader", clip_name1=names[0], clip_name2=names[1], type="sdxl")
        if len(names) == 2
        else node("CLIPLoader", clip_name=names[0], type="stable_diffusion")
    )
    parts = {
        "30": node("UNETLoader", unet_name="unet.safetensors", weight_dtype="default"),
        "31": texts_from,
        "32": node("VAELoader", vae_name="vae.safetensors"),
    }

    def draw(model: Any, clip: Any, vae: Any, nodes: dict[str, Any], strength: float) -> bytes:
        lora = node(
            "LoraLoader", model=model, clip=clip, lora_name="style.safetensors",
            strength_model=strength, strength_clip=strength,
        )  # fmt: skip
        changes = {"Prompt__clip": ["20", 1], "Negative__clip": ["20", 1], "Sampler__model": ["20", 0]}
        prompt = text_to_image(Checkpoint__ckpt_name="whole.safetensors", Decode__vae=vae, **changes)
        if nodes:
            del prompt["4"]
        prompt |= {"20": lora, **nodes}
        made: Tensor = session.open(prompt).run(["Decode"]).values["Decode"][0]
        return made.numpy().tobytes()

    for strength in (0.0, 1.0):
        whole = draw(["4", 0], ["4", 1], ["4", 2], {}, strength)
        assert draw(["30", 0], ["31", 0], ["32", 0], parts, strength) == whole
    assert whole != draw(["4", 0], ["4", 1], ["4", 2], {}, 0.0)


def test_strengths_of_a_lora_are_factors(tmp_path: Path) -> None:
    """0 changes nothing, -1 takes away what 1 adds, 10 adds ten times as much; a picture comes out of each."""
    recipe = load_part(file_ref(write(tmp_path, "unet", dict(lone_unet("sd1").state_dict()))), "diffusion")
    write_lora(tmp_path, "sd1")
    lora = file_ref(tmp_path / "models/loras/style.safetensors")

    def weight(strength: float) -> Tensor:
        module = build_module(add_lora([(recipe, strength)], lora)[0], probe_device("cpu"), torch.float32)
        return module.state_dict()["input_blocks.1.0.in_layers.2.weight"]

    plain, change = weight(0.0), weight(1.0) - weight(0.0)
    assert torch.equal(plain, lone_unet("sd1").state_dict()["input_blocks.1.0.in_layers.2.weight"])
    assert change.abs().max() > 0.1
    for strength in (-1.0, 10.0):
        torch.testing.assert_close(weight(strength), plain + strength * change, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("layout", ["bare", "prefixed"])
@pytest.mark.parametrize("family", ["sd1", "sd1_inpaint", "sd2", "sd2_inpaint", "sdxl", "sdxl_inpaint", "sdxl_refiner"])
def test_a_lone_unet_is_recognised(family: str, layout: str, tmp_path: Path) -> None:
    unet = lone_unet(family)
    tensors = prefixed(DENOISER, dict(unet.state_dict())) if layout == "prefixed" else dict(unet.state_dict())
    recipe = load_part(file_ref(write(tmp_path, "unet", tensors)), "diffusion")
    assert (recipe.family, recipe.options) == (family, ())
    module = build_module(recipe, probe_device("cpu"), torch.float32)
    for (name, one), other in zip(unet.state_dict().items(), module.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize(
    ("family", "added", "metadata", "prediction"),
    [
        ("sd2", {}, {}, "eps"),
        ("sd2", {"output_blocks.11.1.transformer_blocks.0.norm1.bias": 0.2}, {}, "v"),
        ("sd2", {"output_blocks.11.1.transformer_blocks.0.norm1.bias": 0.05}, {}, "eps"),
        ("sd2", {}, {"modelspec.prediction_type": "v"}, "v"),
        ("sdxl", {"v_pred": 0.0}, {}, "v"),
        ("sdxl", {}, {"modelspec.prediction_type": "epsilon"}, "eps"),
    ],
)
@pytest.mark.parametrize("layout", ["bare", "prefixed"])
def test_what_a_lone_unet_predicts(
    layout: str, family: str, added: dict[str, float], metadata: dict[str, str], prediction: str, tmp_path: Path
) -> None:
    spread = {name: torch.linspace(-1, 1, 320) * size * math.sqrt(3) for name, size in added.items()}
    prefix = DENOISER if layout == "prefixed" else ""
    marks = {("" if name == "v_pred" else prefix) + name: one for name, one in spread.items()}
    tensors = prefixed(prefix, dict(lone_unet(family).state_dict()))
    recipe = load_part(file_ref(write(tmp_path, "unet", {**tensors, **marks}, metadata)), "diffusion")
    assert recipe.family == family
    assert sampling_of(recipe).prediction == prediction  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl", "sdxl_refiner", "sd1_inpaint", "sd2_inpaint", "sdxl_inpaint"])
def test_a_lone_unet_of_diffusers_is_recognised(family: str, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    base = family.removesuffix("_inpaint")
    torch.manual_seed(0)
    width, label = {"sd1": (768, None), "sd2": (1024, None), "sdxl": (2048, 2816), "sdxl_refiner": (1280, 2560)}[base]
    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
    twin = diffusers.UNet2DConditionModel(
        in_channels=4 if base == family else 9,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=8 if base == "sd1" else 1,
        use_linear_projection=base != "sd1",
        **({**added, "projection_class_embeddings_input_dim": label} if label else {}),
    )
    tensors = dict(twin.state_dict())
    recipe = load_part(file_ref(write(tmp_path, "unet", tensors)), "diffusion")
    assert recipe.family == family
    module = build_module(recipe, probe_device("cpu"), torch.float32)
    part = original_names({key: tuple(value.shape) for key, value in tensors.items()}).part(DENOISER)
    assert set(part) == set(module.state_dict())
    assert all(torch.equal(module.state_dict()[name], tensors[source.name]) for name, source in part.items())
