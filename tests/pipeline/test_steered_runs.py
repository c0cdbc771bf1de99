"""Steering a run with pictures: against a sum made by hand on small networks, and against another engine's numbers."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_checkpoint import make_base_directory, text_to_image, write_tiny_checkpoint
from torch import Tensor

from engine.diffusion.conditioning import Area, combine, set_area, set_mask
from engine.diffusion.latents import Latent, empty_latent
from engine.diffusion.model_calls import ControlInput
from engine.diffusion.noise import prepare_noise
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.sampling import KSamplerSettings, ksampler_sigmas
from engine.errors import InputError, SafelightError
from engine.families.control import Control, ControlNetRecipe, apply_control, lend_controls, load_controlnet
from engine.families.custom_sampling import GuiderRecipe, Ingredients, NoiseRecipe, SamplerRecipe, sample_custom
from engine.families.pipeline import (
    Guidance,
    decode_latent,
    encode_prompt,
    latent_format_of,
    load_checkpoint,
    make_models,
    sample_latent,
)
from engine.families.sizes import METADATA_KEY
from engine.graph.content import content_key
from engine.graph.registry import load_package
from engine.imaging.preprocessing import inpaint_hint
from engine.memory.residency import Residency
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.unet import UNet, UNetConfig
from engine.session import Session
from engine.settings import Settings
from engine.weights.control_layouts import CONTROL
from engine.weights.files import save_safetensors
from engine.weights.recipe import file_ref

STEPS, CFG, SEED = 6, 4.0, 5
SETTINGS = KSamplerSettings(SEED, STEPS, "euler", "normal")
SIZES: dict[str, Any] = {
    "model_channels": 32,
    "channel_mult": (1, 2),
    "num_res_blocks": (1, 1),
    "transformer_depth": (0, 1),
    "context_dim": 32,
    "num_heads": 2,
    "norm_groups": 8,
}


def write_tiny_controlnet(path: Path, seed: int, **changes: Any) -> ControlNetRecipe:
    """Write a ControlNet of the tiny checkpoint's sizes, with random weights."""
    torch.manual_seed(seed)
    config = ControlNetConfig(UNetConfig(**SIZES | changes), hint_widths=(4, 4, 4, 4, 8, 8, 8))
    tensors = {
        CONTROL + name: tensor if tensor.any() else torch.randn(tensor.shape) * 0.2
        for name, tensor in ControlNet(config).state_dict().items()
    }
    hints = {"unet": {"num_heads": 2, "norm_groups": 8}}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(path, tensors, {METADATA_KEY: json.dumps(hints)})
    return load_controlnet(file_ref(path))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, models: Residency) -> SimpleNamespace:
    """The tiny checkpoint's recipes and prompts, two ControlNets, and two pictures."""
    folder = tmp_path_factory.mktemp("weights")
    write_tiny_checkpoint(folder / "tiny.safetensors")
    model, clip, vae = load_checkpoint(file_ref(folder / "tiny.safetensors"))
    generator = torch.Generator().manual_seed(9)
    return SimpleNamespace(
        models=models,
        model=model,
        vae=vae,
        positive=encode_prompt(models, clip, "a (red:1.2) apple"),
        negative=encode_prompt(models, clip, "blurry"),
        edges=write_tiny_controlnet(folder / "edges.safetensors", 1),
        depth=write_tiny_controlnet(folder / "depth.safetensors", 2),
        picture=torch.rand(1, 64, 64, 3, generator=generator),
        other=torch.rand(1, 64, 64, 3, generator=generator),
    )


def draw(tiny: SimpleNamespace, sides: tuple[Any, ...], latent: Latent | None = None, cfg: float = CFG) -> Tensor:
    guidance = Guidance(sides[0], sides[1], cfg)
    return sample_latent(tiny.models, tiny.model, SETTINGS, guidance, latent or empty_latent(64, 64)).samples


def sides(tiny: SimpleNamespace, *controls: Control) -> tuple[Any, ...]:
    steered: tuple[Any, ...] = (tiny.positive, tiny.negative)
    for control in controls:
        steered = apply_control(control, *steered)
    return steered


