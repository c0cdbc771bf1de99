"""Parts of models from files of their own: equal to the same weights inside a checkpoint, whatever the key layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_families import encoder, prefixed, tiny_tensors
from torch import Tensor

from engine.errors import SafelightError, WeightError
from engine.families.building import build_module
from engine.families.lora import add_lora
from engine.families.pipeline import encode_prompt, load_part
from engine.families.text_files import load_clip_pair
from engine.memory.devices import probe_device
from engine.memory.residency import Residency
from engine.networks.unet import UNet, UNetConfig
from engine.weights.files import save_safetensors
from engine.weights.layouts import AUTOENCODER, CLIP_G, CLIP_L, CLIP_WRAPPER, DENOISER
from engine.weights.recipe import FileRef, file_ref
from nodes.loaders import load_diffusion_model, load_text_encoder, load_text_encoder_pair

Tensors = dict[str, Tensor]
PROMPT = "a (red:1.2) apple"
TO_OPEN_CLIP = (
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("text_model.embeddings.token_embedding", "token_embedding"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm", "ln_final"),
    (".layer_norm1", ".ln_1"),
    (".layer_norm2", ".ln_2"),
    (".self_attn.out_proj", ".attn.out_proj"),
    (".mlp.fc1", ".mlp.c_fc"),
    (".mlp.fc2", ".mlp.c_proj"),
)


def open_clip(tensors: Tensors) -> Tensors:
    made: Tensors = {}
    for name, tensor in tensors.items():
        for old, new in TO_OPEN_CLIP:
            name = name.replace(old, new)
        if "q_proj" in name:
            parts = [tensors[f"{_hf(name, one)}"] for one in ("q_proj", "k_proj", "v_proj")]
            stem, _, leaf = name.replace("self_attn.q_proj.", "attn.in_proj_").rpartition("_")
            made[f"{stem}_{leaf}"] = torch.cat(parts)
        elif name == "text_projection.weight":
            made["text_projection"] = tensor.T.contiguous()
        elif "k_proj" not in name and "v_proj" not in name:
            made[name] = tensor
    return made


def _hf(name: str, projection: str) -> str:
    return name.replace("transformer.resblocks.", "text_model.encoder.layers.").replace("q_proj", projection)


def write(path: Path, tensors: Tensors) -> FileRef:
    save_safetensors(path, tensors)
    return file_ref(path)


def without_embeddings(models: Residency, recipe: object) -> tuple[Tensor, Tensor]:
    (entry,) = encode_prompt(models, recipe, PROMPT)  # type: ignore[arg-type]
    assert entry.pooled is not None
    models.drop_unused()
    return entry.embedding, entry.pooled


@pytest.fixture(scope="module")
def large() -> Tensors:
    return encoder(1280, True)


@pytest.fixture(scope="module")
def small() -> Tensors:
    return encoder(768, False)


@pytest.mark.parametrize(("width", "family"), [(768, "sd1"), (1024, "sd2"), (1280, "sdxl_refiner")])
def test_a_text_encoder_alone_is_that_of_the_checkpoint(
    width: int, family: str, models: Residency, tmp_path: Path
) -> None:
    tensors = encoder(width, width == 1280)
    inside = prefixed(CLIP_G if width == 1280 else CLIP_WRAPPER, tensors)
    whole = load_part(write(tmp_path / "whole.safetensors", inside), "text")
    wanted = without_embeddings(models, whole)
    layouts = {"hf": tensors, "wrapped": prefixed(CLIP_WRAPPER, tensors), "open_clip": open_clip(tensors)}
    for name, stored in layouts.items():
        recipe = load_part(write(tmp_path / f"{name}.safetensors", stored), "text")
        assert recipe.family == whole.family == family
        made = without_embeddings(models, recipe)
        assert torch.equal(made[0], wanted[0]) and torch.equal(made[1], wanted[1]), name
        (tmp_path / f"{name}.safetensors").unlink()


def test_two_text_encoders_in_either_order_and_with_a_lora(
    small: Tensors, large: Tensors, models: Residency, tmp_path: Path
) -> None:
    whole = load_part(
        write(tmp_path / "whole.safetensors", {**prefixed(CLIP_L, small), **prefixed(CLIP_G, large)}), "text"
    )
    clip_l, clip_g = write(tmp_path / "l.safetensors", small), write(tmp_path / "g.safetensors", open_clip(large))
    pair = load_clip_pair([clip_g, clip_l])
    assert pair == load_clip_pair([clip_l, clip_g]) and pair.family == whole.family == "sdxl"
    assert clip_l.identity in pair.weights_key and clip_g.identity in pair.weights_key
    for one, other in zip(without_embeddings(models, pair), without_embeddings(models, whole), strict=True):
        assert torch.equal(one, other)
    module = "text_model_encoder_layers_0_self_attn_q_proj"
    tensors = {}
    for name, width in (("te1", 768), ("te2", 1280)):
        tensors[f"lora_{name}_{module}.lora_up.weight"] = torch.randn(width, 2)
        tensors[f"lora_{name}_{module}.lora_down.weight"] = torch.randn(2, width)
    lora = write(tmp_path / "lora.safetensors", tensors)
    patched, of_whole = add_lora([(pair, 0.5)], lora)[0], add_lora([(whole, 0.5)], lora)[0]
    changed = without_embeddings(models, patched)
    assert torch.equal(changed[0], without_embeddings(models, of_whole)[0])
    assert not torch.equal(changed[0], without_embeddings(models, pair)[0])


def test_pairs_that_are_none_say_what_each_file_holds(small: Tensors, tmp_path: Path) -> None:
    clip_l = write(tmp_path / "clip_l.safetensors", small)
    xl = write(tmp_path / "xl.safetensors", tiny_tensors("sdxl"))
    with pytest.raises(WeightError, match=r"clip_l.* holds CLIP-L and xl.* holds both CLIP-L and OpenCLIP-G"):
        load_clip_pair([clip_l, xl])
    with pytest.raises(WeightError, match="holds no diffusion model"):
        load_part(clip_l, "diffusion")


def test_a_diffusion_model_alone(models: Residency, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=(1, 1), transformer_depth=(0, 1), context_dim=768
    )
    own = {name: one if one.any() else torch.randn_like(one) for name, one in UNet(config).state_dict().items()}
    vae = {name: one for name, one in tiny_tensors("sd2").items() if name.startswith(AUTOENCODER)}
    whole = load_part(write(tmp_path / "whole.safetensors", {**prefixed(DENOISER, own), **vae}), "diffusion")
    device = probe_device("cpu")
    wanted = build_module(whole, device, torch.float32).state_dict()
    for name, stored in {"bare": own, "prefixed": prefixed(DENOISER, own)}.items():
        recipe = load_part(write(tmp_path / f"{name}.safetensors", stored), "diffusion")
        assert recipe.family == "sd1"
        made = build_module(recipe, device, torch.float32).state_dict()
        assert all(torch.equal(made[key], wanted[key]) for key in wanted)
        with pytest.raises(WeightError, match="holds no text encoder"):
            load_part(recipe.file, "text")
    stem = "lora_unet_input_blocks_1_0_in_layers_2"
    tensors = {f"{stem}.lora_up.weight": torch.randn(32, 2, 1, 1), f"{stem}.lora_down.weight": torch.randn(2, 32, 3, 3)}
    lora = write(tmp_path / "lora.safetensors", tensors)
    changed = [build_module(add_lora([(one, 1.0)], lora)[0], device, torch.float32) for one in (whole, recipe)]
    states = [one.state_dict()["input_blocks.1.0.in_layers.2.weight"] for one in changed]
    assert torch.equal(*states) and not torch.equal(states[0], wanted["input_blocks.1.0.in_layers.2.weight"])


def test_what_saved_workflows_may_ask_and_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(SafelightError, match="8 bits") as caught:
        load_diffusion_model(None, unet_name="a", weight_dtype="fp8_e5m2")
    assert caught.value.problem.expected == "default"
    with pytest.raises(SafelightError, match="for flux are not supported") as caught:
        load_text_encoder_pair(None, clip_name1="a", clip_name2="b", type="flux")
    assert caught.value.problem.expected == "sdxl"
    with pytest.raises(SafelightError, match="for sd3 are not supported"):
        load_text_encoder(None, clip_name="a", type="sd3")
