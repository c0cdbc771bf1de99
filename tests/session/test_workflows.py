"""Every example in ``workflows/`` is in order and draws what it says, on the checkpoint that ships with the project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoint import make_base_directory

from engine.graph.api_prompt import graph_to_api
from engine.session import Session
from engine.settings import Settings

CHECKPOINT = "safelight-emoji-128.safetensors"
EXPECTED = {
    "text_to_image.json": (1, 128),
    "text_to_image_api.json": (1, 128),
    "image_to_image.json": (1, 128),
    "inpaint.json": (1, 128),
    "inpaint_hole.json": (1, 128),
    "inpaint_region.json": (1, 256),
    "outpaint.json": (1, 128),
    "controlnet_edges.json": (1, 128),
    "lora.json": (1, 128),
    "hires_two_pass.json": (1, 192),
    "batch.json": (4, 128),
    "for_each_prompt.json": (4, 128),
    "custom_sampler.json": (1, 128),
    "upscale.json": (1, 512),
    "bypass_and_mute.json": (1, 128),
    "reroutes_and_primitive.json": (1, 128),
    "subgraph.json": (1, 128),
}


@pytest.fixture(scope="module")
def examples(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session on the checkout itself; on a random checkpoint of that name where the real one is absent."""
    base = root
    if not (root / "models/checkpoints" / CHECKPOINT).is_file():
        base = make_base_directory(tmp_path_factory.mktemp("stand_in"), root, CHECKPOINT)
    output = tmp_path_factory.mktemp("made")
    return Session(
        Settings(base, output_directory=output, temp_directory=output / "temp", device="cpu", dtype="float32")
    )


def picture(examples: Session, root: Path, name: str) -> Image.Image:
    result = examples.open(root / "workflows" / name).run()
    return next(iter(result.images.values()))[0]


def test_every_example_is_tested(root: Path) -> None:
    assert {path.name for path in (root / "workflows").glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_draws(examples: Session, root: Path, name: str) -> None:
    count, side = EXPECTED[name]
    result = examples.open(root / "workflows" / name).run()
    (output,) = result.made.outputs
    pictures = result.images[output]
    assert len(result.files) == count
    assert [one.size for one in pictures] == [(side, side)] * count
    assert all(np.asarray(one).std() > 1 for one in pictures)


def test_both_forms_of_one_workflow_draw_the_same(examples: Session, root: Path) -> None:
    editor, api = (picture(examples, root, name) for name in ("text_to_image.json", "text_to_image_api.json"))
    assert np.array_equal(np.asarray(editor), np.asarray(api))


def test_inpainting_keeps_what_the_mask_leaves_and_adds_what_is_asked(examples: Session, root: Path) -> None:
    made = np.asarray(picture(examples, root, "inpaint.json"), np.float32)
    source = np.asarray(Image.open(root / "input/red_circle_left.png"), np.float32)
    assert np.abs(made - source)[:, :56].mean() < 6
    assert np.abs(made - source)[48:80, 80:104].mean() > 40, "there is a star now"


def test_painting_a_region_leaves_the_rest_exactly(examples: Session, root: Path) -> None:
    made = np.asarray(picture(examples, root, "inpaint_region.json"), int)
    source = np.asarray(Image.open(root / "input/landscape.png").convert("RGB"), int)
    mask = np.asarray(Image.open(root / "input/landscape_mask.png").convert("L")) > 127
    assert np.array_equal(made[~mask], source[~mask])
    assert np.abs(made - source)[mask].mean() > 20


def test_outpainting_joins_without_a_line(examples: Session, root: Path) -> None:
    """The step across the old edge is no larger than the steps inside the old picture."""
    made = np.asarray(picture(examples, root, "outpaint.json"), np.float32)
    edge = 80
    sky = made[[*range(4, 12), *range(116, 124)]]  # plain background above and below the dog
    steps = np.abs(np.diff(sky, axis=1)).mean((0, 2))
    assert steps[edge - 9 : edge + 8].max() < 8
    assert np.abs(sky[:, edge + 8 :].mean((0, 1)) - sky[:, : edge - 8].mean((0, 1))).max() < 20


def test_strength_0_of_the_control_is_no_control(examples: Session, root: Path) -> None:
    name = root / "workflows/controlnet_edges.json"
    without = graph_to_api(examples.load(name))
    (sampler,) = (entry for entry in without.values() if entry["class_type"] == "KSampler")
    ids = {entry["_meta"]["title"]: id for id, entry in without.items()}
    sampler["inputs"] |= {"positive": [ids["Prompt"], 0], "negative": [ids["Negative prompt"], 0]}
    (plain,) = examples.open(without).run().images["Save Image"]
    (at_zero,) = examples.open(name).set("Apply ControlNet.strength", 0.0).run().images["Save Image"]
    (steered,) = examples.open(name).run().images["Save Image"]
    assert np.array_equal(np.asarray(plain), np.asarray(at_zero))
    assert np.abs(np.asarray(plain, int) - np.asarray(steered, int)).mean() > 10


def test_the_seed_of_the_primitive_reaches_the_sampler(examples: Session, root: Path) -> None:
    prompt = graph_to_api(examples.load(root / "workflows/reroutes_and_primitive.json"))
    (sampler,) = (entry for entry in prompt.values() if entry["class_type"] == "KSampler")
    assert sampler["inputs"]["seed"] == 7
    assert sampler["inputs"]["model"] == ["1", 0]
    assert {entry["class_type"] for entry in prompt.values()}.isdisjoint({"Reroute", "PrimitiveNode"})


def test_muted_and_bypassed_nodes_are_gone(examples: Session, root: Path) -> None:
    prompt = graph_to_api(examples.load(root / "workflows/bypass_and_mute.json"))
    kinds = {entry["class_type"] for entry in prompt.values()}
    assert kinds.isdisjoint({"PreviewImage", "LatentUpscaleBy", "Note"})


def test_examples_are_plain_json_without_machine_paths(root: Path) -> None:
    for path in (root / "workflows").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert "/root" not in text
        assert "\\\\" not in text
        json.loads(text)
