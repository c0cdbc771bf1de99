"""Recognising checkpoints by the shapes of their tensors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from engine.errors import WeightError
from engine.families.family import Detected
from engine.families.known import KNOWN
from engine.families.registry import FAMILIES, detect_family, family_of
from engine.families.sizes import METADATA_KEY, read_hints
from engine.networks.autoencoder import AutoencoderConfig
from engine.networks.unet import UNetConfig
from engine.weights.layouts import AUTOENCODER, CLIP_TEXT, DENOISER
from engine.weights.loading import empty_construction

Shapes = dict[str, tuple[int, ...]]
SUPPORTED = {  # file: family, what sets its U-Net apart (input channels, width, text width, vector width, depths)
    "sd15": ("sd1", (4, 320, 768, None, (1, 1, 1, 1, 1, 1, 0, 0))),
    "sd15_inpaint": ("sd1_inpaint", (9, 320, 768, None, (1, 1, 1, 1, 1, 1, 0, 0))),
    "sd21": ("sd2", (4, 320, 1024, None, (1, 1, 1, 1, 1, 1, 0, 0))),
    "sd21_inpaint": ("sd2_inpaint", (9, 320, 1024, None, (1, 1, 1, 1, 1, 1, 0, 0))),
    "sdxl": ("sdxl", (4, 320, 2048, 2816, (0, 0, 2, 2, 10, 10))),
    "sdxl_inpaint": ("sdxl_inpaint", (9, 320, 2048, 2816, (0, 0, 2, 2, 10, 10))),
    "sdxl_refiner": ("sdxl_refiner", (4, 384, 1280, 2560, (0, 0, 4, 4, 4, 4, 0, 0))),
    "ssd1b": ("sdxl", (4, 320, 2048, 2816, (0, 0, 2, 2, 4, 4))),
}
UNSUPPORTED = {  # file: family
    "controlnet_sd15": "controlnet",
    "controlnet_sd15_diffusers": "controlnet",
    "controlnet_sd21": "controlnet",
    "controlnet_sdxl_diffusers": "controlnet",
    "flux_dev": "flux_dev",
    "flux_schnell": "flux_schnell",
    "lora_sd15_kohya": "lora",
    "sd15_ip2p": "sd1_ip2p",
    "sd2_depth": "sd2_depth",
    "sd35_large": "sd35_large",
    "sd35_medium": "sd35_medium",
    "sd3_medium": "sd3",
    "t5xxl": "t5",
    "vae_16ch": "vae_16ch",
}


def load(reference: Path, name: str) -> Shapes:
    with gzip.open(reference / "checkpoint_shapes" / f"{name}.json.gz", "rt") as file:
        return {key: tuple(shape) for key, shape in json.load(file)["tensors"].items()}


@pytest.fixture(scope="module")
def sd15(reference: Path) -> Shapes:
    return load(reference, "sd15")


def test_every_reference_file_is_tested(reference: Path) -> None:
    names = {path.name.removesuffix(".json.gz") for path in (reference / "checkpoint_shapes").iterdir()}
    assert names == {*SUPPORTED, *UNSUPPORTED}


def test_sd15_has_the_published_sizes(sd15: Shapes) -> None:
    found = detect_family(sd15, {})
    assert (found.family.name, found.layout.name, found.size) == ("sd1", "original", (512, 512))
    assert found.parts == {"diffusion", "text", "vae"}
    networks = build_empty(found)
    unet = networks["diffusion"].config
    assert isinstance(unet, UNetConfig)
    assert (unet.input_depths(), unet.output_depths()) == (UNetConfig().input_depths(), UNetConfig().output_depths())
    assert (unet.model_channels, unet.channel_mult, unet.context_dim, unet.num_heads) == (320, (1, 2, 4, 4), 768, 8)
    assert networks["vae"].config == AutoencoderConfig()


def build_empty(found: Detected) -> dict[str, torch.nn.Module]:
    """Build every part of a file on the meta device."""
    with torch.device("meta"), empty_construction():
        return {
            part: spec.build({k: s.shape for k, s in found.layout.part(spec.prefix).items()}, found.hints)
            for part, spec in found.family.parts.items()
        }


@pytest.mark.parametrize("name", SUPPORTED)
def test_supported_families_have_exactly_the_tensors_of_their_files(name: str, reference: Path) -> None:
    family, unet = SUPPORTED[name]
    found = detect_family(load(reference, name), {})
    assert found.family.name == family
    assert found.parts == {"diffusion", "text", "vae"}
    networks = build_empty(found)
    for part, network in networks.items():
        expected = {key: source.shape for key, source in found.layout.part(found.family.parts[part].prefix).items()}
        assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == expected
    config = networks["diffusion"].config
    assert isinstance(config, UNetConfig)
    got = (config.in_channels, config.model_channels, config.context_dim, config.adm_channels, config.transformer_depth)
    assert got == unet
    assert config.heads(640) == (8 if family.startswith("sd1") else 10)


@pytest.mark.parametrize("name", ["sd21", "sdxl", "sdxl_refiner"])
def test_text_encoders_alone(name: str, reference: Path) -> None:
    text = {key: shape for key, shape in load(reference, name).items() if key.startswith("cond")}
    found = detect_family(text, {})
    assert (found.family.name, found.parts) == (SUPPORTED[name][0], {"text"})


def test_other_schedules_of_the_same_network_are_told_apart(reference: Path) -> None:
    sdxl = load(reference, "sdxl")
    for mark, title in (("edm_mean", "Playground"), ("edm_vpred.sigma_max", "CosXL")):
        with pytest.raises(WeightError, match=title):
            detect_family({**sdxl, mark: ()}, {})
    unclip = {**load(reference, "sd21"), DENOISER + "label_emb.0.0.weight": (1280, 1536)}
    with pytest.raises(WeightError, match="unCLIP"):
        detect_family(unclip, {})


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_known_but_unsupported_families_are_named(name: str, reference: Path) -> None:
    with pytest.raises(WeightError) as caught:
        detect_family(load(reference, name), {}, f"{name}.safetensors")
    problem = caught.value.problem
    known = next(one for one in KNOWN if one.name == UNSUPPORTED[name])
    cannot = "no checkpoint" if known.loader else "not supported yet"
    assert problem.code == "E-WEIGHT-FAMILY"
    assert f"{name}.safetensors is known but {cannot}: family {known.name} ({known.title})" in problem.message
    assert problem.got == known.title
    assert (known.loader or "supported family") in str(problem.hint)


@pytest.mark.parametrize(("prefix", "part"), [(DENOISER, "diffusion"), (AUTOENCODER, "vae"), (CLIP_TEXT, "text")])
def test_parts_alone(prefix: str, part: str, sd15: Shapes) -> None:
    alone = {name: shape for name, shape in sd15.items() if name.startswith(prefix)}
    assert detect_family(alone, {}).parts == {part}


def test_closest_family_and_what_is_missing(sd15: Shapes) -> None:
    cut = {name: shape for name, shape in sd15.items() if ".input_blocks." not in name}
    with pytest.raises(WeightError) as caught:
        detect_family(cut, {}, "cut.safetensors")
    message = caught.value.problem.message
    assert "the closest is Stable Diffusion 1 (2 of the 12 tensors that mark it are missing" in message
    assert DENOISER + "input_blocks.0.0.weight" in message
    with pytest.raises(WeightError, match="12 of the 12"):
        detect_family({"something.else": (1, 2)}, {})
    with pytest.raises(WeightError):
        detect_family({}, {})


def smaller(shapes: Shapes, old: int = 768, new: int = 64) -> Shapes:
    """Return the shapes with another text width, as a model of the same make and another size has them."""
    return {name: tuple(new if side == old else side for side in shape) for name, shape in shapes.items()}


def test_other_sizes_of_the_same_make(sd15: Shapes) -> None:
    small = smaller(sd15)
    assert detect_family(small, {}).family.name == "sd1"  # its U-Net listens to its own text encoder
    unet_alone = {name: shape for name, shape in small.items() if name.startswith(DENOISER)}
    with pytest.raises(WeightError):
        detect_family(unet_alone, {})
    hints = {METADATA_KEY: '{"unet": {"num_heads": 4}, "size": [128, 96]}'}
    found = detect_family(unet_alone, hints)
    assert (found.family.name, found.size, found.hints.unet_heads) == ("sd1", (128, 96), 4)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "nonsense", '{"unet": 3}', '{"unet": {"num_heads": 0}}', '{"unet": {"num_heads": "8"}}',
     '{"vae": {"norm_groups": 99999999}}', '{"size": [1]}', '{"size": 128}', '{"clip": {"num_heads": true}}',
     "[" * 100_000],
)  # fmt: skip
def test_metadata_that_cannot_be_read(text: str) -> None:
    with pytest.raises(WeightError, match=METADATA_KEY):
        read_hints({METADATA_KEY: text})


def test_metadata_of_others_is_no_matter() -> None:
    assert not read_hints({"modelspec.architecture": "stable-diffusion-v1"}).given
    assert read_hints({METADATA_KEY: "{}"}).given


@pytest.mark.parametrize(
    "changes",
    [
        {DENOISER + "input_blocks.0.0.weight": (0, 4, 3, 3)},
        {DENOISER + "input_blocks.999999999.0.in_layers.2.weight": (320, 320, 3, 3)},
        {DENOISER + "input_blocks.1.1.transformer_blocks.1000000000.attn2.to_k.weight": (320, 768)},
        {DENOISER + "output_blocks.77.0.in_layers.2.weight": (320, 320, 3, 3)},
    ],
)
def test_hostile_sizes_build_nothing(changes: Shapes, sd15: Shapes) -> None:
    found = detect_family({**sd15, **changes}, {})
    spec = found.family.parts["diffusion"]
    shapes = {name: source.shape for name, source in found.layout.part(spec.prefix).items()}
    with pytest.raises(WeightError), torch.device("meta"):
        spec.build(shapes, found.hints)


def test_families_can_be_found_by_name() -> None:
    assert all(family_of(family.name) is family for family in FAMILIES)
    names = [family.name for family in FAMILIES] + [known.name for known in KNOWN]
    assert len(set(names)) == len(names)
    with pytest.raises(KeyError):
        family_of("no such family")
