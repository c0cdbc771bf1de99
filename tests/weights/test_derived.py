"""Weights that are made each time they are copied: the same bits as those that are held, whichever are."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from tiny_checkpoint import make_base_directory
from torch import Tensor

from engine.families.building import build_module, weight_costs
from engine.families.pipeline import load_checkpoint
from engine.memory.devices import DeviceInfo
from engine.weights.adapters.applying import merge_sets, patched_copy
from engine.weights.adapters.reading import read_adapters
from engine.weights.adapters.unet_names import diffusers_unet_modules
from engine.weights.derived import Derived, is_whole, numbers_of
from engine.weights.files import save_safetensors
from engine.weights.recipe import ModelRecipe, Patch, file_ref

CPU = DeviceInfo("cpu", "cpu", 1 << 30)


def write_adapters(path: Path, recipe: ModelRecipe) -> Patch:
    """Write low-rank, full and DoRA changes of a U-Net, convolutions among them."""
    torch.manual_seed(3)
    shapes = {name: tensor.shape for name, tensor in build_module(recipe, CPU, torch.float32).state_dict().items()}
    modules = [key.removesuffix(".weight") for key in shapes if key.endswith(".weight")]
    names = diffusers_unet_modules(modules)
    tensors: dict[str, Tensor] = {}
    for number, module in enumerate(module for module in modules if "attn" in module or ".in_layers.2" in module):
        shape, stem = shapes[f"{module}.weight"], "lora_unet_" + names[module].replace(".", "_")
        if number % 5 == 4:
            tensors[f"{stem}.diff"] = torch.randn(shape)
            continue
        tensors[f"{stem}.lora_up.weight"] = torch.randn(shape[0], 2, *(1 for _ in shape[2:])) * 0.3
        tensors[f"{stem}.lora_down.weight"] = torch.randn(2, *shape[1:]) * 0.3
        if number % 5 == 3:
            tensors[f"{stem}.dora_scale"] = torch.rand(shape[0], *(1 for _ in shape[1:])) + 0.5
    save_safetensors(path, {name: tensor.half() for name, tensor in tensors.items()})
    return Patch(file_ref(path), 0.7)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, root: Path) -> ModelRecipe:
    base = make_base_directory(tmp_path_factory.mktemp("derived"), root)
    unet = load_checkpoint(file_ref(base / "models/checkpoints/tiny.safetensors"))[0]
    return unet.with_patch(write_adapters(base / "patch.safetensors", unet))


def patched(recipe: ModelRecipe, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the weights as a patched copy of the unpatched network has them, which is how they are held."""
    network = build_module(recipe.unpatched, CPU, dtype)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    changes = merge_sets(
        (read_adapters(one.file, "diffusion", shapes, CPU.device), one.strength) for one in recipe.patches
    )
    assert (len(changes) >= 5) == bool(recipe.patches), len(changes)
    return dict(patched_copy(network, changes, dtype).state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bits_whatever_is_held(recipe: ModelRecipe, dtype: torch.dtype) -> None:
    chance = random.Random(7)
    for one in (recipe, recipe.unpatched):
        whole = patched(one, dtype)
        costs = weight_costs(one, CPU, dtype)
        assert costs is not None
        for share in (0.0, 0.5, 0.9):
            held = {name for name in whole if chance.random() < share}
            partly = build_module(one, CPU, dtype, held)
            assert not is_whole(partly)
            for name, weight in partly.state_dict().items():
                assert isinstance(weight, Derived) == (name not in held)
                for _ in range(2):  # as often as one likes
                    with numbers_of(weight) as numbers:
                        assert numbers.dtype == whole[name].dtype and torch.equal(numbers, whole[name])
                        assert numbers.stride() == whole[name].stride() == weight.stride()
                if isinstance(weight, Derived):
                    factors = sum(factor.numel() * factor.element_size() for factor in weight.factors)
                    assert factors == costs[name].factor_bytes
                assert weight.numel() * weight.element_size() == costs[name].nbytes


def test_what_is_not_held_cannot_be_computed_with(recipe: ModelRecipe) -> None:
    partly = build_module(recipe, CPU, torch.float32, ())
    weight = next(iter(partly.state_dict().values()))
    with pytest.raises(RuntimeError, match="not in memory"):
        weight + 1


def test_a_pickled_file_has_no_parts(tmp_path: Path, recipe: ModelRecipe) -> None:
    """Its tensors are gone once they were released."""
    from safetensors.torch import load_file

    torch.save(load_file(recipe.file.path), tmp_path / "pickled.ckpt")
    pickled = load_checkpoint(file_ref(tmp_path / "pickled.ckpt"))[0]
    assert weight_costs(pickled, CPU, torch.float32) is None
