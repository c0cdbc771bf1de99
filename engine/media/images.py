"""Decode pictures with limits, encode them with their recipe. One convention: float32 ``[B, H, W, C]`` in 0..1.

Nothing here trusts a file: the kind is decided by its bytes, sizes are read from the header and refused before a pixel
is allocated. The arrays are numpy's; whoever wants tensors wraps them without a copy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.float32]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp")
MAX_FILE_BYTES = 100 << 20
MAX_FRAME_PIXELS = 64 << 20
MAX_FRAMES = 64
MAX_TOTAL_PIXELS = 256 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A decoded file. ``pixels``: float32 ``[B, H, W, 3]`` in 0..1. ``alpha``: float32 ``[B, H, W]``, 1 is opaque."""

    pixels: Pixels
    alpha: Pixels | None


def decode_image(source: Path | bytes, *, name: str | None = None) -> Picture:
    """Decode a picture, every frame of an animated one, turned upright as its EXIF says.

    Palettes, CMYK, grey and 16-bit grey become RGB; frames of another size than the first are left out.
    Raises `MediaError` when it is no picture of `FORMATS`, is damaged, or is larger than the limits.
    """
    import numpy as np

    name = name or (source.name if isinstance(source, Path) else "the picture")
    with open_image(source, name=name) as opened:
        frames = [_to_arrays(frame) for frame in _frames(opened)]
    first = frames[0][0].shape
    frames = [frame for frame in frames if frame[0].shape == first]
    alphas = [alpha for _, alpha in frames if alpha is not None]
    whole = np.stack(alphas) if len(alphas) == len(frames) else None
    return Picture(np.stack([pixels for pixels, _ in frames]), whole)


@contextlib.contextmanager
def open_image(source: Path | bytes, *, name: str | None = None) -> Iterator[Image]:
    """Open a picture whose kind, size and number of frames are within the limits; its pixels are read when needed.

    Raises `MediaError` when it is no picture of `FORMATS`, is larger than the limits, or, while the caller reads it,
    turns out to be damaged.
    """
    from PIL import Image, UnidentifiedImageError

    name = name or (source.name if isinstance(source, Path) else "the picture")
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if size > MAX_FILE_BYTES:
        raise _too_large(name, f"a file of at most {MAX_FILE_BYTES >> 20} MiB", f"{size / 2**20:.0f} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS)
        with opened:
            _check_size(opened, name)
            yield opened
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, f"at most {MAX_FRAME_PIXELS >> 20} megapixels", "more") from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{name} is not a picture",
            expected=", ".join(FORMATS),
            got=_looks_like(source),
            hint="open it in a picture program and save it as PNG",
        ) from error
    # Pillow reports damage as any of these, depending on the plugin.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        raise MediaError(f"{name} is damaged: {error}", expected="a whole picture", got=f"{size} bytes") from error


def to_uint8(pixels: Pixels) -> NDArray[np.uint8]:
    """Return ``floor(255 x)`` of values cut to 0..1, as the ecosystem rounds; NaN becomes 0."""
    import numpy as np

    scaled = np.nan_to_num(pixels.astype(np.float32) * np.float32(255.0), nan=0.0, posinf=255.0, neginf=0.0)
    clipped: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return clipped


def to_pil(pixels: Pixels) -> Image:
    """Return one picture float32 ``[H, W, C]`` (C is 1, 3 or 4) as a PIL image of 8 bits a channel."""
    from PIL import Image

    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise MediaError("this is not one picture", expected="[H, W, 1, 3 or 4]", got=str(list(pixels.shape)))
    data = to_uint8(pixels)
    return Image.fromarray(data[:, :, 0] if data.shape[2] == 1 else data)


def encode_png(pixels: Pixels, texts: Mapping[str, str], *, compress_level: int = 4) -> bytes:
    """Encode one picture float32 ``[H, W, C]`` as PNG with ``texts`` as tEXt chunks; the same input, the same bytes."""
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    buffer = io.BytesIO()
    to_pil(pixels).save(buffer, "PNG", pnginfo=chunks, compress_level=compress_level)
    return buffer.getvalue()


def resize_lanczos(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize float32 ``[B, H, W, C]`` to ``[B, height, width, C]`` through 8-bit pictures, as the ecosystem does."""
    import numpy as np
    from PIL import Image

    resized = [to_pil(one).resize((width, height), resample=Image.Resampling.LANCZOS) for one in pixels]
    arrays = [np.asarray(one, dtype=np.float32) / np.float32(255.0) for one in resized]
    return np.stack([array if array.ndim == 3 else array[:, :, None] for array in arrays])


def _check_size(image: Image, name: str) -> None:
    pixels = image.width * image.height
    if pixels > MAX_FRAME_PIXELS:
        raise _too_large(name, f"at most {MAX_FRAME_PIXELS >> 20} megapixels", f"{image.width}x{image.height}")
    frames = _count_pages(image) if image.format == "TIFF" else int(getattr(image, "n_frames", 1))
    if frames > MAX_FRAMES or frames * pixels > MAX_TOTAL_PIXELS:
        limit = f"at most {MAX_FRAMES} frames and {MAX_TOTAL_PIXELS >> 20} megapixels in all"
        raise _too_large(name, limit, f"{frames} frames of {image.width}x{image.height}")


def _count_pages(image: Image) -> int:
    """Count the pages of a TIFF, at most one more than allowed: its directory is a chain that can be endless."""
    pages = 1
    try:
        while pages <= MAX_FRAMES:
            image.seek(pages)
            pages += 1
    except EOFError:
        pass
    image.seek(0)
    return pages


def _frames(image: Image) -> Iterator[Image]:
    from PIL import ImageOps, ImageSequence

    total = 0
    for frame in ImageSequence.Iterator(image):
        total += frame.width * frame.height
        if max(total - MAX_TOTAL_PIXELS, frame.width * frame.height - MAX_FRAME_PIXELS) > 0:
            raise _too_large("the picture", f"frames of {MAX_FRAME_PIXELS >> 20} megapixels", "larger ones inside")
        yield ImageOps.exif_transpose(frame)


def _to_arrays(frame: Image) -> tuple[Pixels, Pixels | None]:
    import numpy as np

    if frame.mode == "F" or frame.mode.startswith("I"):
        grey = np.asarray(frame, dtype=np.float32) / np.float32(1.0 if frame.mode == "F" else 65535.0)
        return np.repeat(np.clip(grey, 0, 1)[:, :, None], 3, axis=2), None
    alpha = None
    if "A" not in frame.getbands() and "transparency" in frame.info:
        frame = frame.convert("RGBA")
    if "A" in frame.getbands():
        alpha = np.asarray(frame.getchannel("A"), dtype=np.float32) / np.float32(255.0)
    return np.asarray(frame.convert("RGB"), dtype=np.float32) / np.float32(255.0), alpha


def _too_large(name: str, expected: str, got: str) -> MediaError:
    return MediaError(f"{name} is too large", expected=expected, got=got, hint="shrink it, or take fewer frames")


def _looks_like(source: Path | bytes) -> str:
    if isinstance(source, Path):
        with source.open("rb") as file:
            start = file.read(16)
    else:
        start = source[:16]
    kinds: Sequence[tuple[bytes, str]] = (
        (b"<", "markup such as SVG or HTML"),
        (b"{", "JSON"),
        (b"PK", "a zip archive"),
        (b"\x80", "a pickle"),
        (b"%PDF", "a PDF"),
        (b"\x00\x00\x00", "a video, AVIF or HEIC"),
    )
    return next((kind for magic, kind in kinds if start.lstrip().startswith(magic)), "a file of another kind")
