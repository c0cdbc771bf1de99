"""The nodes of the custom sampler and the guidance options, called as a workflow calls them, on a small checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import make_base_directory

from engine.session import Session
from engine.settings import Settings

CHECKPOINT = "tiny.safetensors"
Prompt = dict[str, Any]


@pytest.fixture(scope="module")
def session(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session on a random checkpoint."""
    base = make_base_directory(tmp_path_factory.mktemp("base"), root, CHECKPOINT)
    made = tmp_path_factory.mktemp("made")
    return Session(Settings(base, output_directory=made, temp_directory=made / "temp", device="cpu", dtype="float32"))


def nodes(**more: Any) -> Prompt:
    """Return a prompt up to conditions and latent, with more nodes."""
    prompt: Prompt = {
        "ck": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINT}},
        "pos": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red cat", "clip": ["ck", 1]}},
        "neg": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["ck", 1]}},
        "empty": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["ck", 1]}},
        "lat": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "euler": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "karras": {
            "class_type": "KarrasScheduler",
            "inputs": {"steps": 3, "sigma_max": 14.6, "sigma_min": 0.03, "rho": 7.0},
        },
    }
    for name, (kind, inputs) in more.items():
        prompt[name] = {"class_type": kind, "inputs": inputs}
    return prompt


def latent(session: Session, prompt: Prompt, node: str) -> np.ndarray:
    made: np.ndarray = session.open(prompt).run([node]).values[node][0].samples.numpy()
    assert np.isfinite(made).all()
    return made


def ksampler(model: Any, cfg: float = 5.0) -> tuple[str, dict[str, Any]]:
    inputs = {"model": model, "positive": ["pos", 0], "negative": ["neg", 0], "latent_image": ["lat", 0]}
    widgets = {"seed": 4, "steps": 3, "cfg": cfg, "sampler_name": "euler", "scheduler": "karras", "denoise": 1.0}
    return "KSampler", inputs | widgets


def custom(model: Any, **other: Any) -> tuple[str, dict[str, Any]]:
    inputs = {
        "model": model, "add_noise": True, "noise_seed": 4, "cfg": 5.0, "positive": ["pos", 0], "negative": ["neg", 0],
        "sampler": ["euler", 0], "sigmas": ["karras", 0], "latent_image": ["lat", 0],
    }  # fmt: skip
    return "SamplerCustom", inputs | other


def advanced(guider: str) -> tuple[str, dict[str, Any]]:
    links = {"noise": ["noise", 0], "guider": [guider, 0], "sampler": ["euler", 0], "sigmas": ["karras", 0]}
    return "SamplerCustomAdvanced", links | {"latent_image": ["lat", 0]}


def test_the_custom_sampler_equals_the_advanced_one(session: Session) -> None:
    prompt = nodes(
        one=custom(["ck", 0]),
        noise=("RandomNoise", {"noise_seed": 4}),
        guider=("CFGGuider", {"model": ["ck", 0], "positive": ["pos", 0], "negative": ["neg", 0], "cfg": 5.0}),
        two=advanced("guider"),
    )
    assert np.array_equal(latent(session, prompt, "one"), latent(session, prompt, "two"))


def test_noise_that_was_added_before_is_the_sampler_s_own(session: Session) -> None:
    added = {"model": ["ck", 0], "noise": ["noise", 0], "sigmas": ["karras", 0], "latent_image": ["lat", 0]}
    prompt = nodes(
        one=custom(["ck", 0]),
        noise=("RandomNoise", {"noise_seed": 4}),
        noisy=("AddNoise", added),
        two=custom(["ck", 0], add_noise=False, latent_image=["noisy", 0]),
    )
    one, two = latent(session, prompt, "one"), latent(session, prompt, "two")
    assert np.abs(one - two).max() <= 1e-4 * np.abs(one).max()


