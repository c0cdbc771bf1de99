"""Read the sizes of the networks off a checkpoint's own tensors.

Shapes tell everything but the number of attention heads and of normalisation groups. Those come from the file's
metadata where it has them (key ``safelight.networks``, see `read_hints`), else from the family's defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import WeightError
from engine.networks.autoencoder import AutoencoderConfig
from engine.networks.clip_text import Activation, ClipTextConfig
from engine.networks.unet import UNetConfig

__all__ = [
    "METADATA_KEY",
    "NetworkHints",
    "Shapes",
    "autoencoder_config",
    "clip_config",
    "count_numbers",
    "read_hints",
    "unet_config",
]

Shapes = Mapping[str, tuple[int, ...]]

METADATA_KEY: Final = "safelight.networks"
LARGEST_HINT: Final = 1 << 16
CLIP_HEAD_WIDTH: Final = 64


@dataclass(frozen=True, slots=True)
class NetworkHints:
    """Hold what a file's metadata says about its networks; None where it says nothing. `size` is (width, height)."""

    unet_heads: int | None = None
    unet_groups: int | None = None
    vae_groups: int | None = None
    clip_heads: int | None = None
    size: tuple[int, int] | None = None
    given: bool = False


def read_hints(metadata: Mapping[str, str]) -> NetworkHints:
    """Read the metadata key ``safelight.networks``, a JSON text such as

        {"unet": {"num_heads": 8, "norm_groups": 32}, "vae": {"norm_groups": 8}, "clip": {"num_heads": 1},
         "size": [128, 128]}

    in which everything is optional. Raises `WeightError` where it is there but not of this form.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        return NetworkHints()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _bad_hint(text)
    size = document.get("size")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and all(_is_count(side) for side in size)):
        raise _bad_hint(f"size {size!r}")
    return NetworkHints(
        unet_heads=_hint(document, "unet", "num_heads"),
        unet_groups=_hint(document, "unet", "norm_groups"),
        vae_groups=_hint(document, "vae", "norm_groups"),
        clip_heads=_hint(document, "clip", "num_heads"),
        size=None if size is None else (size[0], size[1]),
        given=True,
    )


def _hint(document: Mapping[str, Any], network: str, name: str) -> int | None:
    values = document.get(network, {})
    if not isinstance(values, dict):
        raise _bad_hint(f"{network} {values!r}")
    value = values.get(name)
    if value is None or _is_count(value):
        return value
    raise _bad_hint(f"{network} {name} {value!r}")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value <= LARGEST_HINT


def _bad_hint(got: str) -> WeightError:
    return WeightError(
        f"the file's metadata key {METADATA_KEY} cannot be read",
        expected='JSON such as {"unet": {"num_heads": 8}, "vae": {"norm_groups": 32}}',
        got=got[:120],
        hint="the file was written wrongly; write it again",
    )


def unet_config(shapes: Shapes, defaults: UNetConfig, hints: NetworkHints) -> UNetConfig:
    """Return the sizes of a U-Net from shapes named as in the original, without the prefix.

    `defaults` gives heads and groups where the metadata does not. Raises `WeightError` where the network's outline is
    incomplete.
    """
    first = _shape(shapes, "input_blocks.0.0.weight")
    width = first[0]
    mult: list[int] = []
    blocks: list[int] = []
    depths: list[int] = []
    starts_level = True
    for index in range(1, count_numbers(shapes, "input_blocks.")):
        if f"input_blocks.{index}.0.op.weight" in shapes:
            starts_level = True
            continue
        if starts_level:
            mult.append(_shape(shapes, f"input_blocks.{index}.0.in_layers.2.weight")[0] // width)
            blocks.append(0)
            starts_level = False
        blocks[-1] += 1
        depths.append(_depth(shapes, f"input_blocks.{index}.1."))
    outputs = count_numbers(shapes, "output_blocks.")
    projections = [shape for name, shape in shapes.items() if name.endswith(".1.proj_in.weight")]
    contexts = {shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")}
    adm = shapes.get("label_emb.0.0.weight")
    return UNetConfig(
        in_channels=first[1],
        out_channels=_shape(shapes, "out.2.weight")[0],
        model_channels=width,
        channel_mult=tuple(mult),
        num_res_blocks=tuple(blocks),
        transformer_depth=tuple(depths),
        transformer_depth_output=tuple(_depth(shapes, f"output_blocks.{index}.1.") for index in range(outputs)),
        middle_depth=_depth(shapes, "middle_block.1."),
        context_dim=min(contexts, default=defaults.context_dim),
        num_heads=hints.unet_heads or defaults.num_heads,
        head_channels=None if hints.unet_heads else defaults.head_channels,
        use_linear_projection=any(len(shape) == 2 for shape in projections),
        adm_channels=None if adm is None else adm[1],
        norm_groups=hints.unet_groups or defaults.norm_groups,
    )


def autoencoder_config(shapes: Shapes, hints: NetworkHints) -> AutoencoderConfig:
    """Return the sizes of an autoencoder from shapes named as in the original, without the prefix."""
    first = _shape(shapes, "encoder.conv_in.weight")
    latent = _shape(shapes, "decoder.conv_in.weight")[1]
    levels = count_numbers(shapes, "encoder.down.")
    return AutoencoderConfig(
        in_channels=first[1],
        out_channels=_shape(shapes, "decoder.conv_out.weight")[0],
        channels=first[0],
        channel_mult=tuple(
            _shape(shapes, f"encoder.down.{level}.block.0.conv1.weight")[0] // first[0] for level in range(levels)
        ),
        num_res_blocks=count_numbers(shapes, "encoder.down.0.block."),
        latent_channels=latent,
        norm_groups=hints.vae_groups or AutoencoderConfig().norm_groups,
        double_z=_shape(shapes, "encoder.conv_out.weight")[0] == 2 * latent,
        use_quant_conv="quant_conv.weight" in shapes,
        use_post_quant_conv="post_quant_conv.weight" in shapes,
    )


def clip_config(shapes: Shapes, hints: NetworkHints, activation: Activation = "quick_gelu") -> ClipTextConfig:
    """Return the sizes of a CLIP text encoder from shapes named as in Hugging Face's `text_model`."""
    vocabulary, width = _shape(shapes, "embeddings.token_embedding.weight")
    return ClipTextConfig(
        vocabulary=vocabulary,
        width=width,
        layers=count_numbers(shapes, "encoder.layers."),
        heads=hints.clip_heads or max(1, width // CLIP_HEAD_WIDTH),
        hidden=_shape(shapes, "encoder.layers.0.mlp.fc1.weight")[0],
        positions=_shape(shapes, "embeddings.position_embedding.weight")[0],
        activation=activation,
    )


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    """Return the shape of a matrix or convolution; at least two dimensions, none of them 0."""
    shape = shapes.get(name, ())
    if len(shape) < 2 or not all(shape):
        raise WeightError(
            f"the tensor {name} is missing or empty, so the network's size cannot be told",
            expected=name,
            got=f"shape {list(shape)}" if name in shapes else f"{len(shapes)} other tensors",
            hint="the file is incomplete; use the complete checkpoint",
        )
    return shape


def count_numbers(shapes: Shapes, prefix: str) -> int:
    """Return how many numbers follow `prefix`, which must be 0, 1, 2 ...: what is built is bounded by what is there.

    Raises `WeightError` where one is left out.
    """
    found = {name[len(prefix) :].partition(".")[0] for name in shapes if name.startswith(prefix)}
    missing = [str(number) for number in range(len(found)) if str(number) not in found]
    if missing:
        raise WeightError(
            f"the tensors of {prefix}{missing[0]} are missing",
            expected=f"{prefix}0 to {prefix}{len(found) - 1}",
            got=", ".join(sorted(found)[:8]),
            hint="the file is incomplete; use the complete checkpoint",
        )
    return len(found)


def _depth(shapes: Shapes, prefix: str) -> int:
    return count_numbers(shapes, prefix + "transformer_blocks.")
