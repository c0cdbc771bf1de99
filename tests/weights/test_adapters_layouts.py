"""Key layouts of adapter files: each of them means the same parameters."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from engine.weights.adapters.applying import effective_weight
from engine.weights.adapters.keys import Address, Role, read_key
from engine.weights.adapters.low_rank import LowRank
from engine.weights.adapters.matching import context_width, match_adapters, unsupported_kinds
from engine.weights.adapters.reading import read_adapters
from engine.weights.adapters.slots import slots_of
from engine.weights.adapters.unet_names import diffusers_unet_modules
from engine.weights.files import save_safetensors
from engine.weights.layouts import CLIP_TEXT, DENOISER, original_names
from engine.weights.recipe import file_ref

Shapes = dict[str, tuple[int, ...]]


def load(reference: Path, name: str) -> Shapes:
    with gzip.open(reference / "checkpoint_shapes" / f"{name}.json.gz", "rt") as file:
        return {key: tuple(shape) for key, shape in json.load(file)["tensors"].items()}


def part_of(shapes: Shapes, prefix: str) -> Shapes:
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


DOTTED = "down_blocks.1.attentions.0.transformer_blocks.0.attn1."
FLAT = DOTTED.replace(".", "_")
ORIGINAL = "input_blocks_4_1_transformer_blocks_0_attn1_to_q"
TEXT = "text_model.encoder.layers.3.self_attn."
FLAT_TEXT = TEXT.replace(".", "_")


def unet(module: str, role: Role) -> Address:
    return Address("diffusion", 0, module, role)


def text(encoder: int, projection: str, role: Role) -> Address:
    return Address("text", encoder, f"encoder_layers_3_self_attn_{projection}_proj", role)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"lora_unet_{FLAT}to_q.lora_down.weight", unet(FLAT + "to_q", "down")),
        (f"lora_unet_{ORIGINAL}.lora_up.weight", unet(ORIGINAL, "up")),
        (f"lora_unet_{FLAT}to_q.alpha", unet(FLAT + "to_q", "alpha")),
        (f"lora_unet_{FLAT}to_q.dora_scale", unet(FLAT + "to_q", "magnitude")),
        (f"lycoris_{FLAT}to_q.lora_mid.weight", unet(FLAT + "to_q", "mid")),
        (f"unet.{DOTTED}to_q.lora_A.weight", unet(FLAT + "to_q", "down")),
        (f"unet.{DOTTED}to_q.lora_B.default.weight", unet(FLAT + "to_q", "up")),
        (f"unet.{DOTTED}to_q.lora_magnitude_vector", unet(FLAT + "to_q", "magnitude")),
        (f"base_model.model.{DOTTED}to_q.lora_magnitude_vector.default.weight", unet(FLAT + "to_q", "magnitude")),
        (f"unet.{DOTTED}processor.to_q_lora.up.weight", unet(FLAT + "to_q", "up")),
        (f"{DOTTED}processor.to_q_lora.down.weight", unet(FLAT + "to_q", "down")),
        (f"unet.{DOTTED}processor.to_out_lora.down.weight", unet(FLAT + "to_out_0", "down")),
        (f"unet.{DOTTED}to_q.lora.down.weight", unet(FLAT + "to_q", "down")),
        ("diffusion_model.input_blocks.4.1.proj_in.diff_b", unet("input_blocks_4_1_proj_in", "diff_b")),
        (f"lora_te_{FLAT_TEXT}q_proj.alpha", text(1, "q", "alpha")),
        (f"lora_te1_{FLAT_TEXT}q_proj.alpha", text(1, "q", "alpha")),
        (f"lora_te2_{FLAT_TEXT}q_proj.alpha", text(2, "q", "alpha")),
        (f"text_encoder.{TEXT}q_proj.lora_A.weight", text(1, "q", "down")),
        (f"text_encoder_2.{TEXT}out_proj.lora_linear_layer.up.weight", text(2, "out", "up")),
        (f"text_encoder.{TEXT}to_out_lora.up.weight", text(1, "out", "up")),
        (f"text_encoders.clip_l.transformer.{TEXT}k_proj.diff", text(1, "k", "diff")),
        ("lora_unet_conv_in.hada_w1_a", None),
        ("bundle_emb.word.string_to_param.*", None),
    ],
)
def test_names_are_taken_apart(key: str, expected: Address | None) -> None:
    assert read_key(key) == expected


def test_the_real_kohya_file_fits_the_real_checkpoint(reference: Path) -> None:
    lora, checkpoint = load(reference, "lora_sd15_kohya"), load(reference, "sd15")
    used = 0
    for part, prefix in (("diffusion", DENOISER), ("text", CLIP_TEXT)):
        slots = slots_of(part, part_of(checkpoint, prefix))  # type: ignore[arg-type]
        match = match_adapters(part, lora, slots)  # type: ignore[arg-type]
        assert not match.unknown and not match.misfits
        assert len({one.parameter for one in match.matched}) == len(match.matched)
        used += sum(len(one.tensors) for one in match.matched)
    assert used == len(lora) == 858
    assert context_width(lora) == 768


@pytest.mark.parametrize(
    ("name", "adds"), [("sd15", ()), ("sd21", ()), ("sdxl", ("label_emb",)), ("sdxl_inpaint", ("label_emb",))]
)
def test_diffusers_names_go_there_and_back(name: str, adds: tuple[str, ...], reference: Path) -> None:
    """Every module of the real U-Nets has a name in diffusers that the loader of such files takes back to it."""
    unet = part_of(load(reference, name), DENOISER)
    modules = {key.rpartition(".")[0] for key in unet}
    names = diffusers_unet_modules(modules)
    assert names.keys() == modules and len(set(names.values())) == len(modules)
    assert any(module.startswith(adds) for module in modules) or not adds
    theirs = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": shape for key, shape in unet.items()}
    assert original_names(theirs).shapes == {DENOISER + key: shape for key, shape in unet.items()}


def test_flattened_names_are_unique(reference: Path) -> None:
    for name in ("sd15", "sdxl"):
        unet = part_of(load(reference, name), DENOISER)
        modules = [key for key in unet if key.endswith(".weight")]
        assert len(slots_of("diffusion", unet)) == 2 * len(modules)


def test_two_text_encoders_are_kept_apart() -> None:
    shapes = {
        "clip_l.text_model.encoder.layers.0.self_attn.q_proj.weight": (8, 8),
        "clip_g.text_model.encoder.layers.0.self_attn.q_proj.weight": (12, 12),
        "clip_g.text_projection.weight": (12, 12),
    }
    stem = "text_model_encoder_layers_0_self_attn_q_proj"
    lora = {
        f"lora_te1_{stem}.lora_up.weight": (8, 2),
        f"lora_te1_{stem}.lora_down.weight": (2, 8),
        f"lora_te2_{stem}.lora_up.weight": (12, 2),
        f"lora_te2_{stem}.lora_down.weight": (2, 12),
    }
    match = match_adapters("text", lora, slots_of("text", shapes))
    assert [one.parameter for one in match.matched] == list(shapes)[:2]
    assert (1, "encoder_layers_0_self_attn_q_proj") in slots_of(
        "text", {next(iter(shapes)).removeprefix("clip_l."): (8, 8)}
    )


def test_what_does_not_fit_is_told() -> None:
    slots = slots_of("diffusion", {"input_blocks.0.0.weight": (6, 5), "input_blocks.0.0.bias": (6,)})
    lora = {
        "diffusion_model.input_blocks.0.0.lora_up.weight": (6, 2),
        "diffusion_model.input_blocks.0.0.lora_down.weight": (2, 4),
        "diffusion_model.input_blocks.0.0.diff_b": (6,),
        "diffusion_model.nowhere.diff": (6,),
        "lora_te_text_model_final_layer_norm.w_norm": (6,),
    }
    match = match_adapters("diffusion", lora, slots)
    assert [(one.parameter, one.kind) for one in match.matched] == [("input_blocks.0.0.bias", "difference")]
    assert match.misfits == tuple(lora)[:2] and match.unknown == tuple(lora)[3:4]


def test_other_kinds_are_named() -> None:
    keys = ["lora_unet_a.hada_w1_a", "lora_unet_a.lokr_w2", "oft_unet_a.oft_blocks", "lora_unet_a.on_input"]
    assert unsupported_kinds([*keys, "lora_unet_a.lora_up.weight"]) == ["IA3", "LoHa", "LoKr", "OFT"]


@pytest.mark.parametrize(
    ("settings", "alpha"),
    [
        (None, None),
        ('{"unet.lora_alpha": 8}', 8.0),
        ('{"unet.lora_alpha": 8, "unet.use_rslora": true}', 16.0),
        ('{"text_encoder.lora_alpha": 8}', None),
        ("[[", None),
    ],
)
def test_alpha_of_peft_stands_in_the_metadata(settings: str | None, alpha: float | None, tmp_path: Path) -> None:
    stem = "unet.down_blocks.0.attentions.0.proj_in."
    tensors = {f"{stem}lora_A.weight": torch.randn(4, 5), f"{stem}lora_B.weight": torch.randn(6, 4)}
    path = tmp_path / "lora.safetensors"
    save_safetensors(path, tensors, {"lora_adapter_metadata": settings} if settings else None)
    (adapter,) = read_adapters(
        file_ref(path), "diffusion", {"input_blocks.1.1.proj_in.weight": (6, 5)}, torch.device("cpu")
    )["input_blocks.1.1.proj_in.weight"]
    assert isinstance(adapter, LowRank) and adapter.alpha == alpha


@pytest.mark.parametrize(
    ("leaf", "shape", "expected"),
    [
        ("lora_magnitude_vector", (1, 6, 1, 1), (6,)),  # PEFT's convolution: by row
        ("lora_magnitude_vector", (6,), (6,)),
        ("dora_scale", (6, 1, 1, 1), (6, 1, 1, 1)),
        ("dora_scale", (1, 5, 1, 1), (1, 5, 1, 1)),  # by column
        ("dora_scale", (5, 1, 1, 1), None),
        ("lora_magnitude_vector", (1, 5, 1, 1), None),
    ],
)
def test_magnitudes(leaf: str, shape: tuple[int, ...], expected: tuple[int, ...] | None, tmp_path: Path) -> None:
    stem, path, weight = "unet.conv_in.", tmp_path / "dora.safetensors", {"input_blocks.0.0.weight": (6, 5, 3, 3)}
    factors = {f"{stem}lora_A.weight": torch.randn(2, 5, 3, 3), f"{stem}lora_B.weight": torch.randn(6, 2, 1, 1)}
    save_safetensors(path, {**factors, stem + leaf: torch.rand(shape)})
    found = read_adapters(file_ref(path), "diffusion", weight, torch.device("cpu"))
    if expected is None:
        assert not found
        return
    (adapter,) = found["input_blocks.0.0.weight"]
    assert isinstance(adapter, LowRank) and adapter.magnitude is not None
    assert tuple(adapter.magnitude.shape) == expected
    effective_weight(torch.randn(6, 5, 3, 3), adapter, 1.0)
