"""The names that diffusers gives to the modules of a U-Net whose original names are known."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

__all__ = ["diffusers_unet_modules"]

_FIXED: Final = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_RESNET: Final = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_PLACE: Final = re.compile(r"(input_blocks|middle_block|output_blocks)\.(\d+)\.(.+)")


def diffusers_unet_modules(modules: Collection[str]) -> dict[str, str]:
    """Map the original names of a U-Net's modules to diffusers' names.

    A level holds `layers` residual blocks on the way down and one more on the way up, which every U-Net of the Stable
    Diffusion families does; modules of another outline are left out.
    """
    downsamplers = [int(found[1]) for name in modules if (found := re.fullmatch(r"input_blocks\.(\d+)\.0\.op", name))]
    inputs = {int(name.split(".")[1]) for name in modules if name.startswith("input_blocks.")}
    stride = min(downsamplers, default=max(inputs, default=1) + 1)
    names = {module: _FIXED.get(module) or _block_name(module, stride) for module in modules}
    return {module: name for module, name in names.items() if name is not None}


def _block_name(module: str, stride: int) -> str | None:
    found = _PLACE.fullmatch(module)
    if found is None:
        return None
    side, number, rest = found[1], int(found[2]), found[3]
    if side == "middle_block":
        part = _RESNET.get(rest)
        return f"mid_block.resnets.{number // 2}.{part}" if part else f"mid_block.attentions.0.{rest}"
    block, layer = divmod(number - 1 if side == "input_blocks" else number, stride)
    prefix = f"{'down' if side == 'input_blocks' else 'up'}_blocks.{block}"
    member, _, inner = rest.partition(".")
    if inner in ("op", "conv"):
        return f"{prefix}.{'downsamplers' if inner == 'op' else 'upsamplers'}.0.conv"
    if member == "0":
        return f"{prefix}.resnets.{layer}.{_RESNET[inner]}" if inner in _RESNET else None
    return f"{prefix}.attentions.{layer}.{inner}"
