"""Make an uploaded picture ours: decoded once within the limits and encoded again, so that what is stored is a picture.

What else the file held is gone: the camera's data and place, texts, thumbnails, whatever stood behind the picture. The
kind of file stays; colours stay what they are (profile, transparency, 16 bits), and a JPEG keeps its tables.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from engine.media.images import open_image

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PROFILE_BYTES = 4 << 20
_ORIENTATION = 0x0112


def clean_picture(data: bytes, *, name: str = "the picture") -> bytes:
    """Return the picture in ``data`` encoded anew in its own format, frames included, metadata left out.

    The same input gives the same bytes. Raises `MediaError` as `engine.media.images.decode_image` does.
    """
    with open_image(data, name=name) as opened:
        return _encode(opened, str(opened.format))


def _encode(opened: Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    options = _options(opened, kind)
    if int(getattr(opened, "n_frames", 1)) > 1 and kind != "JPEG":
        _save_frames(opened, kind, buffer, options)
    else:
        opened.load()
        # Pillow takes over texts and camera data from `info`, so what it knows about the file is forgotten.
        keep: dict[Any, Any] = {key: opened.info[key] for key in ("transparency", "background") if key in opened.info}
        opened.info = keep
        if kind == "TIFF":
            fresh = opened.copy()
            fresh.info = keep
            fresh.save(buffer, kind, **options)
        else:
            opened.save(buffer, kind, **options)
    return buffer.getvalue()


def _save_frames(opened: Image, kind: str, buffer: io.BytesIO, options: dict[str, Any]) -> None:
    from PIL import ImageSequence

    frames, durations = [], []
    for frame in ImageSequence.Iterator(opened):
        durations.append(int(frame.info.get("duration", 0)))
        copy = frame.copy()
        copy.info = {key: frame.info[key] for key in ("transparency", "background") if key in frame.info}
        frames.append(copy)
    timing = {"duration": durations, "loop": int(opened.info.get("loop", 0))} if kind != "TIFF" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options, **timing)


def _options(opened: Image, kind: str) -> dict[str, Any]:
    """Return how to encode: nothing lost where the format can, the turn of the camera kept as the one EXIF entry."""
    options: dict[str, Any] = {}
    if kind == "JPEG":
        options["quality"] = "keep"
    elif kind == "WEBP":
        options |= {"lossless": True, "exact": True, "quality": 50}
    elif kind == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    turn = opened.getexif().get(_ORIENTATION) if kind in ("JPEG", "PNG", "WEBP") else None
    if kind in ("JPEG", "PNG", "WEBP"):
        profile = opened.info.get("icc_profile")
        options["icc_profile"] = profile if profile and len(profile) <= MAX_PROFILE_BYTES else None
    if turn in range(2, 9):
        from PIL import Image as Images

        exif = Images.Exif()
        exif[_ORIENTATION] = turn
        options["exif"] = exif
    return options
