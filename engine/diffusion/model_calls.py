"""Calling the network: what one condition feeds it, and putting several conditions into one call."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from engine.diffusion.conditioning import ConditioningEntry
from engine.diffusion.latents import repeat_to_batch
from engine.diffusion.prediction import ModelSampling, per_item
from engine.diffusion.regions import Region, Role

MOST_REPEATS: Final = 4
"""Contexts of different length share a call only where no one is repeated more often than this."""

Predict = Callable[..., Tensor]
"""The network: ``predict(x, timestep, context, *, y, control, **extra) -> output``.

``x`` [N, C, H, W] already scaled (concatenated channels included), ``timestep`` [N] float32, ``context`` [N,
T, D] or None, ``y`` [N, P] or None, ``control``: what `ControlSignal.residuals` gave, or None; ``extra``: the
tensors of `NetworkInputs.extra` by name. Casts to and from the network's own type itself; the output is [N,
C, H, W].
"""

Fits = Callable[[int, Sequence[int]], bool]
"""``fits(batch, shape)``: may N = ``batch`` latents of ``shape`` (C, H, W) go through the network at once?"""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class NetworkInputs:
    """Hold what one condition feeds the network, batch 1 or B each.

    ``context`` [., T, D]; ``y`` [., P]; ``concat`` [., C', H, W], channels appended to the scaled latent
    (cropped with the area); ``extra``: further arguments by name.
    """

    context: Tensor | None
    y: Tensor | None = None
    concat: Tensor | None = None
    extra: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)


InputsOf = Callable[[ConditioningEntry, Tensor, Role], NetworkInputs]
"""``inputs(entry, like, role)``: a family's way of reading a condition for a latent ``like`` [B, C, H, W]."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ControlInput:
    """Hand a control what the network is about to see."""

    x: Tensor
    """[N, C, H, W], not scaled."""
    scaled: Tensor
    """[N, C, H, W], scaled as the network sees it, without concatenated channels."""
    sigma: Tensor
    timestep: Tensor
    context: Tensor | None
    y: Tensor | None
    repeats: int
    """How many conditions are stacked: N = repeats * batch."""
    sampling: ModelSampling


class ControlSignal(Protocol):
    """Steer the network with a picture or the like; the value of `ConditioningEntry.control`."""

    def residuals(self, request: ControlInput, /) -> Any:
        """Return what ``predict`` takes as ``control``, or None where it does not act at this noise level."""
        ...


def context_only(entry: ConditioningEntry, like: Tensor, role: Role) -> NetworkInputs:
    """Feed the embedding alone, as SD1.x and SD2.x do."""
    return NetworkInputs(context=entry.embedding)


def always_fits(batch: int, shape: Sequence[int]) -> bool:
    """Put no limit on how much goes through the network at once."""
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class DiffusionModel:
    """Bundle a network with the facts needed to call it. Made per run, while the weights are in place."""

    predict: Predict
    sampling: ModelSampling
    inputs: InputsOf = context_only
    fits: Fits = always_fits


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Pair a region with what its prompt feeds the network."""

    region: Region
    inputs: NetworkInputs

    @property
    def group(self) -> Hashable:
        """Return what two pieces must share to go through the network together (context length aside)."""
        inputs, context = self.inputs, self.inputs.context
        return (
            self.region.weight.shape[-2:],
            id(self.region.control),
            None if context is None else context.shape[2],
            None if inputs.y is None else inputs.y.shape[1:],
            None if inputs.concat is None else inputs.concat.shape[1],
            tuple(sorted((name, tuple(value.shape[1:])) for name, value in inputs.extra.items())),
        )


def make_pieces(regions: Sequence[Region], model: DiffusionModel, like: Tensor) -> tuple[Piece, ...]:
    """Read every region's prompt for the network and bring it to the device of ``like``, once per run."""
    return tuple(Piece(region, _moved(model.inputs(region.source, like, region.role), like)) for region in regions)


def _moved(inputs: NetworkInputs, like: Tensor) -> NetworkInputs:
    return NetworkInputs(
        context=None if inputs.context is None else inputs.context.to(like.device),
        y=None if inputs.y is None else inputs.y.to(like.device),
        concat=None if inputs.concat is None else inputs.concat.to(like.device),
        extra={name: value.to(like.device) for name, value in inputs.extra.items()},
    )


def predictions(model: DiffusionModel, pieces: Sequence[Piece], x: Tensor, sigma: Tensor) -> list[tuple[Piece, Tensor]]:
    """Ask the network for the clean latent of every piece, in as few calls as shapes and memory allow."""
    results: list[tuple[Piece, Tensor]] = []
    for batch in _batches(model, pieces, x):
        denoised = _call(model, batch, x, sigma)
        results += zip(batch, denoised.chunk(len(batch)), strict=True)
    return results


def _batches(model: DiffusionModel, pieces: Sequence[Piece], x: Tensor) -> list[list[Piece]]:
    groups: dict[Hashable, list[list[Piece]]] = {}
    for piece in pieces:
        open_batches = groups.setdefault(piece.group, [])
        for batch in open_batches:
            if _lengths_agree([*batch, piece]) and _fits(model, len(batch) + 1, piece, x):
                batch.append(piece)
                break
        else:
            open_batches.append([piece])
    return [batch for open_batches in groups.values() for batch in open_batches]


def _fits(model: DiffusionModel, count: int, piece: Piece, x: Tensor) -> bool:
    return model.fits(count * x.shape[0], (x.shape[1], *piece.region.weight.shape[-2:]))


def _lengths_agree(pieces: Sequence[Piece]) -> bool:
    lengths = _context_lengths(pieces)
    return not lengths or math.lcm(*lengths) // min(lengths) <= MOST_REPEATS


def _context_lengths(pieces: Sequence[Piece]) -> list[int]:
    return [piece.inputs.context.shape[1] for piece in pieces if piece.inputs.context is not None]


def _call(model: DiffusionModel, pieces: Sequence[Piece], x: Tensor, sigma: Tensor) -> Tensor:
    """Run the network on the stacked pieces and return their clean latents [len(pieces) * B, C, h, w]
    float32.
    """
    count, batch = len(pieces), x.shape[0]
    noisy = torch.cat([piece.region.crop(x) for piece in pieces])
    sigmas = sigma.repeat(count)
    timestep = model.sampling.timestep(sigmas)
    scaled = noisy * per_item(model.sampling.input_scale(sigmas), noisy)
    context = _stack_contexts(pieces, batch)
    y = _stack([piece.inputs.y for piece in pieces], batch)
    control = pieces[0].region.control
    residuals = None
    if control is not None:
        residuals = _signal(control).residuals(
            ControlInput(noisy, scaled, sigmas, timestep, context, y, count, model.sampling)
        )
    concat = _stack([_cropped_concat(piece) for piece in pieces], batch)
    network_x = scaled if concat is None else torch.cat([scaled, concat.to(scaled)], dim=1)
    names = pieces[0].inputs.extra
    extra = {name: _stack([piece.inputs.extra[name] for piece in pieces], batch) for name in names}
    output = model.predict(network_x, timestep, context, y=y, control=residuals, **extra)
    return model.sampling.denoised(output.float(), noisy, sigmas)


def _signal(control: Any) -> ControlSignal:
    signal: ControlSignal = control
    return signal


def _cropped_concat(piece: Piece) -> Tensor | None:
    return None if piece.inputs.concat is None else piece.region.crop(piece.inputs.concat)


def _stack(tensors: Sequence[Tensor | None], batch: int) -> Tensor | None:
    present = [repeat_to_batch(tensor, batch) for tensor in tensors if tensor is not None]
    return torch.cat(present) if present else None


def _stack_contexts(pieces: Sequence[Piece], batch: int) -> Tensor | None:
    """Repeat each context's tokens up to the common length; attention gives the same result for repeated
    tokens.
    """
    lengths = _context_lengths(pieces)
    if not lengths:
        return None
    common = math.lcm(*lengths)
    contexts = [piece.inputs.context for piece in pieces]
    return _stack([c.repeat(1, common // c.shape[1], 1) for c in contexts if c is not None], batch)