def assert_close(got: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert got.shape == expected.shape
    assert float((got - expected).abs().max() / expected.abs().max()) < tolerance


def by_hand(
    tiny: SimpleNamespace, residuals: Callable[[Tensor, Tensor, Tensor, bool], list[Tensor] | None], latent: Latent
) -> Tensor:
    """Take Euler steps with the bare U-Net; `residuals` gets scaled latents, time steps, prompts and the side."""
    sigmas = ksampler_sigmas(SETTINGS, tiny_sampling())
    noise = prepare_noise(latent.samples, SEED, None)
    x = noise * (1 + sigmas[0] ** 2).sqrt()
    with tiny.models.use(tiny.model) as unet, torch.no_grad():
        for sigma, following in itertools.pairwise(sigmas):
            time = tiny_sampling().timestep(sigma[None]).repeat(len(x))
            scaled = x / (sigma**2 + 1).sqrt()
            made = []
            for is_positive, side in ((True, tiny.positive), (False, tiny.negative)):
                context = side[0].embedding.expand(len(x), -1, -1)
                made.append(unet(scaled, time, context, control=residuals(scaled, time, context, is_positive)))
            cond, uncond = made
            x = x + (uncond + (cond - uncond) * CFG) * (following - sigma)  # eps is the slope of x over sigma
    return latent_format_of(tiny.model).process_out(x)


def tiny_sampling() -> DiscreteSampling:
    return DiscreteSampling()


def residuals_of(tiny: SimpleNamespace, recipe: ControlNetRecipe, hint: Tensor, *seen: Tensor) -> list[Tensor]:
    with tiny.models.use(recipe.model) as network:
        made: list[Tensor] = network(*seen, network.encode_hint(hint.movedim(-1, 1)))
        return made


def test_two_controlnets_equal_a_sum_made_by_hand(tiny: SimpleNamespace) -> None:
    """Edges act all along with 0.7; depth acts with 1.3 while the time step lies between 0.4 and 0.8 of 999."""

    def residuals(scaled: Tensor, time: Tensor, context: Tensor, is_positive: bool) -> list[Tensor]:
        edges = residuals_of(tiny, tiny.edges, tiny.picture, scaled, time, context)
        total = [0.7 * one for one in edges]
        if 0.4 <= float(time[0]) / 999 <= 0.8:
            depth = residuals_of(tiny, tiny.depth, tiny.other, scaled, time, context)
            total = [one + 1.3 * two for one, two in zip(total, depth, strict=True)]
            acted.append(float(time[0]))
        return total

    acted: list[float] = []
    expected = by_hand(tiny, residuals, empty_latent(64, 64))
    assert 0 < len(acted) < 2 * STEPS
    first, second = Control(tiny.edges, tiny.picture, 0.7), Control(tiny.depth, tiny.other, 1.3, 0.2, 0.6)
    got = draw(tiny, sides(tiny, first, second))
    assert_close(got, expected)
    assert_close(draw(tiny, sides(tiny, second, first)), expected)
    for less in ((), (first,), (second,)):
        assert float((draw(tiny, sides(tiny, *less)) - expected).abs().max() / expected.abs().max()) > 1e-3


def test_the_mark_of_an_inpainting_hint_and_any_strength_reach_the_network(tiny: SimpleNamespace) -> None:
    marked = inpaint_hint(tiny.picture, (tiny.other[..., 0] > 0.5).float())
    assert float(marked.min()) == -1
    for strength in (1.0, -1.0, 10.0):

        def residuals(scaled: Tensor, time: Tensor, context: Tensor, is_positive: bool) -> list[Tensor]:
            made = residuals_of(tiny, tiny.edges, marked, scaled, time, context)
            return [strength * one for one in made]  # noqa: B023 (called within the same round)

        got = draw(tiny, sides(tiny, Control(tiny.edges, marked, strength)))
        assert_close(got, by_hand(tiny, residuals, empty_latent(64, 64)))


def test_a_batch_of_hints_goes_picture_by_picture(tiny: SimpleNamespace) -> None:
    hints = torch.cat([tiny.picture, tiny.other])
    latent = empty_latent(64, 64, 3)

    def residuals(scaled: Tensor, time: Tensor, context: Tensor, is_positive: bool) -> list[Tensor]:
        return residuals_of(tiny, tiny.edges, torch.cat([hints, hints[:1]]), scaled, time, context)

    got = draw(tiny, sides(tiny, Control(tiny.edges, hints)), latent)
    assert_close(got, by_hand(tiny, residuals, latent))
    alone = draw(tiny, sides(tiny, Control(tiny.edges, tiny.picture.repeat(5, 1, 1, 1))), empty_latent(64, 64))
    assert_close(alone, draw(tiny, sides(tiny, Control(tiny.edges, tiny.picture))))


def test_the_older_node_steers_the_negative_side_too(tiny: SimpleNamespace) -> None:
    control = Control(tiny.edges, tiny.picture, 0.5)
    (positive,) = apply_control(control, tiny.positive, to_uncond=True)
    both = sides(tiny, control)
    assert_close(draw(tiny, (positive, tiny.negative)), draw(tiny, both))
    only_positive = apply_control(control, tiny.positive)[0]
    assert not torch.allclose(draw(tiny, (only_positive, tiny.negative)), draw(tiny, both), atol=1e-3)


def test_strength_zero_changes_nothing_at_all(tiny: SimpleNamespace) -> None:
    off = sides(tiny, Control(tiny.edges, tiny.picture, 0.0))
    assert off[0] is tiny.positive
    assert off[1] is tiny.negative
    never = sides(tiny, Control(tiny.edges, tiny.picture, 1.0, 0.9, 0.1))
    assert torch.equal(draw(tiny, never), draw(tiny, (tiny.positive, tiny.negative)))


def test_both_sides_share_one_call_of_the_network(tiny: SimpleNamespace) -> None:
    """Also when prompts were steered one after the other, or came back from a cache as copies."""
    control = Control(tiny.edges, tiny.picture)
    apart = (*apply_control(control, tiny.positive), *apply_control(control, tiny.negative))
    calls: list[int] = []
    with tiny.models.use(tiny.edges.model) as network:
        handle = network.register_forward_pre_hook(lambda _, given: calls.append(given[0].shape[0]))
        try:
            draw(tiny, apart)
        finally:
            handle.remove()
    assert calls == [2] * STEPS


@pytest.mark.parametrize("shape", [(64, 64, 1), (64, 64, 2), (64, 64, 4), (40, 200, 3), (300, 7, 3), (1, 1, 3)])
def test_pictures_of_any_size_and_kind_steer(tiny: SimpleNamespace, shape: tuple[int, int, int]) -> None:
    picture = torch.rand(1, *shape, generator=torch.Generator().manual_seed(4))
    got = draw(tiny, sides(tiny, Control(tiny.edges, picture)))
    assert torch.isfinite(got).all()
    if shape[:2] == (64, 64):
        seen = picture[..., :3] if shape[-1] > 2 else picture[..., :1].repeat(1, 1, 1, 3)
        assert_close(got, draw(tiny, sides(tiny, Control(tiny.edges, seen))))


def test_the_middle_of_a_picture_of_another_shape_is_used(tiny: SimpleNamespace) -> None:
    wide = torch.rand(1, 64, 128, 3, generator=torch.Generator().manual_seed(4))
    got = draw(tiny, sides(tiny, Control(tiny.edges, wide)))
    assert_close(got, draw(tiny, sides(tiny, Control(tiny.edges, wide[:, :, 32:96]))))
    small = tiny.picture[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
    got = draw(tiny, sides(tiny, Control(tiny.edges, tiny.picture[:, ::2, ::2])))
    assert_close(got, draw(tiny, sides(tiny, Control(tiny.edges, small))))


def test_odd_latents_areas_and_masks_of_another_size(tiny: SimpleNamespace) -> None:
    steered = sides(tiny, Control(tiny.edges, tiny.picture))
    plain = draw(tiny, (tiny.positive, tiny.negative), empty_latent(72, 104))
    masked = set_mask(steered[0], torch.rand(1, 33, 65), 0.5)
    area = set_area(steered[0], Area(5, 7, 2, 3))
    for positive in (steered[0], masked, combine(tiny.positive, area)):
        got = draw(tiny, (positive, steered[1]), empty_latent(72, 104))
        assert got.shape == plain.shape
        assert torch.isfinite(got).all()
        assert not torch.allclose(got, plain, atol=1e-3)


@pytest.mark.parametrize("shape", [(64, 64, 3), (0, 64, 64, 3), (1, 0, 64, 3), (1, 64, 64, 0), (1, 64, 64, 5)])
def test_what_is_no_picture_is_refused_at_once(tiny: SimpleNamespace, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="not a picture") as caught:
        sides(tiny, Control(tiny.edges, torch.zeros(shape)))
    assert caught.value.problem.input == "image"


def test_a_controlnet_of_another_family_is_refused_by_name(tiny: SimpleNamespace, tmp_path: Path) -> None:
    foreign = write_tiny_controlnet(tmp_path / "foreign.safetensors", 3, context_dim=48)
    with pytest.raises(InputError, match=r"foreign\.safetensors was made for another kind of model") as caught:
        sides(tiny, Control(foreign, tiny.picture))
    assert "32 numbers" in (caught.value.problem.got or "")
    wider = write_tiny_controlnet(tmp_path / "wider.safetensors", 3, channel_mult=(1, 4))
    with pytest.raises(InputError, match=r"wider\.safetensors was made for another") as caught:
        draw(tiny, sides(tiny, Control(wider, tiny.picture)))
    assert "tiny.safetensors" in (caught.value.problem.got or "")


def test_recipes_are_told_apart_by_what_they_do(tiny: SimpleNamespace) -> None:
    def key(control: Control) -> str | None:
        return content_key(sides(tiny, control))

    same = [key(Control(tiny.edges, tiny.picture.clone(), 0.5, 0.1, 0.9)) for _ in range(2)]
    assert same[0] == same[1] is not None
    others = [
        key(Control(tiny.depth, tiny.picture, 0.5, 0.1, 0.9)),
        key(Control(tiny.edges, tiny.other, 0.5, 0.1, 0.9)),
        key(Control(tiny.edges, tiny.picture, 0.6, 0.1, 0.9)),
        key(Control(tiny.edges, tiny.picture, 0.5, 0.2, 0.9)),
        key(Control(tiny.edges, tiny.picture, 0.5, 0.1, 0.8)),
    ]
    assert len({same[0], *others}) == 6


def test_networks_are_borrowed_for_the_run_and_given_back(tiny: SimpleNamespace) -> None:
    owner = make_models("cpu", "float32", budget_bytes=0)
    guidance = Guidance(*sides(tiny, Control(tiny.edges, tiny.picture), Control(tiny.depth, tiny.other)), CFG)
    held: list[int] = []
    sample_latent(
        owner, tiny.model, SETTINGS, guidance, empty_latent(64, 64), lambda _: held.append(owner.resident_bytes)
    )
    assert len(set(held)) == 1
    assert held[0] > 0
    assert owner.resident_bytes == 0


def test_a_pooled_vector_reaches_the_networks_that_take_one(tiny: SimpleNamespace, tmp_path: Path) -> None:
    """As those for XL do; N is two conditions times two pictures, each picture with its own hint."""
    unet = UNet(UNetConfig(**SIZES, adm_channels=12))
    pooled = write_tiny_controlnet(tmp_path / "pooled.safetensors", 3, adm_channels=12)
    assert pooled.kind == "sdxl"
    generator = torch.Generator().manual_seed(7)
    x, y = torch.randn(4, 4, 8, 8, generator=generator), torch.randn(4, 12, generator=generator)
    context, time, sigma = torch.randn(4, 77, 32, generator=generator), torch.full((4,), 500.0), torch.full((4,), 1.6)
    hints = torch.cat([tiny.picture, tiny.other])
    seen = ControlInput(x, x, sigma, time, context, y, 2, tiny_sampling())
    for recipe, vector in ((pooled, y), (tiny.edges, None)):
        (steered,) = apply_control(Control(recipe, hints, 0.5), tiny.positive)
        with torch.no_grad(), lend_controls(tiny.models, unet, "xl", (steered,)) as ((entry,),):
            got = entry.control.residuals(seen).residuals
            with tiny.models.use(recipe.model) as network:
                picture = network.encode_hint(torch.cat([hints, hints]).movedim(-1, 1))
                expected = network(x, time, context, picture, vector)
        for mine, theirs in zip(got, expected, strict=True):
            assert_close(mine, theirs * 0.5)
    with pytest.raises(InputError, match="another kind of model"):
        draw(tiny, sides(tiny, Control(pooled, tiny.picture)))


def test_half_precision_stays_close(tiny: SimpleNamespace) -> None:
    guidance = Guidance(*sides(tiny, Control(tiny.edges, tiny.picture, 0.7)), CFG)
    owner = make_models("cpu", "bfloat16")
    got = sample_latent(owner, tiny.model, SETTINGS, guidance, empty_latent(64, 64)).samples
    expected = draw(tiny, (guidance.positive, guidance.negative))
    assert 0 < float((got - expected).std() / expected.std()) < 0.05


def test_samplers_in_pieces_are_steered_alike(tiny: SimpleNamespace) -> None:
    steered = sides(tiny, Control(tiny.edges, tiny.picture, 0.8, 0.1, 0.7))
    given = Ingredients(
        NoiseRecipe(SEED),
        GuiderRecipe(tiny.model, steered[0], steered[1], CFG),
        SamplerRecipe("euler"),
        ksampler_sigmas(SETTINGS, tiny_sampling()),
        empty_latent(64, 64),
    )
    assert_close(sample_custom(tiny.models, given)[0].samples, draw(tiny, steered))


def test_a_workflow_with_a_controlnet_draws(tmp_path: Path, root: Path) -> None:
    make_base_directory(tmp_path, root)
    write_tiny_controlnet(tmp_path / "models/controlnet/edges.safetensors", 1)
    prompt = text_to_image(Sampler__positive=["12", 0], Sampler__negative=["12", 1])
    prompt["10"] = {"class_type": "ControlNetLoader", "inputs": {"control_net_name": "edges.safetensors"}}
    prompt["11"] = {"class_type": "LoadImage", "inputs": {"image": "circle_with_hole.png"}}
    applied = {
        "positive": ["6", 0],
        "negative": ["7", 0],
        "control_net": ["10", 0],
        "image": ["11", 0],
        "vae": ["4", 2],
    }
    times = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    prompt["12"] = {"class_type": "ControlNetApplyAdvanced", "inputs": {**applied, **times}}
    session = Session(Settings(tmp_path, device="cpu"))
    workflow = session.open(prompt)
    steered = workflow.run(["Sampler"]).values["Sampler"][0].samples
    plain = workflow.set("12.strength", 0.0).run(["Sampler"]).values["Sampler"][0].samples
    assert not torch.allclose(steered, plain, atol=1e-3)
    with pytest.raises(SafelightError, match=r"tiny\.safetensors is not a ControlNet"):
        (tmp_path / "models/controlnet/tiny.safetensors").write_bytes(
            (tmp_path / "models/checkpoints/tiny.safetensors").read_bytes()
        )
        session.open(prompt).set("10.control_net_name", "tiny.safetensors").run(["Sampler"])


def test_the_nodes_are_there() -> None:
    assert {"ControlNetLoader", "ControlNetApply", "ControlNetApplyAdvanced"} <= set(load_package("nodes").types)


CASES = {"controlnet": (4, 0.0, 1.0), "controlnet_start_end": (6, 0.2, 0.6)}  # name: steps, start, end


@pytest.fixture(scope="session")
def random_controlnet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random ControlNet of 700 MB that the reference numbers were made with."""
    folder = Path(os.environ.get("SAFELIGHT_TEST_WEIGHTS") or tmp_path_factory.mktemp("weights"))
    path = folder / "rand_controlnet_sd15.safetensors"
    if not path.is_file():
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, shared / "tools/random_checkpoint.py", "controlnet_sd15", part], check=True)
        part.replace(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_reference_cases(
    name: str, random_sd15: Path, random_controlnet: Path, models: Residency, reference: Path
) -> None:
    steps, start, end = CASES[name]
    with np.load(reference / "cases.npz") as file:
        expected, expected_picture = file[name], file[f"{name}/image"]
    with Image.open(reference / "pattern.png") as picture:
        pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0)[None]
    model, clip, vae = load_checkpoint(file_ref(random_sd15))
    prompts = (
        encode_prompt(models, clip, text) for text in ("a (red:1.3) cat on a table, masterpiece", "blurry, low quality")
    )
    control = Control(load_controlnet(file_ref(random_controlnet)), pixels, 0.4, start, end)
    guidance = Guidance(*apply_control(control, *prompts), 5.0)
    got = sample_latent(models, model, KSamplerSettings(99, steps, "euler", "normal"), guidance, empty_latent(96, 64))
    assert_close(got.samples, torch.from_numpy(expected), 1e-4)
    drawn = (decode_latent(models, vae, got).numpy() * 255.0).clip(0, 255).astype(np.uint8)
    assert np.abs(drawn.astype(int) - expected_picture.astype(int)).max() <= 1
