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
    "hires_two_pass.json": (1, 192),
    "batch.json": (4, 128),
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


def test_inpainting_keeps_what_the_mask_leaves(examples: Session, root: Path) -> None:
    made = np.asarray(picture(examples, root, "inpaint.json"), np.float32)
    source = np.asarray(Image.open(root / "input/red_circle.png"), np.float32)
    outside = np.abs(made - source)[:, :16].mean()
    inside = np.abs(made - source)[48:80, 48:80].mean()
    assert inside > 2 * outside


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
