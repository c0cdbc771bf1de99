"""Rehearse a run: the real nodes, with networks that compute nothing and tell what they were asked.

Stands where the `Residency` stands in a run. What it lends has the classes and sizes of real networks and weights that
take no memory; each call is noted, with its sizes, and answered with zeros of the right shape. So samplers, tiles,
ControlNets that act for part of the way, loops and whatever a pack does with models come out as they would in a run, in
their order, without a byte of weights being read.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from engine.errors import InputError
from engine.families.building import empty_module
from engine.families.profiles import NetworkCall, profile_call
from engine.families.upscalers import PROBE_SIDE, Upscaler
from engine.memory.cards import Card
from engine.memory.devices import DeviceInfo, DtypeName, choose_dtype
from engine.memory.profile import ProfileStore
from engine.networks.autoencoder import Autoencoder
from engine.networks.clip_text import ClipText, ProjectedClipText, TextEncoders
from engine.networks.controlnet import ControlNet
from engine.networks.t2i_adapter import T2IAdapter
from engine.networks.tiny_autoencoder import TinyAutoencoder
from engine.networks.unet import UNet
from engine.weights.recipe import ModelRecipe

__all__ = ["NotedCall", "Rehearsal", "UnknownWork"]

MOST_KEPT: Final = 16
"""Networks that stand for others take some megabytes each, and the better part of a plan's time to make."""


@dataclass(frozen=True, slots=True)
class NotedCall:
    """Say that a node called a network."""

    node_id: str
    recipe: ModelRecipe
    call: NetworkCall


@dataclass(frozen=True, slots=True)
class UnknownWork:
    """Say that a node of a pack was given models; `peak_bytes` is what it held beside them in its last run, if any."""

    node_id: str
    recipes: tuple[ModelRecipe, ...]
    peak_bytes: int | None


Note = Callable[[NetworkCall], None]


class Rehearsal:
    """Lend networks that compute nothing; `calls` has every call that was made of one since it began, in order.

    It may be begun again and again, and keeps the networks that it made last. `where` tells which node is running.
    The device is a CPU as far as tensors go, and the card as far as
    number formats go.
    """

    def __init__(self, card: Card, dtype: DtypeName, store: ProfileStore) -> None:
        self.device = DeviceInfo("cpu", card.kind, card.total_bytes)
        self.fake: Literal["cuda", "cpu"] = "cpu" if card.kind.startswith("cpu") else "cuda"
        self.calls: list[NotedCall | UnknownWork] = []
        self.where: Callable[[], str] = str
        self.moved_bytes = self.resident_bytes = 0
        self.budget_bytes = card.usable_bytes
        self.wanted_dtype = dtype
        self.store = store
        self._made: OrderedDict[str, nn.Module] = OrderedDict()  # least recently used first

    def begin(self, where: Callable[[], str]) -> None:
        """Begin anew; `calls` of before are left to whoever has them."""
        self.calls, self.where = [], where

    def dtype_for(self, recipe: ModelRecipe) -> torch.dtype:
        """Return what the network of `recipe` computes in."""
        return choose_dtype(self.device, recipe.part, self.wanted_dtype, recipe.nbytes)

    @contextlib.contextmanager
    def use(self, recipe: ModelRecipe) -> Iterator[nn.Module]:
        """Lend the stand-in for the network of `recipe`. Raises `WeightError` where its header tells of none."""
        if recipe.weights_key not in self._made:
            self._made[recipe.weights_key] = self._stand_in(recipe)
            if len(self._made) > MOST_KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(recipe.weights_key)
        yield self._made[recipe.weights_key]

    def drop_unused(self) -> None:
        """Do nothing: there is nothing to drop."""

    def _stand_in(self, recipe: ModelRecipe) -> nn.Module:
        network = empty_module(recipe, self.device, self.dtype_for(recipe))
        for module in network.modules():
            for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
                flat = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)  # one number, whatever the shape
                given = nn.Parameter(flat, requires_grad=False) if isinstance(tensor, nn.Parameter) else flat
                setattr(module, name, given)

        def note(call: NetworkCall) -> None:
            self.calls.append(NotedCall(self.where(), recipe, call))

        if isinstance(network, Upscaler):
            _become(network, forward=_enlarger(network, note, lambda: self._probed_bytes(recipe)))
        else:
            _answer_with_zeros(network, note)
        return network

    def _probed_bytes(self, recipe: ModelRecipe) -> int:
        """Return what an upscaler holds beside its weights for the small picture by which it is measured."""
        probe = NetworkCall("upscale", 1, PROBE_SIDE, PROBE_SIDE)
        made = profile_call(recipe, probe, self.device, self.dtype_for(recipe), self.store, self.fake)
        return made.live_bytes


