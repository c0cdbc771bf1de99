"""Steering with pictures: what a CONTROL_NET wire carries, how it gets onto conditions, and how it acts on a run.

Until a sampler runs, a control is data: which file, which picture, how strongly and when. `lend_controls` borrows the
networks for a run and gives the conditions signals that compute.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from engine.diffusion.conditioning import Conditioning, ConditioningEntry
from engine.diffusion.latents import repeat_to_batch, resize_latent
from engine.diffusion.model_calls import ControlInput
from engine.errors import InputError
from engine.families.control_networks import detect_control
from engine.memory.residency import Residency
from engine.networks.controlnet import ControlNet
from engine.networks.t2i_adapter import T2IAdapter, feature_places
from engine.networks.unet import UNetEncoder
from engine.weights.files import open_weights
from engine.weights.recipe import FileRef, ModelRecipe

__all__ = ["Control", "ControlNetRecipe", "Steering", "apply_control", "lend_controls", "load_controlnet"]

COLOURS: Final = 3
PICTURE_PIXELS: Final = 8
"""How many picture pixels make a latent pixel, each way."""
PROMPT_KINDS: Final[Mapping[int, str]] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Which models read tokens of this width; of other widths nothing is known."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """Hold what is added to the U-Net in a step, as `UNet.forward` takes it: residuals past it, features inside it."""

    residuals: list[Tensor] | None = None
    features: Mapping[int, Tensor] = dataclasses.field(default_factory=dict)

    def __add__(self, other: Steering) -> Steering:
        """Return the sum of both."""
        residuals = self.residuals or other.residuals
        if self.residuals and other.residuals:
            residuals = [a + b.to(a) for a, b in zip(self.residuals, other.residuals, strict=True)]
        features = dict(self.features)
        for place, tensor in other.features.items():
            features[place] = features[place] + tensor.to(features[place]) if place in features else tensor
        return Steering(residuals, features)


@dataclasses.dataclass(frozen=True, slots=True)
class ControlNetRecipe:
    """Name a ControlNet: its file, the kind of model it steers (sd1, sd2, sdxl), the width of tokens it listens to.

    A T2I-Adapter is one that listens to none: its `context_dim` is None.
    """

    file: FileRef
    kind: str
    context_dim: int | None

    @property
    def title(self) -> str:
        """Return what it is called in messages."""
        return "T2I-Adapter" if self.context_dim is None else "ControlNet"

    @property
    def model(self) -> ModelRecipe:
        """Return the recipe of its network, as the residency takes it."""
        return ModelRecipe(self.file, self.kind, "control")

    @property
    def content_key(self) -> str:
        """Return the key of everything that decides what it does."""
        return self.model.content_key


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Say which ControlNet acts with which picture `hint` [B, H, W, C] in 0..1 (-1: to paint), how strongly, and when.

    It acts from `start_percent` to `end_percent` (0..1) of the way from noise to picture. A condition's `control` is a
    tuple of these; what they add to the model adds up.
    """

    network: ControlNetRecipe
    hint: Tensor
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0


def load_controlnet(file: FileRef) -> ControlNetRecipe:
    """Return the recipe of a ControlNet or a T2I-Adapter; only the file's header is read. Raises `WeightError`."""
    with open_weights(file.path) as opened:
        found = detect_control(opened.shapes, opened.metadata, file.name)
    return ControlNetRecipe(file, found.kind, found.context_dim)


def apply_control(control: Control, *sides: Conditioning, to_uncond: bool = False) -> tuple[Conditioning, ...]:
    """Add a control to every entry of the conditions; those it finds there already act, too.

    `to_uncond` lets it act on the negative side as well, where that has no control of its own. Strength 0 gives back
    the conditions as they are. Raises `InputError` where the picture is none, or where the prompt was encoded for
    another kind of model than the ControlNet steers.
    """
    _check_hint(control.hint)
    for entry in (entry for side in sides for entry in side):
        _check_prompt(control.network, entry)
    if not control.strength:
        return sides
    added: dict[tuple[int, ...], tuple[Control, ...]] = {}  # sides that share what was there share what is there now

    def add(entry: ConditioningEntry) -> ConditioningEntry:
        before: tuple[Control, ...] = entry.control or ()
        chain = added.setdefault(tuple(map(id, before)), (*before, control))
        return dataclasses.replace(entry, control=chain, control_apply_to_uncond=to_uncond)

    return tuple(tuple(add(entry) for entry in side) for side in sides)


