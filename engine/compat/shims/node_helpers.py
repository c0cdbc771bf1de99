"""``node_helpers``: small things that packs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def conditioning_set_values(conditioning: Any, values: Mapping[str, Any] = {}, append: bool = False) -> list[Any]:
    """Return a conditioning whose entries have ``values``; ``append`` adds to lists that are there."""
    made = []
    for embedding, facts in conditioning:
        changed = dict(facts)
        for name, value in values.items():
            old = changed.get(name)
            changed[name] = old + value if append and old is not None else value
        made.append([embedding, changed])
    return made


def pillow(fn: Callable[..., Any], arg: Any) -> Any:
    """Call a function of Pillow, also on pictures that end early."""
    from PIL import ImageFile, UnidentifiedImageError

    try:
        return fn(arg)
    except (OSError, UnidentifiedImageError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return fn(arg)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def string_to_torch_dtype(string: str) -> Any:
    """Return the number format called ``fp32``, ``fp16`` or ``bf16``, or None."""
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)


def image_alpha_fix(destination: Any, source: Any) -> tuple[Any, Any]:
    """Give two pictures [B, H, W, C] the same number of channels."""
    import torch

    if destination.shape[-1] < source.shape[-1]:
        source = source[..., : destination.shape[-1]]
    elif destination.shape[-1] > source.shape[-1]:
        destination = torch.nn.functional.pad(destination, (0, 1))
        destination[..., -1] = 1.0
        destination = destination[..., : source.shape[-1]]
    return destination, source
