"""Key layouts of TAESD, the tiny autoencoder, mapped to ``encoder.N.…`` and ``decoder.N.…`` of its author's numbering.

Three kinds are about: a file for each half with bare numbers (``1.weight``, ``3.conv.0.weight``), one file with
``taesd_encoder.`` and ``taesd_decoder.`` before them, and that of diffusers, whose decoder counts one layer less (the
squashing of its input, which has no weights).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.weights.layouts import Layout, TensorSource

__all__ = ["DECODER", "ENCODER", "tiny_names"]

ENCODER: Final = "encoder."
DECODER: Final = "decoder."
_LAYER: Final = r"(\d+)\.(weight|bias|conv\.\d+\.(?:weight|bias))"
_PLACE: Final = re.compile(rf"(taesd_encoder\.|taesd_decoder\.|encoder\.layers\.|decoder\.layers\.|){_LAYER}")


def tiny_names(shapes: Mapping[str, tuple[int, ...]]) -> Layout | None:
    """Map the names of a TAESD file, or of one half, to the author's; None where it is something else.

    Other tensors, such as a stored scale, are left out.
    """
    places = {name: found for name in shapes if (found := _PLACE.fullmatch(name)) is not None}
    prefixes = {found[1] for found in places.values()}
    is_block = any(found[3] == "conv.0.weight" and len(shapes[name]) == 4 for name, found in places.items())
    if not is_block or ("" in prefixes and len(places) < len(shapes)):
        return None
    # The encoder's first layer is a convolution; the decoder's is the one without weights.
    half = ENCODER if "0.weight" in shapes else DECODER
    sources: dict[str, TensorSource] = {}
    for name, found in places.items():
        side, number, leaf = found[1], int(found[2]), found[3]
        base = half if not side else ENCODER if "encoder" in side else DECODER
        number += side == "decoder.layers."
        sources[f"{base}{number}.{leaf}"] = TensorSource(name, tuple(shapes[name]))
    title = "diffusers taesd" if any("layers" in prefix for prefix in prefixes) else "original taesd"
    return Layout(title, sources)
