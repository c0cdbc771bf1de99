"""TAESD against diffusers, in every key layout, as a VAE of either family, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tiny_checkpoint import make_base_directory, text_to_image
from tiny_families import tiny_tensors

from engine.diffusion.latents import SD15, SDXL, Latent
from engine.errors import SafelightError, WeightError
from engine.execution.events import NodeProgress
from engine.families.pipeline import decode_latent, detect_file, encode_pixels, load_vae
from engine.families.taesd import load_tiny
from engine.memory.residency import Residency
from engine.paths.folders import make_folders
from engine.session import Session
from engine.settings import Settings
from engine.weights.files import save_safetensors
from engine.weights.layouts import AUTOENCODER
from engine.weights.recipe import file_ref
from nodes.loaders import TINY_VAES


@pytest.fixture(scope="module")
def oracle() -> torch.nn.Module:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    return diffusers.AutoencoderTiny().eval()


@pytest.fixture(scope="module")
def halves(oracle: torch.nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """The author's two files, by diffusers' names: its decoder counts one layer less."""
    found: dict[str, dict[str, torch.Tensor]] = {"encoder": {}, "decoder": {}}
    for name, tensor in oracle.state_dict().items():
        side, number, rest = re.fullmatch(r"(\w+)\.layers\.(\d+)\.(.+)", name).groups()  # type: ignore[union-attr]
        found[side][f"{int(number) + (side == 'decoder')}.{rest}"] = tensor
    return found


@pytest.mark.parametrize("family", ["taesd", "taesdxl"])
def test_every_layout_is_what_diffusers_computes(
    family: str, oracle: torch.nn.Module, halves: dict[str, dict[str, torch.Tensor]], models: Residency, tmp_path: Path
) -> None:
    scale = {"taesd": SD15, "taesdxl": SDXL}[family].scale
    files = []
    for side, tensors in halves.items():
        save_safetensors(tmp_path / f"{family}_{side}.safetensors", tensors)
        torch.save(tensors, tmp_path / f"{family}_{side}.pth")
        files.append(tmp_path / f"{family}_{side}.safetensors")
    one_file = {f"taesd_{side}.{name}": one for side, own in halves.items() for name, one in own.items()}
    save_safetensors(tmp_path / f"{family}.safetensors", one_file)
    save_safetensors(tmp_path / f"{family}_diffusers.safetensors", dict(oracle.state_dict()))
    recipes = [
        load_tiny([file_ref(file) for file in files], family),
        load_tiny([file_ref(file.with_suffix(".pth")) for file in files], family),
        load_vae(file_ref(tmp_path / f"{family}.safetensors")),
        load_vae(file_ref(tmp_path / f"{family}_diffusers.safetensors")),
    ]
    picture, scaled = torch.rand(1, 32, 40, 3), torch.randn(1, 4, 4, 5) * 2
    with torch.no_grad():
        encoded = oracle.encode(picture.movedim(-1, 1) * 2 - 1).latents  # type: ignore[operator]
        decoded = oracle.decode(scaled).sample  # type: ignore[operator]
    wanted = ((decoded + 1) / 2).clamp(0, 1).movedim(1, -1)
    for recipe in recipes:
        latent = encode_pixels(models, recipe, picture)
        torch.testing.assert_close(latent.samples * scale, encoded, rtol=1e-5, atol=1e-5)
        made = decode_latent(models, recipe, Latent(scaled / scale))
        torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-5)


def test_what_is_something_else_is_named(
    halves: dict[str, dict[str, torch.Tensor]], models: Residency, tmp_path: Path
) -> None:
    vae = {name: one for name, one in tiny_tensors("sd2").items() if name.startswith(AUTOENCODER)}
    save_safetensors(tmp_path / "taesd_encoder.safetensors", vae)
    with pytest.raises(WeightError, match="no TAESD for Stable Diffusion 1 but the VAE of Stable Diffusion 1"):
        load_tiny([file_ref(tmp_path / "taesd_encoder.safetensors")], "taesd")
    save_safetensors(tmp_path / "taesd_decoder.safetensors", halves["encoder"])
    with pytest.raises(WeightError, match="not the half"):
        load_tiny([file_ref(tmp_path / "taesd_decoder.safetensors")], "taesd")
    save_safetensors(tmp_path / "half.safetensors", halves["decoder"])
    half = load_vae(file_ref(tmp_path / "half.safetensors"))
    with pytest.raises(SafelightError, match="no encoder"):
        encode_pixels(models, half, torch.rand(1, 16, 16, 3))
    with pytest.raises(WeightError, match="a TAESD") as caught:
        detect_file(file_ref(tmp_path / "half.safetensors"))
    assert "VAELoader" in (caught.value.problem.hint or "")


def test_the_choice_is_there_when_both_halves_are(tmp_path: Path) -> None:
    folder = tmp_path / "models/vae_approx"
    folder.mkdir(parents=True)
    (folder / "taesd_encoder.pth").touch()
    names = make_folders(tmp_path).list_files("vae_approx")
    assert TINY_VAES[0].found_in(names) is None
    assert TINY_VAES[0].found_in([*names, "taesd_decoder.safetensors"]) == (
        "taesd_encoder.pth",
        "taesd_decoder.safetensors",
    )


def test_previews_come_from_the_decoder_where_it_is_there(
    root: Path, halves: dict[str, dict[str, torch.Tensor]], models: Residency, tmp_path: Path
) -> None:
    base = make_base_directory(tmp_path / "base", root)
    session = Session(Settings(base, output_directory=tmp_path / "out", temp_directory=tmp_path / "temp", device="cpu"))

    def last_preview() -> torch.Tensor:
        made: list[torch.Tensor] = []

        def listen(event: object) -> None:
            if isinstance(event, NodeProgress) and event.preview is not None:
                made.append(event.preview())

        session.open(text_to_image()).run(listener=listen)
        session.cache.clear()
        return made[-1]

    assert last_preview().shape == (1, 8, 8, 3), "the colours of the latents"
    path = base / "models/vae_approx/taesd_decoder.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_safetensors(path, halves["decoder"])
    latent = session.open(text_to_image()).run(["3"]).values["3"][0]
    session.cache.clear()
    made = last_preview()
    assert made.shape == (1, 64, 64, 3)
    torch.testing.assert_close(made, decode_latent(models, load_tiny([file_ref(path)]), latent), atol=1e-4, rtol=0)
    path.write_text("not a weight file")
    assert last_preview().shape == (1, 8, 8, 3), "a broken decoder never ends a run"
