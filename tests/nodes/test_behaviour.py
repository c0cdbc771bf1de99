"""What the built-in nodes compute, called as the executor calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_checkpoint import text_to_image
from torch import Tensor

from engine.diffusion.latents import Latent
from engine.errors import InputError, WeightError
from engine.execution.context import Context, lone_context
from engine.media.metadata import read_metadata
from engine.session import Session


@pytest.fixture
def context(session: Session) -> Context:
    return lone_context(session.services)


def call(session: Session, context: Context, kind: str, **inputs: Any) -> Any:
    node_type = session.registry.types[kind]
    defaults = {p.name: p.default for p in node_type.inputs if p.default or p.default == 0}
    given = {**defaults, **inputs}
    assert node_type.run is not None
    return node_type.run(context, **given) if node_type.wants_context else node_type.run(**given)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(0, 0, (6, 10)), (20, 0, (12, 20)), (0, 3, (3, 5)), (7, 9, (9, 7)), (1, 0, (1, 1))],
)
@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
def test_image_scale_sizes(
    session: Session, context: Context, width: int, height: int, expected: tuple[int, int], method: str
) -> None:
    given = {"image": torch.rand(2, 6, 10, 3), "upscale_method": method, "crop": "disabled"}
    made = call(session, context, "ImageScale", width=width, height=height, **given)
    assert tuple(made.shape) == (2, *expected, 3)
    assert made.dtype == torch.float32


@pytest.mark.parametrize("method", ["nearest-exact", "lanczos"])
def test_image_scale_crops_the_middle(session: Session, context: Context, method: str) -> None:
    image = torch.zeros(1, 4, 12, 3)
    image[:, :, 4:8] = 1.0
    made = call(session, context, "ImageScale", image=image, upscale_method=method, width=4, height=4, crop="center")
    assert torch.equal(made, torch.ones(1, 4, 4, 3))


def test_image_scale_by(session: Session, context: Context) -> None:
    made = call(session, context, "ImageScaleBy", image=torch.rand(1, 6, 10, 3), upscale_method="area", scale_by=0.5)
    assert tuple(made.shape) == (1, 3, 5, 3)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(0, 0, (8, 16)), (256, 128, (16, 32)), (256, 0, (16, 32)), (0, 64, (8, 16)), (8, 8, (8, 8))],
)
def test_latent_upscale_sizes(
    session: Session, context: Context, width: int, height: int, expected: tuple[int, int]
) -> None:
    latent = Latent(torch.rand(1, 4, 8, 16), noise_mask=torch.ones(1, 1, 8, 16))
    given = {"samples": latent, "upscale_method": "bislerp", "crop": "disabled"}
    made = call(session, context, "LatentUpscale", width=width, height=height, **given)
    assert tuple(made.samples.shape[-2:]) == expected
    assert made.noise_mask is latent.noise_mask


def test_load_image_gives_picture_and_mask(session: Session, context: Context) -> None:
    pixels, mask = call(session, context, "LoadImage", image="circle_with_hole.png")
    assert tuple(pixels.shape) == (1, 128, 128, 3)
    assert tuple(mask.shape) == (1, 128, 128)
    assert mask[0, 64, 64] == 1.0
    assert mask[0, 20, 20] == 0.0
    pixels, mask = call(session, context, "LoadImage", image="red_circle.png")
    assert tuple(mask.shape) == (1, 64, 64)
    assert not mask.any()


def test_load_image_mask_channels(session: Session, context: Context, base: Path) -> None:
    Image.new("RGBA", (3, 2), (255, 51, 0, 204)).save(base / "input/colour.png")
    values = {
        channel: call(session, context, "LoadImageMask", image="colour.png", channel=channel)
        for channel in ("red", "green", "blue", "alpha")
    }
    assert {tuple(mask.shape) for mask in values.values()} == {(1, 2, 3)}
    assert {channel: round(float(mask.mean()), 3) for channel, mask in values.items()} == {
        "red": 1.0,
        "green": 0.2,
        "blue": 0.0,
        "alpha": 0.2,
    }
    opaque = call(session, context, "LoadImageMask", image="red_circle.png", channel="alpha")
    assert tuple(opaque.shape) == (1, 128, 128)
    assert not opaque.any()


def test_save_image_writes_a_batch(session: Session, context: Context) -> None:
    images = torch.linspace(0, 1, 3).reshape(3, 1, 1, 1).expand(3, 4, 6, 3)
    made = call(session, context, "SaveImage", images=images, filename_prefix="a/%width%x%height%_%batch_num%")
    names = [entry["filename"] for entry in made.ui["images"]]
    assert names == ["6x4_0_00001_.png", "6x4_1_00002_.png", "6x4_2_00003_.png"]
    assert {(entry["subfolder"], entry["type"]) for entry in made.ui["images"]} == {("a", "output")}
    levels = [Image.open(file.path).getpixel((0, 0)) for file in made.files]
    assert levels == [(0, 0, 0), (127, 127, 127), (255, 255, 255)]


def test_preview_goes_to_temp(session: Session, context: Context) -> None:
    made = call(session, context, "PreviewImage", images=torch.zeros(1, 4, 4, 3))
    assert made.ui["images"][0]["type"] == "temp"
    assert Path(made.files[0].path).is_file()


def test_latents_survive_a_file(session: Session, context: Context, base: Path) -> None:
    samples = torch.randn(2, 4, 3, 5)
    made = call(session, context, "SaveLatent", samples=Latent(samples))
    path = Path(made.files[0].path)
    assert made.ui["latents"] == [{"filename": "ComfyUI_00001_.latent", "subfolder": "latents", "type": "output"}]
    assert set(read_metadata(path)) == {"prompt"}
    loaded = call(session, context, "LoadLatent", latent="latents/ComfyUI_00001_.latent [output]")
    assert torch.equal(loaded.samples, samples)


def test_latents_read_by_others_and_from_early_versions(session: Session, context: Context, base: Path) -> None:
    from safetensors.torch import load_file, save_file

    samples = torch.randn(1, 4, 2, 2)
    made = call(session, context, "SaveLatent", samples=Latent(samples))
    theirs = load_file(made.files[0].path)
    assert torch.equal(theirs["latent_tensor"], samples)
    assert theirs["latent_format_version_0"].numel() == 0
    save_file({"latent_tensor": samples}, base / "input/early.latent")
    early = call(session, context, "LoadLatent", latent="early.latent")
    assert torch.allclose(early.samples, samples / 0.18215)
    save_file({"other": samples}, base / "input/wrong.latent")
    with pytest.raises(WeightError, match="holds no latents"):
        call(session, context, "LoadLatent", latent="wrong.latent")


def test_inpainting_greys_the_masked_part(session: Session, context: Context) -> None:
    _, _, vae = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    picture = torch.ones(1, 70, 64, 3)
    mask = torch.zeros(1, 70, 64)
    mask[:, 32:40, 24:32] = 1.0
    made = call(session, context, "VAEEncodeForInpaint", pixels=picture, vae=vae, mask=mask, grow_mask_by=6)
    assert tuple(made.samples.shape) == (1, 4, 8, 8)
    assert tuple(made.noise_mask.shape) == (1, 1, 64, 64)
    rows, columns = made.noise_mask[0, 0].nonzero(as_tuple=True)
    assert (int(rows.min()), int(rows.max()) + 1) == (30, 43)  # 8 rows, widened by a square of 6
    assert (int(columns.min()), int(columns.max()) + 1) == (22, 35)
    grey = picture[:, 3:67].clone()
    grey[:, 29:37, 24:32] = 0.5
    # The mask is cut at its end and the picture on both sides, so the grey stays where the mask says.
    expected = torch.where(mask[:, :64, :, None] > 0, 0.5, picture[:, 3:67])
    assert torch.equal(made.samples, call(session, context, "VAEEncode", pixels=expected, vae=vae).samples)
    ungrown = call(session, context, "VAEEncodeForInpaint", pixels=picture, vae=vae, mask=mask, grow_mask_by=0)
    assert torch.equal(ungrown.noise_mask[0, 0], mask[0, :64])


@pytest.mark.parametrize("shape", [(1, 0, 64), (1, 64, 0), (0, 64, 64), (0, 0)])
@pytest.mark.parametrize("kind", ["SetLatentNoiseMask", "VAEEncodeForInpaint", "InpaintModelConditioning"])
def test_masks_without_pixels_are_refused(
    session: Session, context: Context, kind: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="not a mask") as caught:
        call(session, context, kind, **inpainting(session, context, kind, torch.zeros(shape)))
    assert caught.value.problem.input == "mask"


@pytest.mark.parametrize("kind", ["SetLatentNoiseMask", "VAEEncodeForInpaint", "InpaintModelConditioning"])
def test_masks_that_are_empty_or_of_another_size(session: Session, context: Context, kind: str) -> None:
    """Nothing to change gives the latent back; a mask of another size counts like one stretched to the picture's."""
    model, clip, _ = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    prompt = call(session, context, "CLIPTextEncode", text="an apple", clip=clip)

    def sample(mask: Tensor) -> tuple[Tensor, Tensor]:
        made = call(session, context, kind, **inpainting(session, context, kind, mask))
        latent = made[2] if isinstance(made, tuple) else made
        given = {"model": model, "positive": prompt, "negative": prompt, "latent_image": latent, "seed": 1, "steps": 2}
        given |= {"cfg": 2.0, "sampler_name": "euler", "scheduler": "normal"}
        return latent.samples, call(session, context, "KSampler", **given).samples

    before, after = sample(torch.zeros(1, 64, 64))
    torch.testing.assert_close(after, before)
    small = torch.zeros(1, 8, 4)
    small[:, :, 2:] = 1  # the right half
    before, after = sample(small)
    changed = (after - before).abs().amax(dim=(0, 1, 2))
    assert changed[:2].max() < 1e-4 and changed[5:].min() > 0.1
    _, large = sample(small.repeat_interleave(37, 1).repeat_interleave(41, 2))
    assert torch.isfinite(large).all()


