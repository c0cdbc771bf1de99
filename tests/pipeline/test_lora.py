"""LoRAs from a file to a picture: the nodes, what is shared and read again, and another engine's numbers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoint import make_base_directory, text_to_image, write_tiny_checkpoint
from tiny_families import TinyFamily, write_tiny_family
from torch import Tensor

from engine.diffusion.latents import empty_latent
from engine.diffusion.sampling import KSamplerSettings
from engine.errors import WeightError
from engine.families.building import build_module, measure_module, parameter_shapes
from engine.families.lora import add_lora
from engine.families.pipeline import Guidance, decode_latent, encode_prompt, load_checkpoint, make_models, sample_latent
from engine.memory.devices import DeviceInfo, DtypeName
from engine.memory.residency import Residency
from engine.session import Session
from engine.settings import Settings
from engine.weights.adapters.unet_names import diffusers_unet_modules
from engine.weights.files import MappedFile, save_safetensors
from engine.weights.recipe import FileRef, ModelRecipe, Patch, file_ref

Read = dict[str, int]
CONTEXT = "lora_unet_a_attn2_to_k.lora_down.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A base directory with the tiny checkpoint and two LoRAs for it."""
    base = make_base_directory(tmp_path_factory.mktemp("base"), root)
    recipes = load_checkpoint(file_ref(base / "models/checkpoints/tiny.safetensors"))[:2]
    for seed, name in enumerate(("one", "two")):
        write_lora(base / f"models/loras/{name}.safetensors", recipes, seed)
    return base


def write_lora(path: Path, recipes: tuple[ModelRecipe, ...], seed: int, columns: int = 0) -> None:
    """Write a kohya file that changes the attention of both networks; `columns` widens what reads the prompt."""
    torch.manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for recipe, prefix in zip(recipes, ("lora_unet_", "lora_te_text_model_"), strict=True):
        shapes = parameter_shapes(recipe)
        modules = [key.removesuffix(".weight") for key in shapes if key.endswith(".weight")]
        names = diffusers_unet_modules(modules) if recipe.part == "diffusion" else {name: name for name in modules}
        for module in modules:
            shape = shapes[f"{module}.weight"]
            if "attn" in module or ".in_layers.2" in module:
                stem = prefix + names[module].replace(".", "_")
                wider = columns if "attn2.to_k" in module else 0
                tensors[f"{stem}.lora_up.weight"] = torch.randn(shape[0], 2, *(1 for _ in shape[2:])) * 0.3
                tensors[f"{stem}.lora_down.weight"] = torch.randn(2, shape[1] + wider, *shape[2:]) * 0.3
                tensors[f"{stem}.alpha"] = torch.tensor(1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(path, tensors)


@pytest.fixture(scope="module")
def recipes(base: Path) -> tuple[ModelRecipe, ModelRecipe]:
    return load_checkpoint(file_ref(base / "models/checkpoints/tiny.safetensors"))[:2]


@pytest.fixture(scope="module")
def loras(base: Path) -> tuple[FileRef, FileRef]:
    one, two = (file_ref(base / f"models/loras/{name}.safetensors") for name in ("one", "two"))
    return one, two


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """The bytes of tensors that were read, by file name."""
    counted: Read = {}
    original = MappedFile.tensor

    def tensor(file: MappedFile, name: str) -> Tensor:
        found = original(file, name)
        counted[file.path.name] = counted.get(file.path.name, 0) + found.numel() * found.element_size()
        return found

    monkeypatch.setattr(MappedFile, "tensor", tensor)
    return counted


def state(models: Residency, recipe: ModelRecipe) -> dict[str, Tensor]:
    with models.use(recipe) as module:
        return dict(module.state_dict())


def test_keys_follow_file_order_and_strength(recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef]) -> None:
    model, (one, two) = recipes[0], loras
    patches = [(), (Patch(one, 1.0),), (Patch(one, 0.5),), (Patch(two, 1.0),)]
    patches += [(Patch(one, 1.0), Patch(two, 1.0)), (Patch(two, 1.0), Patch(one, 1.0))]
    made = [dataclasses.replace(model, patches=each) for each in patches]
    assert len({recipe.weights_key for recipe in made}) == len({recipe.content_key for recipe in made}) == len(made)
    assert made[1].with_option("a", 1).weights_key == made[1].weights_key
    assert made[4].unpatched == model
    moved = dataclasses.replace(one, path=Path("elsewhere"), name="other")
    assert model.with_patch(Patch(moved, 1)).content_key == made[1].content_key


