"""The workflows behind the older interface, and the pictures and masks that go into them, without a server."""

from __future__ import annotations

import base64
import io
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from engine.graph.documents import load_document
from engine.server.sdapi.extras import read_enlarging
from engine.server.sdapi.mask_work import (
    CROP,
    FILL,
    STRETCH,
    MaskChoices,
    latent_blocks,
    prepare,
    region_of,
    resize,
    smear,
    soft_mask,
    widen,
)
from engine.server.sdapi.options import Options, changed_options
from engine.server.sdapi.preparing import prepare_order, second_size
from engine.server.sdapi.refusals import FieldErrors, Refused
from engine.server.sdapi.requests import SecondPass, read_order
from engine.server.sdapi.shelf import Shelf
from engine.server.sdapi.templates import Workflow, enlarged_pictures, first_step
from engine.session import Session
from engine.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LORA = "safelight-emoji-128-blueprint"


@pytest.fixture(scope="module")
def session(tmp_path_factory: Any) -> Session:
    base = tmp_path_factory.mktemp("place")
    (base / "models").symlink_to(ROOT / "models")
    shutil.copytree(ROOT / "input", base / "input")
    (base / "user").mkdir()
    (base / "user" / "styles.csv").write_text("name,prompt,negative_prompt\nwarm,{prompt} in the sun,snow\n")
    return Session(Settings(base, device="cpu"))


@pytest.fixture(scope="module")
def shelf(session: Session) -> Shelf:
    return Shelf(session.folders)


def png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def made(shelf: Shelf, body: Mapping[str, Any], *, picture: bool = False) -> list[Workflow]:
    return list(prepare_order(read_order(body, picture=picture), shelf, Options()).workflows)


def only(workflow: Workflow, kind: str) -> list[dict[str, Any]]:
    return [node["inputs"] for node in workflow.prompt.values() if node["class_type"] == kind]


def check(session: Session, *workflows: Workflow) -> None:
    """Every input is there, of its type and in its range, every file exists."""
    for workflow in workflows:
        assert not session.problems(load_document(workflow.prompt, session.interfaces))


def test_each_picture_has_the_next_seed(session: Session, shelf: Shelf) -> None:
    body = {"prompt": "a", "styles": ["warm"], "seed": 2**64 - 1, "batch_size": 2, "n_iter": 2, "steps": 3,
            "sampler_name": "DPM++ 2M", "width": 64, "height": 72, "cfg_scale": 4}  # fmt: skip
    first, second = made(shelf, body)
    check(session, first, second)
    assert [one["seed"] for one in only(first, "KSampler")] == [2**64 - 1, 0]
    assert [one["seed"] for one in only(second, "KSampler")] == [1, 2]
    assert {(one["sampler_name"], one["scheduler"], one["steps"], one["cfg"]) for one in only(first, "KSampler")} == {
        ("dpmpp_2m", "karras", 3, 4.0)
    }
    assert only(first, "EmptyLatentImage") == [{"width": 64, "height": 72, "batch_size": 1}]
    assert [one["text"] for one in only(first, "CLIPTextEncode")] == ["a in the sun", "snow"]
    assert len(first.saves) == 2 and list(first.sampler_steps.values()) == [3, 3]
    texts = [one["parameters"] for one in only(second, "SaveImageWithParameters")]
    assert ["Seed: 1," in text for text in texts] == [True, False]
    seeds = {only(made(shelf, {"seed": -1})[0], "KSampler")[0]["seed"] for _ in range(4)}
    assert len(seeds) > 1 and max(seeds) < 2**32


