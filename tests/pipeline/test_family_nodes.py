"""The nodes that only some families need, in workflows on small checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from tiny_checkpoint import text_to_image
from tiny_families import write_tiny_family

from engine.errors import SafelightError
from engine.session import Session
from engine.settings import Settings

SIZES = {"width": 64, "height": 64, "crop_w": 0, "crop_h": 0, "target_width": 64, "target_height": 64}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base directory with small checkpoints, and a picture with a hole to paint over."""
    base = tmp_path_factory.mktemp("base")
    for family in ("sdxl", "sdxl_refiner", "sd2_inpaint"):
        write_tiny_family(base / "models/checkpoints" / f"{family}.safetensors", family)  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 255, (70, 75, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(np.arange(75) < 40, 255, 0)
    (base / "input").mkdir()
    Image.fromarray(pixels).save(base / "input/hole.png")
    return base


def draw(base: Path, folder: Path, checkpoint: str, nodes: dict[str, Any], **changes: Any) -> np.ndarray:
    """Run the small text-to-image workflow with some nodes exchanged and return the picture."""
    session = Session(Settings(base, output_directory=folder, temp_directory=folder / "temp", device="cpu"))
    before = set(folder.glob("*.png"))
    session.open(text_to_image(Checkpoint__ckpt_name=f"{checkpoint}.safetensors", **changes) | nodes).run()
    (made,) = set(folder.glob("*.png")) - before
    with Image.open(made) as picture:
        return np.asarray(picture).astype(int)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def test_sizes_of_xl(base: Path, tmp_path: Path) -> None:
    def prompt(**changes: Any) -> dict[str, Any]:
        inputs = {"text_g": "a (red:1.2) apple", "text_l": "a (red:1.2) apple", **SIZES, **changes}
        return {"6": node("CLIPTextEncodeSDXL", clip=["4", 1], **inputs)}

    plain = draw(base, tmp_path, "sdxl", {})
    assert np.array_equal(plain, draw(base, tmp_path, "sdxl", prompt()))  # the sizes it would have had anyway
    for changes in ({"crop_w": 500}, {"target_height": 512}, {"text_l": "a pear"}, {"text_g": "a pear"}):
        assert not np.array_equal(plain, draw(base, tmp_path, "sdxl", prompt(**changes))), changes


def test_score_of_the_refiner(base: Path, tmp_path: Path) -> None:
    def prompt(score: float) -> dict[str, Any]:
        inputs = {"width": 64, "height": 64, "text": "a (red:1.2) apple"}
        return {"6": node("CLIPTextEncodeSDXLRefiner", ascore=score, clip=["4", 1], **inputs)}

    plain = draw(base, tmp_path, "sdxl_refiner", {})
    assert np.array_equal(plain, draw(base, tmp_path, "sdxl_refiner", prompt(6.0)))
    assert not np.array_equal(plain, draw(base, tmp_path, "sdxl_refiner", prompt(1.0)))


@pytest.mark.parametrize("keep_rest", [True, False])
def test_inpainting(keep_rest: bool, base: Path, tmp_path: Path) -> None:
    with pytest.raises(SafelightError, match="told what to paint over"):
        draw(base, tmp_path, "sd2_inpaint", {})
    told = {"positive": ["6", 0], "negative": ["7", 0], "vae": ["4", 2], "pixels": ["20", 0], "mask": ["20", 1]}
    nodes: dict[str, Any] = {
        "20": node("LoadImage", image="hole.png"),
        "21": node("InpaintModelConditioning", **told, noise_mask=keep_rest),
    }
    sides = {"Sampler__positive": ["21", 0], "Sampler__negative": ["21", 1], "Sampler__latent_image": ["21", 2]}
    nodes |= {
        name: node("SaveLatent", samples=[source, index], filename_prefix=name)
        for name, source, index in (("before", "21", 2), ("after", "3", 0))
    }
    assert draw(base, tmp_path, "sd2_inpaint", nodes, **sides).shape == (64, 72, 3)  # cut to multiples of 8
    before, after = (load_file(tmp_path / f"{name}_00001_.latent")["latent_tensor"] for name in ("before", "after"))
    changed = (after - before).abs().amax(dim=(0, 1, 2))  # by column
    assert changed[5:].min() > 0.1
    assert (changed[:4].max() < 1e-4) == keep_rest
