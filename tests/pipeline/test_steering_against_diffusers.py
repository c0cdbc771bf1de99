"""Whole runs steered by ControlNets and T2I-Adapters against the pipelines of diffusers: same small random weights.

Ten Euler steps with guidance over noise levels that both sides take from the table itself (999, 888, … 0). "From start
to end" is said in shares of the noise table here and of the number of steps there; the numbers below mean the same
steps on both sides.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.diffusion.conditioning import Conditioning, ConditioningEntry
from engine.diffusion.latents import empty_latent
from engine.diffusion.noise import prepare_noise
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.sampling import KSamplerSettings
from engine.families.control import Control, ControlNetRecipe, apply_control, load_controlnet
from engine.families.pipeline import Guidance, latent_format_of, load_part, sample_latent
from engine.families.sizes import METADATA_KEY
from engine.memory.residency import Residency
from engine.weights.files import save_safetensors
from engine.weights.recipe import ModelRecipe, file_ref

diffusers = pytest.importorskip("diffusers", reason="the oracle of these tests")

STEPS, CFG = 10, 4.0
SETTINGS = KSamplerSettings(7, STEPS, "euler", "normal")
HEIGHT, WIDTH = 64, 96
WIDTHS = (32, 64, 64)
LABEL = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
MIDDLE = (0.25, 0.75)
"""Steps 3, 4, 5 and 6: i / 9 lies between these, and so do i / 10 and (i + 1) / 10."""
FIRST_HALF = (0.0, 0.5)
"""Steps 0 to 4, likewise."""


@dataclass(frozen=True)
class Bench:
    """A U-Net on both sides, prompts, two pictures [1, H, W, 3], and where to write more networks."""

    kind: str
    models: Residency
    folder: Path
    unet: Any
    model: ModelRecipe
    positive: Conditioning
    negative: Conditioning
    pictures: tuple[Tensor, Tensor]

    @property
    def is_xl(self) -> bool:
        return self.kind == "sdxl"

    @property
    def noise(self) -> Tensor:
        """What a pipeline of diffusers starts from, so that it ends where a full denoise ends here."""
        largest = DiscreteSampling().sigma_max
        noise = prepare_noise(empty_latent(WIDTH, HEIGHT).samples, SETTINGS.seed)
        return noise * math.sqrt(1 + largest**2) / largest

    def draw(self, *controls: Control) -> Tensor:
        """Run it here; the latent as diffusers scales it."""
        sides = self.positive, self.negative
        for control in controls:
            sides = apply_control(control, *sides)  # type: ignore[assignment]
        made = sample_latent(self.models, self.model, SETTINGS, Guidance(*sides, CFG), empty_latent(WIDTH, HEIGHT))
        return made.samples * latent_format_of(self.model).scale

    def run(self, pipeline: Any, image: Any, **options: Any) -> Tensor:
        """Run a pipeline of diffusers."""
        pipeline.set_progress_bar_config(disable=True)
        (positive,), (negative,) = self.positive, self.negative
        given = {"prompt_embeds": positive.embedding, "negative_prompt_embeds": negative.embedding}
        if self.is_xl:
            given |= {"pooled_prompt_embeds": positive.pooled, "negative_pooled_prompt_embeds": negative.pooled}
        size = {"height": HEIGHT, "width": WIDTH, "num_inference_steps": STEPS, "guidance_scale": CFG}
        made = pipeline(image=image, latents=self.noise, output_type="latent", **size, **given, **options)
        latent: Tensor = made.images
        return latent

    def adapter(self, seed: int, factor: int) -> tuple[Any, ControlNetRecipe]:
        """Make a T2I-Adapter for the U-Net: that of diffusers, and what reads it here."""
        torch.manual_seed(seed)
        full = ("full_adapter_xl", [*WIDTHS, WIDTHS[-1]]) if factor == 16 else ("full_adapter", list(WIDTHS))
        network = with_strong_weights(diffusers.T2IAdapter(3, full[1], 2, factor, full[0]))
        return network, self._written(network, f"adapter{seed}")

    def controlnet(self, seed: int) -> tuple[Any, ControlNetRecipe]:
        """Make a ControlNet for the U-Net, likewise."""
        torch.manual_seed(seed)
        label = {**LABEL, "projection_class_embeddings_input_dim": 2816} if self.is_xl else {}
        given = {**sizes(self.kind), **label, "conditioning_embedding_out_channels": (4, 8, 8, 12)}
        network = with_strong_weights(diffusers.ControlNetModel(**given))
        return network, self._written(network, f"controlnet{seed}")

    def _written(self, network: Any, name: str) -> ControlNetRecipe:
        path = self.folder / f"{name}.safetensors"
        save_safetensors(path, network.state_dict(), hints(self.kind))
        return load_controlnet(file_ref(path))


def sizes(kind: str) -> dict[str, Any]:
    """Return the sizes of small networks by which both sides know the family; heads have 64 channels in XL."""
    is_xl = kind == "sdxl"
    attends = (False, True, True) if is_xl else (True, True, False)
    return {
        "block_out_channels": WIDTHS,
        "down_block_types": tuple("CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends),
        "layers_per_block": 2,
        "cross_attention_dim": 2048 if is_xl else 768,
        "attention_head_dim": 1 if is_xl else 8,
        "use_linear_projection": is_xl,
    }


def hints(kind: str) -> dict[str, str]:
    return {} if kind == "sdxl" else {METADATA_KEY: json.dumps({"unet": {"num_heads": 8}})}


@torch.no_grad()
def with_strong_weights(network: Any) -> Any:
    """Give every parameter random values that hand on what comes in at its strength, also where training has zeros."""
    for name, parameter in network.named_parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.copy_(torch.randn(parameter.shape) * spread)
        if parameter.ndim == 1 and name.endswith("weight"):
            parameter.add_(1)
    return network.eval()


def make_bench(kind: str, models: Residency, folder: Path) -> Bench:
    torch.manual_seed(0)
    given, is_xl = sizes(kind), kind == "sdxl"
    ups = ["CrossAttnUpBlock2D" if "Cross" in one else "UpBlock2D" for one in reversed(given["down_block_types"])]
    label = {**LABEL, "projection_class_embeddings_input_dim": 2816} if is_xl else {}
    unet = with_strong_weights(diffusers.UNet2DConditionModel(**given, **label, up_block_types=tuple(ups)))
    save_safetensors(folder / "unet.safetensors", unet.state_dict())
    model = load_part(file_ref(folder / "unet.safetensors"), "diffusion")
    assert model.family == kind
    sides = (
        (ConditioningEntry(torch.randn(1, 77, given["cross_attention_dim"]), torch.randn(1, 1280) if is_xl else None),)
        for _ in range(2)
    )
    pictures = torch.rand(1, HEIGHT, WIDTH, 3), torch.rand(1, HEIGHT, WIDTH, 3)
    return Bench(kind, models, folder, unet, model, next(sides), next(sides), pictures)


@pytest.fixture(scope="module")
def sd1(models: Residency, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench("sd1", models, tmp_path_factory.mktemp("sd1"))


@pytest.fixture(scope="module")
def sdxl(models: Residency, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench("sdxl", models, tmp_path_factory.mktemp("sdxl"))


def euler() -> Any:
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return diffusers.EulerDiscreteScheduler(**betas, timestep_spacing="linspace")


def parts(bench: Bench) -> dict[str, Any]:
    """Return what pipelines are made of here: no VAE and no text encoder."""
    made = {"vae": None, "text_encoder": None, "tokenizer": None, "unet": bench.unet, "scheduler": euler()}
    if bench.is_xl:
        return {**made, "text_encoder_2": None, "tokenizer_2": None}
    return {**made, "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def planes(picture: Tensor) -> Tensor:
    return picture.movedim(-1, 1)


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    assert error < 1e-5, f"relative error {error:.1e}"


def assert_differs(one: Tensor, other: Tensor) -> None:
    assert float((one - other).abs().max() / other.abs().max()) > 5e-4


def calls(network: Any) -> list[int]:
    """Return a list that grows by one at each call of a network."""
    heard: list[int] = []
    network.register_forward_hook(lambda *_: heard.append(len(heard)))
    return heard


@pytest.mark.parametrize("strength", [0.8, 1.7, -0.5])
def test_an_adapter_of_sd1(strength: float, sd1: Bench) -> None:
    network, recipe = sd1.adapter(1, 8)
    pipeline = diffusers.StableDiffusionAdapterPipeline(adapter=network, **parts(sd1))
    theirs = sd1.run(pipeline, planes(sd1.pictures[0]), adapter_conditioning_scale=strength)
    assert_same(sd1.draw(Control(recipe, sd1.pictures[0], strength)), theirs)
    assert_differs(sd1.draw(), theirs)


def test_two_adapters_of_sd1(sd1: Bench) -> None:
    (first, one), (second, two) = sd1.adapter(1, 8), sd1.adapter(2, 8)
    pipeline = diffusers.StableDiffusionAdapterPipeline(adapter=[first, second], **parts(sd1))
    images = [planes(picture) for picture in sd1.pictures]
    theirs = sd1.run(pipeline, images, adapter_conditioning_scale=[0.6, 1.4])
    ours = sd1.draw(Control(one, sd1.pictures[0], 0.6), Control(two, sd1.pictures[1], 1.4))
    assert_same(ours, theirs)
    assert_differs(sd1.draw(Control(one, sd1.pictures[0], 0.6)), theirs)


@pytest.mark.parametrize(("strength", "end"), [(0.8, 1.0), (1.3, 0.5)])
def test_an_adapter_of_sdxl(strength: float, end: float, sdxl: Bench) -> None:
    network, recipe = sdxl.adapter(1, 16)
    pipeline = diffusers.StableDiffusionXLAdapterPipeline(adapter=network, **parts(sdxl))
    options = {"adapter_conditioning_scale": strength, "adapter_conditioning_factor": end}
    theirs = sdxl.run(pipeline, planes(sdxl.pictures[0]), **options)
    assert_same(sdxl.draw(Control(recipe, sdxl.pictures[0], strength, 0.0, end)), theirs)
    assert_differs(sdxl.draw(), theirs)
    assert_differs(sdxl.draw(Control(recipe, sdxl.pictures[0], strength, 0.0, 1.5 - end)), theirs)


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_two_controlnets(kind: str, request: pytest.FixtureRequest) -> None:
    bench: Bench = request.getfixturevalue(kind)
    (first, one), (second, two) = bench.controlnet(1), bench.controlnet(2)
    heard = calls(first), calls(second)
    name = f"StableDiffusion{'XL' if bench.is_xl else ''}ControlNetPipeline"
    pipeline = getattr(diffusers, name)(
        controlnet=diffusers.MultiControlNetModel([first, second]),
        **parts(bench),
        **({"add_watermarker": False} if bench.is_xl else {}),
    )
    theirs = bench.run(
        pipeline,
        [planes(picture) for picture in bench.pictures],
        controlnet_conditioning_scale=[0.7, 1.3],
        control_guidance_start=[MIDDLE[0], FIRST_HALF[0]],
        control_guidance_end=[MIDDLE[1], FIRST_HALF[1]],
    )
    assert [len(one) for one in heard] == [STEPS, STEPS]  # there, a strength of 0 stands for "not now"
    first_control = Control(one, bench.pictures[0], 0.7, *MIDDLE)
    second_control = Control(two, bench.pictures[1], 1.3, *FIRST_HALF)
    with bench.models.use(one.model) as mine, bench.models.use(two.model) as other:
        acted = calls(mine), calls(other)
        assert_same(bench.draw(first_control, second_control), theirs)
        assert [len(one) for one in acted] == [4, 5]
    for less in ((first_control,), (second_control,), ()):
        assert_differs(bench.draw(*less), theirs)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_an_adapter_and_a_controlnet_in_one_run(kind: str, request: pytest.FixtureRequest) -> None:
    """The U-Net of diffusers takes both kinds at once, though none of its pipelines does: driven by hand."""
    bench: Bench = request.getfixturevalue(kind)
    controlnet, one = bench.controlnet(3)
    adapter, two = bench.adapter(3, 16 if bench.is_xl else 8)
    control = Control(one, bench.pictures[0], 0.7, *MIDDLE)
    features = Control(two, bench.pictures[1], 1.2, *FIRST_HALF)
    (positive,), (negative,) = bench.positive, bench.negative
    context = torch.cat([negative.embedding, positive.embedding])
    added = None
    if bench.is_xl:
        assert positive.pooled is not None and negative.pooled is not None
        times = torch.tensor([[HEIGHT, WIDTH, 0, 0, HEIGHT, WIDTH]]).repeat(2, 1)
        added = {"text_embeds": torch.cat([negative.pooled, positive.pooled]), "time_ids": times}
    made = [level * 1.2 for level in adapter(planes(bench.pictures[1]).repeat(2, 1, 1, 1))]
    scheduler = euler()
    scheduler.set_timesteps(STEPS)
    x = bench.noise * scheduler.init_noise_sigma
    for step, time in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x.repeat(2, 1, 1, 1), time)
        steering: dict[str, Any] = {"added_cond_kwargs": added, "return_dict": False}
        if 3 <= step <= 6:
            down, middle = controlnet(
                seen, time, context, planes(bench.pictures[0]).repeat(2, 1, 1, 1), 0.7, **steering
            )
            steering |= {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        if step <= 4:
            steering["down_intrablock_additional_residuals"] = [level.clone() for level in made]
        uncond, cond = bench.unet(seen, time, context, **steering)[0].chunk(2)
        x = scheduler.step(uncond + CFG * (cond - uncond), time, x, return_dict=False)[0]
    assert_same(bench.draw(control, features), x)
    assert_same(bench.draw(features, control), x)
    for less in ((control,), (features,)):
        assert_differs(bench.draw(*less), x)
