"""Pictures drawn by code: plain shapes in named colours, for exact captions and clean hues."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["COLOURS", "SHAPES", "Shape", "plain_shapes", "shape_svg", "varied_shapes"]

COLOURS = {
    "red": "#e02424",
    "orange": "#ff8a0f",
    "yellow": "#ffd21f",
    "green": "#1fa83c",
    "blue": "#2167e8",
    "purple": "#8b35c9",
    "pink": "#ff7ac0",
    "black": "#222222",
}
SHAPES = ("circle", "square", "triangle", "star", "heart")
CANVAS = 128.0

PLACES = {
    "": (64.0, 64.0, 46.0),
    "small": (64.0, 64.0, 26.0),
    "large": (64.0, 64.0, 58.0),
    "left": (36.0, 64.0, 30.0),
    "right": (92.0, 64.0, 30.0),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One or two coloured shapes: `parts` holds (colour, shape, x, y, radius) in pixels of a 128x128 canvas."""

    caption: str
    parts: tuple[tuple[str, str, float, float, float], ...]


def plain_shapes() -> Iterator[Shape]:
    """Yield every colour of every shape, centred."""
    for colour, shape in itertools.product(COLOURS, SHAPES):
        yield _placed(colour, shape, "")


def varied_shapes() -> Iterator[Shape]:
    """Yield the same at other sizes and places, and every pair of two different shapes and colours side by side."""
    for colour, shape, place in itertools.product(COLOURS, SHAPES, list(PLACES)[1:]):
        yield _placed(colour, shape, place)
    things = list(itertools.product(COLOURS, SHAPES))
    for (colour, shape), (other_colour, other_shape) in itertools.permutations(things, 2):
        if colour != other_colour and shape != other_shape:
            left, right = PLACES["left"], PLACES["right"]
            yield Shape(
                f"{colour} {shape} and {other_colour} {other_shape}",
                ((colour, shape, *left), (other_colour, other_shape, *right)),
            )


def _placed(colour: str, shape: str, place: str) -> Shape:
    captions = {
        "small": f"small {colour} {shape}",
        "large": f"large {colour} {shape}",
        "left": f"{colour} {shape} on the left",
        "right": f"{colour} {shape} on the right",
    }
    return Shape(captions.get(place, f"{colour} {shape}"), ((colour, shape, *PLACES[place]),))


def shape_svg(shape: Shape) -> str:
    """Return an SVG document of 128x128 with a transparent background."""
    parts = "".join(_element(*part) for part in shape.parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" width="128" height="128">{parts}</svg>'


def _element(colour: str, shape: str, x: float, y: float, radius: float) -> str:
    fill = COLOURS[colour]
    if shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}"/>'
    if shape == "heart":
        return f'<path d="{_heart(x, y, radius)}" fill="{fill}"/>'
    if shape == "square":
        side = radius * 0.88
        corners = [(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]
    elif shape == "triangle":
        corners = _around(x, y + radius * 0.15, [radius * 1.1] * 3)
    else:
        corners = _around(x, y, [radius * 1.08, radius * 0.45] * 5)
    points = " ".join(f"{a:.2f},{b:.2f}" for a, b in corners)
    return f'<polygon points="{points}" fill="{fill}"/>'


def _around(x: float, y: float, radii: list[float]) -> list[tuple[float, float]]:
    """Return one corner for each radius, spread evenly around (x, y), the first straight up."""
    turns = [2 * math.pi * index / len(radii) - math.pi / 2 for index in range(len(radii))]
    return [
        (x + radius * math.cos(turn), y + radius * math.sin(turn)) for radius, turn in zip(radii, turns, strict=True)
    ]


def _heart(x: float, y: float, r: float) -> str:
    """Return the path of a heart: down the right side to the tip, then up the left, its mirror image."""
    across = {side: [x + side * part * r for part in (0.3, 1.2, 1.0, 0.9, 0.3)] for side in (1, -1)}
    down = [y + part * r for part in (-1.15, -0.95, -0.1, 0.4, 0.6)]
    top, tip = f"{x} {y - 0.45 * r}", f"{x} {y + 0.95 * r}"
    right = [f"{a:.2f} {b:.2f}" for a, b in zip(across[1], down, strict=True)]
    left = [f"{a:.2f} {b:.2f}" for a, b in zip(across[-1], down, strict=True)]
    return (
        f"M {top} C {right[0]} {right[1]} {right[2]} C {right[3]} {right[4]} {tip} "
        f"C {left[4]} {left[3]} {left[2]} C {left[1]} {left[0]} {top} Z"
    )
