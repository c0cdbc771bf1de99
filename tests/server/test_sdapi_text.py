"""Prompts, names and texts of the older interface, without a server."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.families.prompt_weights import parse_weights
from engine.server.sdapi.infotext import Facts, settings_text
from engine.server.sdapi.parameters import as_fields, read_parameters, write_parameters
from engine.server.sdapi.pictures import texts_in
from engine.server.sdapi.prompt_text import (
    Network,
    apply_styles,
    chunks_of,
    name_embeddings,
    spans_of,
    take_networks,
    write_spans,
)
from engine.server.sdapi.recipes import parameters_of
from engine.server.sdapi.refusals import FieldErrors, Refused
from engine.server.sdapi.requests import read_order
from engine.server.sdapi.samplers import choose_sampling

SAMPLE = """masterpiece, (a cat:1.2),
sitting
Negative prompt: dog, (worst quality:1.4)
ugly
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 965400086, Size: 512x768, \
Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Denoising strength: 0.7, Clip skip: 2, Hires upscale: 2, \
Hires prompt: "a cat, \\"big\\": yes", Lora hashes: "one: aa, two: bb", Version: v1.10.1"""


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [("a ", 1.0), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55), (", sun, ", 1.1),
             ("sky", 1.4641), (".", 1.1)],
        ),
        ("(a)(b)", [("ab", 1.1)]),
        ("(a", [("a", 1.1)]),
        ("[a", [("a", 1 / 1.1)]),
        ("a) b]", [("a) b]", 1.0)]),
        ("(a:0)", [("a", 0.0)]),
        ("(a: +1.5 )b", [("a", 1.5), ("b", 1.0)]),
        ("(a:-.5)", [("a", -0.5)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a (b:2):3)", [("a ", 3.0), ("b", 6.0)]),
        (r"\(a\) \[b\] \\", [("(a) [b] \\", 1.0)]),
        (r"(a\(b\):1.5)", [("a(b)", 1.5)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
        ("((a:2) b:3)(c:0.5)", [("a", 6.0), (" b", 3.0), ("c", 0.5)]),
        ("()[](:2)", []),
        ("", []),
    ],
)  # fmt: skip
def test_weights_are_those_of_the_interface(text: str, spans: list[tuple[str, float]]) -> None:
    found = spans_of(text)
    assert [one for one, _ in found] == [one for one, _ in spans]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in spans])


def test_weights_of_a_long_text_take_no_longer_than_it_is() -> None:
    assert len(spans_of("(a[" * 50_000)) == 1 and spans_of("(a" * 50_000)[-1][1] == pytest.approx(1.1**100)
    assert len(spans_of("(" * 50_000 + "a" + ":2)" * 50_000)) == 1


@given(st.text(alphabet="ab ,()[]:\\1.5", max_size=40))
def test_what_is_written_reads_the_same_in_the_engine(text: str) -> None:
    """The engine's own reader finds the same texts at the same weights in what is handed to it."""

    def flat(pieces: Any) -> list[tuple[str, float]]:
        return [(letter, round(weight, 4)) for piece, weight in pieces for letter in piece]

    spans = spans_of(text)
    if any(part.endswith("\\") for part, _ in spans):
        return  # the engine has no way to write a backslash before a bracket of its own
    written = write_spans(spans)
    assert flat((one.text, one.weight) for one in parse_weights(written)) == flat(spans)


def test_networks_styles_embeddings_and_chunks() -> None:
    text, found = take_networks("a <lora:x:0.5>cat<lyco:y:1:0.25> <lora:z:unet=2:te=0>", "prompt")
    assert text == "a cat "
    assert found == (Network("x", 0.5, 0.5), Network("y", 1.0, 0.25), Network("z", 0.0, 2.0))
    for bad in ("<hypernet:a:1>", "<lora:a:b>", "<lora:a:1:1:4>", "<lora:a:dyn=4>", "<lora::1>"):
        with pytest.raises(FieldErrors, match="prompt"):
            take_networks(bad, "prompt")
    assert apply_styles("cat", ("photo of {prompt}, sharp", "warm")) == "photo of cat, sharp, warm"
    assert apply_styles("", ("warm",)) == "warm"
    assert name_embeddings("a Bad_hands, nobad_hands bad_hands2 x", ["bad_hands", "bad_hands2"]) == (
        "a embedding:bad_hands, nobad_hands embedding:bad_hands2 x"
    )
    assert chunks_of("a BREAK (b:1.2)\nBREAK\nBREAKING c", "prompt") == ("a", "(b:1.2)", "BREAKING c")
    for bad in ("a [b:c:0.5]", "[b:3]", "[b::3]", "[a|b]", "a AND b"):
        with pytest.raises(FieldErrors, match="not supported"):
            chunks_of(bad, "prompt")
    assert chunks_of(r"\[a|b\] [c]", "prompt") == ("[a|b] (c:0.909091)",)