def inpainting(session: Session, context: Context, kind: str, mask: Tensor) -> dict[str, Any]:
    """Return the inputs of a node that takes a mask, on a picture of 64 x 64."""
    _, clip, vae = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    pixels = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    if kind == "SetLatentNoiseMask":
        return {"samples": call(session, context, "VAEEncode", pixels=pixels, vae=vae), "mask": mask}
    prompt = call(session, context, "CLIPTextEncode", text="an apple", clip=clip)
    sides = {"positive": prompt, "negative": prompt} if kind == "InpaintModelConditioning" else {}
    return {"pixels": pixels, "vae": vae, "mask": mask, **sides}


def test_the_sampler_in_pieces_equals_the_ksampler(session: Session, context: Context) -> None:
    model, clip, _ = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    positive = call(session, context, "CLIPTextEncode", text="an apple", clip=clip)
    negative = call(session, context, "CLIPTextEncode", text="", clip=clip)
    start = call(session, context, "EmptyLatentImage", width=64, height=64, batch_size=2)
    whole = call(
        session, context, "KSampler", model=model, seed=9, steps=6, cfg=4.0, sampler_name="euler", scheduler="karras",
        positive=positive, negative=negative, latent_image=start,
    )  # fmt: skip
    guider = call(session, context, "CFGGuider", model=model, positive=positive, negative=negative, cfg=4.0)
    sampler = call(session, context, "KSamplerSelect", sampler_name="euler")
    sigmas = call(session, context, "BasicScheduler", model=model, scheduler="karras", steps=6)
    noise = call(session, context, "RandomNoise", noise_seed=9)

    def sample(**changes: Any) -> Any:
        given = {"noise": noise, "guider": guider, "sampler": sampler, "sigmas": sigmas, "latent_image": start}
        return call(session, context, "SamplerCustomAdvanced", **(given | changes))

    assert torch.equal(sample()[0].samples, whole.samples)
    assert torch.allclose(sample()[1].samples, whole.samples, atol=1e-5)
    high, low = call(session, context, "SplitSigmas", sigmas=sigmas, step=4)
    half, guess = sample(sigmas=high)
    assert not torch.allclose(half.samples, guess.samples, atol=1e-2)
    nothing = call(session, context, "DisableNoise")
    rest, _ = sample(sigmas=low, latent_image=half, noise=nothing)
    assert torch.allclose(rest.samples, whole.samples, atol=1e-4)
    unchanged, _ = sample(sigmas=torch.empty(0))
    assert torch.equal(unchanged.samples, start.samples)


