"""Nodes that prepare pictures for ControlNets by classical means; `Canny` is with the picture filters."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Boolean, Float, Image, Int, Mask, node


@node("SoftEdgeHint", display_name="Soft Edge Hint", category="image/preprocessors")
def soft_edges(*, image: Image, smoothing: Annotated[float, Float(0.25, 8.0, step=0.25)] = 1.0) -> Image:
    """Draw edges as bright as they are strong, for soft-edge (HED) ControlNets.

    image: the pictures.
    smoothing: below 1 fine lines, above 1 broad ones.
    """
    from engine.imaging.preprocessing import soft_edges

    return soft_edges(image, smoothing)


@node("ScribbleHint", display_name="Scribble Hint", category="image/preprocessors")
def scribble(*, image: Image, thickness: Annotated[int, Int(1, 32)] = 3) -> Image:
    """Draw the strong edges as thick white lines, as if by hand, for scribble ControlNets.

    image: the pictures.
    thickness: how many pixels wide the lines become at least.
    """
    from engine.imaging.preprocessing import scribble

    return scribble(image, thickness)


@node("TileHint", display_name="Tile Hint", category="image/preprocessors")
def tile(*, image: Image, factor: Annotated[float, Float(1.0, 64.0, step=0.5)] = 4.0) -> Image:
    """Leave the colours and take the detail away, for tile and blur ControlNets, which put new detail in.

    image: the pictures.
    factor: the size, in pixels, of the squares that are averaged.
    """
    from engine.imaging.preprocessing import coarse

    return coarse(image, factor)


@node("ThresholdHint", display_name="Threshold Hint", category="image/preprocessors")
def threshold(
    *,
    image: Image,
    level: Annotated[float, Float(0.0, 1.0, step=0.01)] = 0.5,
    invert: Annotated[bool, Boolean()] = False,
) -> Image:
    """Make what is bright white and the rest black. Turn a drawing of dark lines on white around with invert.

    image: the pictures.
    level: how bright white starts.
    invert: make what is dark white instead.
    """
    from engine.imaging.preprocessing import threshold

    return threshold(image, level, invert=invert)


@node("InpaintHint", display_name="Inpaint Hint", category="image/preprocessors")
def inpaint(*, image: Image, mask: Mask) -> Image:
    """Mark what an inpainting ControlNet is to paint: masked pixels become -1, which no picture has.

    image: the pictures.
    mask: 1 where to paint; a mask of another size is scaled.
    """
    from engine.imaging.preprocessing import inpaint_hint

    return inpaint_hint(image, mask)
