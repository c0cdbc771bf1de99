"""The nodes that edit pictures, masks, latents and prompts, called as the executor calls them, and run in workflows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.diffusion.conditioning import Area, ConditioningEntry
from engine.diffusion.latents import Latent
from engine.errors import InputError
from engine.execution.context import lone_context
from engine.graph.registry import Registry, load_package
from engine.session import Session

CATEGORIES = (
    "image", "image/transform", "image/batch", "image/upscaling", "image/postprocessing", "image/preprocessors", "mask",
    "mask/compositing", "latent", "latent/advanced", "latent/advanced/operations", "latent/batch", "latent/transform",
    "latent/inpaint", "conditioning", "advanced/conditioning",
)  # fmt: skip
LATER = {
    "WebcamCapture": "needs a widget of the editor",
    "LTXVPreprocess": "compresses as a video",
    "RebatchImages": "has a list output",
    "RebatchLatents": "has a list output",
    "ConditioningSetAreaPercentageVideo": "video",
}
NEEDS_A_MODEL = {"MODEL", "CLIP", "VAE", "CLIP_VISION", "CLIP_VISION_OUTPUT", "CONTROL_NET", "STYLE_MODEL", "GLIGEN",
                 "UPSCALE_MODEL", "LORA_MODEL"}  # fmt: skip


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_package("nodes")


class Nodes:
    """Call nodes by id, with their defaults."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def __call__(self, kind: str, **inputs: Any) -> Any:
        node_type = self.registry.types[kind]
        defaults = {p.name: p.default for p in node_type.inputs if p.default or p.default == 0}
        choices = {p.name: p.choices[0] for p in node_type.inputs if isinstance(p.choices, tuple)}
        assert node_type.run is not None
        return node_type.run(**{**choices, **defaults, **inputs})


@pytest.fixture(scope="module")
def call(registry: Registry) -> Nodes:
    return Nodes(registry)


def test_no_node_of_the_categories_is_missing(registry: Registry, reference: Path) -> None:
    entries = map(json.loads, (reference / "node_interfaces.jsonl").read_text(encoding="utf-8").splitlines())
    wanted = {
        entry["id"]
        for entry in entries
        if entry["category"] in CATEGORIES
        and not any(
            (declared[0] if isinstance(declared[0], str) else "") in NEEDS_A_MODEL
            for section in ("required", "optional")
            for declared in entry["input"].get(section, {}).values()
        )
    }
    assert wanted - set(registry.types) <= set(LATER)


def test_output_pictures_are_loaded_by_plain_and_marked_names(session: Session) -> None:
    context = lone_context(session.services)
    saved = session.registry.types["SaveImage"].run(context, images=torch.full((1, 4, 6, 3), 0.2))  # type: ignore[misc]
    name = saved.ui["images"][0]["filename"]
    load = session.registry.types["LoadImageOutput"].run
    assert load is not None
    for given in (name, f"{name} [output]"):
        pixels, mask = load(context, image=given)
        assert torch.allclose(pixels, torch.full((1, 4, 6, 3), 0.2), atol=1e-6)
        assert tuple(mask.shape) == (1, 64, 64)