@contextlib.contextmanager
def lend_controls(
    models: Residency, network: nn.Module, model_name: str, sides: Sequence[Conditioning]
) -> Iterator[tuple[Conditioning, ...]]:
    """Borrow the ControlNets that the conditions name, for as long as the block runs, and give conditions that compute.

    Raises `InputError` before anything is sampled where one was made for other models than `network`, which
    `model_name` names in the message.
    """
    assert isinstance(network, UNetEncoder)
    unet: UNetEncoder = network
    with contextlib.ExitStack() as stack:
        signals: dict[Any, _Signal] = {}

        def bind(control: Control) -> _Bound:
            steering = stack.enter_context(models.use(control.network.model))
            if isinstance(steering, T2IAdapter):
                return _BoundAdapter(control, steering, _check_places(control.network, steering, unet, model_name))
            assert isinstance(steering, ControlNet)
            _check_model(control.network, steering, unet, model_name)
            return _BoundControl(control, steering)

        def resolve(entry: ConditioningEntry) -> ConditioningEntry:
            if not entry.control:
                return entry
            # Entries whose controls are the same share a signal, so that they go through the network together.
            key = tuple(
                (c.network.content_key, id(c.hint), c.strength, c.start_percent, c.end_percent) for c in entry.control
            )
            if key not in signals:
                signals[key] = _Signal(tuple(bind(control) for control in entry.control))
            return dataclasses.replace(entry, control=signals[key])

        yield tuple(tuple(resolve(entry) for entry in side) for side in sides)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Signal:
    """The `ControlSignal` of one or more controls: the sum of what those add that act at a noise level."""

    controls: tuple[_Bound, ...]

    def residuals(self, request: ControlInput) -> Steering | None:
        sigma = float(request.sigma[0])
        total: Steering | None = None
        for control in self.controls:
            if control.acts_at(sigma, request):
                made = control.steer(request)
                total = made if total is None else total + made
        return total


class _Bound:
    """A control with its network for one run."""

    def __init__(self, control: Control, network: nn.Module) -> None:
        self._control = control
        self._weight = next(network.parameters())

    def acts_at(self, sigma: float, request: ControlInput) -> bool:
        start, end = (
            request.sampling.percent_to_sigma(percent)
            for percent in (self._control.start_percent, self._control.end_percent)
        )
        return end <= sigma <= start

    def steer(self, request: ControlInput) -> Steering:
        """Return what is added for N = repeats * batch latents; every picture of the batch has its own hint."""
        raise NotImplementedError

    def _fitted(self, height: int, width: int, factor: int) -> Tensor:
        """Return the hint [B, 3, H, W] for latents of this size: stretched to it, its middle cut to its shape."""
        picture = _three_channels(self._control.hint).movedim(-1, 1)
        return resize_latent(picture, width * factor, height * factor, "nearest-exact", "center")

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self._weight.device, self._weight.dtype)