def test_two_advanced_samplers_equal_one(session: Session, context: Context) -> None:
    model, clip, _ = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    prompt = call(session, context, "CLIPTextEncode", text="an apple", clip=clip)
    start = call(session, context, "EmptyLatentImage", width=64, height=64)
    given: dict[str, Any] = {
        "model": model, "noise_seed": 1, "steps": 6, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal",
        "positive": prompt, "negative": prompt, "latent_image": start,
    }  # fmt: skip

    def sample(**changes: Any) -> Any:
        options = {"add_noise": "enable", "return_with_leftover_noise": "disable"}
        return call(session, context, "KSamplerAdvanced", **(given | options | changes)).samples

    whole = sample()
    first = sample(end_at_step=3, return_with_leftover_noise="enable")
    second = sample(start_at_step=3, add_noise="disable", latent_image=Latent(first))
    assert torch.allclose(second, whole, atol=1e-4)


def test_the_last_layer_changes_the_conditioning_and_not_the_weights_key(session: Session, context: Context) -> None:
    _, clip, _ = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    same = call(session, context, "CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-1)
    other = call(session, context, "CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-2)
    assert same.weights_key == other.weights_key == clip.weights_key
    assert other.content_key != same.content_key


def test_a_vae_of_its_own(session: Session, context: Context, base: Path) -> None:
    whole = base / "models/checkpoints/tiny.safetensors"
    (base / "models/vae").mkdir(exist_ok=True)
    (base / "models/vae/tiny_vae.safetensors").write_bytes(whole.read_bytes())
    _, _, theirs = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    mine = call(session, context, "VAELoader", vae_name="tiny_vae.safetensors")
    latent = Latent(torch.randn(1, 4, 4, 4))
    decode = [call(session, context, "VAEDecode", samples=latent, vae=vae) for vae in (mine, theirs)]
    assert torch.equal(*decode)


def test_upscaling_with_the_shipped_model(session: Session, context: Context) -> None:
    name = "realesr-animevideov3-x4.safetensors"
    model = call(session, context, "UpscaleModelLoader", model_name=name)
    picture, _ = call(session, context, "LoadImage", image="red_circle.png")
    small = picture[:, 32:64, 32:64]
    made = call(session, context, "ImageUpscaleWithModel", upscale_model=model, image=small.repeat(2, 1, 1, 1))
    assert tuple(made.shape) == (2, 128, 128, 3)
    assert torch.equal(made[0], made[1])
    plain = Image.fromarray((small[0].numpy() * 255).astype(np.uint8)).resize((128, 128))
    assert np.abs(made[0].numpy() - np.asarray(plain) / 255).mean() < 0.02


def test_an_upscaler_of_no_known_kind_is_a_weight_error(session: Session, context: Context, base: Path) -> None:
    source = base / "models/checkpoints/tiny.safetensors"
    (base / "models/upscale_models/wrong.safetensors").write_bytes(source.read_bytes())
    with pytest.raises(WeightError, match=r"wrong\.safetensors is of no upscaler architecture.*checkpoint of Stable"):
        call(session, context, "UpscaleModelLoader", model_name="wrong.safetensors")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("PrimitiveInt", 3), ("PrimitiveFloat", 0.5), ("PrimitiveString", "a"), ("PrimitiveBoolean", False)],
)
def test_primitives_hand_on_their_value(session: Session, context: Context, kind: str, value: object) -> None:
    assert call(session, context, kind, value=value) is value


