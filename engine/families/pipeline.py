"""From a checkpoint file to a picture: what the nodes call.

Recipes go in and out of the loaders; the other functions borrow a network from the residency for as long as they
compute with it. Pictures are [B, H, W, C] in 0..1, float32, on the CPU; latents are
`engine.diffusion.latents.Latent`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from engine.diffusion.conditioning import Conditioning, ConditioningEntry
from engine.diffusion.guidance import CFGGuider
from engine.diffusion.journal import Journal
from engine.diffusion.latents import Latent, LatentFormat
from engine.diffusion.model_calls import DiffusionModel, Predict
from engine.diffusion.samplers import OnStep
from engine.diffusion.sampling import KSamplerSettings, ksample
from engine.errors import InputError, WeightError
from engine.families.control import Steering, lend_controls
from engine.families.family import Detected
from engine.families.guidance_options import combine_of
from engine.families.owners import make_models
from engine.families.picture_coding import check_channels, coder_of, crop_to_factor, decode_one, encode_one
from engine.families.prompt_embeddings import NO_EMBEDDINGS, Embeddings
from engine.families.registry import detect_family, family_of, sampling_of
from engine.families.taesd import is_tiny, load_tiny
from engine.memory.residency import Residency
from engine.networks.unet import UNet
from engine.weights.files import open_weights
from engine.weights.recipe import FileRef, ModelRecipe, Part

__all__ = [
    "DIFFERENTIAL",
    "Guidance",
    "bind_model",
    "decode_latent",
    "detect_file",
    "differential_of",
    "encode_pixels",
    "encode_prompt",
    "encode_prompt_pair",
    "latent_format_of",
    "load_checkpoint",
    "load_part",
    "load_vae",
    "make_models",
    "predict_with",
    "sample_latent",
]

LAST_LAYER: Final = "last_layer"
"""The option of a text recipe that says which layer to stop at; -1 is the last, 0 the family's own choice."""

DIFFERENTIAL: Final = "differential"
"""The option of a diffusion recipe that turns differential diffusion on; its value is the strength."""

PART_TITLES: Final[dict[Part, str]] = {"diffusion": "a diffusion model", "text": "a text encoder", "vae": "a VAE"}


@dataclass(frozen=True, slots=True)
class Guidance:
    """Say what to draw, what to avoid, and how strictly (`cfg` 1 ignores the negative prompt)."""

    positive: Conditioning
    negative: Conditioning
    cfg: float


def detect_file(file: FileRef) -> Detected:
    """Tell what a weight file is from its header, and a bias or two where that does not say. Raises `WeightError`."""
    with open_weights(file.path) as opened:
        found = detect_family(opened.shapes, opened.metadata, file.name)
        return dataclasses.replace(found, model_options=found.family.model_options(opened, found.layout))


def load_checkpoint(file: FileRef) -> tuple[ModelRecipe, ModelRecipe, ModelRecipe]:
    """Return the recipes (model, clip, vae) of a checkpoint; only its header is read.

    Raises `WeightError` where the file is damaged, of no supported family, or lacks one of the three.
    """
    found = detect_file(file)
    return _recipe(file, found, "diffusion"), _recipe(file, found, "text"), _recipe(file, found, "vae")


def load_part(file: FileRef, part: Part) -> ModelRecipe:
    """Return the recipe of one part of a file that may hold it alone. Raises `WeightError` where it is not there."""
    return _recipe(file, detect_file(file), part)


def load_vae(file: FileRef) -> ModelRecipe:
    """Return the recipe of the VAE in a file: a VAE alone, a whole checkpoint, a TAESD. Raises `WeightError`."""
    with open_weights(file.path) as opened:
        tiny = is_tiny(opened.shapes)
    return load_tiny([file]) if tiny else _recipe(file, detect_file(file), "vae")


def encode_prompt(
    models: Residency, clip: ModelRecipe, text: str, embeddings: Embeddings = NO_EMBEDDINGS
) -> Conditioning:
    """Turn a prompt into conditioning: one entry, embedding [1, 77 * chunks, D]. Raises `WeightError`.

    `embeddings` has the vectors of every embedding that the prompt names, see `read_embeddings`.
    """
    last_layer = int(clip.option(LAST_LAYER, 0))
    with models.use(clip) as network:
        encoding = family_of(clip.family).encode_text(network, text, last_layer, embeddings)
    return (ConditioningEntry(encoding.embedding, encoding.pooled),)


def encode_prompt_pair(
    models: Residency, clip: ModelRecipe, texts: tuple[str, str], embeddings: Embeddings = NO_EMBEDDINGS
) -> Conditioning:
    """Turn a prompt for each of two text encoders (CLIP-L, CLIP-G) into conditioning.

    Raises `InputError` where there is only one.
    """
    family = family_of(clip.family)
    if family.encode_texts is None:
        raise InputError(
            f"{clip.file.name} reads prompts with a single text encoder",
            input="clip",
            expected="a text encoder with both CLIP-L and CLIP-G",
            got=family.title,
            hint="use CLIPTextEncode with this checkpoint",
        )
    with models.use(clip) as network:
        encoding = family.encode_texts(network, texts, int(clip.option(LAST_LAYER, 0)), embeddings)
    return (ConditioningEntry(encoding.embedding, encoding.pooled),)