def test_loras_clip_skip_and_chunks(session: Session, shelf: Shelf) -> None:
    body = {"prompt": f"a <lora:{LORA}:0.5:0.25> BREAK (b)", "override_settings": {"CLIP_stop_at_last_layers": 2}}
    (workflow,) = made(shelf, body)
    check(session, workflow)
    (lora,) = only(workflow, "LoraLoader")
    assert (lora["strength_clip"], lora["strength_model"]) == (0.5, 0.25)
    assert only(workflow, "CLIPSetLastLayer")[0]["stop_at_clip_layer"] == -2
    assert [one["text"] for one in only(workflow, "CLIPTextEncode")] == ["a", "(b:1.1)", ""]
    assert len(only(workflow, "ConditioningConcat")) == 1
    text = only(workflow, "SaveImageWithParameters")[0]["parameters"]
    assert (
        f"<lora:{LORA}:0.5:0.25> BREAK (b)\n" in text and f'Lora hashes: "{LORA}: ' in text and "Clip skip: 2" in text
    )
    for bad, field in (
        ({"prompt": "<lora:none:1>"}, "prompt"),
        ({"styles": ["cold"]}, "styles"),
        ({"override_settings": {"sd_model_checkpoint": "none"}}, "override_settings.sd_model_checkpoint"),
        ({"override_settings": {"randn_source": "GPU"}}, "override_settings.randn_source"),
        ({"enable_hr": True, "hr_upscaler": "none"}, "hr_upscaler"),
        ({"enable_hr": True, "hr_upscaler": "Latent (antialiased)"}, "hr_upscaler"),
        ({"enable_hr": True, "hr_prompt": "[a|b]"}, "hr_prompt"),
    ):
        with pytest.raises(FieldErrors) as caught:
            made(shelf, bad)
        assert [name for name, _ in caught.value.errors] == [field]


@pytest.mark.parametrize("upscaler", ["Latent", "Latent (nearest-exact)", "Lanczos", "realesr-animevideov3-x4"])
def test_the_second_pass(session: Session, shelf: Shelf, upscaler: str) -> None:
    body = {"prompt": "a", "steps": 4, "seed": 5, "width": 64, "height": 64, "enable_hr": True, "hr_scale": 1.5,
            "hr_upscaler": upscaler, "hr_second_pass_steps": 3, "denoising_strength": 0.5, "hr_prompt": "b",
            "hr_sampler_name": "Euler a"}  # fmt: skip
    (workflow,) = made(shelf, body)
    check(session, workflow)
    first, second = only(workflow, "KSampler")
    assert (second["seed"], second["steps"], second["denoise"], second["sampler_name"]) == (
        5,
        3,
        0.5,
        "euler_ancestral",
    )
    assert (first["steps"], first["denoise"], first["sampler_name"]) == (4, 1.0, "euler")
    kind = "LatentUpscale" if upscaler.startswith("Latent") else "ImageScale"
    assert (only(workflow, kind)[0]["width"], only(workflow, kind)[0]["height"]) == (96, 96)
    assert bool(only(workflow, "ImageUpscaleWithModel")) == upscaler.startswith("real")
    assert [one["text"] for one in only(workflow, "CLIPTextEncode")] == ["a", "", "b"]


def pass_to(scale: float = 2.0, width: int = 0, height: int = 0) -> SecondPass:
    return SecondPass(scale, width, height, "Latent", 0, "", "", "", "")


def test_the_size_of_the_second_pass() -> None:
    assert second_size((512, 768), pass_to(1.7)) == ((864, 1304), (0, 0, 864, 1304))
    assert second_size((512, 768), pass_to(width=1024)) == ((1024, 1536), (0, 0, 1024, 1536))
    assert second_size((512, 768), pass_to(height=1024)) == ((680, 1024), (0, 0, 680, 1024))
    assert second_size((512, 768), pass_to(width=1024, height=1024)) == ((1024, 1536), (0, 256, 1024, 1024))
    assert second_size((768, 512), pass_to(width=1024, height=1024)) == ((1536, 1024), (256, 0, 1024, 1024))
    with pytest.raises(FieldErrors):
        second_size((4096, 4096), pass_to(8))