def test_a_new_strength_reads_nothing_and_shares_the_rest(
    recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef], read: Read
) -> None:
    models = make_models("cpu", "float32")
    model, checkpoint, (one, two) = recipes[0], recipes[0].file.name, loras
    plain = state(models, model)
    kept = {name: tensor.clone() for name, tensor in plain.items()}
    first_read, held = read.pop(checkpoint), models.resident_bytes
    assert first_read > 0 and not read

    (patched,) = add_lora([(model, 0.7)], one)
    changed = state(models, patched)
    assert checkpoint not in read and read.pop(one.name) > 0
    own = [name for name in plain if plain[name].data_ptr() != changed[name].data_ptr()]
    assert own and all("attn" in name or ".in_layers.2" in name for name in own)
    assert not any(torch.equal(plain[name], changed[name]) for name in own)

    for strength in (0.1, -1.0, 2.0):
        state(models, add_lora([(model, strength)], one)[0])
    assert not read  # neither checkpoint nor LoRA
    state(models, add_lora([(patched, 1.0)], two)[0])
    assert set(read) == {two.name}
    assert all(torch.equal(plain[name], tensor) for name, tensor in kept.items())
    own_bytes = sum(plain[name].numel() * 4 for name in own)
    assert models.resident_bytes < held + 2 * own_bytes + (1 << 18)  # two patched networks and the factors


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_new_strength_takes_the_memory_of_an_idle_one(
    recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef], dtype: DtypeName
) -> None:
    """It is written where the old one was, to the bits that a fresh one has; one in use is left alone."""
    models = make_models("cpu", dtype)
    model, one = recipes[0], loras[0]
    plain = {tensor.data_ptr() for tensor in state(models, model).values()}
    weak, strong, third = (add_lora([(model, strength)], one)[0] for strength in (0.2, 0.9, 1.4))
    own = {tensor.data_ptr() for tensor in state(models, weak).values()} - plain
    rewritten = state(models, strong)
    assert own and {tensor.data_ptr() for tensor in rewritten.values()} - plain == own
    fresh = state(make_models("cpu", dtype), strong)
    assert all(torch.equal(fresh[name], tensor) for name, tensor in rewritten.items())
    with models.use(strong) as module:
        state(models, third)
        assert all(torch.equal(fresh[name], tensor) for name, tensor in module.state_dict().items())


def test_from_the_file_and_from_the_resident_module_are_the_same_weights(
    recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef], read: Read
) -> None:
    """Where the weights do not fit twice, the patched network is built by itself, to the same bits."""
    for dtype in ("float32", "bfloat16"):
        for recipe in recipes:
            (patched,) = add_lora([(add_lora([(recipe, 0.7)], loras[0])[0], -0.4)], loras[1])
            shared = make_models("cpu", dtype)
            alone = make_models("cpu", dtype, budget_bytes=1)
            expected = state(shared, patched)
            read.clear()
            got = state(alone, patched)
            assert read[recipe.file.name] > 0
            assert expected.keys() == got.keys()
            assert all(torch.equal(expected[name], tensor) for name, tensor in got.items())
            direct = build_module(patched, shared.device, shared.dtype_for(patched)).state_dict()
            assert all(torch.equal(direct[name], tensor) for name, tensor in got.items())


def test_room_is_kept_for_patched_networks(recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef]) -> None:
    """The budget holds over many strengths; what is dropped is made again to the same bits."""
    plain = state(make_models("cpu", "float32"), recipes[0])
    budget = int(2.2 * sum(tensor.numel() * 4 for tensor in plain.values()))
    models = make_models("cpu", "float32", budget)
    first = {}
    for turn in range(2):
        for strength in (0.1, 0.2, 0.3, 0.4):
            found = state(models, add_lora([(recipes[0], strength)], loras[0])[0])
            assert models.resident_bytes <= budget
            expected = first.setdefault(strength, {name: tensor.clone() for name, tensor in found.items()})
            assert turn == 0 or all(torch.equal(expected[name], tensor) for name, tensor in found.items())


def test_two_in_either_order_draw_the_same(recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef]) -> None:
    models = make_models("cpu", "float32")
    made = []
    for files in (loras, loras[::-1]):
        model, clip = recipes
        for file in files:
            strength = 0.6 if file is loras[0] else 0.9
            model, clip = add_lora([(model, strength), (clip, strength)], file)
        prompt = encode_prompt(models, clip, "a red apple")
        made.append(
            sample_latent(models, model, KSamplerSettings(3, 2), Guidance(prompt, prompt, 1.0), empty_latent(64, 64))
        )
    latents = [latent.samples for latent in made]
    torch.testing.assert_close(latents[0], latents[1], rtol=1e-4, atol=1e-4)


