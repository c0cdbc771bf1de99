"""What calls of a recipe's network take: the inputs that the pipeline gives it, made for a dry run.

A `NetworkCall` says which of a network's functions is called, and with what sizes; its profile comes from a dry run on
fake tensors, or from the store where somebody asked before.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from engine.families.building import empty_module
from engine.memory.devices import DeviceInfo
from engine.memory.profile import Profile, ProfileStore
from engine.networks.autoencoder import Autoencoder
from engine.networks.clip_text import ClipText, ProjectedClipText, TextEncoders
from engine.networks.controlnet import ControlNet
from engine.networks.t2i_adapter import T2IAdapter
from engine.networks.tiny_autoencoder import TinyAutoencoder
from engine.networks.unet import UNet
from engine.weights.recipe import ModelRecipe

__all__ = ["CallKind", "NetworkCall", "call_network", "profile_call"]

CallKind = Literal["denoise", "text", "text_l", "text_g", "decode", "encode", "control", "hint", "adapter", "upscale"]
Make = Callable[..., Tensor]
"""Makes zeros of a shape, as the network takes them."""


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkCall:
    """Say which function of a network is called, with `batch` items of `height` x `width` (of what it is given).

    `tokens` is the length of a prompt; `residuals` says that a U-Net is given those of a ControlNet, `features` at
    which places it is given those of an adapter.
    """

    kind: CallKind
    batch: int = 1
    height: int = 1
    width: int = 1
    tokens: int = 77
    residuals: bool = False
    features: tuple[int, ...] = ()


def profile_call(
    recipe: ModelRecipe,
    call: NetworkCall,
    device: DeviceInfo,
    dtype: torch.dtype,
    store: ProfileStore,
    fake: Literal["cuda", "cpu"] = "cuda",
) -> Profile:
    """Return what `call` takes of the network of `recipe`. Raises `WeightError` as `empty_module` does."""
    facts: dict[str, Any] = {
        "model": recipe.weights_key,
        "call": dataclasses.asdict(call),
        "dtype": str(dtype),
        "kind": device.kind,
        "fake": fake,
        "attention": "fused, one pass",
        "torch": torch.__version__,
    }

    def make() -> Profile:
        from engine.memory.dry_run import dry_run  # brings torch's compiler, which takes longer than the rest of a plan

        return dry_run(
            empty_module(recipe, device, dtype), lambda network, place: call_network(network, call, place), fake
        )

    return store.get(facts, make)


def call_network(network: nn.Module, call: NetworkCall, place: torch.device) -> Any:
    """Make the inputs of `call` on `place`, of zeros, and call the network."""
    weight = next(parameter for parameter in network.parameters() if parameter.is_floating_point())
    return _CALLS[call.kind](network, call, partial(torch.zeros, dtype=weight.dtype, device=place))


def _denoise(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    assert isinstance(network, UNet)
    config = network.config
    residuals = features = None
    if call.residuals or call.features:
        shapes = _skip_shapes(network, call)
        residuals = [make(*shape) for shape in shapes] if call.residuals else None
        features = {place: make(*shapes[place]) for place in call.features}
    return network(
        make(call.batch, config.in_channels, call.height, call.width),
        make(call.batch).float(),
        make(call.batch, call.tokens, config.context_dim),
        None if config.adm_channels is None else make(call.batch, config.adm_channels),
        residuals,
        features,
    )


def _skip_shapes(network: UNet, call: NetworkCall) -> list[tuple[int, ...]]:
    """Return the shapes of what each input block, and the middle, gives."""
    shapes: list[tuple[int, ...]] = []
    height, width = call.height, call.width
    counts = [blocks + 1 for blocks in network.config.num_res_blocks]
    starts = {sum(counts[:level]) for level in range(1, len(counts))}
    for index, channels in enumerate(network.skip_channels):
        if index in starts:
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        shapes.append((call.batch, channels, height, width))
    return [*shapes, shapes[-1]]


def _text(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    tokens = make(call.batch, call.tokens).long()
    if isinstance(network, TextEncoders):
        chosen = network.clip_l if call.kind == "text_l" else network.clip_g
        return chosen(tokens, -2, False)
    assert isinstance(network, (ClipText, ProjectedClipText))
    return network(tokens, -1)


def _decode(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    assert isinstance(network, (Autoencoder, TinyAutoencoder))
    return network.decode(make(call.batch, network.config.latent_channels, call.height, call.width))


def _encode(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    assert isinstance(network, (Autoencoder, TinyAutoencoder))
    return network.encode(make(call.batch, 3, call.height, call.width))


def _control(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    assert isinstance(network, ControlNet)
    config = network.config
    return network(
        make(call.batch, config.in_channels, call.height, call.width),
        make(call.batch).float(),
        make(call.batch, call.tokens, config.context_dim),
        make(call.batch, config.model_channels, call.height, call.width),
        None if config.adm_channels is None else make(call.batch, config.adm_channels),
    )


def _hint(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    assert isinstance(network, ControlNet)
    return network.encode_hint(make(call.batch, network.control_config.hint_channels, call.height, call.width))


def _adapter(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    assert isinstance(network, T2IAdapter)
    return network(make(call.batch, network.config.picture_channels, call.height, call.width))


def _upscale(network: nn.Module, call: NetworkCall, make: Make) -> Any:
    return network(make(call.batch, int(getattr(network, "channels", 3)), call.height, call.width))


_CALLS: Final[Mapping[CallKind, Callable[[nn.Module, NetworkCall, Make], Any]]] = {
    "denoise": _denoise,
    "text": _text,
    "text_l": _text,
    "text_g": _text,
    "decode": _decode,
    "encode": _encode,
    "control": _control,
    "hint": _hint,
    "adapter": _adapter,
    "upscale": _upscale,
}
