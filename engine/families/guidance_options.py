"""Guidance rules as an option of a model recipe: a text that names them in order, so that it is part of its key."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from engine.diffusion.guidance import Combine, classifier_free
from engine.diffusion.guidance_rules import (
    GuidanceChain,
    NormLimit,
    OperatedGuidance,
    RescaledGuidance,
    damp_tangent,
    towards_positive,
)
from engine.diffusion.latent_operations import LatentOperation, Sharpen, TonemapReinhard
from engine.errors import InputError
from engine.weights.recipe import ModelRecipe

__all__ = ["combine_of", "with_guidance", "with_operation"]

GUIDANCE: Final = "guidance"
"""The option of a diffusion recipe that lists its guidance rules: JSON, ``[[name, number, ...], ...]``."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """Say where a rule acts and how it is made from its numbers."""

    place: Literal["before", "rule", "after"]
    make: Callable[..., Any]


_KINDS: Final[Mapping[str, _Kind]] = {
    "rescale": _Kind("rule", RescaledGuidance),
    "norm_limit": _Kind("after", NormLimit),
    "towards_positive": _Kind("after", lambda: towards_positive),
    "damp_tangent": _Kind("before", lambda: damp_tangent),
    "sharpen": _Kind("before", lambda radius, *rest: OperatedGuidance(Sharpen(int(radius), *rest))),
    "tonemap": _Kind("before", lambda multiplier: OperatedGuidance(TonemapReinhard(multiplier))),
}


def with_guidance(model: ModelRecipe, name: str, *numbers: float) -> ModelRecipe:
    """Return the recipe with one more rule; of those that combine (`RescaledGuidance`) the last one given counts."""
    rules = _rules(model)
    if _KINDS[name].place == "rule":
        rules = [rule for rule in rules if _KINDS[rule[0]].place != "rule"]
    return model.with_option(GUIDANCE, json.dumps([*rules, [name, *map(float, numbers)]]))


def with_operation(model: ModelRecipe, operation: LatentOperation) -> ModelRecipe:
    """Return the recipe with an operation on what the positive prompt adds. Raises `InputError` for one of a pack."""
    match operation:
        case Sharpen(radius, sigma, strength):
            return with_guidance(model, "sharpen", radius, sigma, strength)
        case TonemapReinhard(multiplier):
            return with_guidance(model, "tonemap", multiplier)
    raise InputError(
        "the operation cannot be part of a model",
        input="operation",
        expected="sharpening or tone mapping",
        got=type(operation).__name__,
    )


def combine_of(model: ModelRecipe) -> Combine:
    """Return how a recipe wants predictions to be combined; plain guidance where it names no rules."""
    rules = _rules(model)
    if not rules:
        return classifier_free
    made: dict[str, list[Any]] = {"before": [], "rule": [], "after": []}
    for name, *numbers in rules:
        made[_KINDS[name].place].append(_KINDS[name].make(*numbers))
    rule = made["rule"][-1] if made["rule"] else classifier_free
    return GuidanceChain(tuple(made["before"]), rule, tuple(made["after"]))


def _rules(model: ModelRecipe) -> list[Any]:
    listed: list[Any] = json.loads(str(model.option(GUIDANCE, "[]")))
    return listed
