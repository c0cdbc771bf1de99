"""Saving the pictures that a pack's node shows or keeps, with the workflow that made them."""

from __future__ import annotations

from typing import Any

from engine.media.images import encode_png
from engine.media.metadata import recipe_for
from engine.paths import OutputName, next_output_names, write_new_file


def save_pictures(context: Any, images: Any, folder: str, prefix: str, compress_level: int) -> list[OutputName]:
    """Save [B, H, W, C] (0..1) as PNG under new names in ``folder`` and return those.

    Raises `PathError` for a prefix that leads outside, `OutputError` when a file cannot be written.
    """
    texts = recipe_for(
        context.prompt, context.workflow, getattr(context.settings, "metadata", "full"), context.in_parts
    )
    height, width = images.shape[1:3]
    names = next_output_names(context.folders, folder, prefix, len(images), suffix=".png", size=(width, height))
    saved = []
    for name, pixels in zip(names, images, strict=True):
        context.check_cancelled()
        data = encode_png(pixels.cpu().float().numpy(), texts, compress_level=compress_level)
        written, _ = write_new_file(name, lambda file, data=data: file.write(data))  # type: ignore[misc]
        saved.append(written)
    return saved
