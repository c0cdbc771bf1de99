"""Nodes that name weight files. Their outputs are recipes: nothing is read but headers until a node computes."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, Clip, FolderChoices, Model, Vae, node


@node("CheckpointLoaderSimple", display_name="Load Checkpoint", category="loaders")
def load_checkpoint(
    context: Any, *, ckpt_name: Annotated[str, Choice(FolderChoices("checkpoints"))]
) -> tuple[Model, Clip, Vae]:
    """Load a checkpoint: diffusion model, text encoder and VAE in one file.

    ckpt_name: a file of models/checkpoints.
    """
    from engine.families import pipeline
    from engine.weights.recipe import file_ref

    return pipeline.load_checkpoint(file_ref(context.folders.resolve("checkpoints", ckpt_name), ckpt_name))


@node("VAELoader", display_name="Load VAE", category="loaders")
def load_vae(context: Any, *, vae_name: Annotated[str, Choice(FolderChoices("vae"))]) -> Vae:
    """Load a VAE of its own, in place of the checkpoint's.

    vae_name: a file of models/vae.
    """
    from engine.families import pipeline
    from engine.weights.recipe import file_ref

    return pipeline.load_vae(file_ref(context.folders.resolve("vae", vae_name), vae_name))
