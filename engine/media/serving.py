"""Pictures as a client asks for them: smaller formats for previews, single channels, masks put into uploads."""

from __future__ import annotations

import io
from pathlib import Path

from engine.media.images import open_image

PREVIEW_FORMATS = ("webp", "jpeg")
CHANNELS = ("rgb", "rgba", "a")


def preview_of(path: Path, format: str, quality: int) -> bytes:
    """Return the first frame of a picture as WebP or JPEG of a quality (1 to 100). Raises `MediaError`."""
    with open_image(path) as opened:
        image = opened.convert("RGB" if format == "jpeg" or "A" not in opened.getbands() else "RGBA")
        buffer = io.BytesIO()
        image.save(buffer, format, quality=quality)
    return buffer.getvalue()


def thumbnail_of(path: Path, size: int) -> bytes:
    """Return the first frame of a picture as WebP whose longer side is at most ``size`` pixels. Raises `MediaError`."""
    with open_image(path) as opened:
        opened.draft("RGB", (size, size))  # a JPEG is decoded smaller at once
        image = opened.convert("RGBA" if "A" in opened.getbands() else "RGB")
        image.thumbnail((size, size))
        buffer = io.BytesIO()
        image.save(buffer, "webp", quality=80)
    return buffer.getvalue()


def channel_of(path: Path, channel: str) -> bytes:
    """Return a picture as PNG with its colours alone (``rgb``), its alpha alone as an image's alpha (``a``), or both
    (``rgba``). Raises `MediaError`."""
    from PIL import Image

    with open_image(path) as opened:
        rgba = opened.convert("RGBA")
        if channel == "rgb":
            made = rgba.convert("RGB")
        elif channel == "a":
            made = Image.new("RGBA", rgba.size)
            made.putalpha(rgba.getchannel("A"))
        else:
            made = rgba
        buffer = io.BytesIO()
        made.save(buffer, "PNG")
    return buffer.getvalue()


def with_mask(original: Path, mask: bytes, texts: dict[str, str]) -> bytes:
    """Return ``original`` as PNG whose alpha is that of ``mask`` (scaled to its size), with ``texts`` inside.

    Raises `MediaError` when either is no picture.
    """
    from PIL.PngImagePlugin import PngInfo

    with open_image(original) as opened:
        picture = opened.convert("RGBA")
    with open_image(mask, name="the mask") as opened:
        alpha = opened.convert("RGBA").getchannel("A")
    if alpha.size != picture.size:
        alpha = alpha.resize(picture.size)
    picture.putalpha(alpha)
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=4, pnginfo=chunks)
    return buffer.getvalue()


__all__ = ["CHANNELS", "PREVIEW_FORMATS", "channel_of", "preview_of", "thumbnail_of", "with_mask"]
