"""Recognising ControlNet files, and building what they hold."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from engine.errors import WeightError
from engine.families.building import build_module, measure_module
from engine.families.control import load_controlnet
from engine.families.control_networks import CONTROL_PART, detect_control
from engine.families.sizes import METADATA_KEY
from engine.memory.devices import probe_device
from engine.networks.controlnet import ControlNet
from engine.weights.control_layouts import CONTROL
from engine.weights.files import save_safetensors
from engine.weights.loading import empty_construction
from engine.weights.recipe import file_ref

Shapes = dict[str, tuple[int, ...]]
RELEASED = {  # file: kind, width of a token, heads, head channels, depths of the input side, residuals
    "controlnet_sd15": ("sd1", 768, 8, None, ((1, 1), (1, 1), (1, 1), (0, 0)), 13),
    "controlnet_sd15_diffusers": ("sd1", 768, 8, None, ((1, 1), (1, 1), (1, 1), (0, 0)), 13),
    "controlnet_sd21": ("sd2", 1024, None, 64, ((1, 1), (1, 1), (1, 1), (0, 0)), 13),
    "controlnet_sdxl_diffusers": ("sdxl", 2048, None, 64, ((0, 0), (2, 2), (10, 10)), 10),
}


def load(reference: Path, name: str) -> Shapes:
    with gzip.open(reference / "checkpoint_shapes" / f"{name}.json.gz", "rt") as file:
        return {key: tuple(shape) for key, shape in json.load(file)["tensors"].items()}


def build(shapes: Shapes) -> ControlNet:
    found = detect_control(shapes, {})
    inner = {name: source.shape for name, source in found.layout.part(CONTROL).items()}
    with torch.device("meta"), empty_construction():
        network = CONTROL_PART.build(inner, found.hints)
    assert isinstance(network, ControlNet)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == inner
    return network


def without_prefix(shapes: Shapes) -> Shapes:
    return {name.removeprefix(CONTROL): shape for name, shape in shapes.items()}


@pytest.mark.parametrize("name", RELEASED)
def test_released_files_have_the_published_sizes(name: str, reference: Path) -> None:
    kind, context, heads, head_channels, depths, residuals = RELEASED[name]
    shapes = load(reference, name)
    found = detect_control(shapes, {}, name)
    assert (found.kind, found.context_dim) == (kind, context)
    assert len(found.layout.sources) == len(shapes)
    network = build(shapes)
    sizes = network.config
    assert (sizes.num_heads, sizes.head_channels, sizes.input_depths()) == (heads, head_channels, depths)
    assert sizes.middle_depth == (10 if kind == "sdxl" else 1)
    assert sizes.adm_channels == (2816 if kind == "sdxl" else None)
    assert len(network.skip_channels) + 1 == residuals
    assert network.control_config.hint_factor == 8


def test_files_without_the_prefix(reference: Path) -> None:
    bare = without_prefix(load(reference, "controlnet_sd15"))
    assert detect_control(bare, {}).layout.name == "bare controlnet"
    assert build(bare).config.context_dim == 768


def test_files_that_hold_the_steered_model_too(reference: Path) -> None:
    both = load(reference, "controlnet_sd15") | load(reference, "sd15")
    assert detect_control(both, {}).kind == "sd1"
    assert build(both).config.context_dim == 768


@pytest.mark.parametrize(
    ("shapes", "got"),
    [
        ({"lora_controlnet": (0,), "input_hint_block.0.weight": (16, 3, 3, 3)}, "a Control-LoRA"),
        ({"control_add_embedding.linear_1.weight": (1280, 1536)}, "a union ControlNet"),
        ({"controlnet_blocks.0.weight": (3072, 3072)}, "a ControlNet for a transformer model"),
        ({"style_embedding": (1, 8, 1024)}, "a T2I style adapter"),
        ({"difference": (0,), CONTROL + "zero_convs.0.0.weight": (320, 320, 1, 1)}, "stored as the difference"),
        ({"something.else": (1, 2)}, "1 tensors such as something.else"),
        ({}, "0 tensors"),
    ],
)
def test_relatives_and_strangers_are_named(shapes: Shapes, got: str) -> None:
    with pytest.raises(WeightError, match=r"some\.safetensors is not a ControlNet that can be used") as caught:
        detect_control(shapes, {}, "some.safetensors")
    assert got in (caught.value.problem.got or "")


@pytest.mark.parametrize(
    ("name", "title"), [("sd15", "Stable Diffusion 1"), ("lora_sd15_kohya", "a LoRA"), ("flux_dev", "Flux.1 dev")]
)
def test_other_files_are_called_what_they_are(name: str, title: str, reference: Path) -> None:
    with pytest.raises(WeightError) as caught:
        detect_control(load(reference, name), {}, f"{name}.safetensors")
    assert caught.value.problem.got == title
    assert caught.value.problem.code == "E-WEIGHT-FAMILY"


@pytest.mark.parametrize(
    "lost", ["middle_block_out.0.weight", "input_hint_block.14.weight", "input_hint_block.0.weight", "input_blocks.4."]
)
def test_incomplete_files_say_what_is_missing(lost: str, reference: Path) -> None:
    whole = load(reference, "controlnet_sd15")
    with pytest.raises(WeightError, match=r"lacks|missing|hint encoder"):
        build({name: shape for name, shape in whole.items() if not name.startswith(CONTROL + lost)})


@pytest.mark.parametrize(
    "changes",
    [
        {CONTROL + "input_blocks.0.0.weight": (0, 4, 3, 3)},
        {CONTROL + "input_blocks.0.0.weight": ()},
        {CONTROL + "input_blocks.999999999.0.in_layers.2.weight": (320, 320, 3, 3)},
        {CONTROL + "input_hint_block.0.weight": (0, 3, 3, 3)},
        {CONTROL + "input_hint_block.0.weight": (16,)},
    ],
)
def test_hostile_sizes_build_nothing(changes: Shapes, reference: Path) -> None:
    with pytest.raises(WeightError):
        build(load(reference, "controlnet_sd15") | changes)


@torch.no_grad()
def test_a_file_of_diffusers_computes_what_diffusers_computes(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason="the oracle of this test")
    torch.manual_seed(3)
    twin = diffusers.ControlNetModel(
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        layers_per_block=2,
        cross_attention_dim=24,
        attention_head_dim=4,
        norm_num_groups=8,
        conditioning_embedding_out_channels=(4, 8, 8, 12),
    ).eval()
    for parameter in twin.parameters():
        parameter.copy_(parameter if parameter.any() else torch.randn(parameter.shape) * 0.2)
    hints = {METADATA_KEY: json.dumps({"unet": {"num_heads": 4, "norm_groups": 8}})}
    path = tmp_path / "twin.safetensors"
    save_safetensors(path, dict(twin.state_dict()), hints)
    recipe = load_controlnet(file_ref(path))
    assert (recipe.kind, recipe.context_dim) == ("sd1", 24)
    network = build_module(recipe.model, probe_device("cpu"), torch.float32)
    assert isinstance(network, ControlNet)
    assert measure_module(recipe.model, probe_device("cpu"), torch.float32) == sum(
        p.numel() * 4 for p in twin.parameters()
    )
    latents, context, picture = torch.randn(2, 4, 8, 8), torch.randn(2, 7, 24), torch.rand(2, 3, 64, 64)
    times = torch.tensor([800.0, 30.0])
    down, middle = twin(latents, times, context, picture, return_dict=False)
    got = network(latents, times, context, network.encode_hint(picture))
    for mine, theirs in zip(got, [*down, middle], strict=True):
        assert theirs.std() > 0.05
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