def latent_format_of(recipe: ModelRecipe) -> LatentFormat:
    """Return how the family of a recipe scales its latents, which also knows their preview colours."""
    return family_of(recipe.family).latent_format


def sample_latent(
    models: Residency,
    model: ModelRecipe,
    settings: KSamplerSettings,
    guidance: Guidance,
    latent: Latent,
    on_step: OnStep | None = None,
    journal: Journal | None = None,
) -> Latent:
    """Do what a KSampler node does. `on_step` hears of every step and may raise to end the run, as cancelling does.

    With a `journal` the run goes on where the one that filled it stopped.
    """
    latent_format, device = latent_format_of(model), models.device.device
    with models.use(model) as network:
        bound, sides = bind_model(model, network), (guidance.positive, guidance.negative)
        with lend_controls(models, network, model.file.name, sides) as (positive, negative):
            guider = CFGGuider(bound, positive, negative, guidance.cfg, combine_of(model))
            return ksample(
                settings,
                guider,
                latent,
                latent_format,
                differential=differential_of(model),
                on_step=on_step,
                device=device,
                journal=journal,
            )


def differential_of(model: ModelRecipe) -> float | None:
    """Return how strongly a recipe asks for differential diffusion, None where it does not."""
    strength = model.option(DIFFERENTIAL, -1.0)
    return None if strength == -1.0 else float(strength)


def bind_model(model: ModelRecipe, network: nn.Module) -> DiffusionModel:
    """Return what guiders call: the borrowed network of a recipe, with its family's noise levels and inputs."""
    assert isinstance(network, UNet)
    family = family_of(model.family)
    return DiffusionModel(predict_with(network), sampling_of(model), family.inputs)


def decode_latent(models: Residency, vae: ModelRecipe, latent: Latent) -> Tensor:
    """Turn latents into pictures [B, H, W, 3] in 0..1, float32, on the CPU. Raises `SafelightError` for NaN.

    One picture at a time: the memory for a batch is that of one picture, and a picture does not depend on its company.
    """
    with models.use(vae) as network, torch.inference_mode():
        coder = coder_of(network)
        check_channels(latent, coder)
        pictures = [decode_one(coder, samples) for samples in torch.split(latent.samples, 1)]
    return torch.cat(pictures)  # outside: a plain tensor, not one that only inference may touch


def encode_pixels(models: Residency, vae: ModelRecipe, pixels: Tensor) -> Latent:
    """Turn pictures [B, H, W, C] in 0..1 into latents; alpha is ignored.

    Sides that are no multiple of the VAE's factor (8) are cut evenly on both sides. The latent is the mean of what the
    encoder gives, not a sample: the same picture always has the same latent.
    """
    with models.use(vae) as network, torch.inference_mode():
        coder = coder_of(network)
        cut = crop_to_factor(pixels[..., :3], coder.config.downscale)
        latents = [encode_one(coder, picture) for picture in torch.split(cut, 1)]
    return Latent(torch.cat(latents))


def _recipe(file: FileRef, found: Detected, part: Part) -> ModelRecipe:
    if part not in found.parts:
        held = ", ".join(PART_TITLES[other] for other in PART_TITLES if other in found.parts)
        raise WeightError(
            f"{file.name} holds no {PART_TITLES[part].split(' ', 1)[1]}",
            expected=PART_TITLES[part],
            got=held or "none of a checkpoint's parts",
            hint="use the complete checkpoint, or load the parts from their own files",
        )
    return ModelRecipe(file, found.family.name, part, found.model_options if part == "diffusion" else ())


def predict_with(network: UNet) -> Predict:
    """Return the call of a U-Net that casts to and from the network's device and number format."""
    weight = next(network.parameters())

    def cast(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.to(weight.device, weight.dtype)

    def predict(
        x: Tensor, timestep: Tensor, context: Tensor, *, y: Tensor | None = None, control: Any = None
    ) -> Tensor:
        _check_context(context, network.config.context_dim)
        network_x, network_context = cast(x), cast(context)
        assert network_x is not None and network_context is not None
        steering = control or Steering()
        residuals = None if steering.residuals is None else [one.to(network_x) for one in steering.residuals]
        features = {place: one.to(network_x) for place, one in steering.features.items()}
        result: Tensor = network(network_x, timestep.to(weight.device), network_context, cast(y), residuals, features)
        return result

    return predict


def _check_context(context: Tensor, width: int) -> None:
    if context.shape[-1] != width:
        raise InputError(
            "the prompt was encoded for another kind of model",
            expected=f"{width} numbers a token",
            got=str(context.shape[-1]),
            hint="encode the prompt with the CLIP of the checkpoint that the model comes from",
        )