def test_a_text_of_another_program_is_read() -> None:
    found = read_parameters(SAMPLE)
    assert found.prompt == "masterpiece, (a cat:1.2),\nsitting"
    assert found.negative_prompt == "dog, (worst quality:1.4)\nugly"
    assert found.settings["Hires prompt"] == 'a cat, "big": yes' and found.settings["Lora hashes"] == "one: aa, two: bb"
    fields = as_fields(found)
    assert fields["Size-1"] == "512" and fields["Size-2"] == "768" and "Size" not in fields
    assert fields["Clip skip"] == "2" and fields["RNG"] == "GPU" and fields["Masked content"] == "original"
    assert read_parameters("only a prompt, Steps: 3").settings == {}
    assert read_parameters("only a prompt, Steps: 3").prompt == "only a prompt, Steps: 3"
    assert read_parameters("Negative prompt: b\nSteps: 1, Sampler: x, Seed: 2").negative_prompt == "b"


NAMES = ("Steps", "CFG scale", "Hires prompt", "Model", "Lora hashes", "Tiling")
LINE = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=12)


@given(LINE, LINE, st.dictionaries(st.sampled_from(NAMES), LINE.filter(bool) | st.integers(), min_size=3))
def test_what_is_written_is_read_back(prompt: str, negative: str, settings: dict[str, Any]) -> None:
    if any(str(value).startswith('"') for value in settings.values()):
        return  # a value in quotes of its own looks like a quoted one
    found = read_parameters(write_parameters(prompt, negative, settings))
    assert dict(found.settings) == {key: str(value) for key, value in settings.items() if str(value) != key}
    assert (found.prompt, found.negative_prompt) == (prompt, negative) or prompt.startswith("Negative prompt:")


def test_the_settings_of_a_picture_stand_in_their_order() -> None:
    order = read_order(
        {"prompt": "a", "enable_hr": True, "hr_resize_x": 64, "cfg_scale": 4.5, "steps": 3}, picture=False
    )
    facts = Facts("m", "0123456789", "", 2, {"x": "ff"}, (64, 64), masked=False)
    made = write_parameters("a", "", settings_text(order, choose_sampling("Euler a", "karras"), facts, 9))
    assert made.startswith(
        "a\nSteps: 3, Sampler: Euler a, Schedule type: Karras, CFG scale: 4.5, Seed: 9, Size: 512x512, "
        "Model hash: 0123456789, Model: m, Denoising strength: 0.75, Clip skip: 2, RNG: CPU, Hires resize: 64x0, "
        'Hires upscaler: Latent, Lora hashes: "x: ff", SGM noise multiplier: True, Version: Safelight '
    )


def test_samplers_by_all_their_names() -> None:
    def names(*given: Any) -> tuple[str, str, str]:
        found = choose_sampling(*given)
        return found.label, found.name, found.schedule

    assert names("DPM++ 2M Karras", None) == ("DPM++ 2M", "dpmpp_2m", "karras")
    assert names("DPM++ 2M", "Automatic") == ("DPM++ 2M", "dpmpp_2m", "karras")
    assert names("DPM++ 2M SDE Exponential", "") == ("DPM++ 2M SDE", "dpmpp_2m_sde", "exponential")
    assert names("dpm++ 3m sde", None) == ("DPM++ 3M SDE", "dpmpp_3m_sde", "exponential")
    assert names("k_euler_a", "sgm_uniform") == ("Euler a", "euler_ancestral", "sgm_uniform")
    assert names("Euler", "Uniform") == ("Euler", "euler", "normal")
    assert names("res_multistep", "KL Optimal") == ("res_multistep", "res_multistep", "kl_optimal")
    for bad in (("Nope", None), ("Euler", "Nope"), ("Euler Nope", None)):
        with pytest.raises(Refused) as caught:
            choose_sampling(*bad)
        assert caught.value.status == 400


