"""Key layouts: the names under which files store the same networks, mapped to those of the original single files.

Everything above this module knows one set of names: ``model.diffusion_model.`` (denoiser), ``first_stage_model.``
(autoencoder), ``cond_stage_model.transformer.text_model.`` (the one CLIP text encoder of a model) and, where a model
has several or a projected one, ``text_encoders.clip_l.`` and ``text_encoders.clip_g.``. Text encoders are named as by
Hugging Face. `original_names` maps the other layouts onto it by arithmetic on the names; no tensor is touched, except
that linear weights which the original stores as 1x1 convolutions get the convolution's shape, and that OpenCLIP's fused
attention weights are read in three parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = [
    "AUTOENCODER",
    "CLIP_G",
    "CLIP_L",
    "CLIP_TEXT",
    "CLIP_WRAPPER",
    "DENOISER",
    "TEXT_ENCODERS",
    "Layout",
    "TensorSource",
    "original_names",
]

Shapes = Mapping[str, tuple[int, ...]]

DENOISER: Final = "model.diffusion_model."
AUTOENCODER: Final = "first_stage_model."
CLIP_WRAPPER: Final = "cond_stage_model.transformer."
CLIP_TEXT: Final = CLIP_WRAPPER + "text_model."
TEXT_ENCODERS: Final = "text_encoders."
CLIP_L: Final = TEXT_ENCODERS + "clip_l."
CLIP_G: Final = TEXT_ENCODERS + "clip_g."


@dataclass(frozen=True, slots=True)
class TensorSource:
    """Say where a tensor comes from: its name in the file, and the shape it is to be given.

    `third` 0, 1 or 2 takes that third of the stored rows; `transposed` swaps rows and columns.
    """

    name: str
    shape: tuple[int, ...]
    third: int | None = None
    transposed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Name a file's key layout and map original names to what the file holds."""

    name: str
    sources: Mapping[str, TensorSource]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Map original names to shapes."""
        return {name: source.shape for name, source in self.sources.items()}

    def part(self, prefix: str) -> dict[str, TensorSource]:
        """Return the sources of the names that start with `prefix`, without it."""
        return {name[len(prefix) :]: source for name, source in self.sources.items() if name.startswith(prefix)}


def original_names(shapes: Shapes) -> Layout:
    """Recognise the key layout of a file and map it to original names.

    Names of no known layout stay as they are. Stored position numbers and averaged copies (``model_ema.``) are left
    out.
    """
    for layout, mark, absent, rename in _LAYOUTS:
        if mark in shapes and not any(name.startswith(absent) for name in shapes):
            return Layout(layout, _with_lone_encoder(dict(_sources(shapes, rename(shapes)))))
    return Layout("original", _with_lone_encoder(dict(_sources(shapes, _original_name))))


def _sources(shapes: Shapes, rename: Callable[[str], str | None]) -> Iterator[tuple[str, TensorSource]]:
    for name, shape in shapes.items():
        if name.endswith("position_ids"):
            continue
        target = rename(name)
        if target is None:
            continue
        open_clip = _OPEN_CLIP.match(target)
        if open_clip is not None:
            yield from _open_clip_sources(open_clip, TensorSource(name, tuple(shape)))
            continue
        is_convolution = target.startswith(AUTOENCODER) and _PIXEL_ATTENTION.search(target) and len(shape) == 2
        yield target, TensorSource(name, (*shape, 1, 1) if is_convolution else tuple(shape))


_PIXEL_ATTENTION: Final = re.compile(r"\.attn_1\.(q|k|v|proj_out)\.weight$")


def _original_name(name: str) -> str | None:
    if name.startswith("model_ema."):
        return None
    if name.startswith("vae."):
        return AUTOENCODER + name[len("vae.") :]
    for wrapped, plain in _WRAPPED_ENCODERS:
        if name.startswith(wrapped):
            return plain + name[len(wrapped) :]
    is_old = name.startswith(
        (CLIP_WRAPPER + "embeddings.", CLIP_WRAPPER + "encoder.", CLIP_WRAPPER + "final_layer_norm.")
    )
    return CLIP_TEXT + name[len(CLIP_WRAPPER) :] if is_old else name


# ---- OpenCLIP text encoders: the one of Stable Diffusion 2, and the larger one of XL and its refiner -----------------

XL_CLIP_L: Final = "conditioner.embedders.0.transformer."
_WRAPPED_ENCODERS: Final = (
    (XL_CLIP_L, CLIP_L),
    (CLIP_L + "transformer.", CLIP_L),
    (CLIP_G + "transformer.", CLIP_G),
    (TEXT_ENCODERS + "clip_h.transformer.", CLIP_WRAPPER),
)
LARGE_WIDTH: Final = 1280
_TOKENS: Final = "text_model.embeddings.token_embedding.weight"
_OPEN_CLIP: Final = re.compile(r"(cond_stage_model|conditioner\.embedders\.\d+)\.model\.(.+)")
_OPEN_CLIP_OUTER: Final = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_OPEN_CLIP_LAYER: Final = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OPEN_CLIP_BLOCK: Final = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def _open_clip_sources(found: re.Match[str], source: TensorSource) -> Iterator[tuple[str, TensorSource]]:
    """Yield where a tensor named as by OpenCLIP stands in Hugging Face's names; its query, key and value are one."""
    base = CLIP_WRAPPER if found[1] == "cond_stage_model" else CLIP_G
    name, rows, rest = found[2], source.shape[:1], source.shape[1:]
    block = _OPEN_CLIP_BLOCK.fullmatch(name)
    if name in _OPEN_CLIP_OUTER:
        yield f"{base}text_model.{_OPEN_CLIP_OUTER[name]}", source
    elif name == "text_projection" and len(source.shape) == 2:
        yield f"{base}text_projection.weight", TensorSource(source.name, source.shape[::-1], transposed=True)
    elif block is not None and block[2] in _OPEN_CLIP_LAYER:
        yield f"{base}text_model.encoder.layers.{block[1]}.{_OPEN_CLIP_LAYER[block[2]]}.{block[3]}", source
    elif block is not None and block[2] == "attn.in_proj" and rows and rows[0] % 3 == 0:
        for third, projection in enumerate(("q_proj", "k_proj", "v_proj")):
            target = f"{base}text_model.encoder.layers.{block[1]}.self_attn.{projection}.{block[3]}"
            yield target, TensorSource(source.name, (rows[0] // 3, *rest), third=third)


def _with_lone_encoder(sources: dict[str, TensorSource]) -> dict[str, TensorSource]:
    """Name the text encoder of a file without a denoiser as models that have it do, whatever it is called there.

    OpenCLIP-G (1280 wide) is the one of XL and its refiner; any other is the single one of a model. Files with both
    encoders of XL stay as they are.
    """
    if any(name.startswith(DENOISER) for name in sources):
        return sources
    single = sources.get(CLIP_WRAPPER + _TOKENS)
    if single is not None and single.shape[1:] == (LARGE_WIDTH,):
        return _moved(sources, CLIP_WRAPPER, CLIP_G)
    if CLIP_L + _TOKENS in sources and CLIP_G + _TOKENS not in sources:
        return _moved(sources, CLIP_L, CLIP_WRAPPER)
    return sources


def _moved(sources: Mapping[str, TensorSource], prefix: str, to: str) -> dict[str, TensorSource]:
    return {to + name[len(prefix) :] if name.startswith(prefix) else name: source for name, source in sources.items()}


def _prefixed(prefix: str) -> Callable[[Shapes], Callable[[str], str | None]]:
    return lambda _: lambda name: prefix + name


# ---- diffusers U-Net -------------------------------------------------------------------------------------------------

_UNET_FIXED: Final = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "class_embedding.linear_1": "label_emb.0.0",
    "class_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_BLOCK: Final = re.compile(
    r"(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)"
)


def _diffusers_unet(shapes: Shapes) -> Callable[[str], str | None]:
    """Return the map from diffusers' names; blocks hold `layers` residual blocks down and one more up."""
    layers = 1 + max(_numbers(shapes, r"down_blocks\.\d+\.resnets\.(\d+)\."))
    with_attention = frozenset(_numbers(shapes, r"up_blocks\.(\d+)\.attentions\."))

    def rename(name: str) -> str | None:
        module, _, leaf = name.rpartition(".")
        if module in _UNET_FIXED:
            return f"{DENOISER}{_UNET_FIXED[module]}.{leaf}"
        found = _BLOCK.fullmatch(name)
        if found is None:
            return name
        side, block, kind, index, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
        return DENOISER + _unet_place(side, block, kind, index, layers, with_attention) + _unet_rest(kind, rest)

    return rename


def _unet_place(side: str, block: int, kind: str, index: int, layers: int, with_attention: frozenset[int]) -> str:
    member = 1 if kind == "attentions" else 0
    if side == "mid_block":
        return f"middle_block.{1 if member else 2 * index}."
    if kind == "downsamplers":
        return f"input_blocks.{(layers + 1) * (block + 1)}.0."
    if kind == "upsamplers":
        return f"output_blocks.{(layers + 1) * block + layers}.{2 if block in with_attention else 1}."
    if side == "down_blocks":
        return f"input_blocks.{(layers + 1) * block + index + 1}.{member}."
    return f"output_blocks.{(layers + 1) * block + index}.{member}."


def _unet_rest(kind: str, rest: str) -> str:
    if kind == "downsamplers":
        return rest.replace("conv.", "op.", 1)
    if kind == "resnets":
        part, _, leaf = rest.partition(".")
        return f"{_RESNET.get(part, part)}.{leaf}"
    return rest


# ---- diffusers autoencoder -------------------------------------------------------------------------------------------

_VAE_ATTENTION: Final = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "query": "q",
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}


