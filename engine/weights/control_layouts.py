"""Key layouts of ControlNets, mapped to the names of the original single files: ``control_model.`` and what follows.

Three kinds are about: the original files, the same without their prefix, and those of diffusers, whose U-Net half is
named as any U-Net of diffusers is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.weights.layouts import DENOISER, Layout, TensorSource, original_names

__all__ = ["CONTROL", "control_names"]

CONTROL: Final = "control_model."
BARE_MARK: Final = "zero_convs.0.0.weight"
DIFFUSERS_MARK: Final = "controlnet_cond_embedding.conv_in.weight"
_OWN: Final = "controlnet_"
_PLACE: Final = re.compile(
    r"controlnet_(?:(mid_block)|(cond_embedding\.conv_in)|(cond_embedding\.conv_out)"
    r"|down_blocks\.(?P<down>\d+)|cond_embedding\.blocks\.(?P<hint>\d+))\.(?P<leaf>\w+)"
)


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