def test_a_second_pass_to_a_box_cuts_what_hangs_over(session: Session, shelf: Shelf) -> None:
    body = {"width": 64, "height": 96, "enable_hr": True, "hr_resize_x": 128, "hr_resize_y": 128}
    (workflow,) = made(shelf, body)
    check(session, workflow)
    assert {key: only(workflow, "LatentCrop")[0][key] for key in ("x", "y", "width", "height")} == {
        "x": 0, "y": 32, "width": 128, "height": 128,
    }  # fmt: skip


def test_a_picture_is_changed_in_its_share_of_the_steps(session: Session, shelf: Shelf) -> None:
    picture = png(Image.new("RGB", (64, 64), (200, 30, 30)))
    body = {
        "init_images": [picture],
        "steps": 20,
        "denoising_strength": 0.5,
        "width": 64,
        "height": 64,
        "batch_size": 2,
    }
    (workflow,) = made(shelf, body, picture=True)
    check(session, workflow)
    assert [one["start_at_step"] for one in only(workflow, "KSamplerAdvanced")] == [9, 9]
    assert list(workflow.sampler_steps.values()) == [11, 11] and len(only(workflow, "VAEEncode")) == 1
    assert [first_step(20, one) for one in (0.0, 0.75, 0.999, 1.0)] == [19, 4, 0, 0]
    assert [first_step(1, one) for one in (0.0, 1.0)] == [0, 0]
    with pytest.raises(FieldErrors, match="init_images"):
        made(shelf, {**body, "init_images": [picture] * 3}, picture=True)
    for bad, field in (
        ({"init_images": ["http://127.0.0.1/a.png"]}, "init_images"),
        ({"init_images": ["%%%"]}, "init_images"),
        ({"init_images": ["aGVsbG8="]}, "init_images"),
        ({"mask": picture, "resize_mode": 3}, "resize_mode"),
        ({"mask": png(Image.new("L", (32, 32), 255))}, "mask"),
    ):
        with pytest.raises(FieldErrors, match=field):
            made(shelf, {**body, **bad}, picture=True)


@pytest.mark.parametrize("fill", [0, 1, 2, 3])
@pytest.mark.parametrize("full", [True, False])
def test_a_masked_picture(session: Session, shelf: Shelf, fill: int, full: bool) -> None:
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (40, 20, 60, 30))
    picture = "data:image/png;base64," + png(Image.new("RGB", (96, 64), (9, 90, 200)))
    body = {"init_images": [picture], "mask": png(mask),
            "width": 64, "height": 64, "inpainting_fill": fill, "inpaint_full_res": full, "mask_blur": 0,
            "inpaint_full_res_padding": 4}  # fmt: skip
    (workflow,) = made(shelf, body, picture=True)
    check(session, workflow)
    assert len(only(workflow, "SetLatentNoiseMask")) == 1
    assert bool(only(workflow, "LatentCompositeMasked")) == (fill > 1) and bool(only(workflow, "AddNoise")) == (
        fill == 2
    )
    (pasted,) = only(workflow, "ImageCompositeMasked")
    (scaled,) = only(workflow, "ImageScale")
    box = (pasted["x"], pasted["y"], scaled["width"], scaled["height"])
    assert box == ((36, 11, 28, 28) if full else (0, 0, 64, 64))


def test_latents_are_stretched(session: Session, shelf: Shelf) -> None:
    body = {"init_images": [png(Image.new("RGB", (90, 60)))], "resize_mode": 3, "width": 64, "height": 128}
    (workflow,) = made(shelf, body, picture=True)
    check(session, workflow)
    assert (only(workflow, "LatentUpscale")[0]["width"], only(workflow, "LatentUpscale")[0]["height"]) == (64, 128)