def test_strength_zero_and_what_does_not_concern_a_part(
    recipes: tuple[ModelRecipe, ...], loras: tuple[FileRef, FileRef], tmp_path: Path
) -> None:
    model, clip = recipes
    assert add_lora([(model, 0.0), (clip, 0.0)], loras[0]) == (model, clip)
    changed, same = add_lora([(model, 1.0), (clip, 0.0)], loras[0])
    assert changed.patches == (Patch(loras[0], 1.0),) and same == clip
    path = tmp_path / "unet_only.safetensors"
    save_safetensors(path, {"diffusion_model.input_blocks.0.0.diff_b": torch.ones(32)})
    changed, same = add_lora([(model, 1.0), (clip, 1.0)], file_ref(path))
    assert changed.patches and same == clip


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_other_families(family: TinyFamily, loras: tuple[FileRef, FileRef], tmp_path: Path) -> None:
    """Every matrix of the networks is found under the name that trainers give it, in each text encoder."""
    model, clip, _ = load_checkpoint(file_ref(write_tiny_family(tmp_path / "tiny.safetensors", family)))
    names = {**_unet_names(model), **_text_names(clip)}
    tensors = {}
    for stem, (_, _, shape) in names.items():
        tensors |= {
            f"{stem}.lora_up.weight": torch.randn(shape[0], 2),
            f"{stem}.lora_down.weight": torch.randn(2, shape[1]),
        }
    save_safetensors(tmp_path / "lora.safetensors", tensors)
    models = make_models("cpu", "float32")
    made = add_lora([(model, 0.5), (clip, 0.25)], file_ref(tmp_path / "lora.safetensors"))
    states = {recipe.part: (state(models, recipe.unpatched), state(models, recipe)) for recipe in made}
    assert len({stem.split("_")[1] for stem in names}) == (2 if family == "sd2" else 3)
    for stem, (part, name, _) in names.items():
        before, after = (found[name] for found in states[part])
        change = tensors[f"{stem}.lora_up.weight"] @ tensors[f"{stem}.lora_down.weight"]
        strength = 0.5 if part == "diffusion" else 0.25
        torch.testing.assert_close(after, before + strength * change, rtol=1e-6, atol=1e-6)
    with pytest.raises(WeightError, match="is a LoRA for another model"):
        add_lora([(model, 1.0)], loras[0])


def _unet_names(model: ModelRecipe) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    """Map kohya's original-path names to the matrices of a U-Net."""
    shapes = parameter_shapes(model)
    matrices = [name for name, shape in shapes.items() if len(shape) == 2]
    return {
        "lora_unet_" + name.removesuffix(".weight").replace(".", "_"): ("diffusion", name, shapes[name])
        for name in matrices
    }


def _text_names(clip: ModelRecipe) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    found = {}
    for name, shape in parameter_shapes(clip).items():
        if len(shape) == 2 and "encoder.layers" in name:
            encoder = {"clip_l": "te1", "clip_g": "te2"}.get(name.split(".")[0], "te")
            module = name[name.index("encoder.layers") :].removesuffix(".weight").replace(".", "_")
            found[f"lora_{encoder}_text_model_{module}"] = ("text", name, shape)
    return found


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({CONTEXT: (4, 2048)}, "for Stable Diffusion XL, and .* is Stable Diffusion 1"),
        ({CONTEXT: (4, 99)}, "is a LoRA for another model"),
        ({"lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": (4, 4)}, "changes nothing of .*; it is for Flux"),
        ({"model.weight": (4, 4)}, "changes nothing of the diffusion model and text encoder of tiny"),
        ({"lora_unet_conv_in.hada_w1_a": (4, 4)}, "not supported yet: LoHa"),
    ],
)
def test_files_for_something_else_are_refused(
    tensors: dict[str, tuple[int, ...]], message: str, recipes: tuple[ModelRecipe, ...], tmp_path: Path
) -> None:
    path = tmp_path / "strange.safetensors"
    save_safetensors(path, {name: torch.zeros(shape) for name, shape in tensors.items()})
    with pytest.raises(WeightError, match=message) as caught:
        add_lora([(recipe, 1.0) for recipe in recipes], file_ref(path))
    assert caught.value.problem.hint and caught.value.problem.expected


