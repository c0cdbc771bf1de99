"""Nodes that split, join and composite pictures by their transparency. A mask is 1 where a picture is transparent."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, Image, Mask, node

PORTER_DUFF = (
    "ADD", "CLEAR", "DARKEN", "DST", "DST_ATOP", "DST_IN", "DST_OUT", "DST_OVER", "LIGHTEN", "MULTIPLY", "OVERLAY",
    "SCREEN", "SRC", "SRC_ATOP", "SRC_IN", "SRC_OUT", "SRC_OVER", "XOR",
)  # fmt: skip


@node("SplitImageWithAlpha", display_name="Split Image with Alpha", category="mask/compositing")
def split_alpha(*, image: Image) -> tuple[Image, Mask]:
    """Split pictures into colours and a mask of what is transparent.

    image: the pictures; without transparency the mask is 0.
    """
    import torch

    if image.shape[-1] > 3:
        return image[..., :3].clone(), 1.0 - image[..., 3]
    return image, torch.zeros_like(image[..., 0])


@node("JoinImageWithAlpha", display_name="Join Image with Alpha", category="mask/compositing")
def join_alpha(*, image: Image, alpha: Mask) -> Image:
    """Make pictures transparent where a mask is 1.

    image: the pictures.
    alpha: the masks, stretched to the pictures; the shorter batch is repeated.
    """
    import torch

    from engine.imaging.batches import fit_mask, match_batches

    transparent = fit_mask(alpha, image.shape[1], image.shape[2], "alpha").to(image)
    colours, transparent = match_batches(image[..., :3], transparent)
    return torch.cat([colours, 1.0 - transparent.unsqueeze(-1)], dim=-1)


@node("PorterDuffImageComposite", display_name="Porter-Duff Image Composite", category="mask/compositing")
def porter_duff(
    *,
    source: Image,
    source_alpha: Mask,
    destination: Image,
    destination_alpha: Mask,
    mode: Annotated[str, Choice(PORTER_DUFF)] = "DST",
) -> tuple[Image, Mask]:
    """Composite pictures that are partly transparent.

    source: the pictures laid on; the others are resized to them and their middle is cut out.
    source_alpha: 1 where the source is transparent.
    destination: the pictures below.
    destination_alpha: 1 where the destination is transparent.
    mode: which of the two shows where they overlap and where they do not.
    """
    from engine.imaging.batches import mask_batch, match_batches, match_channels
    from engine.imaging.compositing import porter_duff

    below = match_channels(_cover(destination, source), source.shape[-1]).to(source)
    masks = [
        _cover(mask_batch(mask, name).unsqueeze(-1), source).squeeze(-1).to(source)
        for mask, name in ((source_alpha, "source_alpha"), (destination_alpha, "destination_alpha"))
    ]
    above, above_mask, below, below_mask = match_batches(source, masks[0], below, masks[1])
    colours, alpha = porter_duff(above, 1.0 - above_mask, below, 1.0 - below_mask, mode)
    return colours, 1.0 - alpha


def _cover(image: Any, like: Any) -> Any:
    """Resize [B, H, W, C] to the size of another so that it is covered, and cut the middle out."""
    from nodes.images import scale

    height, width = like.shape[1:3]
    if image.shape[1:3] == (height, width):
        return image
    return scale(image=image, upscale_method="bicubic", width=width, height=height, crop="center").clamp(0, 1)