def _diffusers_autoencoder(shapes: Shapes) -> Callable[[str], str | None]:
    levels = 1 + max(_numbers(shapes, r"decoder\.up_blocks\.(\d+)\."))

    def rename(name: str) -> str | None:
        name = name.replace(".conv_norm_out.", ".norm_out.").replace(".conv_shortcut.", ".nin_shortcut.")
        name = re.sub(r"\.mid_block\.resnets\.(\d+)\.", lambda found: f".mid.block_{int(found[1]) + 1}.", name)
        name = re.sub(r"\.mid_block\.attentions\.0\.([\w.]+)\.(weight|bias)$", _vae_attention, name)
        name = re.sub(r"\.down_blocks\.(\d+)\.resnets\.", r".down.\1.block.", name)
        name = re.sub(r"\.down_blocks\.(\d+)\.downsamplers\.0\.", r".down.\1.downsample.", name)
        # The original counts the decoder's levels from full resolution, diffusers in the order they run.
        name = re.sub(r"\.up_blocks\.(\d+)\.resnets\.", lambda f: f".up.{levels - 1 - int(f[1])}.block.", name)
        name = re.sub(r"\.up_blocks\.(\d+)\.upsamplers\.0\.", lambda f: f".up.{levels - 1 - int(f[1])}.upsample.", name)
        return AUTOENCODER + name

    return rename


