"""Nodes that combine prompts and say where, when and how strongly each acts."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, Conditioning, Float, Int, Mask, node

LATENT_PIXEL = 8
"""Areas are given in picture pixels and kept in latent pixels, of this many each way."""
Extent = Annotated[int, Int(64, 16384, step=8)]
Place = Annotated[int, Int(0, 16384, step=8)]
Share = Annotated[float, Float(0.0, 1.0, step=0.01)]
Moment = Annotated[float, Float(0.0, 1.0, step=0.001)]
Strength = Annotated[float, Float(0.0, 10.0, step=0.01)]


@node("ConditioningCombine", display_name="Conditioning (Combine)", category="conditioning")
def combine(*, conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Let two prompts act at once; where both act, what they ask for is averaged.

    conditioning_1: the first prompt.
    conditioning_2: the second prompt.
    """
    from engine.diffusion import conditioning

    return conditioning.combine(conditioning_1, conditioning_2)


@node("ConditioningConcat", display_name="Conditioning (Concat)", category="conditioning")
def concat(*, conditioning_to: Conditioning, conditioning_from: Conditioning) -> Conditioning:
    """Append a prompt to another, so that the model reads both as one longer text.

    conditioning_to: the prompt that comes first.
    conditioning_from: the prompt to append; of several only the first one.
    """
    from engine.diffusion import conditioning

    _check_width(conditioning_to, conditioning_from)
    return conditioning.concat(conditioning_to, conditioning_from)


@node("ConditioningAverage", category="conditioning")
def average(
    *, conditioning_to: Conditioning, conditioning_from: Conditioning, conditioning_to_strength: Share = 1.0
) -> Conditioning:
    """Blend two prompts into one between them.

    conditioning_to: the first prompt.
    conditioning_from: the second prompt; of several only the first one.
    conditioning_to_strength: 1 is the first prompt, 0 the second.
    """
    from engine.diffusion import conditioning

    _check_width(conditioning_to, conditioning_from)
    return conditioning.average(conditioning_to, conditioning_from, conditioning_to_strength)


@node("ConditioningSetArea", display_name="Conditioning (Set Area)", category="conditioning")
def set_area(
    *,
    conditioning: Conditioning,
    width: Extent = 64,
    height: Extent = 64,
    x: Place = 0,
    y: Place = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Let a prompt act in a rectangle of the picture only.

    conditioning: the prompt.
    width: width of the rectangle in pixels.
    height: height of the rectangle in pixels.
    x: distance of the rectangle from the left edge in pixels.
    y: distance of the rectangle from the top edge in pixels.
    strength: weight against other prompts at the same place.
    """
    from engine.diffusion.conditioning import Area, set_area

    height, width, y, x = (size // LATENT_PIXEL for size in (height, width, y, x))
    return set_area(conditioning, Area(height, width, y, x), strength)


@node("ConditioningSetAreaPercentage", display_name="Conditioning (Set Area with Percentage)", category="conditioning")
def set_area_share(
    *,
    conditioning: Conditioning,
    width: Share = 1.0,
    height: Share = 1.0,
    x: Share = 0.0,
    y: Share = 0.0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Let a prompt act in a rectangle of the picture only, given as shares of its size.

    conditioning: the prompt.
    width: width of the rectangle; 1 is the whole picture.
    height: height of the rectangle; 1 is the whole picture.
    x: distance of the rectangle from the left edge; 0.5 is the middle.
    y: distance of the rectangle from the top edge; 0.5 is the middle.
    strength: weight against other prompts at the same place.
    """
    from engine.diffusion.conditioning import Area, set_area

    return set_area(conditioning, Area(height, width, y, x, relative=True), strength)


@node("ConditioningSetAreaStrength", category="conditioning")
def set_area_strength(*, conditioning: Conditioning, strength: Strength = 1.0) -> Conditioning:
    """Set the weight of a prompt against others at the same place.

    conditioning: the prompt.
    strength: the weight.
    """
    from engine.diffusion.conditioning import set_strength

    return set_strength(conditioning, strength)


@node("ConditioningSetMask", display_name="Conditioning (Set Mask)", category="conditioning")
def set_mask(
    *,
    conditioning: Conditioning,
    mask: Mask,
    strength: Strength = 1.0,
    set_cond_area: Annotated[str, Choice(("default", "mask bounds"))],
) -> Conditioning:
    """Let a prompt act where a mask says.

    conditioning: the prompt.
    mask: 1 where it acts fully, 0 where it does not; of any size.
    strength: weight against other prompts at the same place.
    set_cond_area: mask bounds shows the model only the part of the picture around the mask.
    """
    from engine.diffusion.conditioning import set_mask
    from engine.imaging.batches import mask_batch

    return set_mask(conditioning, mask_batch(mask), strength, set_cond_area == "mask bounds")


@node("ConditioningSetTimestepRange", category="advanced/conditioning")
def set_range(*, conditioning: Conditioning, start: Moment = 0.0, end: Moment = 1.0) -> Conditioning:
    """Let a prompt act during a part of the way from noise to picture only.

    conditioning: the prompt.
    start: when it begins; 0 is noise.
    end: when it ends; 1 is the finished picture.
    """
    from engine.diffusion.conditioning import set_range

    return set_range(conditioning, start, end)


@node("ConditioningZeroOut", category="advanced/conditioning")
def zero_out(*, conditioning: Conditioning) -> Conditioning:
    """Replace a prompt by zeros: no prompt at all, which for some models is not the same as an empty one.

    conditioning: the prompt.
    """
    from engine.diffusion.conditioning import zero_out

    return zero_out(conditioning)


def _check_width(to: Any, source: Any) -> None:
    """Raise `InputError` unless both prompts come from text encoders of one size."""
    from engine.errors import InputError

    widths = {entry.embedding.shape[-1] for entry in to}
    for other in source[:1]:
        if widths and widths != {other.embedding.shape[-1]}:
            raise InputError(
                "the prompts come from different text encoders",
                input="conditioning_from",
                expected=f"embeddings of {', '.join(map(str, sorted(widths)))} numbers",
                got=str(other.embedding.shape[-1]),
                hint="encode both prompts with the same CLIP",
            )
