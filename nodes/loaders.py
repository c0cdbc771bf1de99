"""Nodes that name weight files. Their outputs are recipes: nothing is read but headers until a node computes."""

from __future__ import annotations

from typing import Annotated, Any

from engine.errors import InputError
from engine.graph.declare import Choice, Clip, FileSet, FolderChoices, Model, Vae, node


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


TINY_VAES = tuple(FileSet(name, "vae_approx", (f"{name}_encoder", f"{name}_decoder")) for name in ("taesd", "taesdxl"))


@node("VAELoader", display_name="Load VAE", category="loaders")
def load_vae(context: Any, *, vae_name: Annotated[str, Choice(FolderChoices("vae", sets=TINY_VAES))]) -> Vae:
    """Load a VAE of its own, in place of the checkpoint's.

    vae_name: a file of models/vae; taesd and taesdxl are the tiny ones of Stable Diffusion 1 and XL, whose two halves
        are in models/vae_approx.
    """
    from engine.families import pipeline, taesd
    from engine.weights.recipe import file_ref

    tiny = next((one for one in TINY_VAES if one.name == vae_name), None)
    halves = tiny and tiny.found_in(context.folders.list_files(tiny.folder))
    if tiny and halves:
        return taesd.load_tiny([_file(context, tiny.folder, half) for half in halves], tiny.name)
    return pipeline.load_vae(file_ref(context.folders.resolve("vae", vae_name), vae_name))


CLIP_TYPES = (
    "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos", "lumina2", "wan",
    "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image",
)  # fmt: skip
PAIR_TYPES = ("sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image")
WEIGHT_DTYPES = ("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2")
TextEncoderName = Annotated[str, Choice(FolderChoices("text_encoders"))]
Placement = Annotated[str, Choice(("default", "cpu"))]


@node("UNETLoader", display_name="Load Diffusion Model", category="advanced/loaders")
def load_diffusion_model(
    context: Any,
    *,
    unet_name: Annotated[str, Choice(FolderChoices("diffusion_models"))],
    weight_dtype: Annotated[str, Choice(WEIGHT_DTYPES)],
) -> Model:
    """Load a diffusion model from a file of its own; a whole checkpoint will do, too.

    unet_name: a file of models/diffusion_models.
    weight_dtype: default computes in what suits the device; weights kept in 8 bits (fp8) are not supported yet.
    """
    from engine.families import pipeline

    _check_choice("weight_dtype", weight_dtype, ("default",), "weights are not kept in 8 bits yet")
    return pipeline.load_part(_file(context, "diffusion_models", unet_name), "diffusion")


@node("CLIPLoader", display_name="Load CLIP", category="advanced/loaders")
def load_text_encoder(
    context: Any,
    *,
    clip_name: TextEncoderName,
    type: Annotated[str, Choice(CLIP_TYPES)],
    device: Placement | None = None,
) -> Clip:
    """Load a text encoder from a file of its own: CLIP-L, OpenCLIP-H or OpenCLIP-G (of XL's refiner).

    clip_name: a file of models/text_encoders.
    type: the kind of model that it is for; stable_diffusion is supported.
    device: where it runs; it runs with everything else, whatever is chosen.
    """
    from engine.families import pipeline

    _check_choice("type", type, ("stable_diffusion",), f"text encoders for {type} are not supported yet")
    return pipeline.load_part(_file(context, "text_encoders", clip_name), "text")


@node("DualCLIPLoader", display_name="DualCLIPLoader", category="advanced/loaders")
def load_text_encoder_pair(
    context: Any,
    *,
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    type: Annotated[str, Choice(PAIR_TYPES)],
    device: Placement | None = None,
) -> Clip:
    """Load the two text encoders of Stable Diffusion XL, CLIP-L and OpenCLIP-G, from files of their own.

    clip_name1: a file of models/text_encoders.
    clip_name2: the other one; which comes first makes no difference.
    type: the kind of model that they are for; sdxl is supported.
    device: where they run; they run with everything else, whatever is chosen.
    """
    from engine.families.text_files import load_clip_pair

    _check_choice("type", type, ("sdxl",), f"text encoders for {type} are not supported yet")
    return load_clip_pair([_file(context, "text_encoders", name) for name in (clip_name1, clip_name2)])


def _file(context: Any, folder: str, name: str) -> Any:
    from engine.weights.recipe import file_ref

    return file_ref(context.folders.resolve(folder, name), name)


def _check_choice(input: str, value: str, supported: tuple[str, ...], why: str) -> None:
    """Refuse a choice that saved workflows may hold and that nothing here can do."""
    if value not in supported:
        raise InputError(
            why, input=input, expected=" or ".join(supported), got=value, hint=f"choose {' or '.join(supported)}"
        )
