"""TAESD in place of a VAE: recognise its files, tell whose latents it reads, build its network.

The tiny autoencoders of Stable Diffusion 1 (also 2) and XL have the same tensors; only what a file is called, or what
the user calls it, tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from torch import nn

from engine.diffusion.latents import SD15, SDXL, LatentFormat
from engine.errors import WeightError
from engine.families.family import PartSpec
from engine.families.registry import detect_family
from engine.families.sizes import NetworkHints, Shapes
from engine.networks.tiny_autoencoder import TinyAutoencoder, TinyAutoencoderConfig
from engine.weights.files import open_weights
from engine.weights.joined import JoinedFile, WeightFile, member_sources
from engine.weights.layouts import Layout, TensorSource
from engine.weights.recipe import FileRef, ModelRecipe
from engine.weights.tiny_layouts import DECODER, ENCODER, tiny_names

__all__ = ["TINY_TITLES", "is_tiny", "load_tiny", "tiny_family_of", "tiny_layout", "tiny_part"]

LATENTS: Final[Mapping[str, LatentFormat]] = MappingProxyType({"taesd": SD15, "taesdxl": SDXL})
TINY_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {"taesd": "TAESD for Stable Diffusion 1", "taesdxl": "TAESD for Stable Diffusion XL"}
)
"""The families of recipes for tiny autoencoders."""

HALVES: Final = {"_encoder": ENCODER, "_decoder": DECODER}
_KIND: Final = re.compile(r"(\d+)\.(conv\.0\.)?weight")


def is_tiny(shapes: Shapes) -> bool:
    """Say whether a file is a TAESD or one half of it."""
    return tiny_names(shapes) is not None


def tiny_family_of(latent_format: LatentFormat) -> str | None:
    """Return the family of the tiny autoencoder that reads such latents; None where there is none."""
    return next((family for family, own in LATENTS.items() if own == latent_format), None)


def load_tiny(files: Sequence[FileRef], family: str | None = None) -> ModelRecipe:
    """Return the recipe (a VAE) of a TAESD in one file or in two halves; only headers are read.

    `family` is "taesd" (Stable Diffusion 1) or "taesdxl"; None goes by whether the first file is called ``…xl…``.
    Raises `WeightError` where a file is no TAESD, for other latents, or the halves are not what they are called.
    """
    family = family or ("taesdxl" if "xl" in files[0].path.stem.lower() else "taesd")
    for file in files:
        with open_weights(file.path) as opened:
            layout = tiny_names(opened.shapes)
            if layout is None:
                raise _no_tiny(file, family, opened)
        _check_half(file, layout, family)
        _config(layout.shapes, family, file.name)
    return ModelRecipe(files[0], family, "vae", more_files=tuple(files[1:]))


def tiny_layout(file: WeightFile, name: str) -> Layout:
    """Return where the tensors of a TAESD stand in its file, or in its joined halves. Raises `WeightError`."""
    members = file.members if isinstance(file, JoinedFile) else (file,)
    sources: dict[str, TensorSource] = {}
    for place, member in enumerate(members):
        layout = tiny_names(member.shapes)
        if layout is None:
            raise _no_tiny(FileRef(member.path, name, ""), "taesd", member)
        sources |= layout.sources if len(members) == 1 else member_sources(place, layout.sources)
    return Layout("taesd", sources)


def tiny_part(family: str) -> PartSpec:
    """Return how the network of a recipe of the family "taesd" or "taesdxl" is built."""

    def build(shapes: Shapes, hints: NetworkHints) -> nn.Module:
        return TinyAutoencoder(_config(shapes, family, "the TAESD"))

    return PartSpec("", build)


def _config(shapes: Shapes, family: str, name: str) -> TinyAutoencoderConfig:
    """Return the sizes of a TAESD, or of the half that is there."""
    latent_format = LATENTS[family]
    encoder, decoder = _layers(shapes, ENCODER), _layers(shapes, DECODER)
    outer = [shapes[f"{ENCODER}{encoder[-1][0]}.weight"][0]] if encoder else []
    outer += [shapes[f"{DECODER}{decoder[0][0]}.weight"][1]] if decoder else []
    if set(outer) != {latent_format.channels}:
        raise WeightError(
            f"{name} is a TAESD for latents of {outer[0] if outer else 0} channels",
            code="E-WEIGHT-FAMILY",
            expected=f"{TINY_TITLES[family]}, whose latents have {latent_format.channels} channels",
            got=f"{outer[0] if outer else 0} channels, as the latents of Stable Diffusion 3 and Flux have 16",
            hint="use taesd or taesdxl",
        )
    first = shapes[f"{ENCODER}0.weight"] if encoder else shapes[f"{DECODER}{decoder[0][0]}.weight"]
    return TinyAutoencoderConfig(
        channels=first[0],
        latent_channels=latent_format.channels,
        encoder_blocks=_blocks(encoder),
        decoder_blocks=_blocks(decoder),
        latent_scale=latent_format.scale,
    )


def _layers(shapes: Shapes, prefix: str) -> list[tuple[int, bool]]:
    """List the layers with weights as (number, whether it is a block), in order."""
    found: dict[int, bool] = {}
    for name, shape in shapes.items():
        if name.startswith(prefix) and len(shape) == 4 and (match := _KIND.fullmatch(name[len(prefix) :])):
            found[int(match[1])] = match[2] is not None
    layers = sorted(found.items())
    is_whole = len(layers) >= 3 and not layers[0][1] and not layers[-1][1]
    return layers if is_whole else []


def _blocks(layers: Sequence[tuple[int, bool]]) -> tuple[int, ...]:
    """Count the blocks between the convolutions."""
    counts: list[int] = []
    for _, is_block in layers[:-1]:
        if is_block:
            counts[-1] += 1
        else:
            counts.append(0)
    return tuple(counts)


def _check_half(file: FileRef, layout: Layout, family: str) -> None:
    """See that a file that is called an encoder or a decoder is one."""
    called = next((half for ending, half in HALVES.items() if file.path.stem.endswith(ending)), None)
    if called is not None and not any(name.startswith(called) for name in layout.sources):
        other = DECODER if called == ENCODER else ENCODER
        raise WeightError(
            f"{file.name} is not the half of {TINY_TITLES[family]} that it is called",
            expected=f"the {called[:-1]} of a TAESD",
            got=f"the {other[:-1]} of a TAESD",
            hint="give the two files each other's names",
        )


def _no_tiny(file: FileRef, family: str, opened: WeightFile) -> WeightError:
    try:
        found = detect_family(opened.shapes, opened.metadata, file.name)
        got = f"the VAE of {found.family.title}" if found.parts == {"vae"} else f"a checkpoint of {found.family.title}"
    except WeightError as error:
        got = str(error.problem.got)
    return WeightError(
        f"{file.name} is no {TINY_TITLES[family]} but {got}",
        code="E-WEIGHT-FAMILY",
        expected=TINY_TITLES[family],
        got=got,
        hint="put VAEs of full size into models/vae and choose them there by name",
    )
