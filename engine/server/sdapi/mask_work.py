"""Pictures and masks of img2img, made ready before the workflow: pure functions on Pillow images of 8 bits.

Masks are mode "L", 255 where to paint. Boxes are (x, y, width, height).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Box = tuple[int, int, int, int]
STRETCH, CROP, FILL = 0, 1, 2
SMEARS: Final = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius of each blur that fills a mask, and how often its result is laid on."""
LATENT_SIDE: Final = 8
OPAQUE_FROM: Final = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """What a workflow needs of one picture: itself at the size of the result, the mask in blocks of a latent pixel,
    and where and through which mask the result is put back. Without a mask all but ``picture`` is None."""

    picture: Image
    mask: Image | None = None
    background: Image | None = None
    overlay: Image | None = None
    box: Box | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MaskChoices:
    """How a mask is used: only its region at full size (``padding`` pixels around it) or the whole picture, and
    whether what is masked is filled with smears of its surroundings."""

    full_resolution: bool
    padding: int
    smear: bool


def prepare(picture: Image, mask: Image | None, size: tuple[int, int], mode: int, choices: MaskChoices) -> Prepared:
    """Return what a workflow needs. ``mask`` is `soft_mask`'s; a blank one changes the whole picture."""
    picture = picture.convert("RGB")
    if mask is None or mask.getbbox() is None:
        return Prepared(resize(picture, size, mode))
    if choices.full_resolution:
        box = widen(region_of(mask, choices.padding), size, picture.size)
        area = (box[0], box[1], box[0] + box[2], box[1] + box[3])
        background, overlay = picture, mask.crop(area)
        picture, mask = resize(picture.crop(area), size, FILL), resize(mask.crop(area), size, FILL)
    else:
        picture, mask = resize(picture, size, mode), resize(mask, size, mode)
        background, box = picture, (0, 0, *size)
        overlay = mask.point([min(2 * level, 255) for level in range(256)])
    if choices.smear:
        picture = smear(picture, mask)
    return Prepared(picture, latent_blocks(mask), background, overlay, box)


def soft_mask(mask: Image, *, rounded: bool, invert: bool, blur: tuple[int, int]) -> Image:
    """Return the mask that a picture means: its alpha where it has some (cut at 128 with ``rounded``), else its
    brightness; then inverted and blurred along x and y."""
    has_alpha = "A" in mask.getbands() and mask.getchannel("A").getextrema() != (255, 255)
    made = mask.getchannel("A") if has_alpha else mask.convert("RGB").convert("L")
    if has_alpha and rounded:
        made = made.point([255 if level > OPAQUE_FROM - 1 else 0 for level in range(256)])
    if invert:
        made = made.point([255 - level for level in range(256)])
    return _blurred(made, blur)


def _blurred(mask: Image, blur: tuple[int, int]) -> Image:
    """Blur by Gaussians of deviation ``blur`` (x, y), each cut at ``int(2.5 blur + 0.5)`` pixels, edges mirrored."""
    import numpy as np
    from PIL import Image as images

    values = np.asarray(mask, dtype=np.float64)
    for axis, sigma in ((1, blur[0]), (0, blur[1])):
        if sigma > 0:
            values = np.clip(np.rint(_gaussian(values, sigma, axis)), 0, 255)
    return images.fromarray(values.astype(np.uint8))


def _gaussian(values: NDArray[np.float64], sigma: int, axis: int) -> NDArray[np.float64]:
    import numpy as np

    radius = int(2.5 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-(offsets**2) / (2.0 * sigma**2))
    kernel /= kernel.sum()
    places = np.arange(values.shape[axis])[:, None] + offsets[None, :]
    last = max(values.shape[axis] - 1, 0)
    period = max(2 * last, 1)
    places = np.abs(places) % period if last else np.zeros_like(places)
    places = np.where(places > last, period - places, places)
    moved = np.moveaxis(values, axis, 0)
    blurred = np.zeros_like(moved)
    for index, weight in enumerate(kernel):
        blurred += weight * moved[places[:, index]]
    return np.moveaxis(blurred, 0, axis)