def test_variations_keep_the_seed_and_count_up_the_other(session: Session, shelf: Shelf) -> None:
    body = {"seed": 5, "subseed": 2**64 - 1, "subseed_strength": 0.25, "batch_size": 2, "enable_hr": True, "steps": 4}
    (workflow,) = made(shelf, body)
    check(session, workflow)
    expected = [{"noise_seed": 5, "variation_seed": one, "variation_strength": 0.25} for one in (2**64 - 1, 0)]
    assert only(workflow, "VariationNoise") == expected, "both passes share the noise"
    assert len(only(workflow, "SamplerCustomAdvanced")) == 4 and not only(workflow, "KSampler")
    text = only(workflow, "SaveImageWithParameters")[1]["parameters"]
    assert "Seed: 5," in text and "Variation seed: 0, Variation seed strength: 0.25, " in text
    picture = {"init_images": [png(Image.new("RGB", (8, 8)))], "denoising_strength": 0.5}
    (changed,) = made(shelf, {**body, "enable_hr": False, **picture}, picture=True)
    check(session, changed)
    assert only(changed, "SplitSigmas")[0]["step"] == 1
    with pytest.raises(FieldErrors, match="subseed_strength"):
        made(shelf, {**body, "sampler_name": "DPM2"})


def test_a_blank_mask_changes_the_whole_picture() -> None:
    picture, blank = Image.new("RGB", (64, 64), "red"), Image.new("L", (64, 64), 0)
    ready = prepare(picture, blank, (32, 32), STRETCH, MaskChoices(full_resolution=True, padding=0, smear=True))
    assert ready.mask is None and ready.picture.size == (32, 32)


@pytest.mark.parametrize("size", [(40, 30), (1, 9), (5, 5)])
def test_masks_are_blurred_by_cut_gaussians(size: tuple[int, int]) -> None:
    values = np.random.default_rng(1).integers(0, 256, (size[1], size[0])).astype(np.uint8)
    got = np.asarray(soft_mask(Image.fromarray(values), rounded=True, invert=False, blur=(4, 2)))
    expected = values.astype(np.float64)
    for axis, sigma in ((1, 4), (0, 2)):
        radius = int(2.5 * sigma + 0.5)
        expected = np.rint(gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=radius))
    assert np.abs(got - expected).max() <= 1


def test_what_a_mask_means() -> None:
    grey = Image.new("L", (8, 8), 100)
    plain = {"rounded": True, "blur": (0, 0)}
    assert soft_mask(grey, invert=False, **plain).getpixel((0, 0)) == 100
    assert soft_mask(grey, invert=True, **plain).getpixel((0, 0)) == 155
    clear = Image.new("RGBA", (8, 8), (255, 255, 255, 127))
    clear.putpixel((1, 0), (0, 0, 0, 128))
    assert [soft_mask(clear, invert=False, **plain).getpixel((x, 0)) for x in (0, 1)] == [0, 255]
    assert soft_mask(clear, rounded=False, invert=False, blur=(0, 0)).getpixel((0, 0)) == 127
    opaque = Image.new("RGBA", (8, 8), (255, 255, 255, 255))
    assert soft_mask(opaque, invert=False, **plain).getpixel((0, 0)) == 255


def test_regions_grow_to_the_shape_of_the_picture_and_stay_inside() -> None:
    mask = Image.new("L", (100, 80), 0)
    mask.paste(255, (90, 10, 98, 14))
    assert region_of(mask, 0) == (90, 10, 8, 4) and region_of(mask, 10) == (80, 0, 20, 24)
    assert widen((90, 10, 8, 4), (64, 64), (100, 80)) == (90, 8, 8, 8)
    assert widen((90, 70, 4, 10), (128, 64), (100, 80)) == (80, 70, 20, 10)
    assert widen((0, 0, 100, 10), (64, 64), (100, 80)) == (0, 0, 100, 80)
    assert widen((0, 2, 10, 70), (64, 64), (100, 80)) == (0, 2, 70, 70)


