"""Socket types: which output may feed which input.

A type is a string. ``"IMAGE,MASK"`` is a union, ``"*"`` (or the empty string) accepts anything.
"""

from __future__ import annotations

import functools

ANY = "*"

LINK_ONLY = frozenset(
    {
        "AUDIO",
        "CLIP",
        "CLIP_VISION",
        "CLIP_VISION_OUTPUT",
        "CONDITIONING",
        "CONTROL_NET",
        "GUIDER",
        "IMAGE",
        "LATENT",
        "LATENT_OPERATION",
        "MASK",
        "MODEL",
        "NOISE",
        "SAMPLER",
        "SIGMAS",
        "STITCH",
        "STYLE_MODEL",
        "UPSCALE_MODEL",
        "VAE",
        "VIDEO",
    }
)
"""Types that no constant can stand for. Others may have a widget of a pack's own, which sends what it likes."""


def is_wildcard(socket: str) -> bool:
    """Say whether ``socket`` accepts every type."""
    return socket in (ANY, "")


def members(socket: str) -> frozenset[str]:
    """Split a union into its member types."""
    return frozenset(part.strip() for part in socket.split(",") if part.strip())


@functools.lru_cache(maxsize=4096)
def compatible(output: str, input: str) -> bool:
    """Say whether an output of type ``output`` may feed an input of type ``input``.

    Equal types match; unions match when they share a member; a wildcard on either side matches.
    Widgets take any of their kind: a COMBO input accepts a STRING output, as saved graphs rely on.
    """
    if output == input or is_wildcard(output) or is_wildcard(input):
        return True
    if input == "COMBO" and output == "STRING":
        return True
    return not members(output).isdisjoint(members(input))