def region_of(mask: Image, padding: int) -> Box:
    """Return the box around what is not 0, grown by ``padding`` and kept inside. The mask must not be blank."""
    found = mask.getbbox()
    assert found is not None
    left, top = max(found[0] - padding, 0), max(found[1] - padding, 0)
    right, bottom = min(found[2] + padding, mask.width), min(found[3] + padding, mask.height)
    return left, top, right - left, bottom - top


def widen(box: Box, size: tuple[int, int], inside: tuple[int, int]) -> Box:
    """Grow the short side of a box to the shape of ``size``, evenly, shifted and cut to stay ``inside``."""
    x, y, width, height = box
    if width * size[1] < height * size[0]:
        x, width = _grown(x, width, int(height * size[0] / size[1]), inside[0])
    else:
        y, height = _grown(y, height, int(width * size[1] / size[0]), inside[1])
    return x, y, width, height


def _grown(start: int, length: int, wanted: int, most: int) -> tuple[int, int]:
    start -= (wanted - length) // 2
    start -= max(start + wanted - most, 0)
    start = max(start, 0)
    return start, min(wanted, most - start)


def resize(picture: Image, size: tuple[int, int], mode: int) -> Image:
    """Bring a picture to a size: stretched, cut from a larger one around the middle, or fitted with its border rows
    and columns stretched over the rest. Lanczos."""
    from PIL import Image as images

    if mode == STRETCH:
        return _lanczos(picture, size)
    width, height = size
    wider = width * picture.height > picture.width * height  # the frame is wider than the picture
    if wider == (mode == CROP):
        inner = (width, picture.height * width // picture.width)
    else:
        inner = (picture.width * height // picture.height, height)
    inner = (max(inner[0], 1), max(inner[1], 1))
    scaled = _lanczos(picture, inner)
    x, y = width // 2 - inner[0] // 2, height // 2 - inner[1] // 2
    made = images.new(picture.mode, size)
    made.paste(scaled, (x, y))
    if mode == FILL:
        _stretch_borders(made, scaled, x, y)
    return made


def _stretch_borders(made: Image, scaled: Image, x: int, y: int) -> None:
    width, height = made.size
    right, bottom = x + scaled.width, y + scaled.height
    if y > 0:
        made.paste(scaled.crop((0, 0, scaled.width, 1)).resize((width, y)), (0, 0))
    if bottom < height:
        last = scaled.crop((0, scaled.height - 1, scaled.width, scaled.height))
        made.paste(last.resize((width, height - bottom)), (0, bottom))
    if x > 0:
        made.paste(scaled.crop((0, 0, 1, scaled.height)).resize((x, height)), (0, 0))
    if right < width:
        last = scaled.crop((scaled.width - 1, 0, scaled.width, scaled.height))
        made.paste(last.resize((width - right, height)), (right, 0))


def _lanczos(picture: Image, size: tuple[int, int]) -> Image:
    from PIL import Image as images

    return picture if picture.size == size else picture.resize(size, images.Resampling.LANCZOS)


def smear(picture: Image, mask: Image) -> Image:
    """Fill what is masked with smears of what is around it, from wide ones to narrow ones."""
    from PIL import Image as images
    from PIL import ImageChops, ImageFilter

    kept = images.new("RGBa", picture.size)
    kept.paste(picture.convert("RGBA").convert("RGBa"), mask=ImageChops.invert(mask))
    made = images.new("RGBA", picture.size)
    for radius, times in SMEARS:
        blurred = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            made.alpha_composite(blurred)
    return made.convert("RGB")


def latent_blocks(mask: Image) -> Image:
    """Return the mask as latents see it: cut at one half, in blocks of 8 x 8 pixels."""
    from PIL import Image as images

    small = mask.resize((mask.width // LATENT_SIDE, mask.height // LATENT_SIDE), images.Resampling.BICUBIC)
    cut = small.point([255 if level >= OPAQUE_FROM else 0 for level in range(256)])
    return cut.resize(mask.size, images.Resampling.NEAREST)