def test_ways_to_bring_a_picture_to_size() -> None:
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste((0, 0, 255), (20, 0, 40, 20))
    assert resize(picture, (30, 30), STRETCH).size == (30, 30)
    cut = resize(picture, (20, 20), CROP)
    assert cut.getpixel((1, 10)) == (255, 0, 0) and cut.getpixel((18, 10)) == (0, 0, 255)
    filled = resize(picture, (40, 40), FILL)
    assert filled.getpixel((1, 0)) == (255, 0, 0) and filled.getpixel((38, 39)) == (0, 0, 255)
    beside = resize(picture, (80, 20), FILL)
    assert beside.getpixel((0, 3)) == (255, 0, 0) and beside.getpixel((79, 3)) == (0, 0, 255)
    assert resize(picture, (40, 20), CROP).tobytes() == picture.tobytes()


def test_what_is_masked_is_filled_from_around_it() -> None:
    picture, mask = Image.new("RGB", (64, 64), (200, 30, 30)), Image.new("L", (64, 64), 0)
    picture.paste((0, 255, 0), (24, 24, 40, 40))
    mask.paste(255, (20, 20, 44, 44))
    filled = np.asarray(smear(picture, mask)).astype(int)
    assert np.abs(filled - (200, 30, 30)).max() <= 6, "nothing of the green is left"
    blocks = np.asarray(latent_blocks(mask))
    assert set(np.unique(blocks)) == {0, 255} and blocks[:8, :8].max() == 0
    assert np.array_equal(blocks, np.kron(blocks[::8, ::8], np.ones((8, 8), np.uint8)))


def test_upscaling(session: Session, shelf: Shelf) -> None:
    picture = png(Image.new("RGB", (40, 20), "red"))
    model = {"upscaler_1": "realesr-animevideov3-x4", "upscaling_resize": 3}
    (one,) = read_enlarging(
        {**model, "upscaler_2": "Lanczos", "extras_upscaler_2_visibility": 0.5}, [picture], "image", shelf
    )
    workflow = enlarged_pictures([one])
    check(session, workflow)
    assert one.target == (120, 60) and one.cut is None and len(only(workflow, "ImageBlend")) == 1
    box = {"resize_mode": 1, "upscaling_resize_w": 50, "upscaling_resize_h": 50}
    (covered,) = read_enlarging(box, [picture], "image", shelf)
    check(session, enlarged_pictures([covered]))
    assert covered.target == (100, 50) and covered.cut == (25, 0, 50, 50)
    for bad in ({"gfpgan_visibility": 1}, {"upscaler_1": "none"}, {"upscaling_resize": 0}):
        with pytest.raises(FieldErrors):
            read_enlarging(bad, [picture], "image", shelf)
    with pytest.raises(FieldErrors):
        read_enlarging({}, [], "image", shelf)


def test_options_are_changed_together_or_not_at_all(shelf: Shelf) -> None:
    name = shelf.files("checkpoints")[0]
    digest = shelf.digest("checkpoints", name)
    stem = name.removesuffix(".safetensors")
    for wanted in (name, stem, f"{name} [{digest[:10]}]", digest[:10], digest):
        assert changed_options(Options(), {"sd_model_checkpoint": wanted}, shelf).checkpoint == name
    with pytest.raises(FieldErrors) as caught:
        changed_options(Options(), {"sd_model_checkpoint": "x", "nope": 1, "samples_format": "jpg"}, shelf)
    assert [field for field, _ in caught.value.errors] == ["sd_model_checkpoint", "nope", "samples_format"]
    assert changed_options(Options(), {"samples_format": "png", "CLIP_stop_at_last_layers": 2.0}, shelf).clip_skip == 2
    assert changed_options(Options(), {"samples_save": True, "what_we_do_not_know": None}, shelf) == Options()


