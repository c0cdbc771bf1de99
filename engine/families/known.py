"""Families that are recognised but cannot be run yet, so that a user hears what a file is, not only that it failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.families.family import KnownFamily
from engine.families.sizes import Shapes
from engine.weights.layouts import AUTOENCODER, DENOISER
from engine.weights.tiny_layouts import tiny_names

__all__ = ["KNOWN"]

FIRST: Final = DENOISER + "input_blocks.0.0.weight"


def _unet(context: int, channels: int | None = None) -> Callable[[Shapes], bool]:
    """Return a test for a U-Net that listens to `context` numbers a token, with so many input channels."""

    def test(shapes: Shapes) -> bool:
        if FIRST not in shapes:
            return False
        first = shapes[FIRST]
        contexts = {shape[-1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")}
        return contexts == {context} and channels in (None, first[1])

    return test


def _has(*names: str) -> Callable[[Shapes], bool]:
    return lambda shapes: all(name in shapes or DENOISER + name in shapes for name in names)


def _any_starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(prefixes) for name in shapes)


def _is_sixteen_channel_vae(shapes: Shapes) -> bool:
    return shapes.get(AUTOENCODER + "decoder.conv_in.weight", (0, 0))[1] == 16


def _all(*tests: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda shapes: all(test(shapes) for test in tests)


KNOWN: Final = (
    KnownFamily("sd1_ip2p", "InstructPix2Pix on Stable Diffusion 1", _unet(768, channels=8)),
    KnownFamily("sd2_depth", "Stable Diffusion 2 depth", _unet(1024, channels=5)),
    KnownFamily("sd2_upscaler", "Stable Diffusion x4 upscaler", _unet(1024, channels=7)),
    KnownFamily("sd2_unclip", "Stable Diffusion 2 unCLIP", _all(_unet(1024, channels=4), _has("label_emb.0.0.weight"))),
    KnownFamily("playground25", "Playground 2.5", _all(_unet(2048), _has("edm_mean"))),
    KnownFamily("cosxl", "CosXL", _all(_unet(2048), _has("edm_vpred.sigma_max"))),
    KnownFamily("sdxl_ip2p", "InstructPix2Pix on Stable Diffusion XL", _unet(2048, channels=8)),
    KnownFamily("sd35_medium", "Stable Diffusion 3.5 medium", _has("joint_blocks.0.x_block.attn2.qkv.weight")),
    KnownFamily("sd35_large", "Stable Diffusion 3.5 large", _has("joint_blocks.37.x_block.attn.qkv.weight")),
    KnownFamily("sd3", "Stable Diffusion 3", _has("joint_blocks.0.context_block.attn.qkv.weight")),
    KnownFamily(
        "flux_dev", "Flux.1 dev", _has("double_blocks.0.img_attn.norm.key_norm.scale", "guidance_in.in_layer.weight")
    ),
    KnownFamily("flux_schnell", "Flux.1 schnell", _has("double_blocks.0.img_attn.norm.key_norm.scale")),
    KnownFamily("vae_16ch", "a 16-channel autoencoder of Stable Diffusion 3 or Flux", _is_sixteen_channel_vae),
    KnownFamily("t5", "a T5 text encoder", _has("encoder.block.0.layer.0.SelfAttention.q.weight")),
    KnownFamily(
        "controlnet", "a ControlNet", _any_starts("control_model.", "controlnet_", "zero_convs."), "ControlNetLoader"
    ),
    KnownFamily(
        "t2i_adapter",
        "a T2I-Adapter",
        _any_starts("adapter.body.", "body.0.in_conv.", "body.0.block1."),
        "ControlNetLoader",
    ),
    KnownFamily("taesd", "a TAESD (a tiny autoencoder)", lambda shapes: tiny_names(shapes) is not None, "VAELoader"),
    KnownFamily("lora", "a LoRA", _any_starts("lora_unet_", "lora_te", "lora_transformer_"), "LoraLoader"),
)
"""In order: the first that matches names the file."""
