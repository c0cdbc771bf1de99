"""T2I-Adapters: whole networks and U-Nets against diffusers, and runs steered by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoint import write_tiny_checkpoint
from torch import Tensor

from engine.diffusion.latents import empty_latent
from engine.diffusion.sampling import KSamplerSettings
from engine.errors import InputError, WeightError
from engine.families.building import build_module
from engine.families.control import Control, apply_control, load_controlnet
from engine.families.pipeline import Guidance, encode_prompt, load_checkpoint, make_models, sample_latent
from engine.memory.devices import probe_device
from engine.networks.t2i_adapter import T2IAdapter, T2IAdapterConfig, feature_places
from engine.networks.unet import UNet, UNetConfig
from engine.weights.files import save_safetensors
from engine.weights.layouts import DENOISER, original_names
from engine.weights.recipe import file_ref

KINDS = {"full_adapter": 8, "full_adapter_xl": 16, "light_adapter": 8}


def twin_of(kind: str, colours: int = 3, channels: tuple[int, ...] = (32, 64, 64)) -> Any:
    diffusers = pytest.importorskip("diffusers", reason="the oracle of this test")
    torch.manual_seed(3)
    return diffusers.T2IAdapter(colours, list(channels), 2, KINDS[kind], kind).eval()


def original_layout(tensors: dict[str, Tensor], light: bool) -> dict[str, Tensor]:
    """Name the tensors of diffusers as the original files do, by hand: two blocks a level in one row."""
    made = {}
    for key, tensor in tensors.items():
        parts = key.removeprefix("adapter.").split(".")
        if parts[0] == "body" and light:
            parts = ["body" if part == "resnets" else part for part in parts]
        elif parts[0] == "body":
            block = 2 * int(parts[1]) + (int(parts[3]) if parts[2] == "resnets" else 0)
            parts = ["body", str(block), *parts[4 if parts[2] == "resnets" else 2 :]]
        made[".".join(parts)] = tensor
    return made


@torch.no_grad()
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_both_layouts_compute_what_diffusers_computes(kind: str, original: bool, colours: int, tmp_path: Path) -> None:
    twin = twin_of(kind, colours)
    tensors = dict(twin.state_dict())
    path = tmp_path / "adapter.safetensors"
    save_safetensors(path, original_layout(tensors, kind == "light_adapter") if original else tensors, {})
    recipe = load_controlnet(file_ref(path))
    assert (recipe.kind, recipe.context_dim) == ("sdxl" if kind == "full_adapter_xl" else "sd1", None)
    network = build_module(recipe.model, probe_device("cpu"), torch.float32)
    picture = torch.rand(2, colours, 64, 96)
    for mine, theirs in zip(network(picture), twin(picture), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_added_where_diffusers_adds_them(kind: str) -> None:
    diffusers = pytest.importorskip("diffusers", reason="the oracle of this test")
    is_xl = kind == "full_adapter_xl"
    attends = (not is_xl, True, is_xl)
    widths = (32, 64, 64)
    torch.manual_seed(1)
    twin = diffusers.UNet2DConditionModel(
        block_out_channels=widths,
        down_block_types=tuple("CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)),
        layers_per_block=2,
        cross_attention_dim=24,
        attention_head_dim=4,
        norm_num_groups=8,
    ).eval()
    config = UNetConfig(
        model_channels=32, channel_mult=(1, 2, 2), num_res_blocks=(2, 2, 2), num_heads=4, norm_groups=8,
        transformer_depth=tuple(map(int, attends)), context_dim=24,
    )  # fmt: skip
    unet = UNet(config).eval()
    state = twin.state_dict()
    part = original_names({key: tuple(value.shape) for key, value in state.items()}).part(DENOISER)
    unet.load_state_dict({name: state[source.name] for name, source in part.items()})
    # Light ones of diffusers repeat the last width by themselves; those for XL feed the middle, too.
    adapter = twin_of(kind, 3, {"full_adapter_xl": (*widths, 64), "light_adapter": widths[:2]}.get(kind, widths))
    made = adapter(torch.rand(2, 3, 64, 128))
    mine = T2IAdapterConfig(factor=KINDS[kind], channels=tuple(one.shape[1] for one in made))
    places = feature_places(mine, config)
    latents, context, time = torch.randn(2, 4, 8, 16), torch.randn(2, 7, 24), torch.tensor([500.0, 20.0])
    inside = [one.clone() for one in made]
    expected = twin(latents, time, context, down_intrablock_additional_residuals=inside, return_dict=False)[0]
    assert not inside  # diffusers took all of them
    got = unet(latents, time, context, features=dict(zip(places, made, strict=True)))
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    assert float((got - unet(latents, time, context)).abs().max()) > 1e-3


@torch.no_grad()
def test_a_learned_halving_can_be_an_average() -> None:
    plain = T2IAdapter(T2IAdapterConfig(channels=(8, 16)))
    learned = T2IAdapter(T2IAdapterConfig(channels=(8, 16), learned_halving=True))
    kernel = torch.zeros(8, 8, 3, 3)
    kernel[range(8), range(8), 1:, 1:] = 0.25
    halving = {"body.2.down_opt.op.weight": kernel, "body.2.down_opt.op.bias": torch.zeros(8)}
    learned.load_state_dict(plain.state_dict() | halving)
    picture = torch.rand(1, 3, 64, 64)
    for one, two in zip(plain(picture), learned(picture), strict=True):
        torch.testing.assert_close(one, two)


def test_a_run_is_steered_by_strength_and_time(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    models = make_models("cpu", "float32")
    model, clip, _ = load_checkpoint(file_ref(tmp_path / "tiny.safetensors"))
    sides = encode_prompt(models, clip, "an apple"), encode_prompt(models, clip, "blurry")
    save_safetensors(tmp_path / "adapter.safetensors", dict(twin_of("full_adapter", 3, (32, 64)).state_dict()), {})
    recipe = load_controlnet(file_ref(tmp_path / "adapter.safetensors"))

    def draw(strength: float, start: float = 0.0, end: float = 1.0, size: tuple[int, int] = (64, 64)) -> Tensor:
        control = Control(
            recipe, torch.rand(1, 64, 64, 4, generator=torch.Generator().manual_seed(2)), strength, start, end
        )
        guidance = Guidance(*apply_control(control, *sides), 4.0)
        settings = KSamplerSettings(5, 4, "euler", "normal")
        return sample_latent(models, model, settings, guidance, empty_latent(*size)).samples

    plain = draw(0.0)
    assert torch.equal(draw(1.0, 0.9, 0.1), plain)
    results = [plain, draw(1.0), draw(0.5), draw(1.0, 0.0, 0.5), draw(1.0, 0.5, 1.0), draw(-1.0), draw(10.0)]
    assert all(torch.isfinite(one).all() for one in results)
    for number, one in enumerate(results):
        assert not any(torch.allclose(one, other, atol=1e-3) for other in results[:number])
    assert torch.isfinite(draw(1.0, size=(72, 104))).all()  # an odd number of latent pixels


def test_an_adapter_of_another_family_is_refused_by_name(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    models = make_models("cpu", "float32")
    model, clip, _ = load_checkpoint(file_ref(tmp_path / "tiny.safetensors"))
    sides = encode_prompt(models, clip, "an apple"), encode_prompt(models, clip, "blurry")
    save_safetensors(tmp_path / "wide.safetensors", dict(twin_of("full_adapter", 3, (48, 96)).state_dict()), {})
    control = Control(load_controlnet(file_ref(tmp_path / "wide.safetensors")), torch.rand(1, 64, 64, 3))
    guidance = Guidance(*apply_control(control, *sides), 4.0)
    settings = KSamplerSettings(5, 4, "euler", "normal")
    with pytest.raises(InputError, match=r"T2I-Adapter wide\.safetensors was made for another kind of model"):
        sample_latent(models, model, settings, guidance, empty_latent(64, 64))
    with pytest.raises(WeightError, match="T2I-Adapter"):
        load_checkpoint(file_ref(tmp_path / "wide.safetensors"))