def test_the_share_of_noise_is_the_samplers_own(shelf: Shelf) -> None:
    for sampler, eta in (("Euler", 1.0), ("Euler", 0.3), ("Euler a", 1.0), ("DDIM", 0), ("DPM++ SDE", 1)):
        assert made(shelf, {"sampler_name": sampler, "eta": eta})
    for sampler, eta in (("Euler a", 0.5), ("DDIM", 1.0), ("DPM++ 2M SDE", 0)):
        with pytest.raises(FieldErrors, match="eta"):
            made(shelf, {"sampler_name": sampler, "eta": eta})


def test_what_clients_send_along_changes_nothing(session: Session, shelf: Shelf) -> None:
    """Every field at the value that clients fill it with."""
    plain = {"prompt": "a", "seed": 1, "width": 64, "height": 64, "steps": 4}
    filled = {
        "restore_faces": False, "tiling": False, "eta": 1.0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1,
        "s_min_uncond": 0, "subseed": -1, "subseed_strength": 0.0, "seed_resize_from_h": 0, "seed_resize_from_w": -1,
        "enable_hr": False, "hr_scale": 2, "hr_upscaler": "Latent", "hr_checkpoint_name": None, "hr_prompt": "",
        "firstphase_width": 0, "firstphase_height": 0, "styles": [], "sampler_name": None, "sampler_index": "Euler",
        "scheduler": None, "override_settings": {}, "override_settings_restore_afterwards": True, "script_args": [],
        "script_name": None, "alwayson_scripts": {}, "do_not_save_samples": False, "do_not_save_grid": False,
        "refiner_checkpoint": None, "refiner_switch_at": None, "disable_extra_networks": False, "comments": {},
        "firstpass_image": None, "force_task_id": None, "infotext": None, "send_images": True, "save_images": False,
    }  # fmt: skip
    assert made(shelf, {**plain, **filled}) == made(shelf, plain)


def test_any_request_becomes_a_workflow_that_can_run_or_is_refused(session: Session, shelf: Shelf) -> None:
    dice = random.Random(5)
    picture, mask = png(Image.new("RGB", (33, 9), "red")), png(Image.new("L", (33, 9), 255))
    clear, wide = png(Image.new("RGBA", (1, 64), (9, 9, 9, 90))), png(Image.new("1", (300, 1), 1))
    texts = ["", "a (b:1.2)", "((", "\\u0000", "<lora:", f"<lora:{LORA}:2>", "BREAK", "Euler a", "Latent", "None", "🦊"]
    numbers = [None, True, 0, 1, 2, 3, -1, 0.5, 8, 64, 72, "64", 1e308, 10**400, [], {}, "x"]
    pictures = [[picture], [clear], [wide], [picture, clear], picture, [mask], ["x"], [3], None]
    number_fields = (
        "steps width height batch_size n_iter seed cfg_scale denoising_strength resize_mode mask_blur inpainting_fill "
        "inpaint_full_res inpaint_full_res_padding inpainting_mask_invert hr_resize_x hr_resize_y hr_scale "
        "hr_second_pass_steps enable_hr subseed_strength eta"
    )
    text_fields = "prompt negative_prompt hr_prompt hr_upscaler scheduler infotext"
    choices: dict[str, list[Any]] = dict.fromkeys(number_fields.split(), numbers)
    choices |= dict.fromkeys(text_fields.split(), texts)
    choices |= {"init_images": pictures, "mask": [picture, mask, clear, wide, "", 3], "sampler_name": ["DDIM", "x"]}
    good = {"steps": 2, "width": 64, "height": 64, "init_images": [picture]}
    made_some = 0
    for _ in range(1000):
        names = dice.sample(sorted(choices), dice.randrange(1, 5))
        body = {**good, **{name: dice.choice(choices[name]) for name in names}}
        try:
            workflows = made(shelf, body, picture=dice.random() < 0.6)
        except (FieldErrors, Refused):
            continue
        made_some += 1
        check(session, workflows[0])
    assert made_some > 200