def _answer_with_zeros(network: nn.Module, note: Note) -> None:
    """Put functions that note and answer in place of those that compute. Raises `InputError` for strange networks."""
    match network:
        case UNet():
            _become(network, forward=_denoiser(network, note))
        case ControlNet():
            _become(network, forward=_steering(network, note), encode_hint=_hints(note))
        case T2IAdapter():
            _become(network, forward=_adapter(network, note))
        case Autoencoder() | TinyAutoencoder():
            _become(network, decode=_decoder(network, note), encode=_encoder(network, note))
        case TextEncoders():
            _become(network.clip_l, forward=_text(network.clip_l, note, "text_l"))
            _become(network.clip_g, forward=_text(network.clip_g, note, "text_g"))
        case ClipText() | ProjectedClipText():
            _become(network, forward=_text(network, note, "text"))
        case _:
            raise InputError(
                f"networks of the class {type(network).__name__} cannot be planned", got=str(type(network))
            )


def _become(network: nn.Module, **functions: Callable[..., Any]) -> None:
    for name, function in functions.items():
        setattr(network, name, function)


def _denoiser(network: UNet, note: Note) -> Callable[..., Any]:
    def forward(
        x: Tensor, timesteps: Tensor, context: Tensor, y: Any = None, control: Any = None, features: Any = None
    ) -> Tensor:
        batch, _, height, width = x.shape
        places = tuple(sorted(features or ()))
        note(NetworkCall("denoise", batch, height, width, context.shape[1], control is not None, places))
        return x.new_zeros(batch, network.config.out_channels, height, width)

    return forward


def _steering(network: ControlNet, note: Note) -> Callable[..., Any]:
    def forward(x: Tensor, timesteps: Tensor, context: Tensor, hint: Tensor, y: Any = None) -> list[Tensor]:
        note(NetworkCall("control", *_plane(x), context.shape[1]))
        # Of one number each: nobody looks at them but to add them up.
        return [x.new_zeros(len(x), 1, 1, 1) for _ in range(len(network.skip_channels) + 1)]

    return forward


def _hints(note: Note) -> Callable[..., Any]:
    def encode_hint(hint: Tensor) -> Tensor:
        note(NetworkCall("hint", *_plane(hint)))
        return hint.new_zeros(len(hint), 1, 1, 1)

    return encode_hint


def _adapter(network: T2IAdapter, note: Note) -> Callable[..., Any]:
    def forward(picture: Tensor) -> list[Tensor]:
        note(NetworkCall("adapter", *_plane(picture)))
        return [picture.new_zeros(len(picture), 1, 1, 1) for _ in network.config.channels]

    return forward


def _decoder(network: Autoencoder | TinyAutoencoder, note: Note) -> Callable[..., Any]:
    def decode(latents: Tensor) -> Tensor:
        batch, height, width = _plane(latents)
        note(NetworkCall("decode", batch, height, width))
        factor = network.config.downscale
        return latents.new_zeros(batch, 3, height * factor, width * factor)

    return decode


def _encoder(network: Autoencoder | TinyAutoencoder, note: Note) -> Callable[..., Any]:
    def encode(pixels: Tensor) -> tuple[Tensor, Tensor]:
        batch, height, width = _plane(pixels)
        note(NetworkCall("encode", batch, height, width))
        factor = network.config.downscale
        mean = pixels.new_zeros(batch, network.config.latent_channels, height // factor, width // factor)
        return mean, mean

    return encode


def _text(network: ClipText | ProjectedClipText, note: Note, kind: Any) -> Callable[..., Any]:
    def forward(tokens: Tensor, last_layer: int = -1, normalise: bool = True, extra: Any = None) -> Any:
        rows, length = tokens.shape
        note(NetworkCall(kind, rows, tokens=length))
        projection = getattr(network, "text_projection", None)
        pooled = network.config.width if projection is None else projection.out_features
        return torch.zeros(rows, length, network.config.width), torch.zeros(rows, pooled)

    return forward


def _enlarger(network: Upscaler, note: Note, probed_bytes: Callable[[], int]) -> Callable[..., Any]:
    def forward(planes: Tensor) -> Tensor:
        batch, height, width = _plane(planes)
        note(NetworkCall("upscale", batch, height, width))
        if height == width == PROBE_SIDE:
            torch.empty(probed_bytes(), dtype=torch.uint8)  # by what is made here the size of tiles is chosen
        channels = int(network.descriptor.output_channels)
        return torch.zeros(batch, channels, height * network.scale, width * network.scale)

    return forward


def _plane(tensor: Tensor) -> tuple[int, int, int]:
    return tensor.shape[0], tensor.shape[-2], tensor.shape[-1]
