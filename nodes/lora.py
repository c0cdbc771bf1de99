"""Nodes that put LoRAs on models. Their outputs are recipes: only headers are read until a node computes."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, Clip, Float, FolderChoices, Model, node
from engine.graph.node_types import NodeResult

LoraName = Annotated[str, Choice(FolderChoices("loras"))]
Strength = Annotated[float, Float(-100.0, 100.0, step=0.01)]


@node("LoraLoader", display_name="Load LoRA", category="loaders")
def load_lora(
    context: Any,
    *,
    model: Model,
    clip: Clip,
    lora_name: LoraName,
    strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0,
) -> tuple[Model, Clip]:
    """Add a LoRA to a diffusion model and its text encoder. Several in a row add up.

    model: the diffusion model to change.
    clip: the text encoder to change.
    lora_name: a file of models/loras.
    strength_model: how strongly the diffusion model changes; 0 not at all, 1 as trained, below 0 the other way.
    strength_clip: how strongly the text encoder changes.
    """
    from engine.families.lora import add_lora
    from engine.weights.recipe import file_ref

    file, notes = file_ref(context.folders.resolve("loras", lora_name), lora_name), []
    changed = add_lora([(model, strength_model), (clip, strength_clip)], file, notes.append)
    return NodeResult(changed, {"text": notes} if notes else {})


@node("LoraLoaderModelOnly", display_name="LoraLoaderModelOnly", category="loaders")
def load_lora_model_only(context: Any, *, model: Model, lora_name: LoraName, strength_model: Strength = 1.0) -> Model:
    """Add a LoRA to a diffusion model and leave the text encoder alone.

    model: the diffusion model to change.
    lora_name: a file of models/loras.
    strength_model: how strongly it changes; 0 not at all, 1 as trained, below 0 the other way.
    """
    from engine.families.lora import add_lora
    from engine.weights.recipe import file_ref

    file, notes = file_ref(context.folders.resolve("loras", lora_name), lora_name), []
    changed = add_lora([(model, strength_model)], file, notes.append)
    return NodeResult(changed, {"text": notes} if notes else {})