def test_a_mask_is_shown_as_a_grey_picture(session: Session) -> None:
    run = session.registry.types["MaskPreview"].run
    assert run is not None
    made = run(lone_context(session.services), mask=torch.tensor([[0.0, 1.0]]))
    assert made.ui["images"][0]["type"] == "temp"
    assert np.asarray(Image.open(made.files[0].path)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_pictures_of_different_sizes_become_one_batch(call: Nodes) -> None:
    first, second = torch.zeros(1, 4, 4, 3), torch.zeros(2, 4, 12, 4)
    second[:, :, 4:8] = 1.0
    made = call("ImageBatch", image1=first, image2=second)
    assert tuple(made.shape) == (3, 4, 4, 4)
    assert made[0, 0, 0].tolist() == [0, 0, 0, 1]
    assert torch.equal(made[1:], torch.ones(2, 4, 4, 4))


def test_batches_are_picked_and_repeated(call: Nodes) -> None:
    batch = torch.arange(3.0).reshape(3, 1, 1, 1)
    assert call("ImageFromBatch", image=batch, batch_index=1, length=9).flatten().tolist() == [1, 2]
    assert call("ImageFromBatch", image=batch, batch_index=99).flatten().tolist() == [2]
    assert call("RepeatImageBatch", image=batch, amount=2).flatten().tolist() == [0, 1, 2, 0, 1, 2]


def test_yuv_goes_there_and_back(call: Nodes) -> None:
    image = torch.rand(2, 3, 4, 3)
    planes = dict(zip("YUV", call("ImageRGBToYUV", image=image), strict=True))
    assert {tuple(plane.shape) for plane in planes.values()} == {(2, 3, 4, 3)}
    assert torch.allclose(call("ImageYUVToRGB", **planes), image, atol=1e-5)
    assert tuple(call("ImageYUVToRGB", **{**planes, "U": planes["U"][:1]}).shape) == (2, 3, 4, 3)


def test_sizes(call: Nodes) -> None:
    assert call("GetImageSize", image=torch.zeros(2, 3, 5, 4)) == (5, 3, 2)
    image = torch.rand(1, 30, 60, 3)
    assert call("ImageScaleToTotalPixels", image=image, megapixels=0.01).shape[1:3] == (72, 145)
    assert call("ImageScaleToMaxDimension", image=image, largest_size=20).shape[1:3] == (10, 20)
    upright = image.transpose(1, 2).contiguous()
    assert call("ImageScaleToMaxDimension", image=upright, largest_size=20).shape[1:3] == (20, 10)
    with pytest.raises(InputError) as caught:
        call("ImageScaleToMaxDimension", image=image, largest_size=0)
    assert caught.value.problem.input == "largest_size"


def test_a_picture_is_fitted_into_a_frame(call: Nodes) -> None:
    image = torch.full((1, 10, 20, 3), 0.5)
    made = call("ResizeAndPadImage", image=image, target_width=8, target_height=8, padding_color="white")
    assert made[0, :, 3, 0].tolist() == [1, 1, 0.5, 0.5, 0.5, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("direction", "match", "shape"),
    [("right", True, (10, 60)), ("up", True, (15, 20)), ("down", False, (12, 20)), ("left", False, (10, 28))],
)
def test_stitch_matches_sizes(call: Nodes, direction: str, match: bool, shape: tuple[int, int]) -> None:
    given = {"image1": torch.rand(1, 10, 20, 3), "image2": torch.rand(1, 2, 8, 3)}
    assert call("ImageStitch", direction=direction, match_image_size=match, **given).shape[1:3] == shape
    assert call("ImageStitch", image1=given["image1"], direction=direction) is given["image1"]


def test_blending_pictures_of_other_size_batch_and_channels(call: Nodes) -> None:
    first, second = torch.full((1, 4, 4, 3), 0.2), torch.full((3, 8, 20, 4), 0.6)
    made = call("ImageBlend", image1=first, image2=second)
    assert torch.allclose(made, torch.full((3, 4, 4, 3), 0.4), atol=1e-5)


def test_canny_needs_ordered_thresholds(call: Nodes) -> None:
    image = torch.zeros(1, 16, 16, 3)
    image[:, :, 8:] = 1.0
    made = call("Canny", image=image)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    assert tuple(made.shape) == (1, 16, 16, 3)
    with pytest.raises(InputError) as caught:
        call("Canny", image=image, low_threshold=0.9, high_threshold=0.1)
    assert caught.value.problem.input == "low_threshold"


def test_a_source_is_stretched_over_the_destination(call: Nodes) -> None:
    destination, source = torch.zeros(2, 4, 6, 3), torch.ones(1, 2, 2, 3)
    assert call("ImageCompositeMasked", destination=destination, source=source).sum() == 2 * 4 * 3
    mask = torch.full((8, 8), 0.25)
    made = call("ImageCompositeMasked", destination=destination, source=source, resize_source=True, mask=mask)
    assert torch.equal(made, torch.full((2, 4, 6, 3), 0.25))
    assert not destination.any()


def test_channels_become_masks(call: Nodes) -> None:
    image = torch.arange(4.0).reshape(1, 1, 1, 4) / 4
    channels = ("red", "green", "blue", "alpha")
    assert [float(call("ImageToMask", image=image, channel=one)) for one in channels] == [0, 0.25, 0.5, 0.75]
    with pytest.raises(InputError) as caught:
        call("ImageToMask", image=image[..., :3], channel="alpha")
    assert (caught.value.problem.input, caught.value.problem.expected) == ("channel", "red, green, blue")
    assert call("MaskToImage", mask=torch.tensor([[0.25]])).tolist() == [[[[0.25] * 3]]]
    red = call("EmptyImage", width=2, height=1, color=0xFF0000)
    assert call("ImageColorToMask", image=red, color=0xFF0000).tolist() == [[[1, 1]]]
    assert call("ImageColorToMask", image=red, color=0).tolist() == [[[0, 0]]]


def test_simple_masks(call: Nodes) -> None:
    mask = call("SolidMask", value=0.25, width=3, height=2)
    assert tuple(mask.shape) == (1, 2, 3)
    assert call("InvertMask", mask=mask).unique().tolist() == [0.75]
    assert not call("ThresholdMask", mask=mask, value=0.25).any()
    assert call("ThresholdMask", mask=mask, value=0.24).all()
    assert call("ImageInvert", image=torch.full((1, 1, 1, 3), 0.75)).unique().tolist() == [0.25]


def test_masks_without_a_batch_are_taken(call: Nodes) -> None:
    mask = torch.zeros(6, 8)
    mask[3, 4] = 1.0
    assert tuple(call("CropMask", mask=mask, x=4, y=3, width=2, height=9).shape) == (1, 3, 2)
    assert call("GrowMask", mask=mask, expand=1).sum() == 5
    assert call("FeatherMask", mask=mask, left=8)[0, 3, 4] == 5 / 8
    made = call("MaskComposite", destination=mask, source=torch.ones(2, 2), x=7, y=5, operation="add")
    assert made.sum() == 2
    with pytest.raises(InputError) as caught:
        call("CropMask", mask=mask, x=8)
    assert caught.value.problem.input == "x"


def test_alpha_is_split_off_and_joined_again(call: Nodes) -> None:
    image = torch.rand(3, 4, 5, 4)
    colours, mask = call("SplitImageWithAlpha", image=image)
    assert torch.allclose(mask, 1 - image[..., 3])
    assert torch.allclose(call("JoinImageWithAlpha", image=colours, alpha=mask), image, atol=1e-6)
    assert not call("SplitImageWithAlpha", image=colours)[1].any()
    one = call("JoinImageWithAlpha", image=colours, alpha=torch.full((9, 9), 0.25))
    assert torch.equal(one[..., 3], torch.full((3, 4, 5), 0.75))


def test_porter_duff_takes_masks_of_what_is_transparent(call: Nodes) -> None:
    source, destination = torch.full((1, 4, 4, 3), 0.9), torch.full((2, 8, 16, 4), 0.2)
    hidden, shown = torch.ones(1, 2, 2), torch.zeros(4, 4)
    given = {"source": source, "destination": destination, "destination_alpha": shown, "mode": "SRC_OVER"}
    colours, mask = call("PorterDuffImageComposite", source_alpha=hidden, **given)
    assert torch.allclose(colours, torch.full((2, 4, 4, 3), 0.2), atol=1e-5)
    assert not mask.any()
    colours, _ = call("PorterDuffImageComposite", source_alpha=shown, **given)
    assert torch.allclose(colours, torch.full((2, 4, 4, 3), 0.9), atol=1e-5)
    _, mask = call("PorterDuffImageComposite", source_alpha=shown, **{**given, "mode": "CLEAR"})
    assert mask.all()


def test_latents_are_measured_in_picture_pixels(call: Nodes) -> None:
    whole = Latent(torch.arange(16.0 * 16).reshape(1, 1, 16, 16))
    made = call("LatentCrop", samples=whole, width=64, height=72, x=16, y=24).samples
    assert torch.equal(made, whole.samples[:, :, 3:12, 2:10])
    patch = Latent(torch.full((1, 1, 2, 2), -1.0))
    made = call("LatentComposite", samples_to=whole, samples_from=patch, x=8, y=16).samples
    assert (made[0, 0] == -1).nonzero().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    masked = call("LatentCompositeMasked", destination=whole, source=patch, x=8, y=16, mask=torch.ones(1, 16, 16))
    assert torch.equal(masked.samples, made)


def test_latents_go_through_the_other_nodes(call: Nodes) -> None:
    a, b = Latent(torch.randn(2, 4, 8, 8)), Latent(torch.randn(2, 4, 8, 8))
    assert torch.equal(call("LatentSubtract", samples1=call("LatentAdd", samples1=a, samples2=b), samples2=b).samples,
                       a.samples + b.samples - b.samples)  # fmt: skip
    assert torch.equal(call("LatentMultiply", samples=a, multiplier=2.0).samples, a.samples * 2)
    assert torch.equal(call("LatentBlend", samples1=a, samples2=b, blend_factor=1.0).samples, a.samples)
    assert torch.allclose(call("LatentInterpolate", samples1=a, samples2=b, ratio=0.0).samples, b.samples, atol=1e-5)
    assert call("LatentConcat", samples1=a, samples2=b, dim="-y").samples.shape == (2, 4, 16, 8)
    assert torch.equal(call("LatentCut", samples=a, dim="x", index=-2, amount=2).samples, a.samples[..., -2:])
    upside_down = call("LatentFlip", samples=call("LatentFlip", samples=a), flip_method="y-axis: horizontally")
    assert torch.equal(call("LatentRotate", samples=a, rotation="180 degrees").samples, upside_down.samples)
    assert call("LatentBatch", samples1=a, samples2=b).batch_index == (0, 1, 0, 1)
    assert call("LatentFromBatch", samples=a, batch_index=1).batch_index == (1,)
    assert call("RepeatLatentBatch", samples=a, amount=3).samples.shape[0] == 6
    assert call("LatentBatchSeedBehavior", samples=a).batch_index == (0, 0)
    assert call("LatentBatchSeedBehavior", samples=a, seed_behavior="random").batch_index is None
    assert call("EmptyHunyuanImageLatent", width=96, height=64).samples.shape == (1, 64, 2, 3)


def test_flips_and_turns_of_pictures(call: Nodes) -> None:
    image = torch.rand(1, 3, 5, 3)
    assert torch.equal(call("ImageFlip", image=image, flip_method="x-axis: vertically"), image.flip(1))
    assert torch.equal(call("ImageFlip", image=image, flip_method="y-axis: horizontally"), image.flip(2))
    assert torch.equal(call("ImageRotate", image=image, rotation="180 degrees"), image.flip(1, 2))
    assert torch.equal(call("ImageRotate", image=image, rotation="90 degrees"), image.flip(1).transpose(1, 2))
    assert torch.equal(call("ImageCrop", image=image, width=2, height=9, x=1, y=2), image[:, 2:, 1:3])


def prompt(tokens: int = 2, width: int = 3, value: float = 1.0) -> tuple[ConditioningEntry, ...]:
    return (ConditioningEntry(torch.full((1, tokens, width), value), torch.full((1, 4), value)),)


def test_areas_are_kept_in_latent_pixels(call: Nodes) -> None:
    made = call("ConditioningSetArea", conditioning=prompt(), width=128, height=64, x=16, y=8, strength=0.5)
    assert (made[0].area, made[0].strength) == (Area(8, 16, 1, 2), 0.5)
    made = call("ConditioningSetAreaPercentage", conditioning=prompt(), width=0.5, height=0.25, x=0.1, y=0.2)
    assert made[0].area == Area(0.25, 0.5, 0.2, 0.1, relative=True)
    made = call("ConditioningSetAreaStrength", conditioning=made, strength=3.0)
    assert (made[0].area.relative, made[0].strength) == (True, 3.0)


def test_prompts_are_masked_timed_and_zeroed(call: Nodes) -> None:
    made = call("ConditioningSetMask", conditioning=prompt(), mask=torch.ones(4, 6), set_cond_area="mask bounds")
    assert tuple(made[0].mask.shape) == (1, 4, 6)
    assert made[0].set_area_to_bounds
    assert not call("ConditioningSetMask", conditioning=made, mask=torch.ones(4, 6))[0].set_area_to_bounds
    made = call("ConditioningSetTimestepRange", conditioning=prompt(), start=0.2, end=0.7)
    assert (made[0].start_percent, made[0].end_percent) == (0.2, 0.7)
    made = call("ConditioningZeroOut", conditioning=prompt())
    assert not made[0].embedding.any()
    assert not made[0].pooled.any()


def test_prompts_are_combined_concatenated_and_averaged(call: Nodes) -> None:
    one, two = prompt(2), prompt(5, value=3.0)
    assert call("ConditioningCombine", conditioning_1=one, conditioning_2=two) == one + two
    made = call("ConditioningConcat", conditioning_to=one, conditioning_from=two)
    assert made[0].embedding[0, :, 0].tolist() == [1, 1, 3, 3, 3, 3, 3]
    made = call("ConditioningAverage", conditioning_to=two, conditioning_from=one, conditioning_to_strength=0.5)
    assert made[0].embedding[0, :, 0].tolist() == [2, 2, 1.5, 1.5, 1.5]
    for kind in ("ConditioningConcat", "ConditioningAverage"):
        with pytest.raises(InputError, match="encoders") as caught:
            call(kind, conditioning_to=one, conditioning_from=prompt(2, width=7))
        assert caught.value.problem.input == "conditioning_from"


def test_a_workflow_of_editing_nodes_runs_and_is_cached(session: Session) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 24, "batch_size": 1, "color": 0x808080}},
        "2": {"class_type": "GetImageSize", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "EmptyImage", "inputs": {
            "width": ["2", 1], "height": ["2", 0], "batch_size": 1, "color": 0}},
        "4": {"class_type": "ImageStitch", "inputs": {
            "image1": ["1", 0], "direction": "right", "match_image_size": False, "spacing_width": 4,
            "spacing_color": "red", "image2": ["3", 0]}},
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
    }  # fmt: skip
    result = session.open(graph).run()
    assert result.images["5"][0].size == (16 + 4 + 24, 24)


def test_latent_operations_travel_on_wires(session: Session) -> None:
    graph = {
        "1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "2": {"class_type": "LatentOperationTonemapReinhard", "inputs": {"multiplier": 1.0}},
        "3": {"class_type": "LatentApplyOperation", "inputs": {"samples": ["1", 0], "operation": ["2", 0]}},
        "4": {"class_type": "LatentOperationSharpen", "inputs": {"sharpen_radius": 2, "sigma": 1.0, "alpha": 0.1}},
        "5": {"class_type": "LatentApplyOperation", "inputs": {"samples": ["3", 0], "operation": ["4", 0]}},
        "6": {"class_type": "SaveLatent", "inputs": {"samples": ["5", 0], "filename_prefix": "latents/made"}},
    }
    values = session.open(graph).run(["5"]).values["5"]
    assert not values[0].samples.any()
