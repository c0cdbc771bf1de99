"""Lay pictures over each other: through a mask, and by the rules of Porter and Duff."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from engine.imaging.batches import cycle_batch, fit_mask, match_channels


def paste(destination: Tensor, source: Tensor, x: int, y: int, mask: Tensor | None = None) -> Tensor:
    """Lay ``source`` [b, C, h, w] on ``destination`` [B, C, H, W] with its corner at ``x``, ``y`` (either may be < 0).

    ``mask`` [.., h, w] (resized bilinearly to the source) says how much of the source covers: 1 all of it. Source and
    mask are repeated to the destination's batch; what lies outside is cut off. Works with any number of dimensions
    between batch and height. Returns a new tensor.
    """
    made = destination.clone()
    height, width = source.shape[-2:]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, made.shape[-1]), min(y + height, made.shape[-2])
    if right <= left or bottom <= top:
        return made
    above = cycle_batch(source, len(made)).to(made)[..., top - y : bottom - y, left - x : right - x]
    below = made[..., top:bottom, left:right]
    if mask is None:
        below.copy_(above)
        return made
    share = fit_mask(mask, height, width)[:, top - y : bottom - y, left - x : right - x]
    share = cycle_batch(share, len(made)).to(made)
    share = share.reshape(len(made), *([1] * (made.ndim - 3)), *share.shape[-2:])
    below.copy_(above * share + below * (1 - share))
    return made


def paste_image(destination: Tensor, source: Tensor, x: int, y: int, mask: Tensor | None = None) -> Tensor:
    """Do the same as `paste` with [B, H, W, C]; the source gets the destination's channels, opaque where new."""
    fitted = match_channels(source, destination.shape[-1]).movedim(-1, 1)
    return paste(destination.movedim(-1, 1), fitted, x, y, mask).movedim(1, -1).contiguous()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Hold two pictures, colours already multiplied by alpha: ``s``/``d`` [B, H, W, C], ``sa``/``da`` [B, H, W, 1]."""

    s: Tensor
    sa: Tensor
    d: Tensor
    da: Tensor

    @property
    def union(self) -> Tensor:
        """Coverage of either picture, as if they were independent."""
        return self.sa + self.da - self.sa * self.da


Rule = Callable[[Layers], tuple[Tensor, Tensor]]


def _overlay(layers: Layers) -> tuple[Tensor, Tensor]:
    s, sa, d, da = layers.s, layers.sa, layers.d, layers.da
    return torch.where(2 * d < da, 2 * s * d, sa * da - 2 * (da - d) * (sa - s)), layers.union


def _choose(pick: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    return lambda o: ((1 - o.da) * o.s + (1 - o.sa) * o.d + pick(o.s, o.d), o.union)


RULES: Final[dict[str, Rule]] = {
    "ADD": lambda o: ((o.s + o.d).clamp(0, 1), (o.sa + o.da).clamp(0, 1)),
    "CLEAR": lambda o: (torch.zeros_like(o.d), torch.zeros_like(o.da)),
    "DARKEN": _choose(torch.minimum),
    "DST": lambda o: (o.d, o.da),
    "DST_ATOP": lambda o: (o.sa * o.d + (1 - o.da) * o.s, o.sa),
    "DST_IN": lambda o: (o.sa * o.d, o.sa * o.da),
    "DST_OUT": lambda o: ((1 - o.sa) * o.d, (1 - o.sa) * o.da),
    "DST_OVER": lambda o: (o.d + (1 - o.da) * o.s, o.union),
    "LIGHTEN": _choose(torch.maximum),
    "MULTIPLY": lambda o: (o.s * o.d, o.sa * o.da),
    "OVERLAY": _overlay,
    "SCREEN": lambda o: (o.s + o.d - o.s * o.d, o.union),
    "SRC": lambda o: (o.s, o.sa),
    "SRC_ATOP": lambda o: (o.da * o.s + (1 - o.sa) * o.d, o.da),
    "SRC_IN": lambda o: (o.da * o.s, o.sa * o.da),
    "SRC_OUT": lambda o: ((1 - o.da) * o.s, (1 - o.da) * o.sa),
    "SRC_OVER": lambda o: (o.s + (1 - o.sa) * o.d, o.union),
    "XOR": lambda o: ((1 - o.da) * o.s + (1 - o.sa) * o.d, (1 - o.da) * o.sa + (1 - o.sa) * o.da),
}
"""Premultiplied colour and alpha of each rule: Porter & Duff, Compositing Digital Images (1984), and the blend modes
that PorterDuff.Mode of Android documents beside them."""

NO_COVERAGE: Final = 1e-5
"""Below this alpha a colour cannot be told and is black."""


def porter_duff(source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, rule: str
                ) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Composite two pictures [B, H, W, C] with alphas [B, H, W] (1 is opaque) of the same sizes.

    Returns the colours, no longer multiplied by alpha, in 0..1, and the alpha [B, H, W].
    """
    sa, da = source_alpha.unsqueeze(-1), destination_alpha.unsqueeze(-1)
    colour, alpha = RULES[rule](Layers(source * sa, sa, destination * da, da))
    plain = torch.where(alpha > NO_COVERAGE, colour / alpha.clamp(min=NO_COVERAGE), torch.zeros_like(colour))
    return plain.clamp(0, 1), alpha.squeeze(-1)