def test_fields_have_their_defaults_and_what_cannot_be_done_is_named() -> None:
    order = read_order({}, picture=False)
    assert (order.steps, order.cfg, order.width, order.height, order.seed, order.sampler) == (
        50,
        7,
        512,
        512,
        -1,
        "Euler",
    )
    assert order.second is None and order.painting is None and order.send_pictures and not order.save_pictures
    changed = read_order({"init_images": ["x"], "unknown": 1, "tiling": None, "s_noise": 1.0}, picture=True).painting
    assert changed is not None and changed.mask_blur == (4, 4) and changed.fill == 0 and changed.full_resolution
    bad = {
        "steps": 0, "width": 100, "cfg_scale": "much", "prompt": 3, "styles": "a", "tiling": True, "seed": 2**64,
        "alwayson_scripts": {"controlnet": {}}, "script_name": "x/y/z plot", "n_iter": True, "refiner_checkpoint": "r",
    }  # fmt: skip
    with pytest.raises(FieldErrors) as caught:
        read_order(bad, picture=False)
    assert {name for name, _ in caught.value.errors} == set(bad)
    with pytest.raises(Refused) as missing:
        read_order({"init_images": []}, picture=True)
    assert missing.value.status == 404


def test_a_text_fills_the_fields_that_were_left_out() -> None:
    order = read_order({"infotext": SAMPLE, "steps": 3, "negative_prompt": "", "seed": None}, picture=False)
    assert order.prompt == "masterpiece, (a cat:1.2),\nsitting" and order.negative_prompt == "" and order.steps == 3
    assert (order.sampler, order.scheduler, order.cfg, order.seed) == ("DPM++ 2M", "Karras", 7.5, 965400086)
    assert (order.width, order.height, order.denoise) == (512, 768, 0.7)
    assert order.second is not None and order.second.scale == 2 and order.second.prompt == 'a cat, "big": yes'
    assert order.second.upscaler == "Latent" and order.second.steps == 0 and order.second.sampler == ""
    assert read_order({"infotext": "a cat"}, picture=False).prompt == "a cat"
    with pytest.raises(FieldErrors, match="infotext"):
        read_order({"infotext": 3}, picture=False)
    with pytest.raises(FieldErrors, match="steps"):
        read_order({"infotext": "a\nSteps: many, Sampler: Euler, Seed: 1"}, picture=False)


def test_texts_in_jpeg_webp_and_gif() -> None:
    for kind in ("JPEG", "WEBP"):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + SAMPLE.encode("utf-16-be")
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, kind, exif=exif)
        assert texts_in(buffer.getvalue(), "image")["parameters"] == SAMPLE, kind
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "GIF", comment=b"hello")
    assert texts_in(buffer.getvalue(), "image")["parameters"] == "hello"
    with pytest.raises(FieldErrors):
        texts_in(b"no picture", "image")


def test_a_simple_workflow_is_told_in_the_same_text() -> None:
    nodes: dict[str, Any] = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "deep/m.safetensors"}},
        "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1], "lora_name": "l"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "cat", "clip": ["2", 1]}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["2", 1]}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 32, "batch_size": 1}},
        "6": {
            "class_type": "KSampler",
            "inputs": {"model": ["2", 0], "positive": ["3", 0], "negative": ["4", 0], "latent_image": ["5", 0],
                       "steps": 9, "cfg": 8.0, "seed": 5, "sampler_name": "euler_ancestral", "scheduler": "karras",
                       "denoise": 1.0},
        },
    }  # fmt: skip
    assert parameters_of(json.dumps(nodes)) == (
        "cat\nNegative prompt: dog\nSteps: 9, Sampler: Euler a, Schedule type: Karras, CFG scale: 8, Seed: 5, "
        "Size: 64x32, Model: m, RNG: CPU"
    )
    twice = {**nodes, "7": nodes["6"]}
    linked = {**nodes, "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["2", 1]}}}
    for other in (json.dumps(twice), json.dumps(linked), "[]", "{", '{"1": 2}', json.dumps({"1": {"inputs": 3}})):
        assert parameters_of(other) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = [
    "steps",
    "seed",
    "width",
    "cfg_scale",
    "prompt",
    "styles",
    "override_settings",
    "save_images",
    "alwayson_scripts",
    "enable_hr",
    "hr_scale",
    "mask",
    "mask_blur",
    "init_images",
    "s_noise",
]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.integers(10**300, 10**320), max_size=5), st.booleans())
def test_any_body_is_read_or_refused(body: dict[str, Any], picture: bool) -> None:
    try:
        order = read_order(body, picture=picture)
    except (FieldErrors, Refused):
        return
    assert isinstance(order.steps, int) and isinstance(order.prompt, str)
