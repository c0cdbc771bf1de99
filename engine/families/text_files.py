"""Text encoders from files of their own: which CLIP a file holds, and two of them as the pair that XL reads with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.errors import WeightError
from engine.families.registry import detect_family
from engine.weights.files import WeightFile, open_weights
from engine.weights.joined import member_sources
from engine.weights.layouts import CLIP_G, CLIP_L, CLIP_WRAPPER, Layout, TensorSource
from engine.weights.recipe import FileRef, ModelRecipe

__all__ = ["load_clip_pair", "pair_layout"]

TITLES: Final[Mapping[str, str]] = {
    "sd1": "CLIP-L",
    "sd2": "OpenCLIP-H",
    "sdxl": "both CLIP-L and OpenCLIP-G",
    "sdxl_refiner": "OpenCLIP-G",
}
PAIR: Final = {"sd1": (CLIP_WRAPPER, CLIP_L), "sdxl_refiner": (CLIP_G, CLIP_G)}
"""The families whose single encoders make up XL's pair: their names there, and in the pair."""


def load_clip_pair(files: Sequence[FileRef]) -> ModelRecipe:
    """Return the recipe of XL's text encoders from two files, in either order; only headers are read.

    Raises `WeightError` that says what each file holds where they are not CLIP-L and OpenCLIP-G.
    """
    opened: list[tuple[str, str | None]] = []
    for file in files:
        with open_weights(file.path) as one:
            opened.append((file.name, _encoder_of(one, file.name)))
    _check_pair(opened)
    ordered = [file for _, file in sorted(zip(opened, files, strict=True), key=lambda one: one[0][1] != "sd1")]
    return ModelRecipe(ordered[0], "sdxl", "text", more_files=tuple(ordered[1:]))


def pair_layout(members: Sequence[WeightFile]) -> Layout:
    """Return where the tensors of XL's two encoders stand in two files that were joined. Raises `WeightError`."""
    found = [_encoder_of(member, member.path.name) for member in members]
    _check_pair([(member.path.name, family) for member, family in zip(members, found, strict=True)])
    sources: dict[str, TensorSource] = {}
    for place, (member, family) in enumerate(zip(members, found, strict=True)):
        prefix, target = PAIR[str(family)]
        layout = detect_family(member.shapes, member.metadata, member.path.name).layout
        own = {target + name: source for name, source in layout.part(prefix).items()}
        sources |= member_sources(place, own)
    return Layout("two text encoders", sources)


def _encoder_of(file: WeightFile, name: str) -> str | None:
    """Return the family whose text encoder a file holds; None where it holds none. Raises `WeightError`."""
    found = detect_family(file.shapes, file.metadata, name)
    return found.family.name.removesuffix("_inpaint") if "text" in found.parts else None


def _check_pair(found: Sequence[tuple[str, str | None]]) -> None:
    if sorted(str(family) for _, family in found) != sorted(PAIR):
        held = " and ".join(
            f"{name} holds {TITLES.get(str(family), 'no text encoder') if family else 'no text encoder'}"
            for name, family in found
        )
        raise WeightError(
            f"these two are not the text encoders of Stable Diffusion XL: {held}",
            code="E-WEIGHT-FAMILY",
            expected="one file with CLIP-L and one with OpenCLIP-G, in either order",
            got=held,
            hint="choose clip_l and clip_g; a single encoder is for the node CLIPLoader",
        )
