"""Nodes that turn text into conditioning."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Clip, Conditioning, Int, Text, node


@node("CLIPTextEncode", display_name="CLIP Text Encode (Prompt)", category="conditioning", uses_model=("clip",))
def encode_text(
    context: Any, *, text: Annotated[str, Text(multiline=True, dynamic_prompts=True)], clip: Clip
) -> Conditioning:
    """Turn a prompt into what steers the model.

    text: the prompt. (word:1.2) gives a word more weight, (word:0.8) less.
    clip: the text encoder.
    """
    from engine.families.pipeline import encode_prompt

    return encode_prompt(context.models, clip, text)


@node("CLIPSetLastLayer", display_name="CLIP Set Last Layer", category="conditioning")
def set_last_layer(*, clip: Clip, stop_at_clip_layer: Annotated[int, Int(-24, -1, step=1)] = -1) -> Clip:
    """Take the prompt's meaning from an earlier layer of the text encoder ("clip skip").

    clip: the text encoder.
    stop_at_clip_layer: -1 is the last layer, -2 the one before it, which many checkpoints were trained with.
    """
    return clip.with_option("last_layer", stop_at_clip_layer)
