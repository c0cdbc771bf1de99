"""Key layouts of ControlNets and T2I-Adapters, mapped to the names of the original files.

ControlNets (``control_model.`` and what follows) come in three kinds: the original files, the same without their
prefix, and those of diffusers, whose U-Net half is named as any U-Net of diffusers is. T2I-Adapters (``adapter.`` here,
no prefix in the original files) have the residual blocks of all levels in one row, where diffusers has them by level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.weights.layouts import DENOISER, Layout, TensorSource, original_names

__all__ = ["ADAPTER", "CONTROL", "adapter_names", "control_names"]

CONTROL: Final = "control_model."
ADAPTER: Final = "adapter."
BARE_MARK: Final = "zero_convs.0.0.weight"
DIFFUSERS_MARK: Final = "controlnet_cond_embedding.conv_in.weight"
_OWN: Final = "controlnet_"
_PLACE: Final = re.compile(
    r"controlnet_(?:(mid_block)|(cond_embedding\.conv_in)|(cond_embedding\.conv_out)"
    r"|down_blocks\.(?P<down>\d+)|cond_embedding\.blocks\.(?P<hint>\d+))\.(?P<leaf>\w+)"
)

_RESNET: Final = re.compile(r"body\.(?P<level>\d{1,4})\.resnets\.(?P<block>\d{1,4})\.(?P<rest>.+)")
_LEVEL_OWN: Final = re.compile(r"body\.(?P<level>\d{1,4})\.(?P<rest>in_conv\..+)")


def adapter_names(shapes: Mapping[str, tuple[int, ...]]) -> Layout:
    """Recognise the key layout of a T2I-Adapter's file and map it to original names with `ADAPTER` before them."""
    bare = {key.removeprefix(ADAPTER): TensorSource(key, tuple(shape)) for key, shape in shapes.items()}
    found = [match for match in map(_RESNET.fullmatch, bare) if match]
    if not found:
        return Layout("original T2I-Adapter", {ADAPTER + key: source for key, source in bare.items()})
    is_light = "body.0.out_conv.weight" in bare
    blocks = 1 + max(int(match["block"]) for match in found)

    def original(key: str) -> str:
        match = _RESNET.fullmatch(key)
        if match is not None and is_light:
            return f"body.{match['level']}.body.{match['block']}.{match['rest']}"
        if match is not None:
            return f"body.{int(match['level']) * blocks + int(match['block'])}.{match['rest']}"
        own = _LEVEL_OWN.fullmatch(key)
        return key if own is None or is_light else f"body.{int(own['level']) * blocks}.{own['rest']}"

    return Layout("diffusers T2I-Adapter", {ADAPTER + original(key): source for key, source in bare.items()})


def control_names(shapes: Mapping[str, tuple[int, ...]]) -> Layout:
    """Recognise the key layout of a ControlNet's file and map it to original names; other names stay as they are."""
    if DIFFUSERS_MARK in shapes:
        return Layout("diffusers controlnet", _diffusers(shapes))
    prefix = CONTROL if BARE_MARK in shapes else ""
    name = "bare controlnet" if prefix else "original controlnet"
    return Layout(name, {prefix + key: TensorSource(key, tuple(shape)) for key, shape in shapes.items()})


def _diffusers(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSource]:
    """Map the U-Net's names by way of `original_names`, and the ControlNet's own ones here."""
    unet = original_names({key: shape for key, shape in shapes.items() if not key.startswith(_OWN)})
    sources = {CONTROL + key: source for key, source in unet.part(DENOISER).items()}
    hint_blocks = sum(key.startswith(_OWN + "cond_embedding.blocks.") and key.endswith(".weight") for key in shapes)
    for key, shape in shapes.items():
        if key.startswith(_OWN):
            sources[_own_name(key, 2 * (hint_blocks + 1))] = TensorSource(key, tuple(shape))
    return sources


def _own_name(key: str, last: int) -> str:
    """Return the original name of a tensor that only ControlNets have; `last` is the place of the last hint layer."""
    found = _PLACE.fullmatch(key)
    if found is None:
        return key
    if found[1]:
        place = "middle_block_out.0"
    elif found["down"]:
        place = f"zero_convs.{found['down']}.0"
    elif found["hint"]:
        place = f"input_hint_block.{2 * (int(found['hint']) + 1)}"
    else:
        place = f"input_hint_block.{0 if found[2] else last}"
    return f"{CONTROL}{place}.{found['leaf']}"
