"""Small pictures of what is being made, encoded where they are made, as often as somebody reads them and no oftener."""

from __future__ import annotations

import dataclasses
import io
import logging
import time
from typing import Any

_log = logging.getLogger("safelight.jobs")


@dataclasses.dataclass(frozen=True, slots=True)
class PreviewOptions:
    """Say how previews are made: at most one every ``interval_s``, at most ``size`` pixels on the longer side
    (0: none at all), in ``format`` (JPEG or PNG)."""

    interval_s: float = 0.1
    size: int = 512
    format: str = "JPEG"
    quality: int = 85


class PreviewMaker:
    """Makes the previews of one job. A picture that cannot be made is logged once and done without."""

    def __init__(self, options: PreviewOptions) -> None:
        self._options = options
        self._next = 0.0
        self._failed = False
        self._made = False

    def due(self) -> bool:
        """Say whether the next preview is to be made; what is not due costs nothing."""
        return self._options.size > 0 and time.monotonic() >= self._next

    def make(self, preview: Any) -> tuple[dict[str, Any], bytes] | None:
        """Return the facts and bytes of a preview: a picture [H, W, 3] or [B, H, W, 3] in 0..1, a Pillow image, or a
        function that makes one."""
        began = time.monotonic()
        try:
            return self._encode(preview() if callable(preview) else preview)
        except Exception as error:  # noqa: BLE001 (a preview never ends a run)
            if not self._failed:
                self._failed = True
                _log.warning("a preview could not be made: %s: %s", type(error).__name__, error)
            return None
        finally:
            # A preview that takes long to make comes less often: at most a fifth of the time goes into them. What the
            # first one takes is mostly the loading of libraries.
            ended = time.monotonic()
            self._next = ended + max(self._options.interval_s, 4 * (ended - began) if self._made else 0.0)
            self._made = True

    def _encode(self, picture: Any) -> tuple[dict[str, Any], bytes] | None:
        from PIL import Image

        if picture is None:
            return None
        if not isinstance(picture, Image.Image):
            import numpy as np

            from engine.media.images import to_pil

            array = picture.detach().float().cpu().numpy() if hasattr(picture, "detach") else np.asarray(picture)
            picture = to_pil(array[0] if array.ndim == 4 else array)
        picture = picture.convert("RGB")
        picture.thumbnail((self._options.size, self._options.size))
        encoded = io.BytesIO()
        picture.save(encoded, self._options.format, quality=self._options.quality)
        return {"format": self._options.format, "width": picture.width, "height": picture.height}, encoded.getvalue()