class _BoundAdapter(_Bound):
    """A T2I-Adapter, whose features are the same in every step: it runs once for each size of latents."""

    def __init__(self, control: Control, network: T2IAdapter, places: Sequence[int]) -> None:
        super().__init__(control, network)
        self._network = network
        self._places = places
        self._made: dict[tuple[int, int], list[Tensor]] = {}

    def steer(self, request: ControlInput) -> Steering:
        count, repeats = request.scaled.shape[0], request.repeats
        made = self._features(*request.scaled.shape[-2:])
        spread = (repeat_to_batch(one, count // repeats).repeat(repeats, 1, 1, 1) for one in made)
        return Steering(
            features={at: one * self._control.strength for at, one in zip(self._places, spread, strict=True)}
        )

    def _features(self, height: int, width: int) -> list[Tensor]:
        if (height, width) not in self._made:
            config = self._network.config
            picture = self._fitted(height, width, PICTURE_PIXELS)
            if config.picture_channels == 1:
                picture = picture.mean(dim=1, keepdim=True)
            # Sides that the adapter cannot fold are continued: the U-Net rounds its halvings up, too.
            right, below = (-side % config.factor for side in (picture.shape[-1], picture.shape[-2]))
            picture = pad(picture, (0, right, 0, below), mode="replicate")
            made = [self._network(self._cast(one)) for one in torch.split(picture, 1)]
            self._made[height, width] = [torch.cat(level) for level in zip(*made, strict=True)]
        return self._made[height, width]


class _BoundControl(_Bound):
    """A ControlNet; remembers the encoded picture, which is the same in every step."""

    def __init__(self, control: Control, network: ControlNet) -> None:
        super().__init__(control, network)
        self._network = network
        self._encoded: dict[tuple[int, int], Tensor] = {}

    def steer(self, request: ControlInput) -> Steering:
        count = request.scaled.shape[0]
        height, width = request.scaled.shape[-2:]
        hint = repeat_to_batch(self._encode(height, width), count // request.repeats)
        takes_y = self._network.config.adm_channels is not None
        assert request.context is not None
        made: list[Tensor] = self._network(
            self._cast(request.scaled),
            request.timestep.to(self._weight.device),
            self._cast(request.context),
            hint.repeat(request.repeats, 1, 1, 1),
            self._cast(request.y) if takes_y and request.y is not None else None,
        )
        return Steering([residual * self._control.strength for residual in made])

    def _encode(self, height: int, width: int) -> Tensor:
        """Return the features of the hint for latents of this size."""
        if (height, width) not in self._encoded:
            fitted = self._fitted(height, width, self._network.control_config.hint_factor)
            encoded = [self._network.encode_hint(self._cast(one)) for one in torch.split(fitted, 1)]
            self._encoded[height, width] = torch.cat(encoded)
        return self._encoded[height, width]


def _three_channels(hint: Tensor) -> Tensor:
    """Return [B, H, W, 3] of a picture with 1 to 4 channels: grey is repeated, alpha ignored."""
    return hint[..., :1].expand(*hint.shape[:-1], COLOURS) if hint.shape[-1] < COLOURS else hint[..., :COLOURS]


def _check_hint(hint: Tensor) -> None:
    if hint.ndim != 4 or 0 in hint.shape or hint.shape[-1] > COLOURS + 1:
        raise InputError(
            "this is not a picture that a ControlNet can read",
            input="image",
            expected="[batch, height, width, 1 to 4 channels] with at least one pixel",
            got=str(list(hint.shape)),
            hint="load a picture, or make one of a mask with MaskToImage",
        )


def _check_prompt(network: ControlNetRecipe, entry: ConditioningEntry) -> None:
    width = entry.embedding.shape[-1]
    if network.context_dim is None:
        kind = PROMPT_KINDS.get(width)  # adapters for Stable Diffusion 1 fit 2 as well, whose U-Net is as wide
        fits = kind is None or (kind == "sdxl") == (network.kind == "sdxl")
    else:
        fits = width == network.context_dim
    if not fits:
        raise _other_kind(network, f"prompts encoded in {width} numbers a token", "control_net")


def _check_model(recipe: ControlNetRecipe, network: ControlNet, unet: UNetEncoder, model_name: str) -> None:
    """Raise `InputError` unless the residuals of `network` fit the skip connections of `unet`, and it reads the same.

    It sees the noisy latent without the channels that inpainting models have besides, so those may differ.
    """
    mine, theirs = network.config, unet.config
    if mine.context_dim != theirs.context_dim:
        raise _other_kind(recipe, f"{model_name}, which reads {theirs.context_dim} numbers a token", "model")
    if network.skip_channels != unet.skip_channels:
        raise _other_kind(recipe, f"{model_name}, whose U-Net has other layers", "model")
    if mine.adm_channels not in (None, theirs.adm_channels):
        raise _other_kind(recipe, f"{model_name}, which takes another pooled vector", "model")


def _check_places(recipe: ControlNetRecipe, network: T2IAdapter, unet: UNetEncoder, model_name: str) -> tuple[int, ...]:
    """Return where the features of `network` go in `unet`; raise `InputError` unless they are as wide."""
    widths = (*unet.skip_channels, unet.skip_channels[-1])
    try:
        places = feature_places(network.config, unet.config)
    except ValueError as error:
        raise _other_kind(recipe, f"{model_name}: {error}", "model") from error
    if tuple(widths[place] for place in places) != network.config.channels:
        raise _other_kind(recipe, f"{model_name}, whose U-Net has other layers", "model")
    return places


def _other_kind(recipe: ControlNetRecipe, got: str, input: str) -> InputError:
    return InputError(
        f"the {recipe.title} {recipe.file.name} was made for another kind of model",
        input=input,
        expected=f"a model of kind {recipe.kind}"
        + (f" and prompts of {recipe.context_dim} numbers a token" if recipe.context_dim else ""),
        got=got,
        hint=f"use a {recipe.title} of the checkpoint's family",
    )
