"""Render the picture sets (SVG icon packages and shapes drawn by code) into one cache of RGBA pixels with labels."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.training.shapes import plain_shapes, shape_svg, varied_shapes

__all__ = ["Picture", "find_package", "load_pictures", "rasterise", "render_pictures"]

SIZE = 128
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
STYLES = {"fluent": "iconify-json-fluent-emoji-flat", "noto": "iconify-json-noto"}
PAIRS_SHOWN = 7  # of the 1,120 pairs of shapes every seventh is rendered

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """What one rendered picture shows.

    `source` is `fluent`, `noto`, `flag`, `shape` or `varied`; `group` is emojibase's number, -1 where it has none.
    """

    label: str
    tags: tuple[str, ...]
    source: str
    group: int


def find_package(data: Path, name: str) -> Path:
    """Return the unpacked folder of package `name` in `data`; raise FileNotFoundError where there is none."""
    found = sorted(path for path in data.glob(f"{name}*") if path.is_dir())
    if not found:
        raise FileNotFoundError(
            f"no folder {name}* in {data}; docs/default_model.md lists the packages to unpack there"
        )
    return found[-1]


def render_pictures(data: Path, cache: Path) -> None:
    """Render everything in the packages under `data`; write `cache`.npz (uint8 [N, 128, 128, 4]) and `cache`.json."""
    pixels: list[NDArray[np.uint8]] = []
    pictures: list[Picture] = []
    for picture, svg in _documents(data):
        pixels.append(rasterise(svg))
        pictures.append(picture)
        if len(pictures) % 500 == 0:
            log.info("rendered %d pictures", len(pictures))
    cache.with_suffix(".json").write_text(json.dumps([asdict(picture) for picture in pictures]), encoding="utf-8")
    np.savez_compressed(cache.with_suffix(".npz"), pixels=np.stack(pixels))


def load_pictures(cache: Path) -> tuple[list[Picture], NDArray[np.uint8]]:
    """Return what `render_pictures` wrote: the pictures and their pixels [N, 128, 128, 4]."""
    rows = json.loads(cache.with_suffix(".json").read_text(encoding="utf-8"))
    with np.load(cache.with_suffix(".npz")) as arrays:
        pixels: NDArray[np.uint8] = arrays["pixels"]
    return [Picture(**(row | {"tags": tuple(row["tags"])})) for row in rows], pixels


def _documents(data: Path) -> Iterator[tuple[Picture, str]]:
    labels = _emoji_labels(data)
    for source, package in STYLES.items():
        yield from _icons(find_package(data, package), source, labels)
    yield from _flags(find_package(data, "flag-icons"))
    for shape in plain_shapes():
        yield Picture(shape.caption, (), "shape", -1), shape_svg(shape)
    for index, shape in enumerate(varied_shapes()):
        if len(shape.parts) == 1 or index % PAIRS_SHOWN == 0:
            yield Picture(shape.caption, (), "varied", -1), shape_svg(shape)


def _emoji_labels(data: Path) -> dict[str, dict[str, Any]]:
    """Return emojibase's entries by code points, without the variation selector."""
    entries = json.loads((find_package(data, "emojibase-data") / "en" / "data.json").read_text(encoding="utf-8"))
    return {_bare(entry["hexcode"].lower()): entry for entry in entries}


def _bare(code: str) -> str:
    return "-".join(part for part in code.split("-") if part != "fe0f")


def _icons(package: Path, source: str, labels: dict[str, dict[str, Any]]) -> Iterator[tuple[Picture, str]]:
    """Yield every labelled icon without a skin tone, once per code point sequence."""
    icons = json.loads((package / "icons.json").read_text(encoding="utf-8"))
    names = json.loads((package / "chars.json").read_text(encoding="utf-8"))
    seen: set[str] = set()
    for code, name in names.items():
        bare = _bare(code)
        entry = labels.get(bare)
        if entry is None or bare in seen or name not in icons["icons"] or SKIN_TONES & set(bare.split("-")):
            continue
        seen.add(bare)
        picture = Picture(entry["label"], tuple(entry.get("tags", ())), source, entry.get("group", -1))
        yield picture, _wrap(icons, icons["icons"][name])


def _wrap(icons: dict[str, Any], icon: dict[str, Any]) -> str:
    box = " ".join(
        str(icon.get(side, icons.get(side, fallback)))
        for side, fallback in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box}" width="{SIZE}" height="{SIZE}">{icon["body"]}</svg>'
    )


def _flags(package: Path) -> Iterator[tuple[Picture, str]]:
    """Yield country flags, 4:3, with a transparent margin above and below."""
    for country in json.loads((package / "country.json").read_text(encoding="utf-8")):
        if country.get("iso"):
            svg = (package / country["flag_4x3"]).read_text(encoding="utf-8")
            yield Picture(f"flag of {country['name']}", ("flag",), "flag", 9), svg


def rasterise(svg: str) -> NDArray[np.uint8]:
    """Render an SVG document to uint8 [128, 128, 4], fitted and centred."""
    import resvg_py
    from PIL import Image

    picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE)))).convert("RGBA")
    if picture.size != (SIZE, SIZE):
        picture.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
        canvas = Image.new("RGBA", (SIZE, SIZE))
        canvas.paste(picture, ((SIZE - picture.width) // 2, (SIZE - picture.height) // 2))
        picture = canvas
    return np.asarray(picture)
