"""Recognise ControlNets and T2I-Adapters and build their networks: which models they steer, and with what sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from torch import nn

from engine.errors import WeightError
from engine.families.family import PartSpec
from engine.families.registry import detect_family
from engine.families.sizes import NetworkHints, Shapes, count_numbers, read_hints, unet_config
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.t2i_adapter import T2IAdapter, T2IAdapterConfig
from engine.networks.unet import UNetConfig
from engine.weights.control_layouts import ADAPTER, CONTROL, adapter_names, control_names
from engine.weights.layouts import Layout

__all__ = ["ADAPTER_PART", "CONTROL_PART", "DetectedControl", "adapter_config", "controlnet_config", "detect_control"]

TITLES: Final[Mapping[str, str]] = {
    "sd1": "a ControlNet for Stable Diffusion 1",
    "sd2": "a ControlNet for Stable Diffusion 2",
    "sdxl": "a ControlNet for Stable Diffusion XL",
}
ADAPTER_TITLES: Final[Mapping[str, str]] = {
    "sd1": "a T2I-Adapter for Stable Diffusion 1",
    "sdxl": "a T2I-Adapter for Stable Diffusion XL",
}
PLAIN_FACTOR, XL_FACTOR = 8, 16
USUAL_BLOCKS: Final = 2
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
    ("style_embedding", "a T2I style adapter"),
    ("difference", "a ControlNet stored as the difference to a model"),
)
"""Files that steer models, too, but by other means; none of them can be used yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class DetectedControl:
    """Tell which models a file steers (`kind`), how it names things, how wide a token it listens to, and what it is.

    `context_dim` is None for a T2I-Adapter, which does not hear the prompt.
    """

    kind: str
    layout: Layout
    hints: NetworkHints
    context_dim: int | None

    @property
    def part(self) -> PartSpec:
        """Return how its network is built."""
        return ADAPTER_PART if self.context_dim is None else CONTROL_PART

    @property
    def title(self) -> str:
        """Return what it is, for messages."""
        return (ADAPTER_TITLES if self.context_dim is None else TITLES)[self.kind]


def detect_control(shapes: Shapes, metadata: Mapping[str, str], name: str = "the file") -> DetectedControl:
    """Recognise a ControlNet or a T2I-Adapter from its tensors' shapes.

    Raises `WeightError` where it is incomplete, a relative of ControlNet that is not supported, or something else, and
    says what.
    """
    for prefix, title in RELATIVES:
        if any(key.startswith(prefix) for key in shapes):
            raise _refused(name, title, "use a plain ControlNet or T2I-Adapter of the checkpoint's family")
    if any(
        key.removeprefix(ADAPTER).startswith(("body.0.block1.", "body.0.in_conv.", "body.0.resnets.")) for key in shapes
    ):
        return _detect_adapter(shapes, metadata)
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


def _detect_adapter(shapes: Shapes, metadata: Mapping[str, str]) -> DetectedControl:
    layout = adapter_names(shapes)
    config = adapter_config({key: source.shape for key, source in layout.part(ADAPTER).items()})
    return DetectedControl("sdxl" if config.is_xl else "sd1", layout, read_hints(metadata), None)


def adapter_config(shapes: Shapes) -> T2IAdapterConfig:
    """Return the sizes of a T2I-Adapter from shapes named as in the original.

    Pixels are folded 8 x 8 into channels, or 16 x 16 for XL: 64 or 192 channels come of grey or coloured pictures, or
    256 or 768. Raises `WeightError` where its outline is incomplete.
    """
    light = "body.0.out_conv.weight" in shapes
    widths = [
        _adapter_shape(shapes, f"body.{number}.{'out_conv' if light else 'block1'}.weight")[0]
        for number in range(count_numbers(shapes, "body."))
    ]
    folded = _adapter_shape(shapes, "body.0.in_conv.weight" if light else "conv_in.weight")[1]
    factor = PLAIN_FACTOR if light or folded % XL_FACTOR**2 else XL_FACTOR
    if folded % factor**2 or "body.0.skep.weight" in shapes:
        raise WeightError(
            "the T2I-Adapter is of a kind that cannot be used",
            expected="64, 192, 256 or 768 folded channels, and no weights on its shortcuts",
            got=f"{folded} channels" if folded % factor**2 else "weights on its shortcuts",
            hint="use a published adapter for Stable Diffusion 1 or XL",
        )
    # Only where the width changes do the names in a row tell where a level begins.
    changes = [number for number, width in enumerate(widths) if width != widths[0]]
    blocks = count_numbers(shapes, "body.0.body.") if light else min(changes, default=USUAL_BLOCKS)
    step = 1 if light else blocks
    kernel = 1 if light else _adapter_shape(shapes, "body.0.block2.weight")[-1]
    learned = any(".down_opt." in name for name in shapes)
    channels = tuple(widths[::step])
    return T2IAdapterConfig(folded // factor**2, factor, channels, blocks, light, kernel, learned)


def _adapter_shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    shape = shapes.get(name, ())
    if len(shape) != 4 or not all(shape):
        raise WeightError(
            f"the T2I-Adapter lacks {name}, or has it empty",
            expected=f"{name} with four dimensions",
            got=f"shape {list(shape)}" if name in shapes else f"{len(shapes)} other tensors",
            hint="the file is incomplete; download it again",
        )
    return shape


def _build_adapter(shapes: Shapes, hints: NetworkHints) -> nn.Module:
    return T2IAdapter(adapter_config(shapes))


ADAPTER_PART: Final = PartSpec(ADAPTER, _build_adapter)


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
        expected="a ControlNet for Stable Diffusion 1, 2 or XL, or a T2I-Adapter for 1 or XL",
        got=got,
        hint=hint,
    )
