"""Nodes that make masks: float32 [B, H, W] in 0..1."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, FolderChoices, Mask, node
from engine.media.images import SUFFIXES


@node("LoadImageMask", display_name="Load Image (as Mask)", category="mask")
def load_image_mask(
    context: Any,
    *,
    image: Annotated[str, Choice(FolderChoices("input", suffixes=SUFFIXES), image_upload=True)],
    channel: Annotated[str, Choice(("alpha", "red", "green", "blue"))],
) -> Mask:
    """Load one channel of a picture as a mask.

    image: a file of the input folder; "name [output]" takes one from the output folder.
    channel: which channel; alpha gives 1 where the picture is transparent.
    """
    import torch

    from engine.media.images import MAX_FILE_BYTES, decode_image
    from engine.paths.opening import read_inside

    picture = decode_image(read_inside(context.folders, "input", image, MAX_FILE_BYTES), name=image)
    if channel == "alpha":
        if picture.alpha is None:
            return torch.zeros(picture.pixels.shape[:3])[:1]
        return 1.0 - torch.from_numpy(picture.alpha)[:1]
    return torch.from_numpy(picture.pixels)[:1, :, :, ("red", "green", "blue").index(channel)].contiguous()
