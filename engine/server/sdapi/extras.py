"""The upscaling routes: what they ask for, read into what `templates.enlarged_pictures` makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.server.sdapi.field_reading import Fields
from engine.server.sdapi.pictures import open_picture, store_picture
from engine.server.sdapi.preparing import PLAIN_UPSCALERS
from engine.server.sdapi.refusals import refuse_field
from engine.server.sdapi.requests import LARGEST
from engine.server.sdapi.shelf import Shelf
from engine.server.sdapi.templates import Enlarging

MAX_PICTURES: Final = 64


def read_enlarging(body: Mapping[str, Any], pictures: Sequence[Any], field: str, shelf: Shelf) -> list[Enlarging]:
    """Read a request to enlarge ``pictures`` (base64) that came in ``field``. Raises `FieldErrors`."""
    fields = Fields(body)
    for name in ("gfpgan_visibility", "codeformer_visibility"):
        fields.only(name, (0,), "faces are not restored here")
    mode = fields.whole("resize_mode", 0, 0, 1)
    factor = fields.real("upscaling_resize", 2.0, 0.1, 8.0)
    box = (
        fields.whole("upscaling_resize_w", 512, 1, LARGEST),
        fields.whole("upscaling_resize_h", 512, 1, LARGEST),
    )
    crop = fields.truth("upscaling_crop", True)
    first, second = fields.text("upscaler_1") or "None", fields.text("upscaler_2") or "None"
    mix = fields.real("extras_upscaler_2_visibility", 0.0, 0.0, 1.0)
    if not 0 < len(pictures) <= MAX_PICTURES or not all(isinstance(one, str) and one for one in pictures):
        fields.wrong(field, f"1 to {MAX_PICTURES} pictures are expected, each as base64")
    fields.done()
    ways = [_way(first, "upscaler_1", shelf)]
    if second != "None" and mix > 0:
        ways.append(_way(second, "upscaler_2", shelf))
    note = {"Postprocess upscale by": factor} if mode == 0 else {"Postprocess upscale to": f"{box[0]}x{box[1]}"}
    text = ", ".join(
        f"{key}: {value:g}" if isinstance(value, float) else f"{key}: {value}" for key, value in note.items()
    )
    text += f", Postprocess upscaler: {first}" + (f", Postprocess upscaler 2: {second}" if len(ways) > 1 else "")
    made = []
    for one in pictures:
        picture = open_picture(one, field).convert("RGB")
        target, cut = _target(picture.size, mode, factor, box, crop)
        if max(target) > LARGEST:
            raise refuse_field("upscaling_resize", f"the result would be {target[0]}x{target[1]}")
        made.append(Enlarging(store_picture(shelf.folders, picture), target, cut, tuple(ways), mix, text))
    return made


def _way(name: str, field: str, shelf: Shelf) -> tuple[str, str]:
    """Return the file of a model ("" for none) and the method for the rest of the way."""
    if name in PLAIN_UPSCALERS:
        return "", PLAIN_UPSCALERS[name]
    return shelf.find_upscaler(name, field), "lanczos"


def _target(
    size: tuple[int, int], mode: int, factor: float, box: tuple[int, int], crop: bool
) -> tuple[tuple[int, int], tuple[int, int, int, int] | None]:
    """Return the size to enlarge to, and what is cut out of that: by a factor, or to cover a box."""
    if mode == 0:
        return (max(int(size[0] * factor), 1), max(int(size[1] * factor), 1)), None
    scale = max(box[0] / size[0], box[1] / size[1])
    target = (max(round(size[0] * scale), box[0]), max(round(size[1] * scale), box[1]))
    if not crop or target == box:
        return target, None
    return target, ((target[0] - box[0]) // 2, (target[1] - box[1]) // 2, *box)