@pytest.mark.parametrize(
    ("kind", "widgets"),
    [
        ("RescaleCFG", {"multiplier": 0.7}),
        ("Mahiro", {}),
        ("CFGNorm", {"strength": 0.8}),
        ("TCFG", {}),
        ("ModelSamplingDiscrete", {"sampling": "v_prediction", "zsnr": True}),
        ("ModelSamplingDiscrete", {"sampling": "lcm", "zsnr": False}),
        ("ModelSamplingDiscrete", {"sampling": "x0", "zsnr": False}),
    ],
)
def test_an_option_changes_the_picture_in_both_samplers_alike(
    session: Session, kind: str, widgets: dict[str, Any]
) -> None:
    prompt = nodes(
        option=(kind, {"model": ["ck", 0]} | widgets),
        plain=custom(["ck", 0]),
        one=custom(["option", 0]),
        two=ksampler(["option", 0]),
        sigmas=("BasicScheduler", {"model": ["option", 0], "scheduler": "karras", "steps": 3, "denoise": 1.0}),
        three=custom(["option", 0], sigmas=["sigmas", 0]),
    )
    assert not np.allclose(latent(session, prompt, "plain"), latent(session, prompt, "one"))
    assert np.array_equal(latent(session, prompt, "two"), latent(session, prompt, "three"))


def test_multiplier_0_and_eps_are_the_plain_model(session: Session) -> None:
    prompt = nodes(
        rescale=("RescaleCFG", {"model": ["ck", 0], "multiplier": 0.0}),
        eps=("ModelSamplingDiscrete", {"model": ["ck", 0], "sampling": "eps", "zsnr": False}),
        plain=ksampler(["ck", 0]),
        one=ksampler(["rescale", 0]),
        two=ksampler(["eps", 0]),
    )
    plain = latent(session, prompt, "plain")
    assert np.abs(latent(session, prompt, "one") - plain).max() <= 1e-4 * np.abs(plain).max()
    assert np.array_equal(latent(session, prompt, "two"), plain)


def test_guiders_with_three_prompts_meet_plain_guidance_at_their_ends(session: Session) -> None:
    dual = {"model": ["ck", 0], "cond1": ["pos", 0], "cond2": ["pos", 0], "negative": ["neg", 0]}
    perpendicular = {"model": ["ck", 0], "positive": ["pos", 0], "negative": ["neg", 0]}
    prompt = nodes(
        noise=("RandomNoise", {"noise_seed": 4}),
        plain=custom(["ck", 0]),
        unguided=custom(["ck", 0], negative=["empty", 0]),
        regular=("DualCFGGuider", dual | {"cfg_conds": 3.0, "cfg_cond2_negative": 5.0, "style": "regular"}),
        nested=("DualCFGGuider", dual | {"cfg_conds": 3.0, "cfg_cond2_negative": 5.0, "style": "nested"}),
        none=("PerpNegGuider", perpendicular | {"empty_conditioning": ["empty", 0], "cfg": 5.0, "neg_scale": 0.0}),
        some=("PerpNegGuider", perpendicular | {"empty_conditioning": ["empty", 0], "cfg": 5.0, "neg_scale": 1.0}),
        a=advanced("regular"),
        b=advanced("nested"),
        c=advanced("none"),
        d=advanced("some"),
    )
    plain, unguided = latent(session, prompt, "plain"), latent(session, prompt, "unguided")
    for name, wanted in (("a", plain), ("b", plain), ("c", unguided)):
        assert np.abs(latent(session, prompt, name) - wanted).max() <= 1e-4 * np.abs(wanted).max(), name
    assert not np.allclose(latent(session, prompt, "d"), unguided)


def test_an_operation_on_guidance_is_part_of_the_model(session: Session) -> None:
    prompt = nodes(
        tone=("LatentOperationTonemapReinhard", {"multiplier": 0.5}),
        sharp=("LatentOperationSharpen", {"sharpen_radius": 1, "sigma": 1.0, "alpha": 0.5}),
        first=("LatentApplyOperationCFG", {"model": ["ck", 0], "operation": ["tone", 0]}),
        both=("LatentApplyOperationCFG", {"model": ["first", 0], "operation": ["sharp", 0]}),
        plain=ksampler(["ck", 0]),
        one=ksampler(["first", 0]),
        two=ksampler(["both", 0]),
    )
    plain, one, two = (latent(session, prompt, name) for name in ("plain", "one", "two"))
    assert not np.allclose(plain, one) and not np.allclose(one, two)
