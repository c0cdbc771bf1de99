"""Pictures, captions and tokens: what the training batches are made of."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.training.concepts import ANIMALS, FOOD, PLANTS, THINGS, Concept, caption, collect_concepts
from engine.training.dataset import BACKGROUNDS, PictureBatches, composite, held_out, picture_weights
from engine.training.render import Picture, load_pictures, render_pictures
from engine.training.shapes import COLOURS, SHAPES, plain_shapes, shape_svg, varied_shapes
from engine.training.tokens import Tokenizer, token_texts

Discs = tuple[list[Picture], NDArray[np.uint8]]


def test_composite_lays_transparent_pixels_over_the_colour() -> None:
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 51]]], np.uint8)
    assert composite(pixels, (0, 0, 100)).tolist() == [[[255, 0, 0], [0, 0, 100], [51, 0, 80]]]


def test_shapes_are_every_colour_of_every_form_and_pairs_name_both() -> None:
    plain = list(plain_shapes())
    assert len(plain) == len({shape.caption for shape in plain}) == len(COLOURS) * len(SHAPES)
    pairs = [shape for shape in varied_shapes() if len(shape.parts) == 2]
    assert len(pairs) == 40 * 7 * 4
    for shape in pairs[::97]:
        (colour, form, x, *_), (other_colour, other_form, other_x, *_) = shape.parts
        assert shape.caption == f"{colour} {form} and {other_colour} {other_form}"
        assert x < other_x


def test_drawn_shapes_have_their_colour_and_place() -> None:
    pytest.importorskip("resvg_py", reason="renders SVG; in the extra 'train'")
    from engine.training.render import rasterise

    shapes = {shape.caption: shape for shape in [*plain_shapes(), *varied_shapes()]}
    middle = rasterise(shape_svg(shapes["green heart"]))[64, 64]
    assert middle.tolist() == [*bytes.fromhex(COLOURS["green"][1:]), 255]
    left = rasterise(shape_svg(shapes["blue square on the left"]))[..., 3] > 0
    assert left[:, :64].sum() > 2500
    assert left[:, 80:].sum() == 0
    heart = rasterise(shape_svg(shapes["red heart"]))[..., 3].astype(int)
    assert np.abs(heart - heart[:, ::-1]).mean() < 1, "a heart is its own mirror image"


def test_rendering_packages_keeps_labels_styles_and_flags(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="renders SVG; in the extra 'train'")
    write_packages(tmp_path)
    render_pictures(tmp_path, tmp_path / "cache")
    pictures, pixels = load_pictures(tmp_path / "cache")
    assert [(picture.source, picture.label) for picture in pictures[:3]] == [
        ("fluent", "cat face"),
        ("noto", "cat face"),
        ("flag", "flag of Testland"),
    ]
    assert pixels.shape == (len(pictures), 128, 128, 4)
    assert pixels[0, 64, 64].tolist() == [255, 0, 0, 255]
    flag = pixels[2]
    assert flag[64, 64].tolist() == [0, 0, 255, 255]
    assert flag[2, 64, 3] == 0, "a 4:3 flag leaves a margin above"


def write_packages(folder: Path) -> None:
    """Write four packages of one picture each, laid out as the real ones; a skin-toned variant is to be left out."""
    icons = {"icons": {"cat": {"body": '<rect width="32" height="32" fill="#f00"/>'}}, "width": 32, "height": 32}
    for name in ("iconify-json-fluent-emoji-flat-1.0", "iconify-json-noto-1.0"):
        (folder / name).mkdir()
        (folder / name / "icons.json").write_text(json.dumps(icons))
        (folder / name / "chars.json").write_text(json.dumps({"1f431": "cat", "1f431-1f3fb": "cat", "2764": "none"}))
    labels = [{"hexcode": "1F431", "label": "cat face", "tags": ["pet"], "group": 3}]
    (folder / "emojibase-data-1.0" / "en").mkdir(parents=True)
    (folder / "emojibase-data-1.0" / "en" / "data.json").write_text(json.dumps(labels))
    (folder / "flag-icons-1.0").mkdir()
    country = {"name": "Testland", "iso": True, "flag_4x3": "tl.svg"}
    (folder / "flag-icons-1.0" / "country.json").write_text(json.dumps([country]))
    blue = '<rect width="640" height="480" fill="#00f"/>'
    (folder / "flag-icons-1.0" / "tl.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 480">{blue}</svg>'
    )


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="emojibase-data"):
        render_pictures(tmp_path, tmp_path / "cache")


def test_batches_are_in_range_reproducible_and_never_held_out(discs: Discs) -> None:
    pictures, pixels = discs
    emoji = [Picture("cat", (), "fluent", 3), *pictures]
    stacked = np.concatenate([np.zeros((1, 128, 128, 4), np.uint8), pixels])
    weights = picture_weights(emoji, stacked)
    assert held_out(emoji) == [0]
    assert weights[0] == 0
    assert weights.sum() == pytest.approx(1)
    batches = PictureBatches(stacked, weights)
    batch = batches.draw(torch.Generator().manual_seed(3), 6, 64)
    again = batches.draw(torch.Generator().manual_seed(3), 6, 64)
    assert batch.shape == (6, 3, 64, 64)
    assert torch.equal(batch, again)
    assert -1 <= float(batch.min()) < float(batch.max()) <= 1


CAT = Concept("cat", "animal", ("kitten",), ("pet",), 0)


def test_captions_say_what_the_picture_shows() -> None:
    choice = random.Random(0)
    captions = [caption(CAT, "blue", choice) for _ in range(2000)]
    empty = [text for text in captions if not text]
    assert 0.08 < len(empty) / len(captions) < 0.12
    written = [text for text in captions if text]
    assert all(re.fullmatch(r".*(cat|kitten).*, blue background", text) for text in written)
    assert any(text.startswith("kitten") for text in written)
    assert any(text.startswith("a cat emoji") for text in written)
    white = {caption(CAT, "white", choice) for _ in range(500)}
    assert {"cat", "a cat", "cat, pet", "cat, white background"} <= white


def test_concept_names_are_unique_and_lead_to_their_pictures() -> None:
    entries = [
        entry.strip() for group in (ANIMALS, PLANTS, FOOD, THINGS) for entry in group.replace("\n", " ").split(",")
    ]
    names = [entry.partition(":")[0] for entry in entries]
    assert len(set(names)) == len(names) > 100
    with pytest.raises(KeyError, match="no picture labelled 'cat face'"):
        collect_concepts([])


def test_every_background_is_named_by_one_word() -> None:
    assert next(iter(BACKGROUNDS)) == "white"
    assert all(name.isalpha() for name in BACKGROUNDS)


def test_tokens_are_clips_padded_with_the_end_token() -> None:
    rows = Tokenizer()(["a photo of a cat", ""])
    assert rows.shape == (2, 77)
    assert rows[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 49407]
    assert set(rows[1].tolist()) == {49406, 49407}
    assert Tokenizer()(["cat " * 100])[0, -2:].tolist() == [2368, 49407]


def test_token_texts_are_readable() -> None:
    assert token_texts(["cat</w>", "Ã©", "<|endoftext|>"]) == ["cat", "é", ""]
