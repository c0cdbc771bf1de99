"""Nodes that enlarge pictures with a network."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, FolderChoices, Image, Socket, node

UpscaleModel = Annotated[Any, Socket("UPSCALE_MODEL")]


@node("UpscaleModelLoader", display_name="Load Upscale Model", category="loaders")
def load_upscale_model(
    context: Any, *, model_name: Annotated[str, Choice(FolderChoices("upscale_models"))]
) -> UpscaleModel:
    """Load an upscale model (ESRGAN and its relatives).

    model_name: a file of models/upscale_models.
    """
    from engine.families.upscalers import load_upscaler
    from engine.weights.recipe import file_ref

    return load_upscaler(file_ref(context.folders.resolve("upscale_models", model_name), model_name))


@node(
    "ImageUpscaleWithModel",
    display_name="Upscale Image (using Model)",
    category="image/upscaling",
    uses_model=("upscale_model",),
)
def upscale_with_model(context: Any, *, upscale_model: UpscaleModel, image: Image) -> Image:
    """Enlarge pictures with an upscale model, by the factor it was trained for; large ones tile by tile.

    upscale_model: the network.
    image: the pictures to enlarge; alpha is kept, grey stays grey.
    """
    from engine.families.upscalers import upscale

    return upscale(context.models, upscale_model, image, report=context.progress, check=context.check_cancelled)
