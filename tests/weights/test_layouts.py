"""Key layouts: every one of them names the same network, to the number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.errors import WeightError
from engine.families.registry import detect_family
from engine.weights.files import open_weights, save_safetensors
from engine.weights.layouts import AUTOENCODER, CLIP_TEXT, DENOISER, TensorSource, original_names
from engine.weights.loading import Target, empty_construction, fill

diffusers = pytest.importorskip("diffusers")
EXACT = Target(torch.device("cpu"), torch.float32)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def diffusers_unet(linear: bool = False, **changes: object) -> nn.Module:
    torch.manual_seed(0)
    settings = {
        "block_out_channels": (16, 32, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "cross_attention_dim": 24,
        "attention_head_dim": 2,
        "norm_num_groups": 8,
        "use_linear_projection": linear,
    }
    return diffusers.UNet2DConditionModel(**{**settings, **changes}).eval()


def diffusers_vae() -> nn.Module:
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16, 32),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    ).eval()


def rebuild(path: Path, tensors: Mapping[str, Tensor], part: str, hints: str) -> nn.Module:
    """Save tensors, read them back by whatever layout they are in, and build our network of them."""
    save_safetensors(path, dict(tensors), {"safelight.networks": hints})
    with open_weights(path) as file:
        found = detect_family(file.shapes, file.metadata)
        spec = found.family.parts[part]  # type: ignore[index]
        sources = found.layout.part(spec.prefix)
        with torch.device("meta"), empty_construction():
            empty = spec.build({name: source.shape for name, source in sources.items()}, found.hints)
        return fill(empty, file, sources, EXACT)


UNET_HINTS = '{"unet": {"num_heads": 2, "norm_groups": 8}}'


@pytest.mark.parametrize("layers", [1, 2])
def test_diffusers_unet_gives_the_same_numbers(layers: int, tmp_path: Path) -> None:
    theirs = diffusers_unet(layers_per_block=layers)
    ours = rebuild(tmp_path / "unet.safetensors", theirs.state_dict(), "diffusion", UNET_HINTS)
    x, context, step = torch.randn(2, 4, 16, 16), torch.randn(2, 7, 24), torch.tensor([3.0, 900.0])
    with torch.no_grad():
        expected = theirs(x, step, context).sample
        torch.testing.assert_close(ours(x, step, context), expected, rtol=1e-4, atol=1e-5)


def test_diffusers_vae_gives_the_same_numbers(tmp_path: Path) -> None:
    theirs = diffusers_vae()
    ours = rebuild(tmp_path / "vae.safetensors", theirs.state_dict(), "vae", '{"vae": {"norm_groups": 4}}')
    z, pixels = torch.randn(1, 4, 4, 4), torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours.decode(z), theirs.decode(z).sample, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.encode(pixels)[0], theirs.encode(pixels).latent_dist.mean, rtol=1e-4, atol=1e-5)


def test_old_diffusers_attention_names(tmp_path: Path) -> None:
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in diffusers_vae().state_dict().items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        renamed[name] = tensor
    assert original_names(shapes_of(renamed)).shapes == original_names(shapes_of(diffusers_vae().state_dict())).shapes


def test_real_diffusers_unet_has_the_names_of_the_real_checkpoint(shared_shapes: dict[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        theirs = diffusers_unet(
            block_out_channels=(320, 640, 1280, 1280),
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
            cross_attention_dim=768,
            attention_head_dim=8,
            norm_num_groups=32,
        )
    layout = original_names(shapes_of(theirs.state_dict()))
    expected = {name: shape for name, shape in shared_shapes.items() if name.startswith(DENOISER)}
    assert layout.name == "diffusers unet"
    assert layout.shapes == expected


def test_linear_projections_stay_linear() -> None:
    shapes = original_names(shapes_of(diffusers_unet(linear=True).state_dict())).shapes
    assert len(shapes[DENOISER + "input_blocks.1.1.proj_in.weight"]) == 2


@pytest.mark.parametrize(
    ("prefix", "bare"),
    [(DENOISER, ""), (AUTOENCODER, ""), (AUTOENCODER, "vae."), (CLIP_TEXT, "text_model."), (CLIP_TEXT, "")],
)
def test_bare_files(prefix: str, bare: str, shared_shapes: dict[str, tuple[int, ...]]) -> None:
    part = {name: shape for name, shape in shared_shapes.items() if name.startswith(prefix)}
    renamed = {bare + name[len(prefix) :]: shape for name, shape in part.items()}
    assert original_names(renamed).shapes == part


def test_old_text_encoders_and_what_is_left_out(shared_shapes: dict[str, tuple[int, ...]]) -> None:
    old = {name.replace(".text_model.", "."): shape for name, shape in shared_shapes.items()}
    old["cond_stage_model.transformer.embeddings.position_ids"] = (1, 77)
    old["model_ema.decay"] = ()
    assert original_names(old).shapes == shared_shapes


def test_convolutions_stored_as_matrices(shared_shapes: dict[str, tuple[int, ...]]) -> None:
    name = AUTOENCODER + "decoder.mid.attn_1.q.weight"
    flat = {**shared_shapes, name: (512, 512)}
    assert original_names(flat).sources[name] == TensorSource(name, (512, 512, 1, 1))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Linear(2, 3)


def test_missing_and_misshapen_tensors_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"first.weight": torch.ones(3, 2), "first.bias": torch.ones(4)})
    with open_weights(path) as file:
        sources = {name: TensorSource(name, shape) for name, shape in file.shapes.items()}
        with pytest.raises(WeightError, match=r"2 of 4 tensors are missing: second\.weight, second\.bias"):
            fill(Pair(), file, sources, EXACT)
        sources |= {f"second.{name}": sources[f"first.{name}"] for name in ("weight", "bias")}
        with pytest.raises(WeightError, match=r"2 of 4 .*first\.bias \[4\] instead of \[3\]"):
            fill(Pair(), file, sources, EXACT)


def test_filling_converts_or_leaves_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    stored = Pair().state_dict()
    save_safetensors(path, stored)
    with open_weights(path) as file, torch.device("meta"):
        sources = {name: TensorSource(name, shape) for name, shape in file.shapes.items()}
        exact, half = Pair(), Pair()
        fill(exact, file, sources, EXACT)
        fill(half, file, sources, Target(torch.device("cpu"), torch.bfloat16))
    assert all(torch.equal(tensor, stored[name]) for name, tensor in exact.state_dict().items())
    assert all(torch.equal(tensor, stored[name].bfloat16()) for name, tensor in half.state_dict().items())
    assert not exact.training and not any(parameter.requires_grad for parameter in exact.parameters())
    assert exact.first.weight.data_ptr() != exact.second.weight.data_ptr()
