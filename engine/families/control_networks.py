"""Recognise ControlNet files and build their networks: which models they steer, and with what sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from torch import nn

from engine.errors import WeightError
from engine.families.family import PartSpec
from engine.families.registry import detect_family
from engine.families.sizes import NetworkHints, Shapes, read_hints, unet_config
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.unet import UNetConfig
from engine.weights.control_layouts import CONTROL, control_names
from engine.weights.layouts import Layout

__all__ = ["CONTROL_PART", "DetectedControl", "controlnet_config", "detect_control"]

TITLES: Final[Mapping[str, str]] = {
    "sd1": "a ControlNet for Stable Diffusion 1",
    "sd2": "a ControlNet for Stable Diffusion 2",
    "sdxl": "a ControlNet for Stable Diffusion XL",
}
HEAD_CHANNELS: Final = 64
MARKS: Final = (
    CONTROL + "input_blocks.0.0.weight",
    CONTROL + "input_hint_block.0.weight",
    CONTROL + "zero_convs.0.0.weight",
    CONTROL + "middle_block_out.0.weight",
)
RELATIVES: Final = (  # a prefix that the names of the file start with, and what it is then
    ("lora_controlnet", "a Control-LoRA"),
    ("control_add_embedding.", "a union ControlNet"),
    ("task_embedding", "a union ControlNet"),
    ("controlnet_blocks.", "a ControlNet for a transformer model (Stable Diffusion 3, Flux)"),
    ("controlnet_x_embedder.", "a ControlNet for a transformer model (Stable Diffusion 3, Flux)"),
    ("adapter.", "a T2I-Adapter"),
    ("body.0.in_conv.", "a T2I-Adapter"),
    ("difference", "a ControlNet stored as the difference to a model"),
)
"""Files that steer models, too, but by other means; none of them can be used yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class DetectedControl:
    """Tell which models a ControlNet steers (`kind`), how its file names things, and how wide a token it listens to."""

    kind: str
    layout: Layout
    hints: NetworkHints
    context_dim: int

    @property
    def title(self) -> str:
        """Return what it is, for messages."""
        return TITLES[self.kind]


def detect_control(shapes: Shapes, metadata: Mapping[str, str], name: str = "the file") -> DetectedControl:
    """Recognise a ControlNet from its tensors' shapes.

    Raises `WeightError` where it is incomplete, a relative of ControlNet that is not supported, or something else, and
    says what.
    """
    for prefix, title in RELATIVES:
        if any(key.startswith(prefix) for key in shapes):
            raise _refused(name, title, "use a plain ControlNet for Stable Diffusion 1, 2 or XL")
    layout = control_names(shapes)
    missing = [mark for mark in MARKS if mark not in layout.sources]
    if len(missing) == len(MARKS):
        raise _refused(name, _what_else(shapes, metadata, name), "choose a file of models/controlnet")
    if missing:
        raise WeightError(
            f"{name} is a ControlNet that lacks {', '.join(missing)}",
            expected="a complete ControlNet",
            got=f"{len(shapes)} tensors",
            hint="the file is incomplete; download it again",
        )
    hints = read_hints(metadata)
    inner = {key: source.shape for key, source in layout.part(CONTROL).items()}
    unet = controlnet_config(inner, hints).unet
    kind = "sdxl" if unet.adm_channels is not None else "sd2" if unet.use_linear_projection else "sd1"
    return DetectedControl(kind, layout, hints, unet.context_dim)


def controlnet_config(shapes: Shapes, hints: NetworkHints) -> ControlNetConfig:
    """Return the sizes of a ControlNet from shapes named as in the original, without the prefix.

    Raises `WeightError` where its outline is incomplete.
    """
    first = shapes.get("input_blocks.0.0.weight", ())
    # What a U-Net's outline ends with and a ControlNet's lacks; the reading half does not depend on it.
    outline = {**shapes, "out.2.weight": (first[1] if len(first) > 1 else 0, *first[:1], 3, 3)}
    by_width = any(name.endswith(".1.proj_in.weight") and len(shape) == 2 for name, shape in shapes.items())
    defaults = UNetConfig(num_heads=None, head_channels=HEAD_CHANNELS) if by_width else UNetConfig()
    unet = dataclasses.replace(unet_config(outline, defaults, hints), transformer_depth_output=None)
    widths: list[int] = []
    while shape := shapes.get(f"input_hint_block.{2 * len(widths)}.weight"):
        widths.append(shape[0])
    first_hint = shapes.get("input_hint_block.0.weight", ())
    if len(widths) < 2 or len(widths) % 2 or len(first_hint) != 4 or not all(widths):
        raise WeightError(
            f"the hint encoder has {len(widths)} layers, which fits no ControlNet",
            expected="input_hint_block.0.weight, input_hint_block.2.weight ... (8 convolutions in the published ones)",
            got=f"{len(widths)} convolutions",
            hint="the file is incomplete; use the original file",
        )
    return ControlNetConfig(unet, hint_channels=first_hint[1], hint_widths=tuple(widths[:-1]))


def _build(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return ControlNet(controlnet_config(shapes, hints))


CONTROL_PART: Final = PartSpec(CONTROL, _build)


def _what_else(shapes: Shapes, metadata: Mapping[str, str], name: str) -> str:
    """Name what a file is that is no ControlNet."""
    try:
        return detect_family(shapes, metadata, name).family.title
    except WeightError as error:
        is_known = error.problem.message.startswith(f"{name} is known")
        some = ", ".join(list(shapes)[:3])
        return str(error.problem.got) if is_known else f"{len(shapes)} tensors such as {some}"


def _refused(name: str, got: str, hint: str) -> WeightError:
    return WeightError(
        f"{name} is not a ControlNet that can be used",
        code="E-WEIGHT-FAMILY",
        expected="a ControlNet for Stable Diffusion 1, 2 or XL",
        got=got,
        hint=hint,
    )