def test_a_batch_gives_a_picture_each(session: Session) -> None:
    result = session.open(text_to_image(Size__batch_size=3)).run()
    pictures = [np.asarray(picture) for picture in result.images["Save"]]
    assert len(pictures) == 3
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_noise_mask_keeps_the_rest(session: Session, base: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(base / "input/left.png")
    prompt = text_to_image(Sampler__latent_image=["11", 0])
    prompt["10"] = {"class_type": "LoadImageMask", "inputs": {"image": "left.png", "channel": "red"}}
    prompt["11"] = {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["5", 0], "mask": ["10", 0]}}
    made = session.open(prompt).run(["Sampler"]).values["Sampler"][0].samples
    assert made[..., :4].abs().min() > 0
    assert made[..., 5:].abs().max() < 1e-5


def test_a_latent_of_the_wrong_shape_is_an_input_error(session: Session, context: Context) -> None:
    _, _, vae = call(session, context, "CheckpointLoaderSimple", ckpt_name="tiny.safetensors")
    with pytest.raises(InputError):
        call(session, context, "VAEDecode", samples=Latent(torch.zeros(1, 16, 4, 4)), vae=vae)


def test_prompts_in_files_are_json(session: Session) -> None:
    result = session.open(text_to_image()).run()
    saved = json.loads(read_metadata(Path(result.files[0].path))["prompt"])
    assert saved["3"]["inputs"]["model"] == ["4", 0]
    assert saved["6"]["_meta"]["title"] == "Prompt"


def test_file_names_take_values_of_other_nodes(session: Session) -> None:
    prefix = "%Sampler.seed%-%KSampler.steps%-%6.text%-%Nothing.seed%-%Sampler.model%"
    result = session.open(text_to_image(Save__filename_prefix=prefix, Prompt__text="../a/b: c")).run()
    name = Path(result.files[0].path).name
    assert name == "3-2-.._a_b_ c-%Nothing.seed%-%Sampler.model%_00001_.png"
    assert result.files[0].subfolder == ""
