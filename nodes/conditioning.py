"""Nodes that turn text into conditioning."""

from __future__ import annotations

import functools
from typing import Annotated, Any

from engine.graph.declare import Clip, Conditioning, Float, Int, Text, node
from engine.graph.mentions import EMBEDDINGS

Pixels = Annotated[int, Int(0, 16384)]
Prompt = Annotated[str, Text(multiline=True, dynamic_prompts=True, mentions=EMBEDDINGS)]


@node("CLIPTextEncode", display_name="CLIP Text Encode (Prompt)", category="conditioning", uses_model=("clip",))
def encode_text(context: Any, *, text: Prompt, clip: Clip) -> Conditioning:
    """Turn a prompt into what steers the model.

    text: the prompt. (word:1.2) gives a word more weight, (word:0.8) less. embedding:name puts
        in a file of models/embeddings.
    clip: the text encoder.
    """
    from engine.families.pipeline import encode_prompt

    return encode_prompt(context.models, clip, text, _embeddings(context, text))


@node("CLIPSetLastLayer", display_name="CLIP Set Last Layer", category="conditioning")
def set_last_layer(*, clip: Clip, stop_at_clip_layer: Annotated[int, Int(-24, -1, step=1)] = -1) -> Clip:
    """Take the prompt's meaning from an earlier layer of the text encoder ("clip skip").

    clip: the text encoder.
    stop_at_clip_layer: -1 is the last layer, -2 the one before it, which many checkpoints were trained with.
    """
    return clip.with_option("last_layer", stop_at_clip_layer)


@node("CLIPTextEncodeSDXL", category="advanced/conditioning", uses_model=("clip",))
def encode_text_sdxl(
    context: Any,
    *,
    clip: Clip,
    width: Pixels = 1024,
    height: Pixels = 1024,
    crop_w: Pixels = 0,
    crop_h: Pixels = 0,
    target_width: Pixels = 1024,
    target_height: Pixels = 1024,
    text_g: Prompt,
    text_l: Prompt,
) -> Conditioning:
    """Turn a prompt for each text encoder of Stable Diffusion XL into what steers it, with the sizes it was trained on.

    clip: the text encoders of a Stable Diffusion XL checkpoint.
    width: width of the picture that the result should look as if it was scaled from; small ones look blurred.
    height: height of that picture.
    crop_w: how much of it was cut off on the left; more moves the subject out of the picture.
    crop_h: how much of it was cut off at the top.
    target_width: width of the picture to make.
    target_height: height of the picture to make.
    text_g: the prompt for the larger encoder.
    text_l: the prompt for the smaller one; most people write the same into both.
    """
    from engine.diffusion.conditioning import set_extra
    from engine.families.pipeline import encode_prompt_pair

    embeddings = _embeddings(context, text_l, text_g)
    encoded = encode_prompt_pair(context.models, clip, (text_l, text_g), embeddings)
    sizes = {"width": width, "height": height, "target_width": target_width, "target_height": target_height}
    return set_extra(encoded, **sizes, crop_w=crop_w, crop_h=crop_h)


@node("CLIPTextEncodeSDXLRefiner", category="advanced/conditioning", uses_model=("clip",))
def encode_text_refiner(
    context: Any,
    *,
    ascore: Annotated[float, Float(0.0, 1000.0, step=0.01)] = 6.0,
    width: Pixels = 1024,
    height: Pixels = 1024,
    text: Prompt,
    clip: Clip,
) -> Conditioning:
    """Turn a prompt into what steers the refiner of Stable Diffusion XL, with the score it should aim at.

    ascore: how good the picture should look, from about 2 to 8; give the negative prompt a low one.
    width: width of the picture that the result should look as if it was scaled from.
    height: height of that picture.
    text: the prompt.
    clip: the text encoder of the refiner's checkpoint.
    """
    from engine.diffusion.conditioning import set_extra
    from engine.families.pipeline import encode_prompt

    encoded = encode_prompt(context.models, clip, text, _embeddings(context, text))
    return set_extra(encoded, aesthetic_score=ascore, width=width, height=height)


def _embeddings(context: Any, *texts: str) -> Any:
    """Read the embeddings that prompts name."""
    from engine.families.prompt_embeddings import read_embeddings

    return read_embeddings(functools.partial(context.folders.resolve, EMBEDDINGS), *texts)
