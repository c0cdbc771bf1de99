"""The ControlNet and the LoRA of the default model: what training makes is what the engine loads."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.families.building import build_module
from engine.families.control import load_controlnet
from engine.memory.devices import probe_device
from engine.networks.controlnet import ControlNet
from engine.training.blueprint import blueprint
from engine.training.concepts import Concept
from engine.training.control_training import ControlRun, edges_of, export_controlnet, new_controlnet, train_controlnet
from engine.training.diffusion_training import PromptedUNet
from engine.training.lora_training import Adapters, LoraRun, attached, export_lora, train_lora
from engine.training.placed_pictures import encode_pictures, place, placed_pictures
from engine.training.render import Picture
from engine.weights.adapters.applying import merge_sets, patched_copy
from engine.weights.adapters.reading import read_adapters
from engine.weights.recipe import file_ref

Discs = tuple[list[Picture], NDArray[np.uint8]]
CPU = probe_device("cpu")


@pytest.fixture(scope="module")
def prompted() -> PromptedUNet:
    """An untrained U-Net whose output is not zero."""
    torch.manual_seed(0)
    model = PromptedUNet(torch.randn(49408, 64)).eval().requires_grad_(False)
    for parameter in model.unet.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    return model


def concepts_of(discs: Discs) -> list[Concept]:
    return [Concept(picture.label, "circle", (), (), index) for index, picture in enumerate(discs[0])]


def test_pictures_are_placed_inside_and_the_same_each_time(discs: Discs) -> None:
    _, pixels = discs
    drawn = placed_pictures(concepts_of(discs), pixels, 24, seed=3)
    again = placed_pictures(concepts_of(discs), pixels, 24, seed=3)
    assert np.array_equal(drawn.pixels, again.pixels)
    assert drawn.captions == again.captions
    assert any("background" in text for text in drawn.captions)
    opaque = [int((place(pixels[0], random.Random(seed))[..., 3] > 127).sum()) for seed in range(8)]
    whole = int((pixels[0, ..., 3] > 127).sum())
    assert all(0.25 * whole < count < 1.02 * whole for count in opaque)
    plain = placed_pictures(concepts_of(discs), pixels, 8, seed=3, plain=True)
    assert np.array_equal(plain.pixels[:, 0, 0], np.full((8, 3), 255))


def test_a_blueprint_is_blue_with_white_outlines(discs: Discs) -> None:
    plain = placed_pictures(concepts_of(discs), discs[1], 4, seed=0, plain=True).pixels
    drawn = blueprint(plain).astype(int)
    assert drawn[:, 0, 0].tolist() == [[24, 68, 150]] * 4
    on_edges = drawn[edges_of(plain).numpy()]
    assert on_edges.min() > 100
    assert on_edges[:, 0].mean() > 180


def test_an_exported_controlnet_loads_and_computes_what_was_trained(
    prompted: PromptedUNet, discs: Discs, tmp_path: Path
) -> None:
    drawn = placed_pictures(concepts_of(discs), discs[1], 8, seed=0)
    edges, latents = edges_of(drawn.pixels), torch.randn(8, 4, 16, 16)
    before = {name: tensor.clone() for name, tensor in prompted.state_dict().items()}
    run = ControlRun(minutes=0.08, batch=2)
    network = train_controlnet(prompted, latents, edges, drawn.captions, tmp_path / "state.safetensors", run)
    assert all(torch.equal(tensor, before[name]) for name, tensor in prompted.state_dict().items())

    export_controlnet(network, tmp_path / "edges.safetensors", "title", "description")
    recipe = load_controlnet(file_ref(tmp_path / "edges.safetensors"))
    assert (recipe.kind, recipe.context_dim) == ("sd1", 64)
    loaded = build_module(recipe.model, CPU, torch.float32)
    assert isinstance(loaded, ControlNet)
    hint = edges[:1, None].float().expand(-1, 3, -1, -1)
    inputs = latents[:1], torch.tensor([500.0]), torch.randn(1, 77, 64)
    # How far a few seconds of training get depends on the machine, and with it what float8 leaves of small weights: so
    # the weights are rounded as the file rounds them.
    rounded = {
        name: tensor.to(torch.float8_e4m3fn if tensor.ndim > 1 else torch.float16).float()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    network.load_state_dict(rounded, strict=False)
    with torch.no_grad():
        ours = network(*inputs, network.encode_hint(hint))
        theirs = loaded(*inputs, loaded.encode_hint(hint))
    for mine, got in zip(ours, theirs, strict=True):
        assert mine.abs().max() > 0, "training moved it"
        torch.testing.assert_close(got, mine, rtol=1e-4, atol=1e-5)


def test_a_new_controlnet_changes_nothing(prompted: PromptedUNet) -> None:
    network = new_controlnet(prompted.unet.state_dict())
    hint = network.encode_hint(torch.rand(1, 3, 128, 128))
    residuals = network(torch.randn(1, 4, 16, 16), torch.tensor([10.0]), torch.randn(1, 77, 64), hint)
    assert all(residual.count_nonzero() == 0 for residual in residuals)
    assert torch.equal(network.time_embed[0].weight, prompted.unet.time_embed[0].weight)


def test_an_exported_lora_changes_the_network_as_training_did(prompted: PromptedUNet, tmp_path: Path) -> None:
    run = LoraRun(minutes=0.08, rank=2, batch=2)
    latents, captions = torch.randn(4, 4, 16, 16), ("a cat", "", "a dog", "a rose")
    adapters = train_lora(prompted, latents, captions, tmp_path / "state.safetensors", run)
    assert isinstance(adapters, Adapters)
    export_lora(adapters, tmp_path / "style.safetensors", "title", "description")

    shapes = {name: tuple(tensor.shape) for name, tensor in prompted.unet.state_dict().items()}
    found = read_adapters(file_ref(tmp_path / "style.safetensors"), "diffusion", shapes, torch.device("cpu"))
    assert len(found) == len(adapters.layers)
    patched = patched_copy(prompted.unet, merge_sets([(found, 1.0)]), torch.float32)
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([500.0]), torch.randn(1, 77, 64)
    with torch.no_grad():
        plain, got = prompted.unet(*inputs), patched(*inputs)
        with attached(adapters, prompted.unet):
            wanted = prompted.unet(*inputs)
        assert torch.equal(prompted.unet(*inputs), plain), "let go afterwards"
    change = (wanted - plain).abs().max()
    assert change > 0
    assert (got - wanted).abs().max() < 0.02 * change


def test_encoding_goes_in_parts(tmp_path: Path) -> None:
    from engine.networks.autoencoder import Autoencoder
    from engine.training.autoencoder_training import AUTOENCODER

    pictures = np.random.default_rng(0).integers(0, 255, (17, 32, 32, 3), dtype=np.uint8)
    told: list[int] = []
    latents = encode_pictures(Autoencoder(AUTOENCODER).eval(), pictures, told.append)
    assert latents.shape == (17, 4, 4, 4)
    assert told == [16, 17]
