"""Put a LoRA on recipes: see from headers alone what it changes and whether it was made for the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine.errors import WeightError
from engine.families.building import parameter_shapes
from engine.families.registry import family_of
from engine.weights.adapters.keys import read_key
from engine.weights.adapters.matching import Match, context_width, match_adapters, unsupported_kinds
from engine.weights.adapters.slots import slots_of
from engine.weights.files import WeightFile, open_weights
from engine.weights.recipe import FileRef, ModelRecipe, Part, Patch

__all__ = ["add_lora"]

Shapes = Mapping[str, tuple[int, ...]]

CONTEXT_TITLES: Final = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
NAME_TITLES: Final = (
    ("double_blocks", "Flux"),
    ("single_transformer_blocks", "Flux"),
    ("joint_blocks", "Stable Diffusion 3"),
)
METADATA_KEYS: Final = ("ss_base_model_version", "modelspec.architecture")
PART_TITLES: Final[Mapping[Part, str]] = {"diffusion": "diffusion model", "text": "text encoder"}
CONTEXT_READER: Final = "attn2.to_k.weight"
NAMED: Final = 3

log = logging.getLogger(__name__)


def add_lora(
    recipes: Sequence[tuple[ModelRecipe, float]], file: FileRef, tell: Callable[[str], None] = log.warning
) -> tuple[ModelRecipe, ...]:
    """Return the recipes with the adapters of `file` added, each at its strength; only headers are read.

    A recipe comes back as it was where its strength is 0 or the file holds nothing for it. `tell` hears of
    tensors that fit nothing.
    Raises `WeightError` where the file is for another family of models, of a kind that is not supported, or changes
    none of the recipes.
    """
    if not any(strength for _, strength in recipes):
        return tuple(recipe for recipe, _ in recipes)
    with open_weights(file.path) as lora:
        kinds = unsupported_kinds(lora.shapes)
        if kinds:
            raise _unsupported(file, kinds)
        shapes = [parameter_shapes(recipe) for recipe, _ in recipes]
        _check_context(file, lora, [(recipe, own) for (recipe, _), own in zip(recipes, shapes, strict=True)])
        matches = [
            match_adapters(recipe.part, lora.shapes, slots_of(recipe.part, own))
            for (recipe, _), own in zip(recipes, shapes, strict=True)
        ]
        if not any(match.matched for match in matches):
            raise _fits_nothing(file, lora, [recipe for recipe, _ in recipes])
        left = _leftovers(file, lora, matches)
    if left:
        tell(left)
    pairs = zip(recipes, matches, strict=True)
    return tuple(
        recipe.with_patch(Patch(file, float(strength))) if strength and match.matched else recipe
        for (recipe, strength), match in pairs
    )


def _check_context(file: FileRef, lora: WeightFile, networks: Sequence[tuple[ModelRecipe, Shapes]]) -> None:
    """Compare what width of prompt embedding the LoRA and the model read: it differs between the families."""
    trained = context_width(lora.shapes)
    for recipe, shapes in networks:
        widths = {shape[1] for name, shape in shapes.items() if name.endswith(CONTEXT_READER)}
        if recipe.part == "diffusion" and trained is not None and widths and trained not in widths:
            model = family_of(recipe.family).title
            title = CONTEXT_TITLES.get(trained, "another model")
            raise WeightError(
                f"{file.name} is a LoRA for {title}, and {recipe.file.name} is {model}",
                code="E-WEIGHT-FAMILY",
                expected=f"a LoRA for prompt embeddings {min(widths)} wide",
                got=f"{trained} wide",
                hint=f"use a LoRA that was trained for {model}",
            )


def _leftovers(file: FileRef, lora: WeightFile, matches: Sequence[Match]) -> str | None:
    """Count and name the tensors that fit nothing; None where there are none."""
    strange = [key for key in lora.shapes if read_key(key) is None]
    left = [key for match in matches for key in (*match.unknown, *match.misfits)] + strange
    if not left:
        return None
    named = ", ".join(left[:NAMED]) + (" ..." if len(left) > NAMED else "")
    return f"{file.name}: {len(left)} of {len(lora.shapes)} tensors fit nothing here and are left out: {named}"


def _fits_nothing(file: FileRef, lora: WeightFile, recipes: Sequence[ModelRecipe]) -> WeightError:
    wanted = " and ".join(PART_TITLES.get(recipe.part, recipe.part) for recipe in recipes)
    model = family_of(recipes[0].family).title
    title = _title(lora)
    made_for = f"; it is for {title}" if title else ""
    return WeightError(
        f"{file.name} changes nothing of the {wanted} of {recipes[0].file.name}{made_for}",
        code="E-WEIGHT-FAMILY",
        expected=f"a LoRA for {model}",
        got=f"{len(lora.shapes)} tensors such as {', '.join(list(lora.shapes)[:NAMED])}",
        hint=f"use a LoRA that was trained for {model}",
    )


def _title(lora: WeightFile) -> str | None:
    """Say what a LoRA is for, by the width it reads, the names in it or its metadata."""
    width = context_width(lora.shapes)
    if width in CONTEXT_TITLES:
        return CONTEXT_TITLES[width]
    named = next((title for mark, title in NAME_TITLES if any(mark in key for key in lora.shapes)), None)
    return named or next((lora.metadata[key][:80] for key in METADATA_KEYS if key in lora.metadata), None)


def _unsupported(file: FileRef, kinds: Sequence[str]) -> WeightError:
    return WeightError(
        f"{file.name} holds adapters of a kind that is not supported yet: {', '.join(kinds)}",
        expected="LoRA, LoCon, DoRA or full differences",
        got=", ".join(kinds),
        hint="use a LoRA of one of the supported kinds",
    )
