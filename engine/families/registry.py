"""The supported families, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.diffusion.prediction import DiscreteSampling, ModelSampling
from engine.families.family import Detected, Family, detect
from engine.families.known import KNOWN
from engine.families.latent_diffusion import sampling_with
from engine.families.sd1 import SD1, SD1_INPAINT
from engine.families.sd2 import SD2, SD2_INPAINT
from engine.families.sdxl import SDXL, SDXL_INPAINT
from engine.families.sdxl_refiner import SDXL_REFINER
from engine.families.sizes import Shapes
from engine.weights.recipe import ModelRecipe

__all__ = ["FAMILIES", "detect_family", "family_of", "sampling_of"]

FAMILIES: Final[tuple[Family, ...]] = (SD1, SD2, SDXL, SDXL_REFINER, SD1_INPAINT, SD2_INPAINT, SDXL_INPAINT)


def family_of(name: str) -> Family:
    """Return a family by its name, as recipes carry it. Raises KeyError."""
    return {family.name: family for family in FAMILIES}[name]


def sampling_of(model: ModelRecipe) -> ModelSampling:
    """Return the noise levels and the prediction of a diffusion recipe: its family's, as its options change them."""
    sampling = family_of(model.family).sampling
    return sampling_with(sampling, model.option) if isinstance(sampling, DiscreteSampling) else sampling


def detect_family(shapes: Shapes, metadata: Mapping[str, str], name: str = "the file") -> Detected:
    """Find the family of a file from its tensors' shapes and its metadata. Raises `WeightError`, see `detect`."""
    return detect(shapes, metadata, FAMILIES, KNOWN, name)