def _vae_attention(found: re.Match[str]) -> str:
    return f".mid.attn_1.{_VAE_ATTENTION.get(found[1], found[1])}.{found[2]}"


def _numbers(names: Iterable[str], pattern: str) -> set[int]:
    found = (re.match(pattern, name) for name in names)
    return {int(match[1]) for match in found if match} or {0}


_Rename = Callable[[Shapes], Callable[[str], str | None]]
# name of the layout, a tensor it always has, a prefix that only others have, its map
_LAYOUTS: Final[tuple[tuple[str, str, str, _Rename], ...]] = (
    ("diffusers unet", "down_blocks.0.resnets.0.conv1.weight", "controlnet_", _diffusers_unet),
    ("diffusers vae", "encoder.down_blocks.0.resnets.0.conv1.weight", DENOISER, _diffusers_autoencoder),
    ("bare unet", "input_blocks.0.0.weight", DENOISER, _prefixed(DENOISER)),
    ("bare vae", "decoder.mid.block_1.conv1.weight", DENOISER, _prefixed(AUTOENCODER)),
    ("bare clip", "text_model.embeddings.token_embedding.weight", DENOISER, _prefixed(CLIP_WRAPPER)),
    ("bare clip", "embeddings.token_embedding.weight", DENOISER, _prefixed(CLIP_TEXT)),
    ("bare open clip", "transformer.resblocks.0.ln_1.weight", DENOISER, _prefixed("cond_stage_model.model.")),
)