def test_leftovers_are_counted(
    recipes: tuple[ModelRecipe, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mixed.safetensors"
    names = ("input_blocks.0.0.diff_b", "nowhere.diff_b", "input_blocks.1.0.in_layers.2.diff")
    save_safetensors(path, {f"diffusion_model.{name}": torch.ones(32) for name in names} | {"note": torch.ones(1)})
    with caplog.at_level("WARNING", "engine.families.lora"):
        assert add_lora([(recipes[0], 1.0)], file_ref(path))[0].patches
    assert "3 of 4 tensors fit nothing here" in caplog.text and "nowhere" in caplog.text


def test_nodes_in_a_workflow(base: Path, tmp_path: Path, read: Read) -> None:
    """A LoRA changes the picture, and another strength reads no weights again."""
    session = Session(Settings(base, output_directory=tmp_path, temp_directory=tmp_path / "temp", device="cpu"))

    def draw(strength: float, kind: str = "LoraLoader") -> bytes:
        prompt = text_to_image(Sampler__model=["20", 0])
        inputs = {"model": ["4", 0], "lora_name": "one.safetensors", "strength_model": strength}
        if kind == "LoraLoader":
            inputs |= {"clip": ["4", 1], "strength_clip": strength}
            for node in ("6", "7"):
                prompt[node]["inputs"]["clip"] = ["20", 1]
        prompt["20"] = {"class_type": kind, "inputs": inputs}
        before = set(tmp_path.glob("*.png"))
        session.open(prompt).run()
        (made,) = set(tmp_path.glob("*.png")) - before
        return np.asarray(_pixels(made)).tobytes()

    none, full, alone = draw(0.0), draw(1.0), draw(1.0, "LoraLoaderModelOnly")
    read.clear()
    half = draw(0.5)
    assert not read
    assert len({none, full, half, alone}) == 4


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture)


# ---- the numbers of another engine -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random_lora(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SAFELIGHT_TEST_WEIGHTS") or tmp_path_factory.mktemp("weights"))
    path = folder / "rand_lora_sd15.safetensors"
    if not path.is_file():
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, shared / "tools" / "random_checkpoint.py", "lora_sd15_kohya", part], check=True)
        part.replace(path)
    return path


@pytest.mark.slow
def test_the_reference_case(random_sd15: Path, random_lora: Path, reference: Path, models: Residency) -> None:
    with np.load(reference / "cases.npz") as cases:
        expected, picture = cases["lora"], cases["lora/image"]
    model, clip, vae = load_checkpoint(file_ref(random_sd15))
    model, clip = add_lora([(model, 0.7), (clip, 0.5)], file_ref(random_lora))
    positive = encode_prompt(models, clip, "a (red:1.3) cat on a table, masterpiece")
    negative = encode_prompt(models, clip, "blurry, low quality")
    latent = sample_latent(
        models, model, KSamplerSettings(99, 4), Guidance(positive, negative, 5.0), empty_latent(64, 64)
    )
    error = np.abs(latent.samples.numpy() - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"relative error {error:.1e}"
    pixels = (decode_latent(models, vae, latent).numpy() * 255.0).clip(0, 255).astype(np.uint8)
    assert np.abs(pixels.astype(int) - picture.astype(int)).max() <= 1


def test_what_a_patch_is_made_from_does_not_end_the_plan(base: Path, tmp_path: Path) -> None:
    """The unpatched network is read beside those that were expected; what is needed next still stays."""
    one = file_ref(base / "models/loras/one.safetensors")
    recipes = []
    for seed in (0, 1, 2):
        write_tiny_checkpoint(tmp_path / f"{seed}.safetensors", seed)
        recipes.append(load_checkpoint(file_ref(tmp_path / f"{seed}.safetensors"))[0])
    next_one, patched, other = recipes[0], recipes[1].with_patch(Patch(one, 1.0)), recipes[2]
    size = measure_module(other, DeviceInfo("cpu", "cpu", 0), torch.float32)
    models = make_models("cpu", "float32", budget_bytes=int(3.05 * size))
    order = [next_one, patched, other, next_one]
    models.expect([(recipe.weights_key,) for recipe in order])
    moved = []
    for recipe in order:
        with models.use(recipe):
            moved.append(models.moved_bytes)
    assert moved[1] - moved[0] > size  # the unpatched one is there, too
    assert moved[3] == moved[2]
