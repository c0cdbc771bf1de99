"""Nodes that keep latents in files: safetensors with the ending ``.latent``, in the ecosystem's form."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, FolderChoices, Latent, Text, node
from engine.graph.node_types import NodeResult
from nodes.file_names import insert_values

TENSOR = "latent_tensor"
VERSION_MARK = "latent_format_version_0"
"""Files without this (empty) tensor hold latents as early engines scaled them."""
EARLY_SCALE = 0.18215


@node("SaveLatent", category="_for_testing", output_node=True)
def save_latent(
    context: Any, *, samples: Latent, filename_prefix: Annotated[str, Text()] = "latents/ComfyUI"
) -> NodeResult:
    """Save latents in the output folder, with the workflow that made them.

    samples: the latents to save, all in one file.
    filename_prefix: start of the file name; may hold sub-folders, %date:yyyy-MM-dd% and %KSampler.seed%.
    """
    import tempfile
    from pathlib import Path

    import torch

    from engine.graph.node_types import SavedFile
    from engine.media.metadata import recipe_for
    from engine.paths import next_output_names, write_new_file
    from engine.weights.files import save_safetensors

    prefix = insert_values(filename_prefix, context.prompt)
    (name,) = next_output_names(context.folders, "output", prefix, 1, suffix=".latent")
    tensors = {TENSOR: samples.samples.contiguous(), VERSION_MARK: torch.empty(0)}
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "latent.safetensors"
        recipe = recipe_for(context.prompt, context.workflow, context.settings.metadata, context.in_parts)
        save_safetensors(whole, tensors, recipe)
        name, sha256 = write_new_file(name, lambda file: file.write(whole.read_bytes()))
    shown = {"filename": name.filename, "subfolder": name.subfolder, "type": "output"}
    saved = SavedFile(str(name.path), "output", name.subfolder, sha256)
    return NodeResult(ui={"latents": [shown]}, files=(saved,))


@node("LoadLatent", category="_for_testing")
def load_latent(
    context: Any, *, latent: Annotated[str, Choice(FolderChoices("input", suffixes=(".latent",)))]
) -> Latent:
    """Load latents that SaveLatent wrote.

    latent: a .latent file of the input folder.
    """
    from engine.diffusion.latents import Latent
    from engine.errors import WeightError
    from engine.weights.files import MappedFile

    with MappedFile(context.folders.resolve("input", latent)) as file:
        if TENSOR not in file.shapes or len(file.shapes[TENSOR]) != 4:
            raise WeightError(
                f"{latent} holds no latents",
                input="latent",
                expected=f"a tensor {TENSOR} [batch, channels, height, width]",
                got=", ".join(file.shapes) or "no tensors",
                hint="choose a file that SaveLatent wrote",
            )
        samples = file.tensor(TENSOR).float().clone()
        return Latent(samples if VERSION_MARK in file.shapes else samples * (1.0 / EARLY_SCALE))
